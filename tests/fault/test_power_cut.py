"""G1 and G2 under power cuts: what was acknowledged is on the disk, and batches are whole.

kill -9 cannot show this, since the page cache outlives the process; so the store itself runs on a
simulated disk (power_cut.py) that forgets what was not synced. The power fails at random points
between and inside commits and checkpoints; every state that the disk could be left in is opened
with plain SQLite and compared with what clients had been told by then.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic
from typing import Literal

import pytest

from service.events.plan import Plan
from service.events.sqlite import SqliteEventStore, StoreLimits
from service.events.store import Write
from service.events.writer import Request, Writer, WriterLimits
from tests.event import make_write
from tests.fault.power_cut import Disk

CUTS_PER_RUN = 10
LONG_CUTS = 10_000
PARTS = 2
"""The long form's power cuts, half of them in each part; `make fault` runs both at once."""
DATABASE = "events.db"


class AcknowledgesFirst(Writer):
    """The seeded bug: the answers come before the commit."""

    async def _finish(self, group: list[Request], plan: Plan) -> None:
        self._acknowledge(group, plan)
        await asyncio.sleep(0.001)  # until the clients have heard it
        await self._commit(plan)


@dataclass(slots=True)
class Losses:
    """Over all cuts: acknowledged events that were looked for, and those that were not found."""

    gone: int = 0
    looked: int = 0
    cuts: int = 0


@dataclass(slots=True)
class Cut:
    """One state of the disk, and what clients knew when the power failed."""

    files: dict[str, bytes]
    acknowledged: set[bytes]


@dataclass(slots=True)
class Run:
    """One session on a simulated disk, from which several cuts are taken."""

    random: Random
    acknowledged: set[bytes] = field(default_factory=set)
    attempted: dict[bytes, Write] = field(default_factory=dict)
    batches: list[list[bytes]] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    countdown: int = 60
    disk: Disk | None = None

    def changed(self) -> None:
        """After each change on the disk; on the writer's thread."""
        self.countdown -= 1
        if self.countdown <= 0 and self.disk is not None:
            self.countdown = self.random.randint(5, 120)
            known = set(self.acknowledged)  # before the disk's state: only fewer can be known
            self.cuts.append(Cut(self.disk.cut(self.random), known))

    def make(self) -> Write:
        # Random ids touch pages all over the index, as clients without UUIDv7 would.
        write = make_write(
            id=self.random.randbytes(16),
            stream=self.random.choice((None, "a", "b")),
            data={"x": "y" * self.random.choice((10, 10, 300, 3_000))},
        )
        self.attempted[write.id] = write
        return write

    async def client(self, store: SqliteEventStore) -> None:
        while len(self.cuts) < CUTS_PER_RUN:
            if self.random.random() < 0.3:
                batch = [self.make() for _ in range(self.random.randint(2, 30))]
                self.batches.append([write.id for write in batch])
                self.acknowledged.update(one.id for one in await store.append_batch(batch))
            else:
                self.acknowledged.add((await store.append(self.make())).id)


async def session(
    seed: int, tmp_path: Path, synchronous: Literal["FULL", "NORMAL"], writer: type[Writer]
) -> Run:
    """Write until the power has failed CUTS_PER_RUN times."""
    run = Run(Random(seed))
    folder = tmp_path / f"run-{seed}"
    folder.mkdir()
    run.disk = Disk(f"power-cut-{seed}", run.changed, run.random)
    store = await SqliteEventStore.open(
        folder / DATABASE,
        node="node-1",
        limits=StoreLimits(writer=WriterLimits(checkpoint_bytes=150_000)),
        connect=run.disk.connect,
        synchronous=synchronous,
        make_writer=writer,
    )
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*[run.client(store) for _ in range(4)])
    finally:
        await store.close()
        run.disk.remove()
    return run


