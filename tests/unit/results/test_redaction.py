"""Secrets are replaced wherever they stand, and what is none stays as it is."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ("token:s3cret", "token:***"),
        ("Authorization:Bearer s3cret", "Authorization:Bearer ***"),
        ("Authorization: Token s3cret", "Authorization: Token ***"),
        ('{"password": "s3cret", "n": 1}', '{"password": ***, "n": 1}'),
        ("{'auth': 's3cret s3cret'}", "{'auth': ***}"),
        (r'"{\"secret\": \"s3cret s3cret\", \"n\": 1}"', r'"{\"secret\": ***, \"n\": 1}"'),
        (r'{"password": "s3c\"ret s3cret"}', '{"password": ***}'),
        ('password="my s3cret phrase" for n', "password=*** for n"),
        ('password="a s3cret that was cut', "password=***"),
        ("run --token s3cret --users 3", "run --token *** --users 3"),
        ("run --token=s3cret", "run --token=***"),
        ("run --token --users 3", "run --token --users 3"),
        ("pwd=s3cret access_key=s3cret", "pwd=*** access_key=***"),
        ("session=s3cret; sig=s3cret", "session=*** sig=***"),
        ("Cookie: a=s3cret; b=s3cret end", "Cookie: *** end"),
        ("error:token=s3cret", "error:token=***"),
        ('said: "Authorization: Bearer s3cret"', 'said: "Authorization: Bearer ***'),
        ("a = b = token : s3cret", "a = b = token : ***"),
        ("the token is gone", "the token is gone"),
        ("POST /v1/login: 503, GET /v1/token: 401", "POST /v1/login: 503, GET /v1/token: 401"),
        ("author=joe, sessions: 12, at 12:30", "author=joe, sessions: 12, at 12:30"),
        ("no reply from http://token-service:8080/", "no reply from http://token-service:8080/"),
        ("two\nlines, a=b", "two\nlines, a=b"),
    ],
)
def test_a_note_keeps_all_but_its_secrets(text: str, shown: str) -> None:
    assert redacted_text(text) == shown


SHAPES = (
    *("{}={}", "{}: {}", "{}:{}", "--{} {}", "--{}={}", '"{}": "{}"', "'{}': '{}'", "{}='{}'"),
    *('\\"{}\\": \\"{}\\"', '{} = "{}"', "x=1&{}={}", "http://h/?{}={}&n=1", "{}: Bearer {}"),
)


@given(
    before=st.text(max_size=20),
    name=st.sampled_from(["token", "API_KEY", "my-password", "client_secret", "pwd"]),
    shape=st.sampled_from(SHAPES),
    secret=st.from_regex(r"[A-Za-z0-9_.+/-]{0,10}S3CRET[A-Za-z0-9_.+/=-]{0,10}", fullmatch=True),
    after=st.sampled_from(["", " ", ", and", "; n=1", "\n", ")"]),
)
def test_no_shape_and_no_text_before_it_keeps_a_secret(
    before: str, name: str, shape: str, secret: str, after: str
) -> None:
    # Of a secret that begins with a dash nobody could tell it from an option.
    told = f"{before} {shape.format(name, secret.lstrip('-'))}{after}"
    assert "S3CRET" in told, "the control"
    assert "S3CRET" not in redacted_text(told)


def test_values_under_secret_names_and_behind_secret_options_do_not_stay_in_a_document() -> None:
    document = {
        "web_login": "a:s3cret",
        "auth": ("u", "s3cret"),
        "pwd": "s3cret",
        "session": "s3cret",
        "deep": [{"oauth2": {"a": "s3cret"}}],
        "argv": ["--token", "s3cret", "--api-key=s3cret", "-u", "3", "--password", "-v", "x"],
        "text": 'curl -H "X-Session: s3cret"',
    }
    assert "s3cret" in json.dumps(document), "the control"
    kept = redacted(document)
    assert "s3cret" not in json.dumps(kept)
    argv = ["--token", "***", "--api-key=***", "-u", "3", "--password", "-v", "x"]
    assert kept["argv"] == argv


def test_what_is_no_secret_stays_in_a_document() -> None:
    document = {
        "author": "joe",
        "web_login": True,
        "token": None,
        "password": "",
        "started_at": "2026-01-31T12:00:00.000+00:00",
        "argv": ["-f", "p1.py", "--users", "3"],
        "n": 1.5,
    }
    assert redacted(document) == document


def test_a_long_text_is_looked_through_in_the_time_of_a_few_short_ones() -> None:
    """Its time grows with its length, not with the square of it."""

    def took_s(text: str) -> float:
        before_s = time.process_time()
        redacted_text(text)
        return time.process_time() - before_s

    for piece in ("a ", "token", "--", "a" + " " * 50, "\\", '"', "cookie: ; ", "x=", "-"):
        short, long = piece * 2_000, piece * 20_000
        assert took_s(long) < 40 * max(took_s(short), 0.001), piece


def test_a_document_that_contains_itself_does_not_hang() -> None:
    loop: dict[str, object] = {}
    loop["again"] = loop
    json.dumps(redacted(loop))
