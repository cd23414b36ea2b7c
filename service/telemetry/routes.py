"""`GET /health` and `GET /metrics`: outside /v1, since probes and scrapers expect them there."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import Response

from service.schema import Health
from service.telemetry.exposition import CONTENT_TYPE, Exposition
from service.twin import problems


def system_routes(health: Callable[[], Health], exposition: Exposition) -> APIRouter:
    router = APIRouter(tags=["node"])

    refused = problems()
    refused[503] = {"model": Health, **refused[503], "description": "it is down, or overloaded"}

    @router.get("/health", response_model=Health, responses=refused)
    async def get_health() -> Response:
        """The node and its components: 200 while it serves (up or degraded), 503 when down."""
        state = health()
        return Response(
            state.model_dump_json(),
            status_code=503 if state.status == "down" else 200,
            media_type="application/json",
            headers={"cache-control": "no-store"},
        )

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **problems()},
    )
    async def get_metrics() -> Response:
        """The node's figures as Prometheus text."""
        return Response(exposition.render(), headers={"content-type": CONTENT_TYPE})

    return router
