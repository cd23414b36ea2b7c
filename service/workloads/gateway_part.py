"""The gateway as a part of the node: its hot route, the route's documented twin, its figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final, get_args

from fastapi import APIRouter
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from pydantic import BaseModel
from starlette.responses import Response

from service.cluster.peers import Peers
from service.cluster.upstream import Upstream
from service.dispatch import FastRoute
from service.part import Base, Part
from service.schema import ComponentHealth, SaasAction, SaasReply, SaasRequest
from service.schema_gateway import GatewayView
from service.twin import Twin, problems
from service.workloads.gateway import ROLE, Gateway, Serve

FORWARD: Final = "POST /v1/gateway/saas/actions/{action}"
_GATEWAY_ROLE: Final = "gateway"


class GatewayPart(Part):
    """Forwards SaaS actions to the app nodes among `peers` (D12)."""

    name = "gateway"

    def __init__(self, base: Base, peers: Peers, upstream: Upstream, serve: Serve) -> None:
        settings = base.settings
        self._has_role = _GATEWAY_ROLE in settings.roles
        self._gateway = Gateway(
            peers,
            upstream,
            serve,
            serves=ROLE in settings.roles or not peers.all,
            own_name=settings.name,
            own_url=base.url,
        )

    def fast_routes(self) -> dict[tuple[str, str], FastRoute]:
        return {
            ("POST", f"/v1/gateway/saas/actions/{action}"): (
                FORWARD,
                partial(self._gateway.act, action),
            )
            for action in get_args(SaasAction)
        }

    def bodies(self) -> dict[str, type[BaseModel]]:
        return {FORWARD: SaasRequest}

    def routers(self) -> Sequence[APIRouter]:
        router = APIRouter(prefix="/v1/gateway", tags=["workloads"])
        gateway = self._gateway

        @router.post(
            "/saas/actions/{action}",
            status_code=201,
            response_model=SaasReply,
            responses={
                200: {"model": SaasReply, "description": "a retry"},
                **problems(403, 404, 409, 413, 415, 502, 504, 508),
            },
        )
        async def forward(action: SaasAction) -> Response:
            """As `POST /v1/saas/actions/{action}`, done by an app node that is up, chosen at
            random; on another one if the first fails (D12).

            Server-Timing has the app node's `work` and `emulated`, and as `gateway` what the way
            took more.
            """
            return Twin(lambda request: gateway.act(action, request))

        @router.get("", response_model=GatewayView, responses=problems())
        async def get_gateway() -> GatewayView:
            """The app nodes behind this node, and peers that were never reached."""
            return await gateway.view()

        return (router,)

    def health(self) -> ComponentHealth | None:
        return self._gateway.health() if self._has_role else None

    def metrics(self) -> Iterable[Metric]:
        requests = CounterMetricFamily(
            "foundation_gateway_requests",
            "Requests that an app node answered to this gateway",
            labels=["upstream", "status"],
        )
        failures = CounterMetricFamily(
            "foundation_gateway_failures",
            "Attempts of this gateway that brought no answer",
            labels=["upstream"],
        )
        for name, traffic in self._gateway.traffic():
            failures.add_metric([name], traffic.failures)
            for status, count in list(traffic.by_status.items()):
                requests.add_metric([name, str(status)], count)
        yield requests
        yield failures
        yield CounterMetricFamily(
            "foundation_gateway_failovers",
            "Requests sent to a second app node",
            value=self._gateway.failovers,
        )
