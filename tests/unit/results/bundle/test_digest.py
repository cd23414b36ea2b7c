"""`digests.txt`: what sha256sum reads too, and nothing that leads out of the folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from results.bundle.digest import (
    DEEPEST,
    MAX_DIGESTS_BYTES,
    MAX_LINE_BYTES,
    as_text,
    digest_of,
    files_below,
    read_digests,
)
from results.errors import BundleError

DIGEST = "0" * 64
ODD_NAMES = ["plain", "with blank", "b\\ack", "new\nline", "r\rl", "ü", "a\udcffb", "-x", "=1+1"]


def listed(tmp_path: Path, text: bytes) -> Path:
    path = tmp_path / "digests.txt"
    path.write_bytes(text)
    return path


@pytest.mark.parametrize("name", ODD_NAMES)
def test_what_is_written_is_read_back_and_sha256sum_agrees(tmp_path: Path, name: str) -> None:
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / name
    path.write_bytes(b"content")
    digest = hashlib.sha256(b"content").hexdigest()
    assert digest_of(path) == digest
    text = as_text([(f"sub/{name}", digest)])
    assert read_digests(listed(tmp_path, text)) == {f"sub/{name}": digest}
    check = ["sha256sum", "--check", "--strict", "digests.txt"]
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    path.write_bytes(b"c0ntent")
    assert digest_of(path) != digest
    done = subprocess.run(check, cwd=tmp_path, capture_output=True, timeout=30)
    assert done.returncode == 1, "the control: sha256sum sees the change"


def test_a_line_as_sha256sum_writes_it_for_binary_files_is_read(tmp_path: Path) -> None:
    assert read_digests(listed(tmp_path, f"{DIGEST} *a\n".encode())) == {"a": DIGEST}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("/etc/passwd", "does not lead"),
        ("../up", "does not lead"),
        ("a/../../up", "does not lead"),
        ("a/./b", "does not lead"),
        ("a//b", "does not lead"),
        ("a/", "does not lead"),
        (".", "does not lead"),
        ("a\0b", "does not lead"),
        ("digests.txt", "itself"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused_with_its_line(
    tmp_path: Path, name: str, what: str
) -> None:
    text = f"{DIGEST}  fine\n{DIGEST}  {name}\n".encode()
    with pytest.raises(BundleError, match=rf"digests\.txt, line 2: .*{what}"):
        read_digests(listed(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "is empty"),
        (b"\n", "line 1: not 64 hex"),
        (b"hello\n", "line 1: not 64 hex"),
        (f"{DIGEST}  a".encode(), "line 1: the line is torn"),
        (f"{DIGEST}  a\n{DIGEST}  b".encode(), "line 2: the line is torn"),
        (f"{DIGEST}  a\n{DIGEST}  a\n".encode(), "line 2: a is listed twice"),
        (f"{DIGEST[:-1]}  a\n".encode(), "not 64 hex"),
        (f"{DIGEST.replace('0', 'A')}  a\n".encode(), "not 64 hex"),
        (f"{DIGEST} a\n".encode(), "not 64 hex"),
        (f"{DIGEST}  \n".encode(), "not 64 hex"),
        (f"\\{DIGEST}  a\\x\n".encode(), "no escape"),
        (f"\\{DIGEST}  a\\\n".encode(), "no escape"),
        (f"{DIGEST}  {'a' * MAX_LINE_BYTES}\n".encode(), "line 1: longer than"),
        (b"a" * (MAX_DIGESTS_BYTES + 1), "longer than"),
        (b"\xff\xfe\x1b[2J\n", r"not 64 hex.*\\x1b"),
    ],
)
def test_digests_of_another_format_are_refused_with_their_place(
    tmp_path: Path, text: bytes, what: str
) -> None:
    with pytest.raises(BundleError, match=what):
        read_digests(listed(tmp_path, text))


def test_digests_that_are_no_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "digests.txt"
    with pytest.raises(BundleError, match="cannot read"):
        read_digests(path)
    path.mkdir()
    with pytest.raises(BundleError, match="cannot read"):
        read_digests(path)
    path.rmdir()
    outside = tmp_path / "outside"
    outside.write_text(f"{DIGEST}  a\n")
    path.symlink_to(outside)
    with pytest.raises(BundleError, match="cannot read"):
        read_digests(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BundleError, match="no regular file"):
        read_digests(path)


def test_a_walk_finds_files_and_names_what_is_none_without_following_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "logs").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").touch()
    for name in ("b", "a", "logs/x", "digests.txt", ".a.12.part", "logs/digests.txt", ".hidden"):
        (folder / name).touch()
    (folder / "link").symlink_to(outside / "secret")
    (folder / "linked").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    found = files_below(folder)
    assert list(found.files) == [".hidden", "a", "b", "logs/digests.txt", "logs/x"]
    assert found.strange == {
        "link": "a symbolic link",
        "linked": "a symbolic link",
        "pipe": "not a regular file",
    }
    for name in ("link", "pipe"):
        with pytest.raises(BundleError, match="cannot read"):
            digest_of(folder / name)


def test_a_folder_too_deep_or_with_too_many_files_is_refused(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * (DEEPEST + 1))
    deep.mkdir(parents=True)
    (deep / "file").touch()
    assert list(files_below(tmp_path).strange.values()) == [
        f"a folder more than {DEEPEST} levels deep"
    ]
    with pytest.raises(BundleError, match="too many files"):
        as_text((f"file {n}", DIGEST) for n in range(MAX_DIGESTS_BYTES // 70))
    with pytest.raises(BundleError, match="too long"):
        as_text([("x" * MAX_LINE_BYTES, DIGEST)])
    with pytest.raises(BundleError, match="cannot look through"):
        files_below(tmp_path / "absent")
