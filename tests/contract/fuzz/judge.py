"""Holds an answer to the document: schemathesis' own checks, nothing of ours between.

What was made to break the document must be refused; what was made to agree with it may be refused
too, since a schema cannot say all (that `expected_version` needs a stream, say).
No 5xx at all: a fuzz provokes neither overload nor a full disk, so none is planned here.
"""

from __future__ import annotations

from typing import Final

import requests
from schemathesis import CheckFunction, Response
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.fuzz.connection import Answer
from tests.contract.fuzz.request import FuzzRequest

CHECKS: Final[list[CheckFunction]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def faults(request: FuzzRequest, answer: Answer) -> list[str]:
    """What is wrong with the answer, one line each; empty when it is as the document says."""
    sent = requests.Request(request.method, f"http://127.0.0.1{request.target}").prepare()
    response = Response(
        answer.status,
        answer.headers,
        answer.body,
        sent,
        elapsed=0.0,
        verify=False,
        message=answer.reason,
        encoding="utf-8",
        stream_cut_short=answer.headers.get("content-type") == ["text/event-stream"],
    )
    invalid = request.source == "document" and not request.valid and answer.status < 300
    checks = [*CHECKS, negative_data_rejection] if invalid else CHECKS
    try:
        request.case.validate_response(response, checks=checks)
    except FailureGroup as group:
        return [_line(failure) for failure in group.exceptions]
    return []


def _line(failure: Exception) -> str:
    title = getattr(failure, "title", type(failure).__name__)
    message = getattr(failure, "message", str(failure))
    return f"{title}: {' '.join(str(message).split())}"[:600]
