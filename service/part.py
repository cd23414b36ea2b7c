"""What one subsystem of a node is to the node: routes, state to read back, health, metrics, an end.

`app.py` makes the parts and knows nothing else of them; a new one is a class here and a line there.
A part keeps what it acknowledges in the log (events/own.py) and its state in memory. Life cycle:
made (declares routes, opens nothing) -> `start` on the loop -> `recover`, again until it works
(recovery.py) -> `begin_shutdown` (end every wait) -> `close`, before the store closes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from prometheus_client.metrics_core import Metric
from pydantic import BaseModel
from structlog.typing import FilteringBoundLogger

from service.config.model import Defaults
from service.dispatch import FastRoute
from service.emulation import EmulatedLatency
from service.events.store import EventStore
from service.schema import ComponentHealth
from service.settings import Settings
from service.telemetry.meter import Meter
from service.telemetry.series import Telemetry

NO_DEFAULTS = Defaults()


@dataclass(frozen=True, slots=True)
class Base:
    """What every part is made of. `url` is the node's advertised address, `clock_us` the wall.

    `defaults` are the configuration's, read before anything was opened.
    """

    settings: Settings
    url: str
    store: EventStore
    meter: Meter
    emulation: EmulatedLatency
    clock_us: Callable[[], int]
    log: FilteringBoundLogger
    telemetry: Telemetry
    defaults: Defaults = NO_DEFAULTS


class Part:
    """A subsystem that has nothing of it all: override what applies."""

    name: str
    """One word: the key of its health, and what logs call it."""

    def routers(self) -> Sequence[APIRouter]:
        """Its routes, twins of fast ones included. Declaring them calls nothing."""
        return ()

    def fast_routes(self) -> Mapping[tuple[str, str], FastRoute | None]:
        """(method, path) -> hot route; a path that ends in `/` stands for all that begin so.

        None leaves one path of such a prefix to FastAPI, since it streams, say.
        """
        return {}

    def bodies(self) -> dict[str, type[BaseModel]]:
        """Hot route (its template) -> model of the JSON body that it takes, for OpenAPI."""
        return {}

    def start(self) -> None:
        """Begin background work; called once, on the node's loop."""

    async def recover(self) -> None:
        """Read state back from the log. Raises FoundationError: it is then called again.

        Requests may come before it is done: if they need the state, hold them (`Readiness`).
        """

    def health(self) -> ComponentHealth | None:
        """Its line in /health; None for none. Does no I/O."""
        return None

    def metrics(self) -> Iterable[Metric]:
        """Its Prometheus families, gathered at each scrape."""
        return ()

    def begin_shutdown(self) -> None:
        """End every wait and stream now."""

    async def close(self) -> None:
        """End background work within a second; the store still takes writes."""
