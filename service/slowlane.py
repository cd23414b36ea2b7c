"""Everything that is not hot: the FastAPI app behind the fast lane, twins included (D2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import FastAPI

from service import refusal
from service.events.routes import event_routes, event_twin, twin_routes
from service.events.store import EventStore
from service.fastlane import FastLane
from service.feed_stream import FeedSource
from service.health import VERSION
from service.schema import Health
from service.telemetry.exposition import Exposition
from service.telemetry.meter import Meter
from service.telemetry.routes import system_routes
from service.workloads.routes import workload_routes
from service.workloads.saas import SaasWorkload


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes are made of."""

    node: str
    store: EventStore
    meter: Meter
    saas: SaasWorkload
    lane: FastLane
    health: Callable[[], Health]
    connections: Callable[[], int]
    stopping: asyncio.Event
    max_feeds: int


def slow_lane(parts: Parts) -> FastAPI:
    """Every route of the node. Declaring them calls nothing of `parts`."""
    app = FastAPI(
        title="Foundation node",
        version=VERSION,
        description="An event store and the workloads of the load tests.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    store, meter = parts.store, parts.meter
    exposition = Exposition(meter, lambda: store.stats(), parts.connections)
    feeds = FeedSource(store, parts.stopping, meter.feed_opened)
    app.include_router(system_routes(parts.health, exposition))
    app.include_router(twin_routes(parts.lane))
    app.include_router(
        event_routes(store, feeds, meter, node=parts.node, max_feeds=parts.max_feeds)
    )
    app.include_router(event_twin(parts.lane))
    app.include_router(workload_routes(parts.saas))
    refusal.install(app)
    return app
