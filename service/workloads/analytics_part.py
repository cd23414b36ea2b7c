"""The analytics consumer as a part of the node: its routes, recovery, and figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from fastapi import APIRouter
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from pydantic import BaseModel
from starlette.responses import Response

from service.cluster.peers import Peer, Peers
from service.cluster.upstream import Upstream
from service.dispatch import FastRoute
from service.part import Base, Part
from service.schema_analytics import AnalyticsPass, AnalyticsRequest, AnalyticsTotals
from service.twin import Twin, problems
from service.workloads.analytics import ROLE, Analytics
from service.workloads.analytics_feed import OwnLog, PeerLog
from service.workloads.analytics_pass import NODE_S, Source

PASS: Final = "POST /v1/analytics/passes"


class AnalyticsPart(Part):
    """Reads the logs of the app nodes among `peers`, and this node's own if it is one (P1-11)."""

    name = "analytics"

    def __init__(self, base: Base, peers: Peers, upstream: Upstream) -> None:
        settings = base.settings

        def peer_log(peer: Peer) -> PeerLog:
            return PeerLog(
                upstream, peer.url, event_bytes=settings.max_body_bytes, timeout_s=NODE_S
            )

        reads_own = ROLE in settings.roles or not settings.peers
        self._analytics = Analytics(
            base.store,
            peers,
            base.emulation,
            base.telemetry,
            base.log,
            own=Source(settings.name, base.url, OwnLog(base.store)) if reads_own else None,
            peer_log=peer_log,
            clock_us=base.clock_us,
        )

    def fast_routes(self) -> dict[tuple[str, str], FastRoute]:
        return {("POST", "/v1/analytics/passes"): (PASS, self._analytics.run_pass)}

    def bodies(self) -> dict[str, type[BaseModel]]:
        return {PASS: AnalyticsRequest}

    async def recover(self) -> None:
        await self._analytics.recover()

    async def close(self) -> None:
        await self._analytics.close()

    def routers(self) -> Sequence[APIRouter]:
        router = APIRouter(prefix="/v1/analytics", tags=["workloads"])
        analytics = self._analytics

        @router.post(
            "/passes",
            status_code=201,
            response_model=AnalyticsPass,
            responses={
                200: {"model": AnalyticsPass, "description": "a retry"},
                **problems(409, 413, 415),
            },
        )
        async def run_pass() -> Response:
            """Read the app nodes' logs on by at most `limit` events, each exactly once (P1-11).

            201 when the pass is on disk and 100 ms for each event have passed, 6 s at most, the
            rest of it as emulated latency, stated in Server-Timing.
            """
            return Twin(analytics.run_pass)

        @router.get("", response_model=AnalyticsTotals, responses=problems())
        async def get_analytics() -> AnalyticsTotals:
            """Totals, cursors and lag, as of the last pass; ages are as of now."""
            return await analytics.totals()

        return (router,)

    def metrics(self) -> Iterable[Metric]:
        totals = self._analytics.latest()
        yield CounterMetricFamily(
            "foundation_analytics_events_processed",
            "Events that the analytics consumer counted, over all lives of this node",
            value=totals.processed_total,
        )
        if totals.nodes:
            yield from _lag(totals)
        yield CounterMetricFamily(
            "foundation_analytics_rewinds",
            "Times that an app node came back with another log",
            value=self._analytics.rewinds,
        )


def _lag(totals: AnalyticsTotals) -> Iterable[Metric]:
    """Only once there was a pass: a node that runs none has no lag, not a lag of 0."""
    yield GaugeMetricFamily(
        "foundation_analytics_lag_events",
        "Events of the app nodes' logs that are not read yet, as of the last pass",
        value=totals.lag_events,
    )
    yield GaugeMetricFamily(
        "foundation_analytics_lag_seconds",
        "Age of the last event read of a log that has more, the greatest",
        value=totals.lag_s,
    )
    by_node = GaugeMetricFamily(
        "foundation_analytics_node_lag_events", "The same for each app node", labels=["node"]
    )
    # A name can have moved to another address: a page may name a series once only.
    for name, lag_events in {
        node.node or node.url: node.lag_events for node in totals.nodes
    }.items():
        by_node.add_metric([name], lag_events)
    yield by_node
