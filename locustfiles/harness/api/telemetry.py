"""Telemetry of a node (A-6), and its timed test job (F1-5): `foundation.telemetry`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from locustfiles.harness.api.reply import document, number, rows, table, text, whole
from locustfiles.harness.caller import NOTHING, Caller, Mismatch, write_id_of
from locustfiles.harness.http.response import Response

COUNTERS_NAME = "/v1/telemetry/counters"
GAUGES_NAME = "/v1/telemetry/gauges"
MEASUREMENTS_NAME = "/v1/telemetry/measurements"
ALL_NAME = "/v1/telemetry"
TEST_SUITE_NAME = "/v1/dev/test-suite"


class TestSuite(NamedTuple):
    """What the node's small test job found, timed by the node itself."""

    tests: int
    failures: int
    duration_ms: float


class TelemetryClient:
    """Emits to a node and reads back. A path is text such as `dev/file_saves`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def count(
        self,
        path: str,
        tags: Mapping[str, str] = NOTHING,
        value: float = 1,
        *,
        node: str | None = None,
    ) -> bool | None:
        """Add to a counter; a retry of the same request is not counted again."""
        _, key_text = write_id_of(None)
        body = {"id": key_text, "path": path, "value": value, "tags": tags}
        return self._emit(COUNTERS_NAME, body, node)

    def gauge(
        self, path: str, value: float, tags: Mapping[str, str] = NOTHING, *, node: str | None = None
    ) -> bool | None:
        """Set a gauge."""
        return self._emit(GAUGES_NAME, {"path": path, "value": value, "tags": tags}, node)

    def measure(
        self,
        path: str,
        duration_ms: float,
        tags: Mapping[str, str] = NOTHING,
        *,
        node: str | None = None,
    ) -> bool | None:
        """Add one measured duration."""
        _, key_text = write_id_of(None)
        body = {"id": key_text, "path": path, "duration_ms": duration_ms, "tags": tags}
        return self._emit(MEASUREMENTS_NAME, body, node)

    def counters(
        self,
        prefix: str | None = None,
        tags: Mapping[str, str] = NOTHING,
        *,
        node: str | None = None,
    ) -> dict[str, float] | None:
        """Counters by path, summed up over the series that have `tags` among theirs."""
        caller = self._caller

        def read(reply: Response) -> dict[str, float]:
            found: dict[str, float] = {}
            for series in rows(document(reply), "counters"):
                if not tags.items() <= table(series, "tags").items():
                    continue
                counted = text(series, "path")
                found[counted] = found.get(counted, 0) + number(series, "value")
            return found

        params = None if prefix is None else {"prefix": prefix}
        return caller.send("GET", caller.url(node, ALL_NAME), ALL_NAME, read, params=params)

    def measured(self, path: str, *, node: str | None = None) -> int | None:
        """How many measurements there are at `path`."""
        caller = self._caller

        def read(reply: Response) -> int:
            found = rows(document(reply), "measurements")
            return sum(whole(one, "count") for one in found if text(one, "path") == path)

        params = {"prefix": path}
        return caller.send("GET", caller.url(node, ALL_NAME), ALL_NAME, read, params=params)

    def run_test_suite(self, *, node: str | None = None) -> TestSuite | None:
        """Have the node run its small test job and measure it; nothing of it is an event."""
        _, key_text = write_id_of(None)
        caller = self._caller

        def read(reply: Response) -> TestSuite:
            fields = document(reply)
            return TestSuite(
                whole(fields, "tests"), whole(fields, "failures"), number(fields, "duration_ms")
            )

        return caller.send(
            "POST",
            caller.url(node, TEST_SUITE_NAME),
            TEST_SUITE_NAME,
            read,
            body=orjson.dumps({"id": key_text}),
        )

    def _emit(self, name: str, body: dict[str, Any], node: str | None) -> bool | None:
        caller = self._caller

        def read(reply: Response) -> bool:
            fields = document(reply)
            duplicates = whole(fields, "duplicates") if "duplicates" in fields else 0
            if whole(fields, "accepted") + duplicates != 1:
                raise Mismatch("another count")
            return True

        return caller.send("POST", caller.url(node, name), name, read, body=orjson.dumps(body))
