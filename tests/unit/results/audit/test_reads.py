"""What the audit read, to the disk and back; damaged files name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.audit.reads import (
    CHUNK_RECORDS,
    MAX_ORIGINS,
    RECORD,
    Kind,
    Origins,
    ReadsWriter,
    packed,
    place_of,
    read_reads,
)
from results.auditor import Found
from results.errors import AuditError
from tests.unit.results.audited import OTHER, SAID, copy, id_of


def written_file(tmp_path: Path, count: int = 3) -> Path:
    path = tmp_path / "reads.bin"
    writer = ReadsWriter(path, "run")
    writer.write(packed(0, [id_of(n) for n in range(count)], [copy(0)], Origins()))
    writer.finish()
    writer.close()
    assert writer.records == count
    return path


def read(path: Path, *, records: int = 3, run_id: str = "run", nodes: int = 1) -> bytes:
    return b"".join(read_reads(path, run_id=run_id, records=records, nodes=nodes))


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    first, *others = RECORD.iter_unpack(read(written_file(tmp_path)))
    assert first == (id_of(0), SAID, place_of("1"), 0, 0, Kind.FOUND)
    assert sorted(id for id, *_ in others) == [id_of(1), id_of(2)]
    assert {kind for *_, kind in others} == {Kind.MISSED}


def test_many_records_come_in_chunks_of_whole_ones(tmp_path: Path) -> None:
    count = 2 * CHUNK_RECORDS + 5
    path = written_file(tmp_path, count)
    chunks = list(read_reads(path, run_id="run", records=count, nodes=1))
    assert [len(chunk) // RECORD.size for chunk in chunks] == [CHUNK_RECORDS, CHUNK_RECORDS, 5]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Found(b"short", SAID), "16 bytes"),
        (Found(id_of(1), b"short"), "16 bytes and a digest 8"),
        (copy(9), "not asked for"),
        (copy(1, origin="x" * 501), "at most 500 characters"),
        (Found(id_of(1), origin=None), "an origin is a name"),  # type: ignore[arg-type]
    ],
)
def test_an_answer_that_cannot_be_kept_is_refused(found: Found, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        packed(0, [id_of(1)], [found], Origins())


def test_origins_are_numbered_and_bounded() -> None:
    origins = Origins()
    numbers = [origins.number(f"n{index}") for index in range(MAX_ORIGINS)]
    assert numbers == list(range(MAX_ORIGINS))
    assert origins.number("n5") == 5
    with pytest.raises(ValueError, match="more than 65,536"):
        origins.number("one more")


def test_places_differ_where_their_texts_do() -> None:
    texts = ["", "1", "2", "1" * 10_000, "é", "\ud800"]
    assert len({place_of(text) for text in texts}) == len(texts)


def test_a_file_cut_at_any_byte_is_refused_and_named(tmp_path: Path) -> None:
    path = written_file(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(AuditError, match=r"reads\.bin"):
            read(path)


def test_more_records_than_were_told_of_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"3 records, but audit\.json says 2"):
        read(written_file(tmp_path), records=2)


def test_reads_of_another_run_or_version_are_refused(tmp_path: Path) -> None:
    path = written_file(tmp_path)
    with pytest.raises(AuditError, match="another run or version"):
        read(path, run_id="other")
    path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2'))
    with pytest.raises(AuditError, match="another run or version"):
        read(path)


@pytest.mark.parametrize(
    "record",
    [
        RECORD.pack(id_of(1), OTHER, bytes(8), 1, 0, Kind.FOUND),
        RECORD.pack(id_of(1), OTHER, bytes(8), 0, 0, 3),
        RECORD.pack(id_of(1), OTHER, bytes(8), 0, 0, 0),
    ],
)
def test_a_record_of_no_node_or_kind_names_its_byte(record: bytes, tmp_path: Path) -> None:
    path = written_file(tmp_path)
    at = path.stat().st_size
    path.write_bytes(path.read_bytes() + record)
    with pytest.raises(AuditError, match=rf"reads\.bin, byte {at}: "):
        read(path, records=4)


@pytest.mark.parametrize("header", [b"", b"\n", b"[" * 4000, b"{}\n", b"\xff\n", b"x" * 10_000])
def test_a_file_without_our_header_is_refused(header: bytes, tmp_path: Path) -> None:
    path = tmp_path / "reads.bin"
    path.write_bytes(header)
    with pytest.raises(AuditError, match="the first line is not"):
        read(path, records=0)


def test_a_file_that_is_not_there_or_is_a_folder_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(AuditError, match=path.name):
            read(path)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="cannot write"):
        ReadsWriter(tmp_path / "no folder" / "reads.bin", "run")


def test_a_full_disk_is_told() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    writer = ReadsWriter(full, "run")
    with pytest.raises(AuditError, match="No space left"):
        writer.write(bytes(2**20))
        writer.finish()
    writer.close()
