"""A node's settings: `FOUNDATION_*` in the environment, plus what a caller passes explicitly.

Frozen, read once (in `__main__`, or by the supervisor before it forks) and handed on as an
argument. A name that no setting has is refused with the nearest valid word, so that a typing
error never silently means the default. This module must not open anything.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.cluster.address import is_own, peer_urls
from service.errors import ConfigurationError

PREFIX = "FOUNDATION_"

HARNESS_NAMES = frozenset(
    {
        "NODES",
        "CLUSTER_SIZE",
        "TIME_SCALE",
        "LOAD_SCALE",
        "SEED",
        "CHAOS",
        "SLO",
        "RUN_ID",
        "RESULTS_DIR",
        "BASELINE",
        "TARGET_METRICS",
    }
)
"""Names of the same prefix that belong to the load side; a node reads of these only RUN_ID."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_TOKEN_MIN_CHARS = 16


def _split(value: object) -> object:
    """`a,b` from the environment, or any sequence from a caller."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _check_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("use 1 to 63 letters, digits, dots, dashes or underscores")
    return value


def _check_metadata_key(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value):
        raise ValueError("a metadata key to index is 1 to 64 letters, digits, dashes, underscores")
    return value


def _check_token(value: SecretStr | None) -> SecretStr | None:
    if value is None:
        return None
    text = value.get_secret_value()
    if len(text) < _TOKEN_MIN_CHARS or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(
            f"use at least {_TOKEN_MIN_CHARS} printable ASCII characters without spaces, for"
            " instance the output of `openssl rand -hex 32`"
        )
    return value


NodeName = Annotated[str, AfterValidator(_check_name)]
Token = Annotated[SecretStr | None, AfterValidator(_check_token)]
Words = Annotated[tuple[NodeName, ...], NoDecode, BeforeValidator(_split)]
Peers = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(peer_urls)]
Keys = Annotated[
    tuple[Annotated[str, AfterValidator(_check_metadata_key)], ...],
    NoDecode,
    BeforeValidator(_split),
    Field(max_length=8),
]


class Settings(BaseSettings):
    """Everything that can be set on a node. Sizes are bytes, deadlines seconds.

    Make one with `load`, whose errors name the variable; the plain constructor is for tests.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", validate_default=True, env_ignore_empty=True
    )

    # Who and where
    name: NodeName = "node-1"
    roles: Words = ("app",)
    run_id: str = Field(default="", max_length=200)
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8001
    advertised_url: str | None = None
    reuse_port: bool = False
    peers: Peers = ()
    data: Path = Path("data")

    # Secrets (D10)
    client_token: Token = None
    peer_token: Token = None
    session_secret: Token = None

    # Limits of a connection (D10); keep-alive 75 s: 5 s gave hundreds of resets in a short run
    max_body_bytes: Annotated[int, Field(ge=1_024, le=64 * 2**20)] = 2**20
    max_batch_body_bytes: Annotated[int, Field(ge=1_024, le=256 * 2**20)] = 16 * 2**20
    max_header_bytes: Annotated[int, Field(ge=1_024, le=2**20)] = 32 * 2**10
    max_held_bytes: Annotated[int, Field(ge=1_024, le=2**36)] = 256 * 2**20
    header_deadline_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    body_deadline_s: Annotated[float, Field(gt=0, le=3_600)] = 30.0
    keep_alive_s: Annotated[float, Field(gt=0, le=3_600)] = 75.0
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    max_requests: Annotated[int, Field(ge=1, le=1_000_000)] = 5_000
    max_feeds: Annotated[int, Field(ge=1, le=100_000)] = 256
    shutdown_deadline_s: Annotated[float, Field(gt=0, le=4)] = 2.0

    # The store
    queue_events: Annotated[int, Field(ge=1, le=10_000_000)] = 20_000
    queue_bytes: Annotated[int, Field(ge=1_024, le=2**34)] = 64 * 2**20
    query_timeout_s: Annotated[float, Field(gt=0, le=600)] = 2.0
    metadata_index: Keys = ()

    # Configuration
    config_file: Path | None = None

    # Workloads (D9, D12)
    emulated_latency: Annotated[float, Field(ge=0, le=1_000, allow_inf_nan=False)] = 1.0
    session_ttl_s: Annotated[int, Field(ge=1, le=7 * 86_400)] = 3_600
    saas_require_session: bool = False

    # Jobs (P1-10)
    job_workers: Annotated[int, Field(ge=1, le=256)] = 4
    job_queue: Annotated[int, Field(ge=1, le=100_000)] = 10_000

    # Telemetry
    telemetry_series: Annotated[int, Field(ge=10, le=20_000)] = 2_000

    # Logs
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("roles")
    @classmethod
    def _some_role(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("name at least one role, such as app")
        return value

    @field_validator("advertised_url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/?#]+", value):
            raise ValueError("use scheme, host and port alone, such as http://10.0.0.5:8001")
        return value

    @model_validator(mode="after")
    def _others_only(self) -> Self:
        for url in self.peers:
            if is_own(url, advertised_url=self.advertised_url, host=self.host, port=self.port):
                raise ValueError(f"{PREFIX}PEERS: {url} is this node: name the other nodes alone")
        return self

    @model_validator(mode="after")
    def _safe_bind(self) -> Self:
        if not is_loopback(self.host) and self.client_token is None:
            raise ValueError(
                f"binding {self.host} lets other machines write here: set {PREFIX}CLIENT_TOKEN"
                " as well, or bind 127.0.0.1"
            )
        return self


def is_loopback(host: str) -> bool:
    """Whether a bind address can be reached from this machine only; a name other than
    `localhost` counts as reachable, since it is resolved later and by somebody else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def load(**overrides: Any) -> Settings:
    """Settings from the environment, `overrides` (field names) first.

    Raises ConfigurationError with one line for each fault, naming the variable or the field.
    """
    _refuse_unknown(os.environ, overrides)
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_lines(error, overrides))) from None


def _refuse_unknown(environ: Mapping[str, str], overrides: Mapping[str, Any]) -> None:
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    reserved = {PREFIX + name for name in HARNESS_NAMES}
    faults = [
        _unknown(name, known)
        for name in sorted(environ)
        if name.upper().startswith(PREFIX) and name.upper() not in known | reserved
    ]
    faults += [
        _unknown(name, set(Settings.model_fields))
        for name in sorted(overrides)
        if name not in Settings.model_fields
    ]
    if faults:
        raise ConfigurationError("\n".join(faults))


def _unknown(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name.upper() if name.isupper() else name, sorted(known), 1)
    hint = f"did you mean {near[0]}?" if near else f"the settings are {', '.join(sorted(known))}"
    return f"{name} is not a setting of a node: {hint}"


def _lines(error: ValidationError, overrides: Mapping[str, Any]) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False, include_input=True):
        field = str(fault["loc"][0]) if fault["loc"] else ""
        message = fault["msg"].removeprefix("Value error, ")
        if not field:
            lines.append(message)
            continue
        secret = field.endswith(("_token", "_secret"))
        given = "" if secret else f", not {fault['input']!r}"
        name = field if field in overrides else PREFIX + field.upper()
        lines.append(f"{name}: {message}{given}")
    return lines
