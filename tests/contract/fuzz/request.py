"""Requests of the fuzz: made by schemathesis from the document, as bytes on the wire.

What is sent is a function of the document and the seed alone: cases are made before anything is
sent, so that answers cannot change them. This module must not open anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode, SerializationContext
from schemathesis.core.result import Ok

NDJSON = "application/x-ndjson"
_HOST = "http://127.0.0.1"

AnyOperation = APIOperation[Any, Any, Any, Any]
AnyCase = Case[AnyOperation]


@dataclass(frozen=True, slots=True)
class FuzzRequest:
    """One request. `case` knows the operation, whose document the answer is held to.

    `valid` when it was made to agree with the document. `source` is where it comes from, `document`
    when it is still as made.
    """

    case: AnyCase
    valid: bool
    source: Literal["document", "familiar", "mutated", "repeated"]
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def label(self) -> str:
        """The operation, such as `POST /v1/events`."""
        operation: str = self.case.operation.label
        return operation

    def wire(self) -> bytes:
        """Complete HTTP/1.1 bytes."""
        lines = [f"{self.method} {self.target} HTTP/1.1", "host: x"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"content-length: {len(self.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


@schemathesis.serializer(NDJSON)
def _ndjson(ctx: SerializationContext, value: Any) -> Any:
    """The document's schema is that of one line; a body of one or two lines of it."""
    if isinstance(value, bytes):
        return value
    line = json.dumps(value).encode()
    return line if len(line) % 2 else line + b"\n" + line


def operations(document: dict[str, Any]) -> Iterator[AnyOperation]:
    """Every operation of the document, in its order."""
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(found, Ok), found.err()
        yield found.ok()


def generate(
    operation: AnyOperation, mode: GenerationMode, seed: int, examples: int
) -> list[FuzzRequest]:
    """Up to `examples` requests (fewer where fewer differ), that are valid or, negative, are not.

    Empty for a negative mode of an operation that takes nothing.
    """
    cases: list[AnyCase] = []

    @seeded(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: AnyCase) -> None:
        cases.append(case)

    valid = mode is GenerationMode.POSITIVE
    try:
        collect()
    except Unsatisfiable:
        assert not valid, operation.label
    return [made for case in cases if (made := _render(case, valid)) is not None]


def _render(case: AnyCase, valid: bool) -> FuzzRequest | None:
    """None for what this client's library cannot put on a wire at all."""
    try:
        prepared = requests.Request(**case.as_transport_kwargs(base_url=_HOST)).prepare()
    except (requests.RequestException, UnicodeError):
        return None
    body = prepared.body or b""
    if not isinstance(body, str | bytes):
        return None
    dropped = {"content-length", "accept-encoding", "x-schemathesis-testcaseid", "user-agent"}
    headers = tuple(
        (name, str(value))
        for name, value in prepared.headers.items()
        if name.lower() not in dropped
    )
    try:
        "".join(name + value for name, value in headers).encode("latin-1")
    except UnicodeError:
        return None
    return FuzzRequest(
        case,
        valid,
        "document",
        prepared.method or "GET",
        prepared.path_url,
        headers,
        body.encode() if isinstance(body, str) else body,
    )
