"""The supervisor's HTTP API: wiring of routes to the cluster, authentication, problem+json.

Loopback only, and every route needs the token that the controller read from the handshake: an
unauthenticated control port is the classic hole of chaos tools. It acts only on nodes that this
supervisor forked.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from chaos.supervisor.cluster import RESTART_TIMEOUT_S, Cluster
from chaos.supervisor.lifetime import Ending, Lifetime
from chaos.supervisor.node import Node
from chaos.supervisor.schema import (
    ClusterRequest,
    NodeList,
    NodeView,
    SupervisorProblem,
    SupervisorView,
)
from service.errors import (
    FoundationError,
    InvalidInput,
    PayloadTooLarge,
    Unauthorized,
)

_MAX_BODY_BYTES = 65_536


def make_app(
    cluster: Cluster, lifetime: Lifetime, *, token: str, zygote_pid: int, started_at_us: int
) -> ASGIApp:
    """The ASGI application. `token` is what `Authorization: Bearer` must carry."""
    app = FastAPI(openapi_url=None)
    _add_problems(app)
    _add_cluster_routes(app, cluster)
    _add_node_routes(app, cluster)

    @app.get("/v1/supervisor")
    async def show() -> SupervisorView:
        return SupervisorView(
            pid=os.getpid(),
            zygote_pid=zygote_pid,
            started_at=started_at_us,
            detached=lifetime.detached,
            data_dir=str(cluster.data_dir) if cluster.data_dir else None,
            log_dir=str(cluster.log_dir) if cluster.log_dir else None,
        )

    @app.post("/v1/supervisor/detach", status_code=204, response_class=Response)
    async def detach() -> None:
        lifetime.detach()

    @app.post("/v1/supervisor/stop", status_code=202, response_class=Response)
    async def stop() -> None:
        lifetime.end(Ending("asked to over its API"))

    return _Guard(app, token)


def _add_cluster_routes(app: FastAPI, cluster: Cluster) -> None:
    @app.get("/v1/nodes")
    async def nodes() -> NodeList:
        return NodeList(nodes=[NodeView.of(node) for node in cluster.nodes])

    @app.post("/v1/cluster", status_code=201)
    async def start(request: ClusterRequest) -> NodeList:
        await cluster.start(request)
        return await nodes()

    @app.delete("/v1/cluster", status_code=204, response_class=Response)
    async def stop() -> None:
        await cluster.stop()


def _add_node_routes(app: FastAPI, cluster: Cluster) -> None:
    async def restart(node: Node) -> None:
        await node.restart(RESTART_TIMEOUT_S)

    commands: dict[str, Callable[[Node], Awaitable[None]]] = {
        "kill": Node.kill,
        "stop": Node.stop,
        "pause": Node.pause,
        "continue": Node.resume,
        "restart": restart,
    }

    def add(word: str, command: Callable[[Node], Awaitable[None]]) -> None:
        @app.post(f"/v1/nodes/{{name}}/{word}", name=word)
        async def run(name: str) -> NodeView:
            node = cluster.node(name)
            await command(node)
            return NodeView.of(node)

    for word, command in commands.items():
        add(word, command)


def _add_problems(app: FastAPI) -> None:
    @app.exception_handler(FoundationError)
    async def operating_error(request: Request, error: FoundationError) -> Response:
        return problem(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc'][1:]) or 'body'}: {fault['msg']}"
            for fault in error.errors()
        ]
        return problem(InvalidInput("; ".join(faults)))

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        return _problem(error.status_code, code, f"{request.method} {request.url.path}: {code}")


def problem(error: FoundationError) -> Response:
    """An operating error as problem+json, with the node and its log's tail where it has them."""
    return _problem(
        error.status,
        error.code,
        str(error),
        node=getattr(error, "node", ""),
        log_tail=getattr(error, "log_tail", ""),
    )


def _problem(status: int, code: str, detail: str, node: str = "", log_tail: str = "") -> Response:
    body = SupervisorProblem(
        type=f"urn:foundation:problem:{code}",
        title=code.replace("_", " "),
        status=status,
        detail=detail,
        code=code,
        node=node,
        log_tail=log_tail,
    )
    return JSONResponse(
        body.model_dump(), status_code=status, media_type="application/problem+json"
    )


class _Guard:
    """Lets a request through to `app` if it has the token and says how small its body is."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            refusal = problem(
                Unauthorized(
                    "send `Authorization: Bearer TOKEN` with the token of the handshake, which "
                    "the state file holds too"
                )
            )
            await refusal(scope, receive, send)
        elif b"transfer-encoding" in headers or _length(headers) > _MAX_BODY_BYTES:
            refusal = problem(
                PayloadTooLarge(f"a body has a Content-Length of at most {_MAX_BODY_BYTES:,} bytes")
            )
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _length(headers: dict[bytes, bytes]) -> int:
    return int(headers.get(b"content-length", b"0"))
