"""A run's ledger holds every write that its clients declared, as the target remembers them."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from results.ledger.ledger import RECORD
from results.ledger.store import LedgerFile
from results.run_folder import RunFolder
from tests.e2e.deciding_target import HANG, STATUSES, DecidingTarget, deciding_target
from tests.e2e.scenario import HERE, Finished, Run, run, wait_until

DECLARING = HERE / "declaring.py"
USERS = ("-u", "9", "-r", "9", "--stop-timeout", "1", "--processes", "2")

KNOWN = {"created": 1, "missing": 2, "busy": 2, "late": 3, "broken": 3, "reset": 3, HANG: 3}
"""The outcome that a record must have, by what became of the write."""


def records(done: Finished) -> dict[str, tuple[int, bytes, str]]:
    """Outcome, digest and node by id; each id has been written once."""
    ledger = LedgerFile.open(RunFolder(done.folder))
    assert ledger is not None
    rows = [row for chunk in ledger.records() for row in RECORD.iter_unpack(chunk)]
    found = {str(UUID(bytes=row[0])): (row[4], row[1], ledger.nodes[row[3]]) for row in rows}
    assert len(found) == len(rows)
    return found


def wrong(target: DecidingTarget, ledger: dict[str, tuple[int, bytes, str]]) -> Counter[str]:
    """Writes, by client and way, of which the ledger says another thing, or nothing."""
    found: Counter[str] = Counter()
    for client, way, id in set(target.asked):
        if way == HANG and client != "lean" and id not in ledger:
            # Locust fires no event for their requests when their user is killed.
            continue
        if ledger.get(id) != (KNOWN[way], UUID(id).bytes[:8], target.url):
            found[f"{client} {way}"] += 1
    return found


def test_every_declared_write_of_any_client_is_in_the_ledger(tmp_path: Path) -> None:
    with deciding_target() as target:
        done = run(
            tmp_path / "runs",
            *("-t", "3s", *USERS),
            locustfile=DECLARING,
            environment={"TARGET": target.url, "ROUNDS": "4"},
        )
    ledger = records(done)
    assert wrong(target, ledger) == Counter()
    asked = {(client, way) for client, way, _ in target.asked}
    assert {(client, way) for client in ("lean", "requests", "fast") for way in STATUSES} <= asked
    assert ("lean", HANG) in asked, "some were under way at the end"
    assert ledger.keys() == {id for _, _, id in target.asked if id in ledger}
    sent = done.timeline("end")[0]["writes"]
    assert sent.keys() == {"worker-0", "worker-1"} and min(sent.values()) >= 2
    assert not [reason for reason in done.verdict["reasons"] if "of writes" in reason]
    id = next(id for id, (outcome, *_) in ledger.items() if outcome == 1)
    assert wrong(target, {**ledger, id: (2, UUID(id).bytes[:8], target.url)}).total() == 1
    assert wrong(target, {key: it for key, it in ledger.items() if key != id}).total() == 1


@pytest.mark.long
def test_a_worker_that_is_killed_leaves_a_ledger_that_says_so(tmp_path: Path) -> None:
    with (
        deciding_target() as target,
        Run(
            tmp_path / "runs",
            *("-t", "6s", *USERS),
            locustfile=DECLARING,
            environment={"TARGET": target.url, "ROUNDS": "100"},
        ) as started,
    ):
        wait_until(lambda: started.seconds_recorded() >= 6, "nothing was recorded")
        workers = [each for each in started.family() if each.pid != started.process.pid]
        workers.sort(key=psutil.Process.create_time)
        workers[-1].send_signal(signal.SIGKILL)
        done = started.finish()
    assert done.exit_code == 3, done.stdout + done.stderr
    told = [reason for reason in done.verdict["reasons"] if "of writes" in reason]
    assert len(told) == 1 and "never said how many" in told[0]
    assert len(records(done)) > 20, "what had arrived stays"
