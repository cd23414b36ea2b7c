"""One audit with auditors of every kind: honest, late, failing, and some that are none."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import gevent
import pytest

from locustfiles.harness.audit import auditing, run_audit
from locustfiles.harness.audit.auditing import AuditSoFar
from locustfiles.harness.audit.run_audit import RunAudit, auditor_of, origins_of
from locustfiles.harness.console import Console
from results.audit import workspace as audit_workspace
from results.audit.audit import Audit, Fate
from results.audit.offline import audit_of
from results.auditor import Auditor, Found, UnreadableError
from results.ledger.ledger import FURTHER_NODES, RECORD, WriteOutcome, WritesReport
from results.ledger.store import LedgerWriter
from results.run_folder import RunFolder, create_run

A, B, C = (f"http://127.0.0.1:{port}" for port in (8001, 8002, 8003))


def id_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


class Nodes:
    """An auditor of nodes that exist in memory; `stored[node]` are its copies."""

    def __init__(self, stored: dict[str, list[Found]] | None = None) -> None:
        self.stored = stored or {}
        self.asked: list[tuple[str, list[bytes]]] = []

    def find(self, node: str, ids: Sequence[bytes]) -> Iterable[Found]:
        self.asked.append((node, list(ids)))
        return [copy for copy in self.stored.get(node, []) if copy.id in ids]


def run_of(tmp_path: Path, count: int, nodes: tuple[str, ...] = (A, B)) -> RunFolder:
    """A run of so many acknowledged writes, each sent to one of the nodes in turn."""
    folder = create_run(tmp_path, "run")
    writer = LedgerWriter(folder)
    outcome = WriteOutcome.ACKNOWLEDGED
    records = [
        RECORD.pack(id_of(n), bytes(8), 0, n % len(nodes), outcome) for n in range(1, count + 1)
    ]
    writer.take(WritesReport("local", 0, nodes, b"".join(records)))
    writer.close()
    return folder


def audit(
    folder: RunFolder,
    auditor: Auditor | None,
    nodes: tuple[str, ...] = (),
    *,
    aborted: str | None = None,
    faults: Callable[[], Sequence[str]] = tuple,
    progress: Callable[[AuditSoFar], None] = lambda so_far: None,
) -> Audit:
    made = RunAudit(folder, auditor, nodes).make(aborted, faults, progress)
    assert made is not None
    assert audit_of(folder) == made, "the same follows from the files"
    return made


def stored_everywhere(count: int) -> dict[str, list[Found]]:
    """Each write where it was sent."""
    odd = [Found(id_of(n)) for n in range(1, count + 1, 2)]
    even = [Found(id_of(n)) for n in range(2, count + 1, 2)]
    return {B: odd, A: even}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "RETRY_S", 0.01)
    monkeypatch.setattr(auditing, "PATIENCE_S", 0.3)
    monkeypatch.setattr(auditing, "FIND_TIMEOUT_S", 0.3)
    monkeypatch.setattr(audit_workspace, "CHUNK_IDS", 7)


def test_each_write_is_looked_for_where_it_was_sent(tmp_path: Path) -> None:
    nodes = Nodes(stored_everywhere(50))
    assert audit(run_of(tmp_path, 50), nodes).of() == {Fate.PRESENT: 50}
    assert sum(len(ids) for _, ids in nodes.asked) == 50
    assert all(len(ids) <= 7 for _, ids in nodes.asked)


def test_what_is_not_there_is_looked_for_on_every_node(tmp_path: Path) -> None:
    nodes = Nodes({C: [Found(id_of(1)), Found(id_of(2))]})
    assert audit(run_of(tmp_path, 3), nodes, (A, B, C)).of() == {Fate.PRESENT: 2, Fate.LOST: 1}
    assert {node for node, _ in nodes.asked} == {A, B, C}


def test_a_run_that_wrote_nothing_asks_nobody(tmp_path: Path) -> None:
    nodes = Nodes()
    folder = create_run(tmp_path, "run")
    assert RunAudit(folder, nodes, (A,)).make(None, tuple, lambda so_far: None) is None
    assert nodes.asked == [] and not folder.ledger.exists()


class Failing(Nodes):
    """Node A fails as it is told to, `times` times."""

    def __init__(self, fail: Callable[[], Any], times: int, stored: dict[str, list[Found]]) -> None:
        super().__init__(stored)
        self.fail, self.left = fail, times

    def find(self, node: str, ids: Sequence[bytes]) -> Iterable[Found]:
        found = super().find(node, ids)
        if node == A and self.left:
            self.left -= 1
            return self.fail() or found
        return found


def raising(error: Exception) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("and none of this either")


class Bare(UnreadableError):
    """Of a user who forgot the base class's constructor."""

    def __init__(self) -> None:
        Exception.__init__(self, "a reason of its own")


