"""Wiring of one node: what exists, in which order it opens and closes, which app it answers with.

Only wiring: every decision is in the module that it belongs to.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from time import perf_counter

from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from service import openapi
from service.auth import Tokens
from service.config.defaults import read_defaults
from service.config.model import Defaults
from service.dispatch import Dispatch
from service.emulation import EmulatedLatency
from service.errors import FoundationError, Overloaded, StorageError
from service.events.intake import Intake, IntakeLimits
from service.events.reader import ReaderLimits
from service.events.sqlite import SqliteEventStore, StoreLimits, wall_clock_us
from service.events.store import EventStore
from service.events.writer import WriterLimits
from service.fastlane import FastLane
from service.health import assess
from service.log import Sparing
from service.part import Base
from service.parts import build_parts
from service.recovery import Recovery
from service.schema import Health
from service.settings import Settings
from service.slowlane import Ingredients, slow_lane
from service.telemetry.meter import Meter
from service.telemetry.series import Telemetry
from service.unsent import HeldBytes

if sys.version_info < (3, 14):
    # FastAPI imports this with its first route, for 90 ms: once before the fork, not in each node.
    import pydantic.v1  # noqa: F401

_CLOSE_PART_S = 1.0


class Node:
    """An open node. Made by `open_node`; `begin_shutdown`, then `close` end it."""

    def __init__(
        self,
        settings: Settings,
        url: str,
        log: FilteringBoundLogger,
        store: EventStore,
        meter: Meter,
        defaults: Defaults,
    ) -> None:
        self.settings = settings
        self.url = url
        self.log = log
        self.store = store
        self.meter = meter
        self.stopping = asyncio.Event()
        self.emulation = EmulatedLatency(settings.emulated_latency)
        self.telemetry = Telemetry(settings.telemetry_series)
        self.parts = build_parts(
            Base(
                settings,
                url,
                store,
                meter,
                self.emulation,
                wall_clock_us,
                log,
                self.telemetry,
                defaults,
            )
        )
        self.held = HeldBytes()
        self.connections: Callable[[], int] = lambda: 0
        self._refusal_lines = Sparing()
        self._recovery = Recovery(log)

    def count_connections(self, count: Callable[[], int]) -> None:
        """Where /metrics asks how many connections are open."""
        self.connections = count

    def start(self) -> None:
        for part in self.parts:
            part.start()
        self._recovery.start(self.parts)

    def refused(self, error: FoundationError) -> None:
        """The protocol refused a request before any route was known."""
        self.meter.refusals[error.code] += 1
        left_out = 0
        if isinstance(error, Overloaded):  # refusing must stay cheap
            passed = self._refusal_lines.pass_at(perf_counter())
            if passed is None:
                return
            left_out = passed
        self.log.info("refused", code=error.code, status=error.status, left_out=left_out)

    def health(self) -> Health:
        found = {part.name: part.health() for part in self.parts}
        return assess(
            self.settings,
            self.store,
            self.meter,
            {name: state for name, state in found.items() if state is not None}
            | self._recovery.faults(),
            stopping=self.stopping.is_set(),
        )

    def begin_shutdown(self) -> None:
        """End every wait and every feed now; requests in flight are still answered."""
        self.stopping.set()
        self.emulation.end()
        for part in self.parts:
            part.begin_shutdown()

    async def close(self) -> None:
        """End the parts, then drain and checkpoint the store. Raises StorageError."""
        self.begin_shutdown()
        await self._recovery.close()
        for part in self.parts:
            try:
                async with asyncio.timeout(_CLOSE_PART_S):
                    await part.close()
            except TimeoutError:
                self.log.warning("a part did not end in time", part=part.name)
        await self.store.close()


async def open_node(settings: Settings, url: str, log: FilteringBoundLogger) -> Node:
    """Open the store and everything on it.

    Raises StorageError with the remedy, and ConfigurationError before anything is opened.
    """
    defaults = read_defaults(settings.config_file)
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make {settings.data}: {error.strerror}: choose a writable --data"
        ) from None
    meter = Meter()
    store = await SqliteEventStore.open(
        settings.data / "events.db",
        node=settings.name,
        metadata_index=settings.metadata_index,
        limits=_store_limits(settings),
        observer=meter,
    )
    node = Node(settings, url, log, store, meter, defaults)
    node.start()
    return node


def build_app(node: Node) -> ASGIApp:
    """The node's ASGI app: the edge, the fast lane, FastAPI behind it."""
    settings = node.settings
    intake = Intake(IntakeLimits(event_bytes=settings.max_body_bytes), wall_clock_us)
    lane = FastLane(node.store, intake, node.parts)
    slow = slow_lane(
        Ingredients(
            node=settings.name,
            store=node.store,
            meter=node.meter,
            parts=node.parts,
            lane=lane,
            health=node.health,
            telemetry=node.telemetry,
            connections=lambda: node.connections(),
            stopping=node.stopping,
            max_feeds=settings.max_feeds,
        )
    )
    openapi.install(slow, node.parts)
    return Dispatch(
        lane.find,
        slow,
        Tokens.of(settings.client_token, settings.peer_token),
        node.meter,
        node.log,
        log_successes=settings.log_level == "debug",
        held=node.held,
        max_requests=settings.max_requests,
    )


def _store_limits(settings: Settings) -> StoreLimits:
    return StoreLimits(
        WriterLimits(queue_events=settings.queue_events, queue_bytes=settings.queue_bytes),
        ReaderLimits(query_timeout_s=settings.query_timeout_s),
    )
