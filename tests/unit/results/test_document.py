"""Documents of bundles that lack keys or hold anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from results.document import Document, as_text, read_document
from results.errors import RunFolderError

ANYTHING = [None, True, 1, 1.5, "text", [], [1], {}, {"a": 1}, 10**400]


def test_values_of_another_type_are_as_if_they_were_not_there() -> None:
    for value in ANYTHING:
        found = Document({"key": value})
        assert found.text("key") == (value if isinstance(value, str) else "")
        assert (found.number("key") is None) == (value not in (1, 1.5) or value is True)
        assert found.truth("key") is (value if isinstance(value, bool) else None)
        assert bool(found.table("key")) is (value == {"a": 1})
        assert found.rows("key") == []
        assert found.lines("key") == []
        assert found.pairs("key") == []


def test_a_document_of_another_type_is_an_empty_one() -> None:
    for value in ANYTHING[:-1]:
        if not isinstance(value, dict):
            assert not Document(value)
            assert Document(value).texts() == {}


def test_lists_keep_what_is_understood() -> None:
    found = Document({"list": ["a", 1, {"b": 2}, [1, 2], [3, "x"], [4]]})
    assert found.lines("list") == ["a"]
    assert found.figures("list") == [1.0]
    assert [row.number("b") for row in found.rows("list")] == [2.0]
    assert found.pairs("list") == [(1.0, 2.0)]


def test_numbers_that_are_none_are_left_out() -> None:
    found = Document({"a": 1, "b": "x", "c": True, "d": float("nan")})
    assert found.numbers() == {"a": 1.0}
    assert [name for name, _ in Document({"t": {"x": 1}, "u": 2}).tables()] == ["t"]


def test_values_read_as_text() -> None:
    assert [as_text(v) for v in ("a", None, True, ["a", "b"], [1, 2], {"a": 1}, 1.5)] == [
        "a",
        "none",
        "yes",
        "a, b",
        "[1, 2]",
        '{"a": 1}',
        "1.5",
    ]


@pytest.mark.parametrize(
    "content",
    [b"", b'{"verdict": "PASS"', b"\xff\xfe\x00", b"[1]", b"[" * 200_000, b'{"a":' + b"9" * 5_000],
)
def test_a_file_that_is_no_document_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "verdict.json"
    path.write_bytes(content)
    with pytest.raises(RunFolderError, match=r"verdict\.json"):
        read_document(path)


def test_a_folder_a_link_and_a_pipe_in_its_place_are_named(tmp_path: Path) -> None:
    (tmp_path / "target.json").write_text("{}")
    (tmp_path / "link.json").symlink_to(tmp_path / "target.json")
    (tmp_path / "loose.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("", "link.json", "loose.json", "pipe.json"):
        with pytest.raises(RunFolderError, match="cannot read"):
            read_document(tmp_path / name)


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_document(tmp_path / "verdict.json") is None
