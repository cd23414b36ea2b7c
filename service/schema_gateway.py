"""The gateway's wire models (D12)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class GatewayUpstream(BaseModel):
    """One node behind the gateway. `node` is null until the node was reached for the first time.

    `requests` counts attempts, `failures` those that brought no answer of the node's.
    """

    node: str | None
    url: str
    roles: list[str]
    state: Literal["up", "down"]
    detail: str = ""
    requests: int
    failures: int


class GatewayView(BaseModel):
    """`GET /v1/gateway`: the app nodes, and peers of which it is not known yet what they are."""

    upstreams: list[GatewayUpstream]