def lost(run: Run, cut: Cut, folder: Path) -> set[bytes]:
    """Acknowledged events that are not in `cut`; asserts what must hold in every mode."""
    folder.mkdir()
    for name, content in cut.files.items():
        (folder / name).write_bytes(content)
    database = sqlite3.connect(folder / DATABASE)
    try:
        [(sound,), *_] = database.execute("PRAGMA integrity_check").fetchall()
        assert sound == "ok", sound
        try:
            rows = database.execute("SELECT id, seq, content_hash FROM events").fetchall()
        except sqlite3.OperationalError:
            rows = []  # the power failed before the schema was on the disk
    finally:
        database.close()
    found = {id_: hash_ for id_, _, hash_ in rows}
    for id_, hash_ in found.items():
        assert run.attempted[id_].content_hash == hash_, "something was invented or altered"
    for batch in run.batches:
        assert len(found.keys() & set(batch)) in (0, len(batch)), "a batch is torn"
    seqs = sorted(seq for _, seq, _ in rows)
    assert seqs == list(range(1, len(seqs) + 1)), "the log has a hole"
    return cut.acknowledged - found.keys()


async def losses(
    seeds: range,
    tmp_path: Path,
    synchronous: Literal["FULL", "NORMAL"],
    writer: type[Writer] = Writer,
) -> Losses:
    """Takes CUTS_PER_RUN cuts for each seed."""
    found = Losses()
    for seed in seeds:
        run = await session(seed, tmp_path, synchronous, writer)
        for number, cut in enumerate(run.cuts):
            folder = tmp_path / f"cut-{seed}-{number}"
            missing = lost(run, cut, folder)
            shutil.rmtree(folder)
            found.looked += len(cut.acknowledged)
            found.gone += len(missing)
            found.cuts += 1
            if synchronous == "FULL" and writer is Writer:
                assert not missing, f"seed {seed}, cut {number}: {len(missing)} events lost"
        shutil.rmtree(tmp_path / f"run-{seed}")
    return found


async def test_a_power_cut_loses_nothing_acknowledged(tmp_path: Path) -> None:
    found = await losses(range(3), tmp_path, "FULL")
    assert found.gone == 0
    assert found.looked > 100


async def test_without_a_sync_per_commit_power_cuts_lose_events(tmp_path: Path) -> None:
    found = await losses(range(3), tmp_path, "NORMAL")
    assert found.gone > 0


async def test_answers_before_the_commit_lose_events(tmp_path: Path) -> None:
    found = await losses(range(3), tmp_path, "FULL", AcknowledgesFirst)
    assert found.gone > 0


async def test_a_node_starts_on_what_a_power_cut_left(tmp_path: Path) -> None:
    run = await session(1_000, tmp_path, "FULL", Writer)
    before = 0
    for number, cut in enumerate(run.cuts):
        folder = tmp_path / f"start-{number}"
        assert lost(run, cut, folder) == set()
        store = await SqliteEventStore.open(folder / DATABASE, node="node-1")
        try:
            assert store.incarnation > before
            before = store.incarnation
            stored = await store.append(make_write())
            assert stored.seq > len(cut.acknowledged)
            assert len(await store.audit(sorted(cut.acknowledged))) == len(cut.acknowledged)
        finally:
            await store.close()


@pytest.mark.long
@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("part", range(PARTS))
async def test_thousands_of_power_cuts_lose_nothing_acknowledged(tmp_path: Path, part: int) -> None:
    started_s = monotonic()
    runs = LONG_CUTS // CUTS_PER_RUN // PARTS
    first = 10_000 + part * runs
    found = await losses(range(first, first + runs), tmp_path, "FULL")
    print(
        f"part {part + 1} of {PARTS}: {found.cuts} power cuts, {found.looked} acknowledged events "
        f"looked for, {found.gone} lost, 0 corrupt, {monotonic() - started_s:.0f} s"
    )
    assert found.gone == 0
    assert PARTS * found.cuts >= LONG_CUTS
    assert found.looked > 10 * found.cuts
