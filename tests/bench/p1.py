"""Benchmark 3: P1 by its real command line; every figure is read from the run's verdict.json.

By default at a fifth of its length (60 s), where the phases are so short that the step of users
costs more of them: started >= 96 % instead of 98 %. Users are as many as at full length.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.process import owned, tail
from tests.bench.row import BenchError, Row, absolute, at_least, at_most, equal, shown

FULL_LENGTH_S = 300
SHORT_SCALE = 0.2
QUICK_SCALE = 0.1
STARTED_LIMIT = 0.98
STARTED_SHORT_LIMIT = 0.96
EXCESS_P50_LIMIT_MS = 10.0
EXCESS_P99_LIMIT_MS = 100.0
PHASES = ("phase:steady", "phase:burst", "phase:peak")
BURST = "phase:burst"

_MARGIN_S = 90.0
_RUN_ID = "bench"


def run(quick: bool, *, full: bool = False) -> list[Row]:
    """One run. Quick: 30 s, whose phases are too short to gate what was started in them."""
    scale = 1.0 if full else QUICK_SCALE if quick else SHORT_SCALE
    return rows_of(run_p1(scale), scale=scale, full=full, gated_phases=full or not quick)


def rows_of(
    document: Mapping[str, Any], *, scale: float, full: bool, gated_phases: bool
) -> list[Row]:
    """The rows of a verdict.json. Figures of a run that did not pass, or whose generator was not
    fit, prove nothing: both are gated whatever the figures are."""
    windows = {window["name"]: window for window in document["windows"]}
    limit = STARTED_LIMIT if full else STARTED_SHORT_LIMIT
    rows = []
    for phase in PHASES:
        name, figure = f"P1 started: {phase.removeprefix('phase:')}", _rates(windows[phase])
        achieved = windows[phase]["achieved"] * 100
        if gated_phases:
            rows.append(at_least(name, achieved, limit * 100, figure, "%"))
        else:
            rows.append(shown(name, achieved, figure, "%"))
    total, excess = windows["run"]["total"], windows[BURST]["total"]["excess_ms"]
    errors = sum(total["errors"].values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in total["errors"].items())
    seen = f"{kinds or 'none'}; x{scale:g} of its length"
    generator = document["generator"]
    findings = "; ".join(finding["text"] for finding in generator["findings"])
    return [
        equal("P1 verdict", document["verdict"], "PASS", "; ".join(document["reasons"])),
        equal("P1 generator", "fit" if generator["fit"] else "not fit", "fit", findings),
        *rows,
        at_most("P1 errors", errors, 0, f"{total['requests']:,} requests; {seen}"),
        absolute("P1 excess p50, burst", excess["p50"], EXCESS_P50_LIMIT_MS, _tail(excess), "ms"),
        absolute("P1 excess p99, burst", excess["p99"], EXCESS_P99_LIMIT_MS, _tail(excess), "ms"),
    ]


def run_p1(scale: float) -> dict[str, Any]:
    """The run's verdict.json. Raises BenchError when there is none."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        command = (
            str(Path(sys.executable).with_name("locust")), "-f", "locustfiles/p1_saas.py",
            "--headless", "--time-scale", str(scale), "--run-id", _RUN_ID,
            "--results-dir", folder,
        )  # fmt: skip
        # No core is pinned: P1 is the whole system on the whole machine.
        with owned(command, stdout=log, stderr=log, grace_s=20.0) as locust:
            try:
                locust.wait(FULL_LENGTH_S * scale + _MARGIN_S)
            except subprocess.TimeoutExpired:
                raise BenchError("P1 did not end in time") from None
        verdicts = list(Path(folder).rglob("verdict.json"))
        if len(verdicts) != 1:
            log.seek(0)
            output = tail(log.read().decode(errors="replace"))
            raise BenchError(f"P1 ended with {locust.returncode} and no verdict: {output}")
        document: dict[str, Any] = json.loads(verdicts[0].read_text())
        return document


def _rates(window: Mapping[str, Any]) -> str:
    # Of the planned users; jobs and analytics are beside the plan.
    started = round(window["achieved"] * window["planned_starts"])
    return f"{started:,} of {window['planned_starts']:,.0f}, {window['rate_per_s']:,.0f}/s ended"


def _tail(excess: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {excess[name]:.1f}" for name in ("p50", "p95", "p99", "max")) + " ms"
