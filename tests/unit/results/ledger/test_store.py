"""The ledger on disk: what is written comes back, and what is damaged is told with its place."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from results.errors import LedgerError
from results.ledger.ledger import RECORD, WritesReport
from results.ledger.store import INDEX, NODES, WRITES, IndexEntry, LedgerFile, LedgerWriter
from results.run_folder import RunFolder, create_run

ROOT = Path(__file__).resolve().parents[4]


def report(
    sequence: int = 0, *, nodes: tuple[str, ...] = ("a",), source: str = "w1", dropped: int = 0
) -> WritesReport:
    """A write to each of `nodes`, whose id ends in the sequence and the node's number."""
    records = b"".join(
        RECORD.pack(bytes(14) + bytes((sequence, at)), b"digestof", sequence, at, 1)
        for at in range(len(nodes))
    )
    return WritesReport(source, sequence, nodes, records, dropped)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return create_run(tmp_path, "run-1")


def written(folder: RunFolder, *reports: WritesReport) -> LedgerFile:
    writer = LedgerWriter(folder)
    for one in reports:
        writer.take(one)
    writer.close()
    return opened(folder)


def opened(folder: RunFolder) -> LedgerFile:
    found = LedgerFile.open(folder)
    assert found is not None
    return found


def where(ledger: LedgerFile, **options: int) -> list[tuple[bytes, str]]:
    """Each write's id and the name of its node."""
    return [
        (row[0][-2:], ledger.nodes[row[3]])
        for chunk in ledger.records(**options)
        for row in RECORD.iter_unpack(chunk)
    ]


def test_a_run_without_writes_has_no_ledger(folder: RunFolder) -> None:
    assert LedgerFile.open(folder) is None


def test_what_was_written_comes_back(folder: RunFolder) -> None:
    ledger = written(folder, report(0), report(1, nodes=("a", "b")))
    assert (ledger.run_id, ledger.nodes, ledger.count, ledger.torn) == (
        "run-1",
        ("a", "b"),
        3,
        False,
    )
    assert where(ledger) == [(b"\0\0", "a"), (b"\1\0", "a"), (b"\1\1", "b")]
    assert ledger.reports == (IndexEntry("w1", 0, 1), IndexEntry("w1", 1, 2))


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_records_come_whole_in_chunks_of_any_size(folder: RunFolder, chunk: int) -> None:
    ledger = written(folder, report(0, nodes=("a", "b", "c")), report(1, nodes=("a", "b")))
    sizes = [len(each) for each in ledger.records(chunk)]
    assert sum(sizes) == 5 * RECORD.size and max(sizes) <= chunk * RECORD.size
    assert len(where(ledger, chunk_records=chunk)) == 5


def test_every_workers_own_numbers_of_nodes_become_the_ledgers(folder: RunFolder) -> None:
    ledger = written(
        folder,
        report(0, nodes=("a", "b")),
        report(1, nodes=("c", "b", "a"), source="w2"),
        report(2, nodes=("b",), source="w3"),
    )
    assert ledger.nodes == ("a", "b", "c")
    assert where(ledger) == [
        (b"\0\0", "a"), (b"\0\1", "b"),
        (b"\1\0", "c"), (b"\1\1", "b"), (b"\1\2", "a"),
        (b"\2\0", "b"),
    ]  # fmt: skip


def test_numbers_beyond_a_byte_are_kept(folder: RunFolder) -> None:
    many = [tuple(f"{source}{n}" for n in range(200)) for source in "abc"]
    ledger = written(folder, *(report(at, nodes=nodes) for at, nodes in enumerate(many)))
    assert len(ledger.nodes) == 600
    assert [node for _, node in where(ledger)] == [node for nodes in many for node in nodes]


def test_what_was_dropped_is_in_the_index(folder: RunFolder) -> None:
    ledger = written(folder, report(0, dropped=5), WritesReport("w2", 0, (), b"", 7))
    assert [(entry.source, entry.records, entry.dropped) for entry in ledger.reports] == [
        ("w1", 1, 5), ("w2", 0, 7),
    ]  # fmt: skip


