"""How a typed call is made: headers once, send, read the reply, count what is wrong with it.

`client.py` and `api/` are made of it. A reply that is not what the API promises is a failed check;
a call returns None when the request failed: it has been counted, and a load goes on. This module
must not know any endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import uuid_utils
from pydantic import BaseModel, ValidationError

from locustfiles.harness.http.header import HeaderBlock, compile_headers
from locustfiles.harness.http.response import Response
from locustfiles.harness.http.session import LeanHttpSession

NOTHING: Mapping[str, Any] = {}

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class WrongReply(Exception):
    """A 2xx whose body is not what the API promises; the text is stable, for Locust to group."""

    def __repr__(self) -> str:
        return f"WrongReply: {self}"


class Mismatch(ValueError):
    """The reply is well-formed and about something else; the text says what, without its values."""


class Caller:
    """Calls on `nodes` (URLs without a trailing slash); `token` is the clients' bearer token."""

    def __init__(self, session: LeanHttpSession, nodes: Sequence[str], token: str | None) -> None:
        if not nodes:
            raise ValueError("a client needs at least one node's URL")
        self.session = session
        self.nodes = tuple(node.rstrip("/") for node in nodes)
        self._own = {"Authorization": f"Bearer {token}"} if token else {}
        self.headers = compile_headers(self._own)
        self._own["Content-Type"] = "application/json"
        self.json_headers = compile_headers(self._own)

    def json_headers_with(self, name: str, value: str) -> HeaderBlock:
        """The headers of a JSON body and one more."""
        return compile_headers({**self._own, name: value})

    def url(self, node: str | None, path: str) -> str:
        """`path` on `node`, by default the first."""
        return f"{node or self.nodes[0]}{path}"

    def send(
        self,
        method: str,
        url: str,
        name: str,
        read: Callable[[Response], T],
        *,
        body: bytes | None = None,
        headers: HeaderBlock | None = None,
        params: Mapping[str, object] | None = None,
        write_id: bytes | None = None,
        digest: bytes | None = None,
        intended_us: int | None = None,
    ) -> T | None:
        """Send JSON, or nothing; what `read` makes of a good reply, else None.

        `write_id` is only for a write that the node stores as an event under that id, since the
        audit looks it up there; `digest` (harness.digest) is what it must find.
        `read` raises ValueError, KeyError or TypeError for a reply that breaks the promise.
        """
        if headers is None:
            headers = self.headers if body is None else self.json_headers
        response = self.session.request(
            method,
            url,
            name,
            body,
            True,
            headers=headers,
            params=params,
            write_id=write_id,
            digest=digest,
            intended_us=intended_us,
            # No call of the API leads elsewhere.
            allow_redirects=False,
        )
        with response:
            if not response.ok:
                return None
            try:
                return read(response)
            except (ValueError, KeyError, TypeError) as error:
                response.failure(wrong_reply(name, error))
        return None

    def read(
        self,
        path: str,
        name: str,
        model: type[M],
        node: str | None,
        params: Mapping[str, object] | None = None,
    ) -> M | None:
        """GET what `model` validates."""

        def parse(response: Response) -> M:
            return model.model_validate_json(response.content)

        return self.send("GET", self.url(node, path), name, parse, params=params)


def validated(response: Response, model: type[M]) -> M | None:
    """The body as `model`; a body that is not one is a failed check."""
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        response.failure(wrong_reply(response.request_meta["name"], error))
        return None


def wrong_reply(name: str, error: Exception) -> WrongReply:
    """What a failed check says, without the reply's own values."""
    detail = str(error) if isinstance(error, Mismatch) else type(error).__name__
    return WrongReply(f"the reply of {name} is not what the API promises ({detail})")


def write_id_of(given: bytes | None) -> tuple[bytes, str]:
    """An id as bytes, for the sample, and as text, for the wire; a UUIDv7 when missing (D11)."""
    if given is None:
        made = uuid_utils.uuid7()
        return made.bytes, str(made)
    return given, str(UUID(bytes=given))


def row_id_of(given: object) -> tuple[bytes, str]:
    """As `write_id_of`, from bytes, a UUID, its text, or None."""
    if given is None or isinstance(given, bytes):
        return write_id_of(given)
    parsed = given if isinstance(given, UUID) else UUID(str(given))
    return parsed.bytes, str(parsed)
