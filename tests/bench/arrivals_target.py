"""The barest ASGI server: answers every request with the same 200, and nothing else.

python -m uvicorn tests.bench.arrivals_target:app
"""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"2")]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """No lifespan: uvicorn goes without when it is refused."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"ok"})
