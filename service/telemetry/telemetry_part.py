"""Telemetry as a part of the node (A-6): clients add to the series, everybody reads them.

The three POST routes take one sample or an array, all of it or nothing. What a client may not name
is refused here, so that no sample can forge what the node counts itself or break its Prometheus
page (`families.py`). Nothing is written to the log: telemetry starts anew with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Final, Generic, TypeVar

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, FailFast, Field, TypeAdapter
from starlette.responses import Response

from service import body as bodies
from service import correlation
from service.dispatch import Answer, FastRequest, FastRoute
from service.errors import InvalidInput, PayloadTooLarge
from service.events import intake
from service.part import Base, Part
from service.schema import ComponentHealth
from service.schema_telemetry import (
    MAX_SAMPLES,
    CounterBody,
    CounterSample,
    GaugeBody,
    GaugeSample,
    MeasurementBody,
    MeasurementSample,
    TelemetryPage,
    TelemetryReply,
)
from service.telemetry.families import stem
from service.telemetry.meter import SPEEDS
from service.telemetry.retries import CountedIds, Named, content_hash
from service.telemetry.series import MAX_PATH_CHARS, Measurement, Series, fault_of
from service.twin import Twin, problems

COUNTERS: Final = "POST /v1/telemetry/counters"
GAUGES: Final = "POST /v1/telemetry/gauges"
MEASUREMENTS: Final = "POST /v1/telemetry/measurements"

REQUESTS_PATH: Final = "api/requests"
SPEED_PATH: Final = "api/processing"
"""P1-8's counters, which the node keeps in its meter and shows here."""

_OWN_STEMS: Final = frozenset({stem(REQUESTS_PATH), stem(SPEED_PATH), stem("dev/test_suite")})
_OWN_PREFIXES: Final = (stem("background_jobs/"), stem("analytics/"))
"""What the node's workloads tell of themselves, and only they may."""

_EXACT: Final = 2**53
_MANY = (FailFast(), Field(max_length=MAX_SAMPLES))
"""Fails fast: a body of a thousand bad samples costs one error."""

M = TypeVar("M", CounterSample, GaugeSample, MeasurementSample)


class _Filter(BaseModel):
    model_config = ConfigDict(extra="forbid")

    prefix: Annotated[str, Field(max_length=MAX_PATH_CHARS)] = ""


class _Samples(Generic[M]):
    """Reads one sample or an array of one kind from a body."""

    def __init__(self, one: TypeAdapter[M], many: TypeAdapter[list[M]]) -> None:
        self._one: TypeAdapter[M] = one
        self._many: TypeAdapter[list[M]] = many

    def read(self, raw: bytes) -> list[M]:
        """Raises MalformedJson, InvalidInput, PayloadTooLarge; nothing was taken then."""
        if raw.lstrip()[:1] != b"[":
            samples = [intake.decode(self._one, raw)]
        else:
            try:
                samples = intake.decode(self._many, raw)
            except PayloadTooLarge:
                raise PayloadTooLarge(
                    f"an array holds at most {MAX_SAMPLES} samples: send it in parts"
                ) from None
        for index, sample in enumerate(samples):
            fault = fault_of(sample.path, sample.tags)
            if fault is None and is_own(sample.path):
                fault = f"path: {sample.path} is counted by the node itself: choose another"
            if fault is not None:
                raise InvalidInput(f"[{index}].{fault}" if len(samples) > 1 else fault)
        return samples


