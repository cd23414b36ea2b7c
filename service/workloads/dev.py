"""The development workload (F1-5): one run of a small real test suite, timed.

`POST /v1/dev/test-suite` runs the cases of `dev_suite.py`, waits what is left of 100 ms as emulated
latency (D9), and notes it as the measurement `dev/test_suite` with the tags `tests` and `failures`.
A retry with the same id gets the first answer again and measures nothing (D11); the last answers
are remembered in memory, for a test suite changes nothing that would have to survive.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Final

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, TypeAdapter
from starlette.responses import Response

from service import body as bodies
from service import correlation
from service.dispatch import Answer, FastRequest, FastRoute
from service.events import intake
from service.part import Base, Part
from service.schema_telemetry import SuiteReply, SuiteRequest
from service.twin import Twin, problems
from service.workloads import dev_suite

TEST_SUITE: Final = "POST /v1/dev/test-suite"
MEASUREMENT: Final = "dev/test_suite"
PRESCRIBED_MS: Final = 100
REMEMBERED_ANSWERS: Final = 1_000

_REQUEST = TypeAdapter(SuiteRequest)


class DevPart(Part):
    """`/v1/dev` of one node; `subject` is what the suite is run on."""

    name = "dev"

    def __init__(self, base: Base, subject: dev_suite.Subject | None = None) -> None:
        self._telemetry = base.telemetry
        self._emulation = base.emulation
        self._subject = subject or dev_suite.Subject()
        self._answers: dict[bytes, bytes] = {}

    async def run_suite(self, request: FastRequest) -> Answer:
        """200 with a SuiteReply."""
        bodies.media_type(request.headers, bodies.JSON)
        asked = intake.decode(_REQUEST, await bodies.read(request.receive))
        correlation_id = request.correlation_id or correlation.make()
        known = self._answers.get(asked.id.bytes)
        if known is not None:
            return Answer(200, known, correlation_id)
        started_s = perf_counter()
        outcome = dev_suite.run(self._subject)
        work_ms = 1_000 * (perf_counter() - started_s)
        emulated_ms = 1_000 * await self._emulation.wait((PRESCRIBED_MS - work_ms) / 1_000)
        # A retry that came during the wait has run the suite too: the first answer stands.
        reply = self._answers.get(asked.id.bytes)
        if reply is None:
            reply = self._finish(asked.id.bytes, outcome, work_ms + emulated_ms)
        timing = b"work;dur=%.3f, emulated;dur=%.3f" % (work_ms, emulated_ms)
        return Answer(200, reply, correlation_id, ((b"server-timing", timing),))

    def _finish(self, id: bytes, outcome: dev_suite.Outcome, duration_ms: float) -> bytes:
        """Measure a run and remember its answer, the oldest of the remembered giving way."""
        failures = len(outcome.failures)
        tags = {"tests": str(outcome.tests), "failures": str(failures)}
        self._telemetry.measure(MEASUREMENT, duration_ms, tags)
        reply = orjson.dumps(
            {
                "tests": outcome.tests,
                "failures": failures,
                "duration_ms": round(duration_ms, 3),
            }
        )
        self._answers[id] = reply
        if len(self._answers) > REMEMBERED_ANSWERS:
            del self._answers[next(iter(self._answers))]
        return reply

    def fast_routes(self) -> dict[tuple[str, str], FastRoute]:
        return {("POST", TEST_SUITE.removeprefix("POST ")): (TEST_SUITE, self.run_suite)}

    def bodies(self) -> dict[str, type[BaseModel]]:
        return {TEST_SUITE: SuiteRequest}

    def routers(self) -> Sequence[APIRouter]:
        router = APIRouter(prefix="/v1/dev", tags=["workloads"])

        @router.post("/test-suite", response_model=SuiteReply, responses=problems(413, 415))
        async def run_test_suite() -> Response:
            """Run 45 small test cases over the node's own functions (F1-5): real ones, in about
            100 ms, of which what is not work is stated in Server-Timing as emulated."""
            return Twin(self.run_suite)

        return (router,)
