"""One mapping from everything that can go wrong to problem+json (RFC 9457).

The fast lane, FastAPI's routes and the protocol all answer through here, so that an error has the
same code, status and shape wherever it arises. This module must not log or touch a connection.
"""

from __future__ import annotations

import http
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from service.errors import (
    FoundationError,
    InvalidInput,
    MalformedJson,
    MethodNotAllowed,
    NotFound,
)

CONTENT_TYPE = b"application/problem+json"
RawHeaders = list[tuple[bytes, bytes]]
_MAX_FAULTS = 5


def render(error: FoundationError, correlation_id: str | None) -> tuple[int, RawHeaders, bytes]:
    """Status, headers (content type, length, Retry-After, Allow, WWW-Authenticate) and body."""
    body = orjson.dumps(
        {
            "type": f"urn:foundation:problem:{error.code}",
            "title": error.code.replace("_", " "),
            "status": error.status,
            "detail": str(error) or http.HTTPStatus(error.status).description,
            "code": error.code,
            "correlation_id": correlation_id,
        }
    )
    headers: RawHeaders = [
        (b"content-type", CONTENT_TYPE),
        (b"content-length", b"%d" % len(body)),
    ]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    if error.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="foundation"'))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allow))
    return error.status, headers, body


def from_validation(error: ValidationError) -> FoundationError:
    """pydantic's faults as one error: each place and what is wrong there, no input echoed."""
    return from_faults(error.errors(include_url=False, include_context=False, include_input=False))


def from_faults(faults: Sequence[Mapping[str, Any]]) -> FoundationError:
    """As `from_validation`, from pydantic's list of faults (FastAPI keeps only that)."""
    if faults and faults[0]["type"] == "json_invalid":
        return MalformedJson(f"the body is not JSON: {faults[0]['msg']}")
    lines = [
        f"{'.'.join(str(part) for part in fault['loc']) or 'body'}: {fault['msg']}"
        for fault in faults[:_MAX_FAULTS]
    ]
    if len(faults) > _MAX_FAULTS:
        lines.append(f"and {len(faults) - _MAX_FAULTS} more")
    return InvalidInput("; ".join(lines))


def from_http(error: HTTPException, method: str, path: str) -> FoundationError:
    """The router's own 404 and 405."""
    if error.status_code == 404:
        return NotFound(f"there is nothing at {path}: the endpoints are listed at /openapi.json")
    if error.status_code == 405:
        refusal = MethodNotAllowed(f"{path} does not take {method}")
        refusal.allow = Headers(error.headers).get("allow", "").encode("ascii")
        return refusal
    refused = InvalidInput(str(error.detail))
    refused.status = error.status_code
    return refused
