"""`POST /foundation/notes`: what is taken as a note, and what is refused with which status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from locustfiles.harness.notes import close_desk, open_desk
from locustfiles.harness.web.note_route import MAX_BODY_BYTES, PATH, take_note


@pytest.fixture
def client() -> FlaskClient:
    app = Flask(__name__)
    app.add_url_rule(PATH, methods=["POST"], view_func=take_note)
    return app.test_client()


@pytest.fixture
def said() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    open_desk(lambda kind, report: found.append((kind, report)), lambda: 2.5)
    yield found
    close_desk()


def test_a_note_is_answered_as_it_is_written(
    client: FlaskClient, said: list[tuple[str, dict[str, Any]]]
) -> None:
    body = {"text": "see http://u:s3cret@h\n", "label": "deploy"}
    answer = client.post(PATH, data=json.dumps(body))
    written = {"t_s": 2.5, "label": "deploy", "text": "see http://***@h\\x0a"}
    assert (answer.status_code, answer.get_json()) == (201, written)
    assert said == [("note", written)]
    assert client.post(PATH, json={"text": "☃" * 500}).status_code == 201


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "JSON object"),
        (b"[]", 400, "JSON object"),
        (b'"x"', 400, "JSON object"),
        (b"[" * 16_000, 400, "JSON object"),
        (b"\xff\xfe", 400, "JSON object"),
        (b"{}", 400, "JSON object"),
        (b'{"label": "x"}', 400, "JSON object"),
        (b'{"text": null}', 400, "text is text, not NoneType"),
        (b'{"text": 7}', 400, "text is text, not int"),
        (b'{"text": "x", "label": ["y"]}', 400, "label is text"),
        (b'{"text": ""}', 400, "needs a text"),
        (b'{"text": " \\n"}', 400, "needs a text"),
        (b'{"text": "x", "t_s": 4}', 400, "unknown field 't_s'"),
        (b'{"text": "x", "label": "worker_lost"}', 400, "suite's own"),
        (b'{"text": "x", "label": "a b"}', 400, "1 to 40"),
        (json.dumps({"text": "x" * 501}).encode(), 400, "at most 500"),
        (b"x" * (MAX_BODY_BYTES + 1), 413, "at most 16,384 bytes"),
    ],
)
def test_what_is_no_note_is_refused_with_the_reason(
    client: FlaskClient,
    said: list[tuple[str, dict[str, Any]]],
    body: bytes,
    status: int,
    says: str,
) -> None:
    answer = client.post(PATH, data=body)
    assert answer.status_code == status
    assert says in answer.get_json()["message"]
    assert said == []


def test_outside_of_a_run_there_is_nothing_to_say_it_of(client: FlaskClient) -> None:
    answer = client.post(PATH, json={"text": "x"})
    assert answer.status_code == 409
    assert client.get(PATH).status_code == 405
