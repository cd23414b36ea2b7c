"""FastAPI's ways of failing, answered as problem+json like everything else."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from service import problem
from service.dispatch import CORRELATION_KEY, INTERNAL, REFUSAL_KEY, Disconnected
from service.errors import FoundationError


def install(app: FastAPI) -> None:
    """Map every exception that a route can raise."""
    app.add_exception_handler(FoundationError, _foundation)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


def _render(request: Request, error: FoundationError) -> Response:
    request.scope[REFUSAL_KEY] = error
    status, headers, body = problem.render(error, request.scope[CORRELATION_KEY])
    response = Response(body, status)
    response.raw_headers = list(headers)
    return response


async def _foundation(request: Request, error: Exception) -> Response:
    assert isinstance(error, FoundationError)
    return _render(request, error)


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _render(request, problem.from_faults(error.errors()))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _render(request, problem.from_http(error, request.method, request.url.path))


async def _gone(request: Request, error: Exception) -> Response:
    raise Disconnected from error


async def _unexpected(request: Request, error: Exception) -> Response:
    """Starlette raises `error` again after this answer; `dispatch.py` logs it there."""
    return _render(request, FoundationError(INTERNAL))
