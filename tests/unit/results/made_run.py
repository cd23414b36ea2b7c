"""Makes run folders for tests as a finished run leaves them, by the real parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from results.bundle.bundle import seal
from results.bundle.junit import junit
from results.check import Check, error_rate, requests
from results.manifest import manifest
from results.replay import replay
from results.run_folder import RunFolder, create_run
from results.sample import Sample
from results.verdict import as_document
from tests.unit.results.builder import planned_requests, timeline, write

CHECKS = (error_rate(below=0.01), requests(above=10))
NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def made_run(
    runs_dir: Path,
    run_id: str = "run-1",
    *,
    samples: Iterable[Sample] | None = None,
    checks: tuple[Check, ...] = CHECKS,
    started_at: datetime = NOON,
    is_killed: bool = False,
    is_sealed: bool = True,
) -> RunFolder:
    """A small passing run with a node's log. A killed one has no end, no verdict and no seal."""
    folder = create_run(runs_dir, run_id)
    facts = manifest(
        run_id=run_id,
        scenario="made",
        tier="own",
        started_at=started_at,
        options={},
        seed=None,
        source_dir=runs_dir,
    )
    folder.write_manifest(facts)
    made = timeline(planned_requests() if samples is None else samples, checks=checks)
    made = replace(made, header=replace(made.header, run_id=run_id))
    write(folder.timeline, replace(made, end=None) if is_killed else made)
    (folder.logs / "node-1.log").write_text("started\n")
    if is_killed:
        return folder
    judgement = replay(folder.timeline)
    folder.write_verdict(as_document(judgement))
    folder.write_junit(junit(judgement, run_id))
    if is_sealed:
        seal(folder)
    return folder
