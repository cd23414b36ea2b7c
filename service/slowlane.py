"""Everything that is not hot: the FastAPI app behind the fast lane, twins included (D2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import FastAPI

from service import refusal
from service.events.routes import event_routes, event_twin, twin_routes
from service.events.store import EventStore
from service.fastlane import FastLane
from service.feed_stream import FeedSource
from service.health import VERSION
from service.part import Part
from service.schema import Health
from service.telemetry.exposition import Exposition
from service.telemetry.meter import Meter
from service.telemetry.routes import system_routes
from service.telemetry.series import Telemetry


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What the routes are made of."""

    node: str
    store: EventStore
    meter: Meter
    parts: Sequence[Part]
    lane: FastLane
    health: Callable[[], Health]
    telemetry: Telemetry
    connections: Callable[[], int]
    stopping: asyncio.Event
    max_feeds: int


def slow_lane(made_of: Ingredients) -> FastAPI:
    """Every route of the node. Declaring them calls nothing of what they are made of."""
    app = FastAPI(
        title="Foundation node",
        version=VERSION,
        description="An event store and the workloads of the load tests.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    store, meter, parts = made_of.store, made_of.meter, made_of.parts
    exposition = Exposition(
        meter, lambda: store.stats(), made_of.connections, parts, made_of.telemetry
    )
    feeds = FeedSource(
        lambda after: store.follow(after), made_of.stopping, meter, made_of.max_feeds
    )
    app.include_router(system_routes(made_of.health, exposition))
    app.include_router(twin_routes(made_of.lane))
    app.include_router(event_routes(store, feeds, node=made_of.node))
    app.include_router(event_twin(made_of.lane))
    for part in parts:
        for router in part.routers():
            app.include_router(router)
    refusal.install(app)
    return app
