"""The OpenAPI document, built when it is first asked for (D2).

FastAPI knows its own routes; what the fast handlers and the query string parse themselves is
added here from the same models that they validate with, so that document and behaviour agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import structlog
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.emulation import EmulatedLatency
from service.events.intake import Intake, IntakeLimits
from service.events.sqlite import wall_clock_us
from service.events.store import EventStore
from service.fastlane import AUDIT, BATCH, EVENT, FastLane
from service.part import Base, Part
from service.parts import build_parts
from service.query_string import METADATA_PREFIX, EventFilter
from service.schema import MAX_BATCH_EVENTS, AuditRequest, Health, NewEvent, Problem
from service.settings import Settings
from service.slowlane import Ingredients, slow_lane
from service.telemetry.meter import Meter
from service.telemetry.series import Telemetry

_REFERENCE: Final = "#/components/schemas/{model}"
_MODELS: Final[tuple[type[BaseModel], ...]] = (NewEvent, AuditRequest, Problem)


def install(app: FastAPI, parts: Sequence[Part]) -> None:
    """Make `app.openapi()` answer with the completed document; nothing is built yet."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app, parts)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def document() -> dict[str, Any]:
    """The document without a node: declaring routes calls nothing of what they are made of."""
    store, meter, telemetry = cast(EventStore, None), Meter(), Telemetry()
    base = Base(
        Settings.model_construct(),
        "",
        store,
        meter,
        EmulatedLatency(0),
        wall_clock_us,
        structlog.get_logger(),
        telemetry,
    )
    parts = build_parts(base)
    intake = Intake(IntakeLimits(), wall_clock_us)
    return _build(
        slow_lane(
            Ingredients(
                node="",
                store=store,
                meter=meter,
                parts=parts,
                lane=FastLane(store, intake, parts),
                health=cast(Callable[[], Health], None),
                telemetry=telemetry,
                connections=lambda: 0,
                stopping=asyncio.Event(),
                max_feeds=0,
            )
        ),
        parts,
    )


def _build(app: FastAPI, parts: Sequence[Part]) -> dict[str, Any]:
    built: dict[str, Any] = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    bodies = {route: model for part in parts for route, model in part.bodies().items()}
    models = dict.fromkeys((*_MODELS, *bodies.values()))
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=_REFERENCE
    )
    built["components"]["schemas"].update(definitions["$defs"])
    for route, content in (_bodies() | _json_bodies(bodies)).items():
        _operation(built, route)["requestBody"] = {"required": True, "content": content}
    _operation(built, "GET /v1/events")["parameters"] = _query_parameters()
    return built


def _bodies() -> dict[str, dict[str, Any]]:
    """Route -> media type -> schema of what the fast handlers take."""
    event = {"$ref": _REFERENCE.format(model=NewEvent.__name__)}
    audit = {"$ref": _REFERENCE.format(model=AuditRequest.__name__)}
    batch = {"type": "array", "items": event, "maxItems": MAX_BATCH_EVENTS}
    return {
        EVENT: {"application/json": {"schema": event}},
        BATCH: {
            "application/json": {"schema": batch},
            "application/x-ndjson": {"schema": event},
        },
        AUDIT: {"application/json": {"schema": audit}},
    }


def _json_bodies(models: Mapping[str, type[BaseModel]]) -> dict[str, dict[str, Any]]:
    return {
        route: {"application/json": {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}
        for route, model in models.items()
    }


def _query_parameters() -> list[dict[str, Any]]:
    properties: Mapping[str, Any] = EventFilter.model_json_schema()["properties"]
    fixed = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in properties.items()
    ]
    metadata = {
        "name": f"{METADATA_PREFIX}{{key}}",
        "in": "query",
        "required": False,
        "description": "any number of filters, such as metadata.tenant=acme",
        "schema": {"type": "string"},
    }
    return [*fixed, metadata]


def _operation(document: dict[str, Any], route: str) -> dict[str, Any]:
    method, path = route.split(" ")
    operation: dict[str, Any] = document["paths"][path][method.lower()]
    return operation
