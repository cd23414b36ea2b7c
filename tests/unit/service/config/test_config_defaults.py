"""The configuration file: what it gives, and that every fault of it is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.config.defaults import MAX_PATTERNS, parse, read_defaults
from service.config.model import MAX_PATHS, MAX_VALUE_BYTES
from service.errors import ConfigurationError

FILE = Path("my.toml")


def test_the_built_in_defaults_are_those_of_f1_and_f2() -> None:
    defaults = read_defaults(None)
    assert defaults.values == {
        "dev/debug_mode": b"true",
        "features/new_dashboard": b"false",
        "features/beta_analytics": b"false",
        "features/advanced_search": b"false",
        "features/dark_mode": b"false",
        "features/real_time_chat": b"false",
    }
    assert defaults.updatable == ("features/*", "dev/*")


def test_a_file_gives_values_of_every_json_type(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        'updatable = ["**"]\n[values]\ntop = 1\n[values.a.b]\n'
        'text = "é\\u0000"\nnumber = 1.5\nlist = [1, ["x"], {k = true, a = []}]\n'
    )
    values = {path: json.loads(text) for path, text in read_defaults(file).values.items()}
    assert values == {
        "top": 1,
        "a/b/text": "é\0",
        "a/b/number": 1.5,
        "a/b/list": [1, ["x"], {"k": True, "a": []}],
    }


def test_an_empty_file_is_an_empty_configuration() -> None:
    assert parse(b"", FILE).values == {} and parse(b"", FILE).updatable == ()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("value = 1", "'value' is not a key"),
        ("values = 1", "values: make it a table"),
        ("updatable = 'x'", "updatable: make it a list"),
        ("updatable = [1]", "updatable: 1 is not a text"),
        ("updatable = ['a/**/b']", "'a/\\*\\*/b' is not made of"),
        ("updatable = ['a?']", "'a\\?' is not made of"),
        ("updatable = ['']", "updatable: ''"),
        (f"updatable = {['a'] * (MAX_PATTERNS + 1)}", f"at most {MAX_PATTERNS}"),
        ("[values]\nx = nan", "x: is not a finite number"),
        ("[values]\nx = [1, [-inf]]", "x: is not a finite number"),
        ("[values]\nx = 9223372036854775808", "x: is outside -2\\^63"),
        ("[values]\nx = 2026-01-01", "x: is a date, which JSON does not know"),
        ("[values]\nx = [12:00:00]", "x: is a time"),
        ("[values.a]\n'b/c' = 1", "write a table for each level"),
        ("[values.a]\n'b c' = 1", "'a/b c': a path is"),
        ("[values]\nfeed = 1", "'feed': feed is reserved"),
        ("[values.a]\n[values.b]\nx = 1", "a is an empty table"),
        ("[values]\nx = {}", "x is an empty table"),
        ("[values.a.b.c.d.e.f.g.h.i]\nx = 1", "a path is 1 to 8 segments"),
        ("[values" + ".a" * 500 + "]\nx = 1", "too deep"),
        ("[values]\nx = " + "[" * 60 + "]" * 60, "x: is nested deeper"),
        ("[values]\nx = " + "[" * 9_000 + "]" * 9_000, "is not TOML"),
        (f"[values]\nx = '{'y' * MAX_VALUE_BYTES}'", f"x: {MAX_VALUE_BYTES + 2} bytes"),
        ("[values]\n" + "".join(f"x{i} = 1\n" for i in range(MAX_PATHS + 1)), "10001 paths"),
        ("x =", "is not TOML"),
        ("a = 1\na = 2", "is not TOML"),
    ],
)
def test_a_fault_names_file_key_and_remedy(text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        parse(text.encode(), FILE)
    assert "my.toml" in str(caught.value) and "FOUNDATION_CONFIG_FILE" in str(caught.value)


def test_more_bytes_in_all_than_a_table_holds_are_refused() -> None:
    value = "y" * 60_000
    text = "[values]\n" + "".join(f"x{i} = '{value}'\n" for i in range(300))
    with pytest.raises(ConfigurationError, match="bytes in all"):
        parse(text.encode(), FILE)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\x00"])
def test_a_file_that_is_not_text_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is not TOML in UTF-8"):
        read_defaults(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigurationError, match=f"{path} cannot be read"):
            read_defaults(path)