WAYS: list[tuple[Callable[[], Any], str]] = [
    (raising(UnreadableError("it answered 500")), "it answered 500"),
    (raising(UnreadableError("it restarts", passes=True)), "it restarts"),
    (raising(RuntimeError("a bug")), "the auditor failed: RuntimeError: a bug"),
    (raising(gevent.Timeout(1)), "no answer within"),
    (lambda: gevent.sleep(5), "no answer within"),
    (lambda: [Found(id_of(999))], "not asked for"),
    (lambda: [Found(b"short")], "16 bytes"),
    (lambda: [("a", "b")], "the auditor failed"),
    (lambda: 5, "the auditor failed"),
    (lambda: [None], "the auditor failed"),
    (lambda: [Found(id_of(2), "text")], "the auditor failed"),  # type: ignore[arg-type]
    (lambda: [Found(id_of(2), None, 7)], "the auditor failed"),  # type: ignore[arg-type]
    (lambda: [Found(id_of(2), origin=None)], "an origin is a name"),  # type: ignore[arg-type]
    (lambda: [Found(id_of(2), origin="x" * 501)], "at most 500 characters"),
    (raising(Unspeakable()), "the auditor failed: Unspeakable: it has no text"),
    (raising(Bare()), "a reason of its own"),
]


@pytest.mark.parametrize(("fail", "why"), WAYS)
def test_a_node_that_cannot_be_read_leaves_its_writes_unverified(
    fail: Callable[[], Any], why: str, tmp_path: Path
) -> None:
    made = audit(run_of(tmp_path, 20), Failing(fail, 10**6, stored_everywhere(20)))
    assert made.of() == {Fate.PRESENT: 10, Fate.UNVERIFIED: 10}
    assert why in made.unread_nodes[A]
    assert why in made.doubts[0]


SECRETS = f"GET http://joe:hunter2@db/x?token=SECRETTOKEN \x1b[31m\ud800{'x' * 3000}"


@pytest.mark.parametrize("error", [UnreadableError(SECRETS), RuntimeError(SECRETS)])
def test_a_reason_is_kept_without_secrets_and_fit_to_be_shown(
    error: Exception, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = run_of(tmp_path, 4)
    made = audit(folder, Failing(raising(error), 10**6, stored_everywhere(4)))
    written = (folder.ledger / "audit.json").read_text()
    for text in (made.unread_nodes[A], made.doubts[0], caplog.text, written):
        assert "http://***@db/x?token=***" in text
        assert not any(word in text for word in ("hunter2", "SECRETTOKEN", "\x1b", "x" * 600))


def test_an_origin_is_kept_without_secrets_and_told_apart_by_them(tmp_path: Path) -> None:
    stored = stored_everywhere(2)
    names = [f"http://joe:{secret}@db/\x1b\ud800" for secret in ("hunter2", "hunter3")]
    stored[A] = [Found(id_of(2), origin=name, place=name) for name in names]
    folder = run_of(tmp_path, 2)
    assert audit(folder, Nodes(stored)).of(node=A) == {Fate.DUPLICATED: 1}
    origins = json.loads((folder.ledger / "audit.json").read_text())["origins"]
    assert origins.count(r"http://***@db/\x1b\ud800") == 2


@pytest.mark.parametrize(("fail", "why"), WAYS[:4])
def test_a_node_that_is_back_in_time_is_read(
    fail: Callable[[], Any], why: str, tmp_path: Path
) -> None:
    made = audit(run_of(tmp_path, 20), Failing(fail, 2, stored_everywhere(20)))
    assert made.of() == {Fate.PRESENT: 20} and not made.unread_nodes and not made.doubts


def test_a_node_that_restarts_is_asked_for_longer_than_one_that_answers_wrongly(
    tmp_path: Path,
) -> None:
    restarts = Failing(raising(UnreadableError("starting", passes=True)), 10, stored_everywhere(4))
    assert audit(run_of(tmp_path / "1", 4), restarts).of() == {Fate.PRESENT: 4}
    lies = Failing(raising(UnreadableError("wrong")), 10, stored_everywhere(4))
    assert audit(run_of(tmp_path / "2", 4), lies).of(node=A) == {Fate.UNVERIFIED: 2}


class Faltering(Nodes):
    """Node A fails twice with each question."""

    failures = 0

    def find(self, node: str, ids: Sequence[bytes]) -> Iterable[Found]:
        found = super().find(node, ids)
        if node == A and self.failures % 3 < 2:
            self.failures += 1
            raise UnreadableError("it restarts", passes=True)
        self.failures += node == A
        return found


def test_patience_with_a_node_does_not_begin_anew_with_each_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = 28, 28 * 20
    monkeypatch.setattr(auditing, "PATIENCE_S", 0.3)
    made = audit(run_of(tmp_path / "few", few), Faltering(stored_everywhere(few)))
    assert made.of() == {Fate.PRESENT: few}, "two questions, 0.04 s of failing"
    nodes = Faltering(stored_everywhere(many))
    made = audit(run_of(tmp_path / "many", many), nodes)
    assert made.unread_nodes == {A: "it restarts"}
    read = made.of(node=A)
    assert read[Fate.PRESENT] and read[Fate.UNVERIFIED], "what was read until then counts"
    assert nodes.failures < 3 * many / 2 / 7
    assert made.of(node=B) == {Fate.PRESENT: many // 2}


def test_an_audit_ends_at_its_limit_and_the_rest_is_unverified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "LIMIT_S", 0.4)
    count = 2_000
    made = audit(run_of(tmp_path, count), Slow(stored_everywhere(count)))
    assert made.unread_nodes.keys() == {A, B}
    assert all("its limit" in reason for reason in made.unread_nodes.values())
    found = made.of()
    assert found.keys() == {Fate.PRESENT, Fate.UNVERIFIED} and sum(found.values()) == count


def test_a_question_that_is_under_way_at_the_limit_is_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditing, "LIMIT_S", 0.2)
    monkeypatch.setattr(auditing, "FIND_TIMEOUT_S", 60.0)
    nodes = Failing(lambda: gevent.sleep(60), 10, stored_everywhere(4))
    made = audit(run_of(tmp_path, 4), nodes)
    assert made.of(node=A) == {Fate.UNVERIFIED: 2} and made.of(node=B) == {Fate.PRESENT: 2}
    assert [node for node, _ in nodes.asked].count(A) == 1


