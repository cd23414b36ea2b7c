"""A note on the timeline by HTTP: for a person, a deployment, whatever happens beside the load.

    curl -d '{"text": "deployed build 42"}' http://127.0.0.1:8089/foundation/notes

Answers 201 with the note as it is written, or with the reason 400 and 413 for what is none, and 409
outside of a run. This module must not know who may ask: the web UI guards its routes alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from flask import Response, jsonify, make_response, request

from locustfiles.harness.notes import note
from results.note import LONGEST_TEXT

PATH = "/foundation/notes"

MAX_BODY_BYTES = 16_384
"""Of JSON that holds a label and a text of `LONGEST_TEXT` characters, each escaped by 12 bytes."""


def take_note() -> Response:
    """The view of `POST /foundation/notes`."""
    # Locust limits no body.
    raw = request.stream.read(MAX_BODY_BYTES + 1)
    if len(raw) > MAX_BODY_BYTES:
        return _refused(413, f"a note has at most {MAX_BODY_BYTES:,} bytes")
    try:
        said = note(**_said(raw))
    except ValueError as error:
        return _refused(400, str(error))
    except LookupError:
        return _refused(409, "no run goes on: start one, and say it then")
    return make_response(jsonify(asdict(said)), 201)


def _said(raw: bytes) -> dict[str, str]:
    """Text and label of a body. Raises ValueError that says what is wrong with it."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, Mapping) or "text" not in body:
        raise ValueError('a note is a JSON object such as {"text": "deployed build 42"}')
    if other := sorted(map(str, body.keys() - {"text", "label"})):
        raise ValueError(f"unknown field {other[0]!r}: a note has a text and may have a label")
    for name, value in body.items():
        if not isinstance(value, str):
            raise ValueError(f"{name} is text, not {type(value).__name__}")
    if len(body["text"]) > LONGEST_TEXT:
        raise ValueError(f"a note's text has at most {LONGEST_TEXT} characters")
    return dict(body)


def _refused(status: int, reason: str) -> Response:
    return make_response(jsonify({"success": False, "message": reason}), status)
