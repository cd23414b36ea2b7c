"""G11 and G1 on a disk that fails: I/O errors at random points, and then the power fails too.

The store runs on the simulated disk of power_cut.py while writes and syncs of the write-ahead log
and of the database fail at random. What was acknowledged before, between and after
the errors must be in every state that a power cut could leave the disk in. The hard case is a sync
that failed: Linux reports it once and counts the pages as clean, so a second sync succeeds and
means nothing. SQLite never asks again for the sync alone: it rolls back, and the next commit or
checkpoint writes the same places anew. These tests hold it to that, and a disk on which the second
sync is trusted turns them red.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic

import pytest

from service.errors import StorageError
from service.events.plan import Plan
from service.events.sqlite import SqliteEventStore, StoreLimits
from service.events.writer import Writer, WriterLimits
from tests.event import make_write
from tests.fault.power_cut import Disk, Operation
from tests.fault.test_power_cut import CUTS_PER_RUN, DATABASE, Cut, Run, lost

DEADLINE_S = 20.0
CHANCE = 0.1
"""That an operation fails, of the kinds that a run is about."""

MOST_RUNS = 20
"""Three in general, more until each kind of operation has failed: threads take no seed."""

LONG_RUNS = 100

ANYWHERE = ""
LOG = "-wal"


class AcknowledgesAnyway(Writer):
    """The seeded bug: what the disk says does not count."""

    async def _commit(self, plan: Plan) -> None:
        with suppress(StorageError):
            await super()._commit(plan)


@dataclass(slots=True)
class FailingRun(Run):
    """A session whose clients note each refusal and go on. `failures` counts by operation."""

    refused: set[bytes] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)
    failing: bool = False

    def fails(self, kinds: tuple[Operation, ...], where: str) -> Callable[[Operation, str], bool]:
        """What `Disk.fails` should answer: `kinds` on files whose name ends in `where`; the
        database itself for its name."""

        def decide(operation: Operation, name: str) -> bool:
            if not self.failing or operation not in kinds or not name.endswith(where):
                return False
            failed = self.random.random() < CHANCE
            self.failures[operation] += failed
            return failed

        return decide

    async def client(self, store: SqliteEventStore) -> None:
        while len(self.cuts) < CUTS_PER_RUN:
            batch = [self.make() for _ in range(self.random.choice((1, 1, 2, 10, 30)))]
            ids = [write.id for write in batch]
            self.batches.append(ids)
            try:
                self.acknowledged.update(one.id for one in await store.append_batch(batch))
            except StorageError:
                self.refused.update(ids)
                await asyncio.sleep(0)


async def session(
    seed: int,
    folder: Path,
    kinds: tuple[Operation, ...],
    where: str = ANYWHERE,
    *,
    writer: type[Writer] = Writer,
    trusts_a_repeated_sync: bool = False,
) -> FailingRun:
    """Write on a failing disk until the power has failed CUTS_PER_RUN times, heal it, close.

    The last cut is taken after the clean end, when nothing may be missing.
    """
    run = FailingRun(Random(seed))
    await asyncio.to_thread(folder.mkdir)
    run.disk = disk = Disk(f"io-errors-{folder.name}", run.changed, run.random)
    store = await SqliteEventStore.open(
        folder / DATABASE,
        node="node-1",
        limits=StoreLimits(writer=WriterLimits(checkpoint_bytes=60_000, probe_every_s=0.01)),
        connect=disk.connect,
        make_writer=writer,
    )
    try:
        disk.fails = run.fails(kinds, where)
        disk.trusts_a_repeated_sync = trusts_a_repeated_sync
        run.failing = True
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*[run.client(store) for _ in range(4)])
        run.failing = False
        await healthy(store)
        last = run.make()
        run.acknowledged.add((await store.append(last)).id)
        if writer is Writer:
            found = {hit.id for hit in await store.audit(sorted(run.attempted))}
            assert run.acknowledged == found, "refused and stored, or acknowledged and missing"
    finally:
        run.failing = False
        await store.close()
        disk.remove()
    run.cuts.append(Cut(disk.cut(run.random), set(run.acknowledged)))
    return run


async def healthy(store: SqliteEventStore) -> None:
    """Nobody writes: the writer's own probe finds that the disk is well."""
    deadline_s = monotonic() + DEADLINE_S
    while not store.stats().healthy:
        assert monotonic() < deadline_s, store.stats().detail
        await asyncio.sleep(0.005)


