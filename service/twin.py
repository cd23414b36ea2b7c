"""Twins: FastAPI routes that document a fast handler and hand their requests to it (D2)."""

from __future__ import annotations

import http
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.dispatch import CORRELATION_KEY, FastHandler, FastRequest, send_answer

ALWAYS = (400, 401, 408, 422, 431, 503)
"""Statuses that any route may answer, whatever it does."""


class Twin(Response):
    """A route's response that runs the fast `handler` on the route's own request."""

    def __init__(self, handler: FastHandler) -> None:
        super().__init__()
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = FastRequest(
            scope["path"], dict(scope["headers"]), scope[CORRELATION_KEY], receive
        )
        await send_answer(await self._handler(request), send)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` for a route's errors: the general ones and `statuses`.

    By reference, not as FastAPI's `model`: that builds a validator for each, 45 ms of every start.
    """
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": http.HTTPStatus(status).phrase, "content": content}
        for status in sorted({*ALWAYS, *statuses})
    }