class TelemetryPart(Part):
    """`/v1/telemetry` of one node."""

    name = "telemetry"

    def __init__(self, base: Base) -> None:
        self._telemetry = base.telemetry
        self._meter = base.meter
        self._counted = CountedIds()
        self._counters = _Samples(
            TypeAdapter(CounterSample), TypeAdapter(Annotated[list[CounterSample], *_MANY])
        )
        self._gauges = _Samples(
            TypeAdapter(GaugeSample), TypeAdapter(Annotated[list[GaugeSample], *_MANY])
        )
        self._measurements = _Samples(
            TypeAdapter(MeasurementSample), TypeAdapter(Annotated[list[MeasurementSample], *_MANY])
        )

    async def post_counters(self, request: FastRequest) -> Answer:
        """200 with a TelemetryReply."""
        telemetry = self._telemetry
        return await self._take(
            request, self._counters, lambda one: telemetry.count(one.path, one.tags, one.value)
        )

    async def post_gauges(self, request: FastRequest) -> Answer:
        """200 with a TelemetryReply."""
        telemetry = self._telemetry
        return await self._take(
            request, self._gauges, lambda one: telemetry.gauge(one.path, one.value, one.tags)
        )

    async def post_measurements(self, request: FastRequest) -> Answer:
        """200 with a TelemetryReply."""
        telemetry = self._telemetry
        return await self._take(
            request,
            self._measurements,
            lambda one: telemetry.measure(one.path, one.duration_ms, one.tags),
        )

    async def _take(
        self, request: FastRequest, samples: _Samples[M], emit: Callable[[M], None]
    ) -> Answer:
        bodies.media_type(request.headers, bodies.JSON)
        found = samples.read(await bodies.read(request.receive))
        overflowed = self._telemetry.overflowed
        news = self._counted.sift([_named(sample) for sample in found])
        for sample, is_new in zip(found, news, strict=True):
            if is_new:
                emit(sample)
        accepted = sum(news)
        reply = {
            "accepted": accepted,
            "overflowed": self._telemetry.overflowed - overflowed,
            "duplicates": len(found) - accepted,
        }
        return Answer(200, orjson.dumps(reply), request.correlation_id or correlation.make())

    def page(self, prefix: str) -> bytes:
        """A TelemetryPage as JSON; P1-8's counters, which the meter keeps, are among them."""
        telemetry = self._telemetry
        counters = [*telemetry.counters(prefix), *self._own(prefix)]
        return orjson.dumps(
            {
                "counters": [_value(one) for one in sorted(counters, key=_place)],
                "gauges": [_value(one) for one in telemetry.gauges(prefix)],
                "measurements": [_summary(one) for one in telemetry.measurements(prefix)],
                "series": telemetry.series,
                "overflowed": telemetry.overflowed,
            }
        )

    def _own(self, prefix: str) -> Iterator[Series]:
        meter = self._meter
        if REQUESTS_PATH.startswith(prefix):
            for action, count in meter.saas_actions.items():
                yield Series(REQUESTS_PATH, {"action": action}, count)
        if SPEED_PATH.startswith(prefix):
            for speed in SPEEDS:
                yield Series(SPEED_PATH, {"speed": speed}, meter.saas_speeds[speed])

    def fast_routes(self) -> dict[tuple[str, str], FastRoute]:
        handlers = {
            COUNTERS: self.post_counters,
            GAUGES: self.post_gauges,
            MEASUREMENTS: self.post_measurements,
        }
        return {
            ("POST", route.removeprefix("POST ")): (route, handler)
            for route, handler in handlers.items()
        }

    def bodies(self) -> dict[str, type[BaseModel]]:
        return {COUNTERS: CounterBody, GAUGES: GaugeBody, MEASUREMENTS: MeasurementBody}

    def health(self) -> ComponentHealth:
        """Degraded once values find no series of their own: their tags are then lost (A-3)."""
        telemetry = self._telemetry
        detail = f"{telemetry.series} of {telemetry.limit} series"
        if telemetry.overflowed:
            detail += (
                f", {telemetry.overflowed} values without one of their own: use fewer tags, or "
                "raise FOUNDATION_TELEMETRY_SERIES"
            )
            return ComponentHealth(status="degraded", detail=detail)
        return ComponentHealth(status="up", detail=detail)

    def routers(self) -> Sequence[APIRouter]:
        router = APIRouter(prefix="/v1/telemetry", tags=["telemetry"])
        answers = problems(409, 413, 415)

        @router.post("/counters", response_model=TelemetryReply, responses=answers)
        async def count() -> Response:
            """Add to one counter, or to up to 1,000 with an array (A-6). A sample's `id` makes a
            retry safe: it is counted once, among the last 10,000 ids of this process. With other
            content it is refused (409)."""
            return Twin(self.post_counters)

        @router.post("/gauges", response_model=TelemetryReply, responses=problems(413, 415))
        async def set_gauges() -> Response:
            """Set one gauge, or up to 1,000 with an array."""
            return Twin(self.post_gauges)

        @router.post("/measurements", response_model=TelemetryReply, responses=answers)
        async def measure() -> Response:
            """Note how long one thing took, or up to 1,000 with an array."""
            return Twin(self.post_measurements)

        @router.get("", response_model=TelemetryPage, responses=problems())
        async def get_telemetry(query: Annotated[_Filter, Query()]) -> Response:
            """Every series whose path starts with `prefix`."""
            return Response(self.page(query.prefix), media_type="application/json")

        return (router,)


def is_own(path: str) -> bool:
    """Whether only the node may write here, be it under another path with the same name in
    Prometheus."""
    own = stem(path)
    return own in _OWN_STEMS or own.startswith(_OWN_PREFIXES)


def _named(sample: CounterSample | GaugeSample | MeasurementSample) -> Named | None:
    """The sample's id and its content's hash, if it has an id."""
    if isinstance(sample, GaugeSample) or sample.id is None:
        return None
    value = sample.value if isinstance(sample, CounterSample) else sample.duration_ms
    kind = type(sample).__name__
    return sample.id.bytes, content_hash(kind, sample.path, sample.tags, value)


def _place(series: Series) -> tuple[str, list[tuple[str, str]]]:
    return series.path, sorted(series.tags.items())


def _value(series: Series) -> dict[str, object]:
    # Whole numbers read best as such; beyond 2^53 a float says as much, and JSON has room for it.
    value = float(series.value)
    whole = abs(value) <= _EXACT and value.is_integer()
    return {"path": series.path, "tags": series.tags, "value": int(value) if whole else value}


def _summary(series: Measurement) -> dict[str, object]:
    of = series.of
    return {
        "path": series.path,
        "tags": series.tags,
        "count": of.count,
        "sum_ms": of.sum_ms,
        "min_ms": of.min_ms,
        "max_ms": of.max_ms,
        "mean_ms": of.sum_ms / of.count,
    }
