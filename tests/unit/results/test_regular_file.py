"""What lies in a run's folder may be anything: only regular files are opened, and nothing waits."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from results.audit.offline import audit_of
from results.bundle.digest import digest_of, read_digests
from results.errors import ResultsError
from results.regular_file import open_regular
from results.replay import replay
from results.run_folder import RunFolder, read_json
from tests.unit.results.audited import copy, folder_of, written
from tests.unit.results.builder import timeline, write

ROOT = Path(__file__).resolve().parents[3]
Spoil = Callable[[Path], None]


def as_link(path: Path) -> None:
    outside = path.parents[2] / "outside"
    path.replace(outside)
    path.symlink_to(outside)


def as_loose_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


SPOILS = (as_link, as_loose_link, as_pipe, as_folder, as_device)


def run_of(tmp_path: Path) -> RunFolder:
    """A small run with a ledger and its audit."""
    folder = folder_of(tmp_path, [written(1)], {0: ([1], [copy(1)])})
    write(folder.timeline, timeline([]))
    for path in (folder.verdict, folder.manifest):
        path.write_text("{}")
    folder.digests.write_text(f"{'0' * 64}  a\n")
    return folder


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"said")
    with open_regular(path) as file:
        assert file.read() == b"said"
        assert not os.get_inheritable(file.fileno())


@pytest.mark.parametrize("spoil", SPOILS)
def test_what_is_no_regular_file_is_named_and_left_alone(tmp_path: Path, spoil: Spoil) -> None:
    (tmp_path / "run" / "ledger").mkdir(parents=True)
    path = tmp_path / "run" / "ledger" / "file"
    path.write_bytes(b"said")
    spoil(path)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError) as caught:
        open_regular(path)
    assert re.search("no regular file|a symbolic link", str(caught.value))
    del caught
    assert len(os.listdir("/proc/self/fd")) == before, "no descriptor is left"


def test_a_socket_is_no_regular_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises(OSError, match="no regular file"):
            open_regular(Path("socket"))


READERS: dict[str, Callable[[RunFolder], object]] = {
    "timeline.jsonl": lambda folder: replay(folder.timeline),
    "verdict.json": lambda folder: read_json(folder.verdict),
    "manifest.json": lambda folder: read_json(folder.manifest),
    "digests.txt": lambda folder: (read_digests(folder.digests), digest_of(folder.digests)),
    "ledger/writes.bin": audit_of,
    "ledger/nodes.jsonl": audit_of,
    "ledger/index.jsonl": audit_of,
    "ledger/audit.json": audit_of,
    "ledger/reads.bin": audit_of,
}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_of_a_run_refuses_what_is_no_regular_file(tmp_path: Path, name: str) -> None:
    folder = run_of(tmp_path)
    READERS[name](folder)
    for spoil in SPOILS:
        kept = (folder.path / name).read_bytes()
        spoil(folder.path / name)
        with pytest.raises(ResultsError, match=name) as caught:
            READERS[name](folder)
        assert re.search("no regular file|a symbolic link", str(caught.value))
        path = folder.path / name
        path.rmdir() if path.is_dir() else path.unlink()
        path.write_bytes(kept)


def test_a_ledger_elsewhere_is_not_read(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    folder.ledger.rename(tmp_path / "elsewhere")
    folder.ledger.symlink_to(tmp_path / "elsewhere")
    for read in (audit_of, lambda folder: replay(folder.timeline)):
        with pytest.raises(ResultsError, match="ledger: it is a symbolic link"):
            read(folder)


def test_a_pipe_does_not_keep_the_command_waiting(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    as_pipe(folder.ledger / "writes.bin")
    command = [sys.executable, "-m", "results.report", str(folder.path)]
    folder.verdict.unlink()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 1
    assert "writes.bin: it is no regular file" in done.stderr


def test_no_other_module_opens_what_a_run_left() -> None:
    """`slo.py` reads a file that its user names, which may be a link; a lock is not read."""
    reads = re.compile(r"os\.open\(|fdopen\(|\.open\(\)|\.open\(\"r|\.read_(text|bytes)\(")
    mine = {"results/regular_file.py", "results/text/slo.py", "results/report/page.py"}
    mine.add("results/run_lock.py")
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "results").rglob("*.py")
        if reads.search(path.read_text())
    }
    assert found <= mine
    assert "results/regular_file.py" in found, "the control"