def losses(run: FailingRun, folder: Path) -> int:
    """Acknowledged events that are missing, over all cuts of a run; asserts the rest."""
    gone = 0
    for number, cut in enumerate(run.cuts):
        state = folder / f"cut-{number}"
        gone += len(lost(run, cut, state))
        shutil.rmtree(state)
    return gone


KINDS: dict[str, tuple[tuple[Operation, ...], str]] = {
    "writes-of-the-log": (("write",), LOG),
    "syncs-of-the-log": (("sync",), LOG),
    "writes-of-a-checkpoint": (("write",), DATABASE),
    "syncs-of-a-checkpoint": (("sync",), DATABASE),
    "no-room-for-the-log": (("full",), LOG),
    "no-room-for-the-database": (("full",), DATABASE),
    "anything": (("write", "full", "sync"), ANYWHERE),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_failing_disk_acknowledged_survives_power_cuts(
    tmp_path: Path, kind: str
) -> None:
    kinds, where = KINDS[kind]
    failures: Counter[str] = Counter()
    for seed in range(MOST_RUNS):
        folder = tmp_path / f"{kind}-{seed}"
        run = await session(seed, folder, kinds, where)
        assert losses(run, folder) == 0, f"seed {seed}"
        failures += run.failures
        if seed >= 2 and set(failures) == set(kinds):
            break
    assert set(failures) == set(kinds), "an operation that never failed proved nothing"


@pytest.mark.long
@pytest.mark.timeout(1_200)
async def test_thousands_of_power_cuts_on_failing_disks_lose_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # thousands of lines tell of the errors, one figure here
    cuts, failures, refused = 0, Counter[str](), 0
    for seed in range(1_000, 1_000 + LONG_RUNS):
        kinds, where = list(KINDS.values())[seed % len(KINDS)]
        folder = tmp_path / f"run-{seed}"
        run = await session(seed, folder, kinds, where)
        assert losses(run, folder) == 0, f"seed {seed}"
        shutil.rmtree(folder)
        cuts += len(run.cuts)
        failures += run.failures
        refused += len(run.refused)
    print(f"{cuts} power cuts, {failures.total()} I/O errors {dict(failures)}, {refused} refused")
    assert failures.total() > LONG_RUNS


async def test_a_writer_that_acknowledges_in_spite_of_the_error_is_caught(tmp_path: Path) -> None:
    run = await session(1, tmp_path / "anyway", ("write", "sync"), LOG, writer=AcknowledgesAnyway)
    assert losses(run, tmp_path / "anyway") > 0


@pytest.mark.parametrize("where", [LOG, DATABASE])
async def test_trusting_a_sync_that_is_repeated_loses_events(tmp_path: Path, where: str) -> None:
    gone = 0
    for seed in range(8):
        folder = tmp_path / f"trusting-{seed}"
        run = await session(seed, folder, ("sync",), where, trusts_a_repeated_sync=True)
        try:
            gone += losses(run, folder)
        except (AssertionError, sqlite3.DatabaseError):
            gone += 1  # a database that is not sound any more
    assert gone > 0


@pytest.mark.parametrize("operation", ["write", "full", "sync"])
async def test_a_failure_while_opening_is_refused_and_leaves_no_obstacle(
    tmp_path: Path, operation: Operation
) -> None:
    """Each operation of opening and migrating fails once, until one attempt gets through."""
    disk = Disk(f"opening-{operation}", lambda: None, Random(5))
    attempts = 0
    try:
        while True:
            left = attempts

            def nth(given: Operation, name: str) -> bool:
                nonlocal left
                left -= given == operation
                return given == operation and left == -1

            disk.fails = nth
            try:
                store = await SqliteEventStore.open(
                    tmp_path / DATABASE, node="node-1", connect=disk.connect
                )
            except StorageError as error:
                assert re.search("free space|disk space", str(error))
                attempts += 1
                continue
            disk.fails = lambda operation, name: False
            await store.append(make_write())
            await store.close()
            break
    finally:
        disk.remove()
    assert attempts >= 3, f"opening took {attempts} operations only"
