"""The analytics consumer of a node (P1-11, oddity 18): `foundation.analytics`."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from locustfiles.harness.api.reply import document, number, whole
from locustfiles.harness.caller import Caller, write_id_of
from locustfiles.harness.digest import client_digest
from locustfiles.harness.http.response import Response
from service.content import ANALYTICS_PASS, ANALYTICS_STREAM, of_pass

PASSES_NAME = "/v1/analytics/passes"


class AnalyticsPass(NamedTuple):
    """What one pass read, and how far the consumer is behind the app nodes' logs after it."""

    processed: int
    lag_events: int
    lag_s: float


class AnalyticsClient:
    """Has the consumer read on from its cursors."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def run_pass(self, limit: int = 50, *, node: str | None = None) -> AnalyticsPass | None:
        """Process up to `limit` events; no event is ever counted twice."""
        key, text = write_id_of(None)
        caller = self._caller

        def read(reply: Response) -> AnalyticsPass:
            fields = document(reply)
            return AnalyticsPass(
                whole(fields, "processed"), whole(fields, "lag_events"), number(fields, "lag_s")
            )

        return caller.send(
            "POST",
            caller.url(node, PASSES_NAME),
            PASSES_NAME,
            read,
            body=orjson.dumps({"id": text, "limit": limit}),
            write_id=key,
            digest=client_digest(ANALYTICS_PASS, ANALYTICS_STREAM, of_pass(limit)),
        )