def test_names_of_nodes_may_hold_anything(folder: RunFolder) -> None:
    name = 'http://ü"\n\x00<b>=1'
    assert written(folder, report(0, nodes=(name,))).nodes == (name,)


def test_a_ledger_is_never_continued(folder: RunFolder) -> None:
    written(folder, report())
    before = (folder.ledger / WRITES).read_bytes()
    with pytest.raises(LedgerError, match="never continued"):
        LedgerWriter(folder)
    assert (folder.ledger / WRITES).read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"cannot create .*ledger"):
        LedgerWriter(RunFolder(tmp_path / "nowhere"))


# Cut off and damaged


def test_a_ledger_that_ends_at_any_byte_is_readable_or_named(folder: RunFolder) -> None:
    written(folder, report(0), report(1, nodes=("a", "b")))
    path = folder.ledger / WRITES
    whole = path.read_bytes()
    begins = whole.index(b"\n") + 1
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        ledger = opened(folder)
        if size < begins:
            assert (ledger.run_id, ledger.count, ledger.torn) == ("", 0, True)
            continue
        assert ledger.count == (size - begins) // RECORD.size == len(where(ledger))
        assert ledger.torn == bool((size - begins) % RECORD.size)


@pytest.mark.parametrize("name", [INDEX, NODES])
def test_an_index_that_ends_at_any_byte_gives_what_is_whole(folder: RunFolder, name: str) -> None:
    written(folder, report(0), report(1))
    path = folder.ledger / name
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        ledger = opened(folder)
        rows = ledger.reports if name == INDEX else ledger.nodes
        assert len(rows) == whole[:size].count(b"\n")
        assert ledger.torn == (name == INDEX and not whole[:size].endswith(b"\n") and size > 0)


def test_a_record_of_a_node_without_a_name_is_found_at_its_byte(folder: RunFolder) -> None:
    ledger = written(folder, report(0), report(1, nodes=("a", "b")))
    (folder.ledger / NODES).write_bytes(b'{"index":0,"node":"a"}\n')
    begins = (folder.ledger / WRITES).stat().st_size - 3 * RECORD.size
    with pytest.raises(LedgerError, match=rf"writes.bin, byte {begins + 64 + 28:,}: node 1 has no"):
        where(opened(folder), chunk_records=1)
    assert ledger.count == 3


def test_a_record_with_an_outcome_that_is_none_is_found_at_its_byte(folder: RunFolder) -> None:
    written(folder, report(0), report(1))
    path = folder.ledger / WRITES
    data = bytearray(path.read_bytes())
    data[-2] = 9
    path.write_bytes(data)
    with pytest.raises(LedgerError, match=rf"byte {len(data) - 2}: 9 is no outcome"):
        where(opened(folder))


