"""Settings: from the environment, refused with the remedy when wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.errors import ConfigurationError
from service.settings import HARNESS_NAMES, Settings, is_loopback, load

TOKEN = "0123456789abcdef"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("FOUNDATION_"):
            monkeypatch.delenv(name)


def test_the_environment_is_read_and_overrides_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDATION_PORT", "9000")
    monkeypatch.setenv("FOUNDATION_ROLES", "app, jobs")
    monkeypatch.setenv("FOUNDATION_METADATA_INDEX", "tenant,order-id")
    monkeypatch.setenv("FOUNDATION_DATA", "some where/data")
    settings = load(name="node-7", port=0)
    assert (settings.port, settings.name, settings.roles) == (0, "node-7", ("app", "jobs"))
    assert settings.metadata_index == ("tenant", "order-id")
    assert settings.data == Path("some where/data")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        setattr(load(), "port", 1)  # noqa: B010 a plain assignment would not type-check


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDATION_PORT", "")
    assert load().port == Settings.model_fields["port"].default


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("FOUNDATION_PROT", "FOUNDATION_PORT"),
        ("FOUNDATION_CLIENT_TOKENS", "FOUNDATION_CLIENT_TOKEN"),
        ("FOUNDATION_EMULATED_LATENCIES", "FOUNDATION_EMULATED_LATENCY"),
        ("foundation_prot", "FOUNDATION_PORT"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_word(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigurationError, match=f"{name} is not a setting .*{nearest}"):
        load()


def test_a_variable_like_no_other_is_refused_with_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDATION_ZZZZZZ", "1")
    with pytest.raises(ConfigurationError, match="FOUNDATION_PORT"):
        load()


def test_an_unknown_override_is_refused_too() -> None:
    with pytest.raises(ConfigurationError, match=r"prot is not a setting of a node: .*port"):
        load(prot=1)


def test_names_of_the_harness_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in HARNESS_NAMES:
        monkeypatch.setenv(f"FOUNDATION_{name}", "x")
    assert load().run_id == "x"


def test_every_fault_is_told_at_once_and_names_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOUNDATION_PORT", "65536")
    monkeypatch.setenv("FOUNDATION_EMULATED_LATENCY", "-1")
    with pytest.raises(ConfigurationError) as refused:
        load(name="a/b")
    lines = str(refused.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "name",
        "FOUNDATION_PORT",
        "FOUNDATION_EMULATED_LATENCY",
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("port", -1),
        ("port", "http"),
        ("name", ""),
        ("name", "a\nb"),
        ("name", "x" * 64),
        ("roles", ()),
        ("roles", ("a b",)),
        ("emulated_latency", float("nan")),
        ("emulated_latency", float("inf")),
        ("max_header_bytes", 0),
        ("header_deadline_s", 0),
        ("queue_events", 0),
        ("log_level", "loud"),
        ("advertised_url", "10.0.0.1:80"),
        ("advertised_url", "http://x/path"),
        ("metadata_index", ("a.b",)),
        ("metadata_index", tuple("abcdefghi")),
    ],
)
def test_values_out_of_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"^{field}"):
        load(**{field: value})


@pytest.mark.parametrize(
    "token", ["short", "with a space in it", "unprintable\x00token!", "é" * 20]
)
def test_a_weak_token_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(ConfigurationError, match="openssl rand") as refused:
        load(client_token=token)
    assert token not in str(refused.value)


def test_secrets_do_not_show_in_the_settings() -> None:
    settings = load(client_token=TOKEN, peer_token=TOKEN, session_secret=TOKEN)
    assert TOKEN not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
def test_a_bind_beyond_loopback_needs_a_token(host: str) -> None:
    with pytest.raises(ConfigurationError, match="FOUNDATION_CLIENT_TOKEN"):
        load(host=host)
    assert load(host=host, client_token=TOKEN).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    assert is_loopback(host)
    assert load(host=host).host == host
