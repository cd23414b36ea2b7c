"""Wire models of telemetry and of the development workload (A-6, F1-5). No I/O, only pydantic."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel

from service.schema import MAX_INTEGER, ClientId
from service.telemetry.series import (
    MAX_PATH_CHARS,
    MAX_TAGS,
    PATH_PATTERN,
    TAG_NAME_PATTERN,
    TAG_VALUE_PATTERN,
)

MAX_SAMPLES = 1_000
MAX_COUNT = 2**53
"""A float adds whole numbers without error up to here."""

MAX_DURATION_MS = 1e12
_MANY = Field(max_length=MAX_SAMPLES)

SamplePath = Annotated[str, Field(max_length=MAX_PATH_CHARS, pattern=PATH_PATTERN)]
TagName = Annotated[str, Field(pattern=TAG_NAME_PATTERN)]
TagValue = Annotated[str, Field(pattern=TAG_VALUE_PATTERN)]
Tagging = Annotated[dict[TagName, TagValue], Field(max_length=MAX_TAGS)]


def _number(value: object) -> object:
    """A number as JSON has them; strings and booleans are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValueError("an integer is outside -2^63 to 2^63-1")
    return value


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Count = Annotated[Number, Field(ge=0, le=MAX_COUNT)]
Duration = Annotated[Number, Field(ge=0, le=MAX_DURATION_MS)]


class _Sample(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    path: SamplePath
    tags: Tagging = Field(default_factory=dict)


class CounterSample(_Sample):
    """One addition to a counter. A retry with the same `id` is not counted again."""

    value: Count = 1
    id: ClientId | None = None


class GaugeSample(_Sample):
    """A gauge's value now. Setting it twice does no harm, so it needs no id."""

    value: Number


class MeasurementSample(_Sample):
    """How long something took, in milliseconds. A retry with the same `id` is not noted again."""

    duration_ms: Duration
    id: ClientId | None = None


class CounterBody(RootModel[CounterSample | Annotated[list[CounterSample], _MANY]]):
    """Body of `POST /v1/telemetry/counters`: one, or an array that is taken whole or not at all."""


class GaugeBody(RootModel[GaugeSample | Annotated[list[GaugeSample], _MANY]]):
    """Body of `POST /v1/telemetry/gauges`, as CounterBody."""


class MeasurementBody(RootModel[MeasurementSample | Annotated[list[MeasurementSample], _MANY]]):
    """Body of `POST /v1/telemetry/measurements`, as CounterBody."""


class TelemetryReply(BaseModel):
    """`accepted` samples were taken, of which `overflowed` found no series of their own;
    `duplicates` had been before."""

    accepted: int
    overflowed: int
    duplicates: int


class SeriesValue(BaseModel):
    path: str
    tags: dict[str, str]
    value: float


class MeasurementSummary(BaseModel):
    """Times are milliseconds."""

    path: str
    tags: dict[str, str]
    count: int
    sum_ms: float
    min_ms: float
    max_ms: float
    mean_ms: float


class TelemetryPage(BaseModel):
    """`GET /v1/telemetry`, in order of path and tags. `series` and `overflowed` are the node's,
    whatever the prefix."""

    counters: list[SeriesValue]
    gauges: list[SeriesValue]
    measurements: list[MeasurementSummary]
    series: int
    overflowed: int


class SuiteRequest(BaseModel):
    """Body of `POST /v1/dev/test-suite`: a retry with the same `id` gets the same answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: ClientId


class SuiteReply(BaseModel):
    """F1-5: how many test cases ran, how many of them failed, how long it took in all."""

    tests: int
    failures: int
    duration_ms: float
