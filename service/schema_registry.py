"""Wire models of the service registry (A-7, X-23); imported by the load side too. No I/O."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from service.schema import ClientId, Name

MAX_LEASE_S = 3_600
DEFAULT_LEASE_S = 15

Url = Annotated[str, Field(max_length=500, pattern=r"^[\x21-\x7e]+$")]
"""Where a service is reached: printable ASCII without spaces. The registry never connects to it."""


class RegistryWrite(BaseModel):
    """Body of `PUT /v1/registry/{namespace}/{name}`: register, or renew what `owner` holds.

    `id` makes a retry the same registration (D11). `metadata` has at most 4 KiB as canonical JSON.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: ClientId
    owner: Name
    url: Url | None = None
    lease_s: Annotated[int, Field(strict=True, ge=1, le=MAX_LEASE_S)] = DEFAULT_LEASE_S
    metadata: dict[str, Any] = Field(default_factory=dict)


class RegistryEntry(BaseModel):
    """One registered service. Times are microseconds since the epoch.

    `version` is a fencing token: it rises with each registration of the name, never with a renewal.
    """

    namespace: str
    name: str
    owner: str
    url: str | None
    metadata: dict[str, Any]
    version: int
    lease_s: int
    registered_at: int
    expires_at: int


class RegistryReply(RegistryEntry):
    """`renewed` tells a heartbeat (200) from a registration (201)."""

    renewed: bool


class RegistryServices(BaseModel):
    """`GET /v1/registry/{namespace}`: its services in order of name."""

    namespace: str
    services: list[RegistryEntry]
