"""Configuration as a part of the node: its hot routes, their twins, the list, the feed (A-4)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Header, Query, Request
from fastapi import Path as PathParameter
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from pydantic import BaseModel, TypeAdapter
from starlette.responses import Response

from service import body as bodies
from service import correlation
from service.config.logic import NAME, Configuration, change_reply
from service.config.model import MAX_PATH_CHARS, PATH_PATTERN
from service.dispatch import Answer, FastRequest, FastRoute
from service.events import intake
from service.feed_stream import FeedSource
from service.part import Base, Part
from service.query_string import POSITION, feed_start, only
from service.schema import ComponentHealth
from service.schema_config import (
    ConfigChange,
    ConfigEntry,
    ConfigUpdatable,
    ConfigValues,
    ConfigWrite,
)
from service.twin import Twin, problems

PREFIX: Final = "/v1/config/"
GET: Final = "GET /v1/config/{path}"
PUT: Final = "PUT /v1/config/{path}"
UPDATABLE: Final = "GET /v1/config/updatable"
_PREFIX_CHARS: Final = len(PREFIX)
_WRITE = TypeAdapter(ConfigWrite)

ConfigPath = Annotated[
    str,
    PathParameter(
        description="1 to 8 segments of letters, digits, - and _, joined by /",
        json_schema_extra={"pattern": PATH_PATTERN, "maxLength": MAX_PATH_CHARS},
    ),
]


class ConfigPart(Part):
    """`/v1/config` of one node."""

    name = NAME

    def __init__(self, base: Base) -> None:
        self._config = Configuration(base.store, base.defaults, base.clock_us, base.log)
        self._stopping = asyncio.Event()
        self._feeds = FeedSource(
            self._config.follow, self._stopping, base.meter, base.settings.max_feeds
        )

    # Routes

    def fast_routes(self) -> Mapping[tuple[str, str], FastRoute | None]:
        return {
            ("GET", PREFIX): (GET, self._get),
            ("PUT", PREFIX): (PUT, self._put),
            ("GET", f"{PREFIX}updatable"): (UPDATABLE, self._updatable),
            ("GET", f"{PREFIX}feed"): None,
        }

    def bodies(self) -> dict[str, type[BaseModel]]:
        return {PUT: ConfigWrite}

    async def _get(self, request: FastRequest) -> Answer:
        if not self._config.is_ready:
            await self._config.ready()
        reply = self._config.reply(request.path[_PREFIX_CHARS:])
        return Answer(200, reply, request.correlation_id or correlation.make())

    async def _put(self, request: FastRequest) -> Answer:
        bodies.media_type(request.headers, bodies.JSON)
        asked = intake.decode(_WRITE, await bodies.read(request.receive))
        correlation_id = request.correlation_id or correlation.make()
        change = await self._config.put(request.path[_PREFIX_CHARS:], asked, correlation_id)
        return Answer(200, change_reply(change), correlation_id)

    async def _updatable(self, request: FastRequest) -> Answer:
        await self._config.ready()
        patterns, paths = self._config.updatable()
        return Answer(
            200,
            orjson.dumps({"patterns": patterns, "paths": paths}),
            request.correlation_id or correlation.make(),
        )

    def routers(self) -> Sequence[APIRouter]:
        router = APIRouter(prefix="/v1/config", tags=["configuration"])
        config, feeds = self._config, self._feeds

        @router.get("", response_model=ConfigValues, responses=problems())
        async def list_config(
            request: Request,
            prefix: Annotated[str, Query(description="the paths that begin so")] = "",
        ) -> Response:
            """All values under a prefix, in order of path; `version` is the last change's seq."""
            given = only(request.query_params.multi_items(), "prefix")
            await config.ready()
            version, replies = config.values(given.get("prefix", ""))
            body = b'{"version":%d,"values":[%s]}' % (version, b",".join(replies))
            return Response(body, media_type="application/json")

        @router.get("/updatable", response_model=ConfigUpdatable, responses=problems())
        async def get_updatable() -> Response:
            """The allowlist of what may be changed, and the existing paths that are on it."""
            return Twin(self._updatable)

        @router.get(
            "/feed",
            response_class=Response,
            responses={200: {"content": {"text/event-stream": {}}}, **problems()},
        )
        async def follow_config(
            request: Request,
            after: Annotated[
                str | None, Query(description="a seq; 0 for all", json_schema_extra=POSITION)
            ] = None,
            last_event_id: Annotated[str | None, Header(json_schema_extra=POSITION)] = None,
        ) -> Response:
            """Every `config_changed` with seq > `after` as server-sent events, then live (G8).

            `Last-Event-ID` goes before `after`; without either it starts at the next change.
            """
            start = feed_start(request.query_params.multi_items(), last_event_id)
            await config.ready()
            end = config.last_seq()
            return feeds.open(end if start is None else start, end)

        @router.get("/{path:path}", response_model=ConfigEntry, responses=problems(404))
        async def get_config(path: ConfigPath) -> Response:
            """One value with its version."""
            return Twin(self._get)

        @router.put(
            "/{path:path}",
            response_model=ConfigChange,
            responses=problems(403, 409, 413, 415),
        )
        async def put_config(path: ConfigPath) -> Response:
            """Change one value; 200 once the change is on disk. Only paths on the allowlist.

            With `expected_version` it is a compare-and-set. A retry of an id gets the original's
            version, also after later changes.
            """
            return Twin(self._put)

        return (router,)

    # Life

    async def recover(self) -> None:
        await self._config.recover()

    def health(self) -> ComponentHealth:
        return self._config.health()

    def metrics(self) -> Iterable[Metric]:
        config = self._config
        paths, size_bytes = config.size()
        yield CounterMetricFamily(
            "foundation_config_changes", "Changes of the configuration", value=config.changes
        )
        refused = CounterMetricFamily(
            "foundation_config_refused", "Changes refused, by error code", labels=["code"]
        )
        for code, count in list(config.refused.items()):
            refused.add_metric([code], count)
        yield refused
        yield GaugeMetricFamily("foundation_config_paths", "Paths that have a value", value=paths)
        yield GaugeMetricFamily("foundation_config_bytes", "Bytes of all values", value=size_bytes)

    def begin_shutdown(self) -> None:
        self._stopping.set()
        self._config.begin_shutdown()

    async def close(self) -> None:
        await self._config.close()
