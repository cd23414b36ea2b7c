"""Wire models of the configuration (A-4); imported by the load side too. No I/O.

A path is 1 to 8 segments of letters, digits, dashes and underscores, such as `features/dark_mode`.
A version counts the changes of one path: 0 is a default that nobody has changed.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from service.schema import MAX_INTEGER, ClientId


class ConfigWrite(BaseModel):
    """Body of `PUT /v1/config/{path}`. `id` makes a retry the same change (D11).

    `value` is any JSON, null included, up to 64 KiB as canonical JSON. With `expected_version` the
    change is made only if that is the path's version (compare-and-set), 0 for a default or a new
    path.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: ClientId
    value: Any
    expected_version: Annotated[int, Field(strict=True, ge=0, le=MAX_INTEGER)] | None = None


class ConfigEntry(BaseModel):
    """One path. `changed_at` is in microseconds since the epoch, null for a default."""

    path: str
    value: Any
    version: int
    changed_at: int | None
    updatable: bool


class ConfigValues(BaseModel):
    """`GET /v1/config`: entries in order of path; `version` is the last change's seq, or 0."""

    version: int
    values: list[ConfigEntry]


class ConfigChange(BaseModel):
    """The acknowledgement of one change: it is on disk (G1). `duplicate` marks a retry (G3)."""

    path: str
    value: Any
    version: int
    changed_at: int
    seq: int
    duplicate: bool


class ConfigUpdatable(BaseModel):
    """`GET /v1/config/updatable`: the allowlist, and the existing paths that it lets change."""

    patterns: list[str]
    paths: list[str]
