"""The configuration's pure parts: paths, the allowlist, the table of values."""

from __future__ import annotations

import itertools
import json
import random
import re

import pytest

from service.config.model import (
    MAX_PATH_CHARS,
    Allowlist,
    ConfigTable,
    Defaults,
    check_path,
    path_fault,
    pattern_fault,
)
from service.errors import InvalidInput


@pytest.mark.parametrize(
    "path",
    ["a", "features/dark_mode", "A-1/b_2/3", "a/b/c/d/e/f/g/h", "x" * 64, "updatable/x", "x/feed"],
)
def test_a_path_of_one_to_eight_segments_is_taken(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "a/b/c/d/e/f/g/h/i",
        "x" * 65,
        "a.b",
        "a b",
        "a\n",
        "a\x00",
        "é",
        "\u0663",
        "\uff41",
        "..",
        "a/../b",
        "a%2Fb",
        "*",
        "updatable",
        "feed",
        "/".join(["x" * 60] * 3),
    ],
)
def test_any_other_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match="path"):
        check_path(path)


def test_the_longest_path_fits_a_stream_s_name() -> None:
    longest = "/".join(["x" * 59] * 3)
    assert len(longest) == MAX_PATH_CHARS - 1 and path_fault(longest + "x") is None
    assert path_fault(longest + "xx") is not None
    assert len("$config/" + longest + "x") <= 200


@pytest.mark.parametrize(
    ("pattern", "path", "allowed"),
    [
        ("features/*", "features/x", True),
        ("features/*", "features", False),
        ("features/*", "features/x/y", False),
        ("features/*", "featuresx/y", False),
        ("*", "a", True),
        ("*", "a/b", False),
        ("*/x", "a/x", True),
        ("**", "a", True),
        ("**", "a/b/c/d/e/f/g/h", True),
        ("dev/**", "dev", False),
        ("dev/**", "dev/a", True),
        ("dev/**", "dev/a/b", True),
        ("dev/**", "devil/a", False),
        ("a/*/c/**", "a/b/c", False),
        ("a/*/c/**", "a/b/c/d", True),
        ("a/new_*", "a/new_x", True),
        ("a/new_*", "a/new_", True),
        ("a/new_*", "a/old_x", False),
        ("a/*_x_*", "a/1_x_2", True),
        ("a/a*a", "a/a", False),
        ("a/a*a", "a/aa", True),
        ("a/a*b*a", "a/aba", True),
        ("a/a*b*a", "a/aab", False),
        ("a/exact", "a/exact", True),
        ("a/exact", "a/Exact", False),
    ],
)
def test_a_pattern_matches_whole_segments(pattern: str, path: str, allowed: bool) -> None:
    assert pattern_fault(pattern) is None
    assert Allowlist([pattern]).allows(path) is allowed


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "**/a",
        "a/**/b",
        "a**",
        "a/***",
        "a?",
        "[ab]",
        "a.b",
        "a\n",
        "(a+)+$",
        "é",
        "x" * 181,
        "a/b/c/d/e/f/g/h/i",
    ],
)
def test_any_other_pattern_has_a_fault(pattern: str) -> None:
    assert pattern_fault(pattern)


def test_without_patterns_nothing_is_allowed() -> None:
    assert not Allowlist([]).allows("a")


def test_segments_match_as_a_regular_expression_would() -> None:
    """The matcher against `re` on small random inputs; ten stars make `re` itself hopeless."""
    rng = random.Random(5)
    seen = {True: 0, False: 0}
    for _ in range(4_000):
        pattern = "".join(rng.choice("ab*") for _ in range(rng.randint(1, 6)))
        pattern = re.sub(r"\*+", "*", pattern)
        text = "".join(rng.choice("ab") for _ in range(rng.randint(1, 7)))
        expected = bool(re.fullmatch(pattern.replace("*", "[ab]*"), text))
        assert Allowlist([pattern]).allows(text) is expected, (pattern, text)
        seen[expected] += 1
    assert min(seen.values()) > 500


def test_a_hostile_pattern_takes_no_time() -> None:
    """64 characters with 31 stars: by backtracking more steps than a machine can do."""
    pattern = "/".join(["*a" * 31] * 2)
    text = "/".join(["a" * 62 + "b"] * 2)
    assert pattern_fault(pattern) is None
    allowlist = Allowlist([pattern] * 100)
    assert not any(allowlist.allows(text) for _ in range(100))


DEFAULTS = Defaults({"b/x": b"1", "a": b"null", "b/y": b"[]"}, ("b/*",))


def entry(table: ConfigTable, path: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(table.entries[path].reply)
    return found


def test_defaults_have_version_zero_and_no_time() -> None:
    table = ConfigTable(DEFAULTS)
    assert entry(table, "b/x") == {
        "path": "b/x",
        "value": 1,
        "version": 0,
        "changed_at": None,
        "updatable": True,
    }
    assert entry(table, "a")["updatable"] is False
    assert (len(table), table.last_seq, table.changed()) == (3, 0, [])


def test_versions_are_applied_in_any_order_and_never_go_back() -> None:
    changes = [(version, b"%d" % version, 100 + version) for version in (1, 2, 3, 4)]
    for order in itertools.permutations(changes):
        table = ConfigTable(DEFAULTS)
        shown = []
        for version, value, seq in order:
            table.apply("b/x", value, version, 1_000, seq)
            shown.append(table.entries["b/x"].version)
        assert shown == sorted(shown)
        assert (table.entries["b/x"].value, table.last_seq) == (b"4", 104)


def test_a_prefix_lists_its_paths_in_order() -> None:
    table = ConfigTable(DEFAULTS)
    table.apply("b/x1", b"2", 1, 5, 9)
    table.apply("c", b"2", 1, 5, 10)
    assert [one.path for one in table.under("b/x")] == ["b/x", "b/x1"]
    assert [one.path for one in table.under("")] == ["a", "b/x", "b/x1", "b/y", "c"]
    assert list(table.under("d")) == [] == list(table.under("b/x1/"))


def test_the_size_follows_every_change() -> None:
    table = ConfigTable(Defaults())
    assert table.growth_bytes("p", b"12345") == 6
    table.apply("p", b"12345", 1, 0, 1)
    table.apply("p", b"1", 2, 0, 2)
    table.apply("q", b"1", 1, 0, 3)
    assert (table.size_bytes, len(table)) == (4, 2)
    assert table.growth_bytes("q", b"123") == 2
