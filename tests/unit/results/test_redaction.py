"""Secrets are replaced wherever they stand, and what is none stays as it is."""

from __future__ import annotations

import json

import pytest

from results.redaction import redacted, redacted_text, redacted_url


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /x?api_key=s3cret", "GET /x?api_key=***"),
        ("GET /x?page=2&access_token=s3cret&n=1#top", "GET /x?page=2&access_token=***&n=1#top"),
        ("http://u:s3cret@host:80/p", "http://***@host:80/p"),
        ("http://u:s3cr@et@host", "http://***@host"),
        ("http://a,http://u:s3cret@b", "http://a,http://***@b"),
        ("http://u:s3cret@[::1", "http://***@[::1"),
        ("GET /users/@me", "GET /users/@me"),
        ("GET http://h/users/@me", "GET http://h/users/@me"),
        ("POST /v1/tokens:rotate", "POST /v1/tokens:rotate"),
        ("GET /x?passwords", "GET /x?passwords"),
        ("", ""),
    ],
)
def test_a_name_keeps_all_but_its_secrets(text: str, shown: str) -> None:
    assert redacted_url(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "deployed http://u:s3cret@h/x?token=s3cret at noon",
            "deployed http://***@h/x?token=*** at noon",
        ),
        ("password=s3cret, as asked", "password=*** as asked"),
        ("Authorization: Bearer s3cret", "Authorization: Bearer ***"),
        ("API-KEY: s3cret", "API-KEY: ***"),
        ("my_token=s3cret&n=1", "my_token=***&n=1"),
        ("the token is gone", "the token is gone"),
        ("two\nlines, a=b", "two\nlines, a=b"),
    ],
)
def test_a_note_keeps_all_but_its_secrets(text: str, shown: str) -> None:
    assert redacted_text(text) == shown


def test_a_document_that_contains_itself_does_not_hang() -> None:
    loop: dict[str, object] = {}
    loop["again"] = loop
    json.dumps(redacted(loop))
