"""The registry as a part of the node: its routes, the feed of a namespace, metrics (A-7, X-23)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Header, Query, Request
from fastapi import Path as PathParameter
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from pydantic import BaseModel, TypeAdapter
from starlette.responses import Response

from service import body as bodies
from service import correlation
from service.dispatch import CORRELATION_KEY, Answer, FastRequest
from service.events import intake
from service.feed_stream import FeedSource
from service.part import Base, Part
from service.query_string import POSITION, feed_start, only
from service.registry.facts import NAME
from service.registry.logic import Registry
from service.registry.model import Key, check_key, check_namespace, entry_reply
from service.schema import ComponentHealth
from service.schema_registry import RegistryEntry, RegistryReply, RegistryServices, RegistryWrite
from service.twin import Twin, problems

PUT: Final = "PUT /v1/registry/{namespace}/{name}"
MAX_OWNER_CHARS: Final = 200
_WRITE = TypeAdapter(RegistryWrite)
_JSON: Final = "application/json"
_NAMES: Final = {"pattern": "^[A-Za-z0-9_.-]{1,64}$"}

Namespace = Annotated[str, PathParameter(json_schema_extra=_NAMES)]
ServiceName = Annotated[str, PathParameter(json_schema_extra=_NAMES)]


class RegistryPart(Part):
    """`/v1/registry` of one node."""

    name = NAME

    def __init__(self, base: Base) -> None:
        self._registry = Registry(base.store, base.clock_us, base.log)
        self._meter = base.meter
        self._max_feeds = base.settings.max_feeds
        self._stopping = asyncio.Event()

    # Routes

    def bodies(self) -> dict[str, type[BaseModel]]:
        return {PUT: RegistryWrite}

    async def _put(self, key: Key, request: FastRequest) -> Answer:
        bodies.media_type(request.headers, bodies.JSON)
        asked = intake.decode(_WRITE, await bodies.read(request.receive))
        correlation_id = request.correlation_id or correlation.make()
        entry, renewed = await self._registry.register(key, asked, correlation_id)
        return Answer(200 if renewed else 201, entry_reply(entry, renewed=renewed), correlation_id)

    def routers(self) -> Sequence[APIRouter]:
        router = APIRouter(prefix="/v1/registry", tags=["registry"])
        registry = self._registry

        @router.get("/{namespace}", response_model=RegistryServices, responses=problems())
        async def list_services(namespace: Namespace) -> Response:
            """The services of a namespace whose leases have not ended, in order of name."""
            check_namespace(namespace)
            await registry.ready()
            services = [orjson.Fragment(entry_reply(one)) for one in registry.services(namespace)]
            body = orjson.dumps({"namespace": namespace, "services": services})
            return Response(body, media_type=_JSON)

        @router.get(
            "/{namespace}/feed",
            response_class=Response,
            responses={200: {"content": {"text/event-stream": {}}}, **problems()},
        )
        async def follow_services(
            request: Request,
            namespace: Namespace,
            after: Annotated[
                str | None, Query(description="a seq; 0 for all", json_schema_extra=POSITION)
            ] = None,
            last_event_id: Annotated[str | None, Header(json_schema_extra=POSITION)] = None,
        ) -> Response:
            """Registrations, their ends and losses in a namespace as server-sent events: those
            with seq > `after`, then live (G8).

            `Last-Event-ID` goes before `after`; without either it starts at the next event.
            """
            check_namespace(namespace)
            start = feed_start(request.query_params.multi_items(), last_event_id)
            await registry.ready()
            end = registry.last_seq()
            return self._feeds(namespace).open(end if start is None else start, end)

        @router.get("/{namespace}/{name}", response_model=RegistryEntry, responses=problems(404))
        async def look_up(namespace: Namespace, name: ServiceName) -> Response:
            """One service, if it is registered and its lease has not ended. Changes nothing."""
            key = check_key(namespace, name)
            await registry.ready()
            entry = registry.lookup(key)
            return Response(entry_reply(entry), media_type=_JSON)

        @router.put(
            "/{namespace}/{name}",
            status_code=201,
            response_model=RegistryReply,
            responses={
                200: {"model": RegistryReply, "description": "the lease was renewed"},
                **problems(409, 413, 415),
            },
        )
        async def register(namespace: Namespace, name: ServiceName) -> Response:
            """Register a service: 201 once that is on disk. The owner's next one renews the lease
            in memory (200); another owner is refused while the lease lasts."""
            return Twin(partial(self._put, check_key(namespace, name)))

        @router.delete(
            "/{namespace}/{name}", response_model=RegistryEntry, responses=problems(404, 409)
        )
        async def unregister(
            request: Request,
            namespace: Namespace,
            name: ServiceName,
            owner: Annotated[str, Query(min_length=1, max_length=MAX_OWNER_CHARS)],
        ) -> Response:
            """End a registration of `owner`'s: 200 with the entry that it was, once on disk."""
            only(request.query_params.multi_items(), "owner")
            correlation_id: str = request.scope[CORRELATION_KEY]
            key = check_key(namespace, name)
            entry = await registry.unregister(key, owner, correlation_id)
            return Response(entry_reply(entry), media_type=_JSON)

        return (router,)

    def _feeds(self, namespace: str) -> FeedSource:
        follow = partial(self._registry.follow, namespace)
        return FeedSource(follow, self._stopping, self._meter, self._max_feeds)

    # Life

    def start(self) -> None:
        self._registry.start()

    async def recover(self) -> None:
        await self._registry.recover()

    def health(self) -> ComponentHealth:
        return self._registry.health()

    def metrics(self) -> Iterable[Metric]:
        registry = self._registry
        yield GaugeMetricFamily(
            "foundation_registry_entries", "Services that hold a name", value=len(registry)
        )
        for name, text, value in (
            ("registrations", "Registrations stored", registry.registrations),
            ("unregistrations", "Registrations that their owner ended", registry.unregistrations),
            ("lost", "Registrations whose lease ended", registry.losses),
            ("renewals", "Leases renewed", registry.renewals),
        ):
            yield CounterMetricFamily(f"foundation_registry_{name}", text, value=value)

    def begin_shutdown(self) -> None:
        self._stopping.set()
        self._registry.begin_shutdown()

    async def close(self) -> None:
        await self._registry.close()
