"""Reads the parts' states back from the log when the node starts, each again until it works.

What fails is logged once for each reason, and is in /health until the part is there: a part that
nobody can use and nobody hears of would be worse than a node that does not start. Life: made ->
`start` on the loop -> `close`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from structlog.typing import FilteringBoundLogger

from service.errors import FoundationError
from service.part import Part
from service.schema import ComponentHealth

RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 30.0
"""A log of another form reads the same each time, and reading it is not free."""

_CLOSE_S: Final = 1.0


class Recovery:
    """`retry_s` is the pause behind the first failure of a part; each next one is twice as long."""

    def __init__(self, log: FilteringBoundLogger, *, retry_s: float = RETRY_S) -> None:
        self._log = log
        self._retry_s = retry_s
        self._faults: dict[str, ComponentHealth] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, parts: Iterable[Part]) -> None:
        self._tasks += [
            asyncio.create_task(self._recover(part), name=f"recover-{part.name}") for part in parts
        ]

    def faults(self) -> dict[str, ComponentHealth]:
        """The parts that could not be read back yet: `down`, with the reason and the remedy."""
        return dict(self._faults)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_S)

    async def _recover(self, part: Part) -> None:
        delay_s = self._retry_s
        while True:
            try:
                await part.recover()
            except FoundationError as error:
                if self._note(part.name, f"cannot be read back: {error}"):
                    self._log.warning(
                        "recovery postponed", part=part.name, code=error.code, error=str(error)
                    )
            except Exception as error:
                # The task's edge: it must neither end unseen nor be said again each time.
                told = (
                    f"cannot be read back: {type(error).__name__}, which the node's log tells of: "
                    "start the version that wrote the log, or restore a backup"
                )
                if self._note(part.name, told):
                    self._log.exception("recovery failed", part=part.name)
            else:
                self._faults.pop(part.name, None)
                return
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, LONGEST_RETRY_S)

    def _note(self, name: str, detail: str) -> bool:
        """Whether this is news."""
        known = self._faults.get(name)
        self._faults[name] = ComponentHealth(status="down", detail=detail)
        return known is None or known.detail != detail
