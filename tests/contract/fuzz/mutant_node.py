"""A node that breaks its own document in five ways, each of which the fuzz must see.

    python -m tests.contract.fuzz.mutant_node

An audit of nothing fails with a 500, a receipt lacks its `seq`, an unknown event is a 418, the
state of the node is text, and an unknown parameter of a query is ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from starlette.responses import Response

from service import fastlane
from service.__main__ import main
from service.errors import EventNotFound, InvalidInput
from service.events import routes as events
from service.events.sqlite import SqliteEventStore
from service.events.store import AuditHit, EventQuery, Stored
from service.query_string import parse
from service.telemetry import routes

_audit = SqliteEventStore.audit
_receipt = fastlane._receipt


async def _audit_or_fail(self: SqliteEventStore, ids: Sequence[bytes]) -> list[AuditHit]:
    if not ids:
        raise IndexError("a seeded bug")
    return await _audit(self, ids)


def _receipt_without_seq(stored: Stored) -> dict[str, object]:
    return {name: value for name, value in _receipt(stored).items() if name != "seq"}


def _parse_known(pairs: Iterable[tuple[str, str]]) -> EventQuery:
    try:
        return parse(pairs)
    except InvalidInput:
        return parse(())


class _TextResponse(Response):
    def __init__(self, content: str, status_code: int = 200, **more: object) -> None:
        super().__init__(content, status_code, media_type="text/html")


if __name__ == "__main__":
    SqliteEventStore.audit = _audit_or_fail  # type: ignore[method-assign]
    fastlane._receipt = _receipt_without_seq
    EventNotFound.status = 418
    setattr(events, "parse", _parse_known)  # noqa: B010  (the name is not routes' to export)
    setattr(routes, "Response", _TextResponse)  # noqa: B010  (the name is not routes' to export)
    main()
