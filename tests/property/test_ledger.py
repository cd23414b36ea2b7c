"""Whatever several processes record, ship and interleave: the disk gives it back, or says it lacks.

The model is a list of what was recorded. Reports of a process arrive in order, as messages do; some
may get lost on the way.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from results.judging.ledger_doubt import ledger_doubts
from results.ledger.ledger import RECORD, Ledger, WritesReport, write_outcome
from results.ledger.store import LedgerFile, LedgerWriter
from results.run_folder import create_run
from results.sample import Outcome, Sample

NODES = [f"http://127.0.0.1:{port}" for port in range(8001, 8006)] + ["", "ü\n"]
SOURCES = 3


class Step(NamedTuple):
    """One process records a request of so many writes, and ships what it has if `ships`."""

    source: int
    node: str
    outcome: Outcome
    status: int
    second: int
    writes: int
    has_digest: bool
    ships: bool
    arrives: bool


STEPS = st.lists(
    st.builds(
        Step,
        source=st.integers(0, SOURCES - 1),
        node=st.sampled_from(NODES),
        outcome=st.sampled_from(list(Outcome)),
        status=st.sampled_from([0, 200, 201, 303, 404, 408, 425, 500]),
        second=st.integers(-2, 100_000),
        writes=st.integers(1, 4),
        has_digest=st.booleans(),
        ships=st.booleans(),
        arrives=st.integers(0, 9).map(lambda dice: dice > 0),
    ),
    max_size=60,
)

Row = tuple[bytes, bytes, int, str, int]


class Fleet:
    """The processes, the disk, and the model: `arrived` is what must be on it."""

    def __init__(self, writer: LedgerWriter) -> None:
        self.ledgers = [Ledger(source=f"w{n}", origin_us=0) for n in range(SOURCES)]
        self.writer = writer
        self.arrived: Counter[Row] = Counter()
        self.pending: list[list[Row]] = [[] for _ in range(SOURCES)]
        self.lost = 0
        self._keys = 0

    def record(self, step: Step) -> None:
        keys = range(self._keys, self._keys + step.writes)
        self._keys += step.writes
        ids = [key.to_bytes(16, "big") for key in keys]
        digests = [key.to_bytes(8, "little") if step.has_digest else bytes(8) for key in keys]
        end_us = step.second * 1_000_000 + 999_999
        sample = Sample(
            *("POST /", None, end_us - 5, end_us, step.outcome, step.status, 1, 0),
            *(b"".join(ids), step.node, b"".join(digests) if step.has_digest else None),
        )
        self.ledgers[step.source].record(sample)
        outcome = write_outcome(sample)
        self.pending[step.source] += [
            (id, digest, step.second, step.node, outcome)
            for id, digest in zip(ids, digests, strict=True)
        ]

    def ship(self, source: int, *, arrives: bool) -> None:
        while (report := self.ledgers[source].take()) is not None:
            if arrives:
                self.writer.take(WritesReport.from_dict(report.as_dict()))
                self.arrived.update(self.pending[source])
            else:
                self.lost += 1
        self.pending[source] = []


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_the_disk_gives_back_what_arrived_and_says_what_did_not(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as runs_dir:
        folder = create_run(Path(runs_dir), "run")
        fleet = Fleet(LedgerWriter(folder))
        for step in steps:
            fleet.record(step)
            if step.ships:
                fleet.ship(step.source, arrives=step.arrives)
        for source in range(SOURCES):
            fleet.ship(source, arrives=True)
        fleet.writer.close()
        ledger = LedgerFile.open(folder)
        assert ledger is not None
        found = Counter(
            (id, digest, second, ledger.nodes[node], outcome)
            for chunk in ledger.records()
            for id, digest, second, node, outcome in RECORD.iter_unpack(chunk)
        )
        assert found == fleet.arrived
        sent = {each.source: each.sequence for each in fleet.ledgers if each.sequence}
        assert bool(ledger_doubts("run", sent, ledger)) == bool(fleet.lost)
