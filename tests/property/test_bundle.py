"""Whatever is done to a bundle's files: verifying answers, and a change is found."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.bundle.bundle import seal, verify
from results.bundle.junit import junit
from results.bundle.run_list import listed
from results.errors import BundleError
from results.replay import replay
from results.run_folder import RunFolder
from results.verdict import as_document
from tests.unit.results.audited import Answers, copy, folder_of, written
from tests.unit.results.made_run import made_run

FILES = (
    *("timeline.jsonl", "verdict.json", "manifest.json", "junit.xml", "digests.txt"),
    *("ledger/writes.bin", "ledger/nodes.jsonl", "ledger/index.jsonl"),
    *("ledger/reads.bin", "ledger/audit.json"),
)

ANSWERS: Answers = {0: ([1, 2, 3], [copy(1), copy(2)]), 1: ([3], [])}
RECORDS = [written(1), written(2), written(3, second=2)]

changes = st.one_of(
    st.tuples(st.just("flip"), st.floats(0, 1, exclude_max=True), st.integers(0, 7)),
    st.tuples(st.just("cut"), st.floats(0, 1, exclude_max=True), st.just(0)),
    st.tuples(st.just("insert"), st.floats(0, 1), st.binary(min_size=1, max_size=20)),
    st.tuples(
        st.just("number"),
        st.floats(0, 1),
        st.sampled_from([b"-1", b"1e999", b"NaN", b"9" * 30, b"9" * 400]),
    ),
    st.tuples(st.just("line"), st.floats(0, 1), st.just(0)),
)


def changed(data: bytes, change: tuple[str, float, object]) -> bytes:
    """One change at a share of the file's length."""
    kind, share, what = change
    at = int(len(data) * share)
    match kind, what:
        case "flip", int(bit):
            return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
        case "cut", _:
            return data[:at]
        case "number", bytes(text):
            digits = [n for n, byte in enumerate(data) if chr(byte).isdigit()]
            n = digits[min(int(len(digits) * share), len(digits) - 1)]
            return data[:n] + text + data[n + 1 :]
        case "line", _:
            lines = data.splitlines(keepends=True)
            n = min(int(len(lines) * share), len(lines) - 1)
            return b"".join([*lines[: n + 1], lines[n], *lines[n + 1 :]])
        case _, bytes(text):
            return data[:at] + text + data[at:]
    raise AssertionError(change)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    audited = folder_of(tmp_path_factory.mktemp("audited"), RECORDS, ANSWERS)
    folder = made_run(tmp_path_factory.mktemp("property"), audited.run_id, is_sealed=False)
    shutil.copytree(audited.ledger, folder.ledger)
    judgement = replay(folder.timeline)
    assert judgement.audit is not None, "the control: the verdict rests on the ledger"
    folder.write_verdict(as_document(judgement))
    folder.write_junit(junit(judgement, folder.run_id))
    seal(folder)
    assert verify(folder).holds
    yield folder.path


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(FILES), change=changes)
def test_any_change_is_found_and_none_breaks_the_verifier(
    bundle: Path, name: str, change: tuple[str, float, object]
) -> None:
    before = (bundle / name).read_bytes()
    after = changed(before, change)
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(Path(shutil.copytree(bundle, Path(place) / "run")))
        (folder.path / name).write_bytes(after)
        assert verify(folder).holds is (after == before)
        listed(folder, now_s=0)
        if name == "digests.txt":
            return
        # Sealed anew the digests hold, so that all the rest of it is read.
        try:
            seal(folder)
        except BundleError:
            return
        verify(folder)