def test_the_limit_grows_with_the_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "LIMIT_S", 0.0)
    monkeypatch.setattr(auditing, "LIMIT_S_PER_WRITE", 1.0)
    assert audit(run_of(tmp_path, 20), Slow(stored_everywhere(20))).of() == {Fate.PRESENT: 20}


def test_writes_of_nodes_that_nobody_tells_apart_are_looked_for_on_all(tmp_path: Path) -> None:
    folder = run_of(tmp_path, 4, (FURTHER_NODES, B))
    made = audit(folder, Nodes({B: [Found(id_of(n)) for n in (1, 2, 3)]}))
    assert made.of() == {Fate.PRESENT: 3, Fate.UNVERIFIED: 1}


def test_a_run_that_was_aborted_is_not_audited(tmp_path: Path) -> None:
    nodes = Nodes()
    made = audit(run_of(tmp_path, 4), nodes, aborted="it was stopped")
    assert made.not_made == "the run was aborted" and nodes.asked == []


def test_without_an_auditor_there_is_no_audit_and_no_doubt(tmp_path: Path) -> None:
    made = audit(run_of(tmp_path, 4), None)
    assert made.not_made == "the scenario names no auditor" and not made.doubts


def test_nodes_are_asked_once_every_fault_is_healed(tmp_path: Path) -> None:
    nodes = Nodes(stored_everywhere(4))
    answers = [["kill-1"], ["kill-1"], [], []]

    def faults() -> Sequence[str]:
        assert nodes.asked == []
        return answers.pop(0)

    assert audit(run_of(tmp_path, 4), nodes, faults=faults).of() == {Fate.PRESENT: 4}
    assert len(answers) == 1


def test_a_fault_that_never_heals_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_audit, "HEALING_TIMEOUT_S", 0.3)
    nodes = Nodes(stored_everywhere(4))
    made = audit(run_of(tmp_path, 4), nodes, faults=lambda: ["kill-1"])
    assert made.of() == {Fate.PRESENT: 4}


class Slow(Nodes):
    """Takes its time over every question."""

    def find(self, node: str, ids: Sequence[bytes]) -> Iterable[Found]:
        found = super().find(node, ids)
        gevent.sleep(0.05)
        return found


def begun(folder: RunFolder, nodes: Nodes) -> tuple[RunAudit, gevent.Greenlet]:
    """An audit that goes on."""
    made = RunAudit(folder, nodes, ())
    greenlet = gevent.spawn(made.make, None, tuple, lambda so_far: None)
    with gevent.Timeout(20):
        while len(nodes.asked) < 3:
            gevent.sleep(0.01)
    return made, greenlet