def test_a_ledger_that_becomes_shorter_while_it_is_read_is_told(folder: RunFolder) -> None:
    ledger = written(folder, report(0), report(1))
    os.truncate(folder.ledger / WRITES, (folder.ledger / WRITES).stat().st_size - RECORD.size)
    with pytest.raises(LedgerError, match="became shorter"):
        where(ledger)
    os.truncate(folder.ledger / WRITES, (folder.ledger / WRITES).stat().st_size - 5)
    with pytest.raises(LedgerError, match="is cut off"):
        where(ledger)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (WRITES, b"x" * 20_000, "no header line"),
        (WRITES, b"[]\n", "an object is expected"),
        (WRITES, b"\xff\xfe\n", "writes.bin, line 1"),
        (WRITES, b"[" * 10_000 + b"\n", "nested too deeply|line 1"),
        (WRITES, b'{"kind":"timeline","version":1,"run_id":"x"}\n', "no file of 'ledger-writes'"),
        (WRITES, b'{"kind":"ledger-writes","version":2,"run_id":"x"}\n', "version 2.*version 1"),
        (WRITES, b'{"kind":"ledger-writes","version":1,"run_id":5}\n', "'run_id' must be text"),
        (WRITES, b'{"kind":"ledger-writes","version":1,"run_id":"x","a":1}\n', "unknown field"),
        (NODES, b'{"index":1,"node":"a"}\n', "nodes.jsonl, line 1: node 1 is out of turn"),
        (NODES, b'{"index":0,"node":5}\n', "nodes.jsonl, line 1: .*'node' must be text"),
        (NODES, b'{"index":0}\n', "nodes.jsonl, line 1: .*'node' is missing"),
        (NODES, b"x" * 20_000, "nodes.jsonl, line 1: the line is longer"),
        (INDEX, b"null\n", "index.jsonl, line 1"),
        (INDEX, b'{"source":"w","sequence":0,"records":-1}\n', "'records' must be at least 0"),
        (INDEX, b'{"source":"w","sequence":0,"records":1e999}\n', "'records' must be a whole"),
        (INDEX, b'{"source":"w","sequence":0,"records":1,"x":1}\n', "unknown field 'x'"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_place(
    folder: RunFolder, name: str, content: bytes, told: str
) -> None:
    written(folder, report())
    (folder.ledger / name).write_bytes(content)
    with pytest.raises(LedgerError, match=told):
        opened(folder)


@pytest.mark.parametrize("name", [WRITES, NODES, INDEX])
def test_a_file_that_is_gone_is_named(folder: RunFolder, name: str) -> None:
    written(folder, report())
    (folder.ledger / name).unlink()
    with pytest.raises(LedgerError, match=f"cannot read .*{name}"):
        opened(folder)


# A disk that is full, and a process that is killed


@contextmanager
def no_file_beyond(size_bytes: int) -> Iterator[None]:
    """As a disk that is full: longer files cannot be written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_ledger_that_cannot_be_begun_leaves_nothing(folder: RunFolder) -> None:
    with no_file_beyond(10), pytest.raises(LedgerError, match="free space"):
        LedgerWriter(folder)
    assert LedgerFile.open(folder) is None and not folder.ledger.exists()


def test_a_full_disk_leaves_what_was_written_and_refuses_the_rest(folder: RunFolder) -> None:
    writer = LedgerWriter(folder)
    writer.take(report(0))
    with no_file_beyond((folder.ledger / WRITES).stat().st_size + RECORD.size // 2):
        with pytest.raises(LedgerError, match=r"cannot write .*writes\.bin: .*free space"):
            writer.take(report(1))
        with pytest.raises(LedgerError, match="an earlier write failed"):
            writer.take(report(2))
        with pytest.raises(LedgerError, match="cannot close"):
            writer.close()
    ledger = opened(folder)
    assert ledger.torn and len(where(ledger)) == 1
    assert [entry.sequence for entry in ledger.reports] == [0], "and so the rest is known to lack"


KILLED = """
import os, signal, sys
from pathlib import Path
from results.ledger.ledger import RECORD, WritesReport
from results.ledger.store import LedgerWriter
from results.run_folder import RunFolder
writer = LedgerWriter(RunFolder(Path(sys.argv[1])))
for sequence in range(3):
    records = RECORD.pack(bytes(16), bytes(8), 0, 0, 1)
    writer.take(WritesReport("w1", sequence, ("a",), records))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_taken_is_on_disk_when_the_process_is_killed(folder: RunFolder) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder.path)], cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL
    ledger = opened(folder)
    assert (ledger.count, len(ledger.reports), ledger.torn) == (3, 3, False)


def test_the_index_is_json_of_a_line_a_report(folder: RunFolder) -> None:
    written(folder, report(0), report(1, dropped=2))
    lines = (folder.ledger / INDEX).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"source": "w1", "sequence": 0, "records": 1},
        {"source": "w1", "sequence": 1, "records": 1, "dropped": 2},
    ]