def test_an_interrupt_ends_the_audit_and_it_says_so(tmp_path: Path) -> None:
    folder, nodes = run_of(tmp_path, 1000), Slow(stored_everywhere(1000))
    made, greenlet = begun(folder, nodes)
    made.give_up()
    result = greenlet.get(timeout=20)
    assert result.not_made == run_audit.CUT_SHORT
    assert audit_of(folder) == result
    asked = len(nodes.asked)
    gevent.sleep(0.2)
    assert len(nodes.asked) == asked, "nobody asks on"


def test_an_interrupt_ends_the_wait_for_a_fault(tmp_path: Path) -> None:
    made = RunAudit(run_of(tmp_path, 4), Nodes(), ())
    greenlet = gevent.spawn(made.make, None, lambda: ["kill-1"], lambda so_far: None)
    gevent.sleep(0.2)
    made.give_up()
    assert greenlet.get(timeout=20).not_made == run_audit.CUT_SHORT


def test_a_greenlet_that_is_killed_leaves_a_record_and_nobody_who_asks(tmp_path: Path) -> None:
    """Locust quits by killing the greenlet that audits."""
    folder, nodes = run_of(tmp_path, 1000), Slow(stored_everywhere(1000))
    _, greenlet = begun(folder, nodes)
    greenlet.kill(timeout=20)
    made = audit_of(folder)
    assert made is not None and made.not_made == run_audit.CUT_SHORT
    asked = len(nodes.asked)
    gevent.sleep(0.2)
    assert len(nodes.asked) == asked


def test_a_damaged_ledger_is_a_doubt_that_names_the_file(tmp_path: Path) -> None:
    folder = run_of(tmp_path, 4)
    path = folder.ledger / "writes.bin"
    path.write_bytes(path.read_bytes()[:-2] + b"\x09\x00")
    made = RunAudit(folder, Nodes(), ()).make(None, tuple, lambda so_far: None)
    assert made is not None and made.not_made is not None
    assert "writes.bin, byte" in made.not_made and made.doubts


def test_reads_that_cannot_be_written_are_a_doubt(tmp_path: Path) -> None:
    folder = run_of(tmp_path, 4)
    (folder.ledger / "reads.bin").mkdir()
    made = audit(folder, Nodes(stored_everywhere(4)))
    assert made.not_made is not None and "cannot write" in made.not_made and made.doubts


def test_no_step_holds_the_loop_for_a_large_part_of_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty steps at the least take turns with others; how long one takes is held to a limit in
    `make bench`."""
    monkeypatch.setattr(audit_workspace, "CHUNK_IDS", 2000)
    count = 40_000
    folder = run_of(tmp_path, count)
    nodes = {url: {copy.id: copy for copy in copies} for url, copies in
             stored_everywhere(count).items()}  # fmt: skip

    class Quick(Nodes):
        def find(self, node: str, ids: Sequence[bytes]) -> Iterable[Found]:
            return [nodes[node][id] for id in ids]

    longest = 0.0

    def watch() -> None:
        nonlocal longest
        while True:
            before = time.process_time()
            gevent.sleep(0)
            longest = max(longest, time.process_time() - before)

    watcher = gevent.spawn(watch)
    began = time.process_time()
    made = RunAudit(folder, Quick(), ()).make(None, tuple, lambda so_far: None)
    taken = time.process_time() - began
    watcher.kill()
    assert made is not None and made.of() == {Fate.PRESENT: count}
    assert longest < taken / 8


def test_progress_is_told_about_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[AuditSoFar] = []
    audit(run_of(tmp_path, 300), Slow(stored_everywhere(300)), progress=said.append)
    assert [each.second for each in said] == sorted({each.second for each in said})
    assert said and said[0].second >= 1
    assert all(each.writes == 300 and each.nodes == 2 for each in said)


def test_the_console_tells_it_in_one_line() -> None:
    out = io.StringIO()
    console = Console(out)
    for second in range(1, 12):
        console.auditing(AuditSoFar(80_000 * second, 1_000_000, 5, second))
    assert out.getvalue().splitlines() == [
        "auditing 1,000,000 writes on 5 nodes: 8 %",
        "auditing 1,000,000 writes on 5 nodes: 80 %",
    ]


def test_nodes_are_called_as_in_the_samples() -> None:
    written = ["http://LOCALHOST:80", "https://node.test:443", "http://127.0.0.1:8001"]
    assert origins_of(written) == ("http://localhost", "https://node.test", A)


def test_the_scenarios_own_auditor_comes_first() -> None:
    own = Nodes()
    assert auditor_of(own, (A,), None) is own
    assert auditor_of(None, (A,), None) is not None
    assert auditor_of(None, (), None) is None
