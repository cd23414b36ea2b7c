"""Half an hour at 5,000 requests/s as a timeline on disk, made in seconds instead of run.

    python -m tests.bench.results_run FILE SECONDS

Twenty endpoints, four phases, a fault in each, twelve checks, one source. The requests go through
the real recorder and the real writer: lognormal latencies of 5 to 1,500 ms, of which a node
emulated a part, so that excess differs from raw. Each phase repeats a few seconds of its own over
and over, since making nine million requests would take longer than everything that is measured.
This module measures nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

from results.grammar import check
from results.recorder import Recorder
from results.sample import Outcome, Sample
from results.second import EndpointSecond, SecondReport
from results.timeline import (
    End,
    EndReason,
    Fault,
    Header,
    Health,
    Plan,
    PlannedPhase,
    Progress,
    TargetSample,
)
from results.timeline_writer import TimelineWriter

ENDPOINTS = 20
FULL_S = 1_800
PHASES = (("warm", 4_000), ("steady", 5_000), ("burst", 6_500), ("peak", 4_500))
"""Name and requests/s, each a quarter of the run: 5,000 requests/s on average."""

_SOURCE = "w1"
_CYCLE_S = 0.1
_POOL_S = 12
"""Different seconds of a phase, repeated in turn."""

_FASTEST_US, _SLOWEST_US = 5_000, 1_500_000
_SPREAD = 0.6
_EMULATED_SHARE = 0.6


CHECKS = (
    "errors < 1%",
    "requests > 1000",
    "achieved >= 90%",
    "p99 < 5s",
    "p99(excess) < 5s",
    "mean < 5s in phase:burst",
    "p95 < 5s in phase:peak",
    "p95 < 5s of GET /v1/endpoint/1* in phase:steady",
    "p99.9 < 5s of GET /v1/endpoint/19",
    "p99 < 5s in recovery:*",
    "availability > 90% over 10s",
    "p99 < 5s for 10s",
)


def write_run(path: Path, length_s: int = FULL_S) -> int:
    """Writes the timeline of a run that passes; how many requests it holds."""
    quarter_s = length_s // len(PHASES)
    written = 0
    with TimelineWriter(path, Header("synthetic", "bench", 0)) as writer:
        writer.plan(_plan(quarter_s))
        writer.checks([check(text).as_dict() for text in CHECKS])
        for report in _reports(quarter_s):
            written += sum(endpoint.ended for endpoint in report.endpoints.values())
            writer.second(report)
            _tell(writer, report.second, quarter_s)
        end_s = quarter_s * len(PHASES)
        writer.end(End(float(end_s), EndReason.COMPLETED, "", {_SOURCE: end_s}))
    return written


def _plan(quarter_s: int) -> Plan:
    edges = [(name, n * quarter_s, rate) for n, (name, rate) in enumerate(PHASES)]
    users = [round(rate * _CYCLE_S) for _, _, rate in edges for _ in range(quarter_s)]
    return Plan(
        float(len(users)),
        tuple(PlannedPhase(name, start, start + quarter_s) for name, start, _ in edges),
        tuple(users),
        tuple(map(float, users)),
        _CYCLE_S,
    )


def _reports(quarter_s: int) -> Iterator[SecondReport]:
    rng = Random(1_800)
    for phase, (_, rate) in enumerate(PHASES):
        pool = _pool(rng, rate, min(_POOL_S, quarter_s))
        for n in range(quarter_s):
            second = phase * quarter_s + n
            made = pool[n % len(pool)]
            endpoints = {
                name: _moved(endpoint, second - made.second)
                for name, endpoint in made.endpoints.items()
            }
            yield replace(made, sequence=second, second=second, endpoints=endpoints)


def _moved(endpoint: EndpointSecond, by_s: int) -> EndpointSecond:
    """With its starts that many seconds later, those from before the run in its first second."""
    started: dict[int, int] = {}
    for second, count in endpoint.started.items():
        at = max(0, second + by_s)
        started[at] = started.get(at, 0) + count
    return replace(endpoint, started=started)


def _pool(rng: Random, rate: int, seconds: int) -> list[SecondReport]:
    recorder = Recorder(source=_SOURCE, origin_us=0)
    for second in range(seconds):
        for index in range(rate):
            end_us = second * 1_000_000 + index * 1_000_000 // rate
            recorder.record(_sample(rng, index % ENDPOINTS, end_us))
    recorder.close()
    return [report for report in recorder.reports() if report is not None]


def _sample(rng: Random, endpoint: int, end_us: int) -> Sample:
    middle_us = _FASTEST_US * 1.25**endpoint
    took_us = round(middle_us * rng.lognormvariate(0, _SPREAD))
    took_us = min(max(took_us, _FASTEST_US), _SLOWEST_US)
    outcome = Outcome.OK if rng.random() < 0.999 else Outcome.HTTP_5XX
    name = f"GET /v1/endpoint/{endpoint}"
    emulated_us = round(middle_us * _EMULATED_SHARE)
    start_us = end_us - took_us
    return Sample(name, None, start_us, end_us, outcome, 200, 300, emulated_us, None, "n1")


def _tell(writer: TimelineWriter, second: int, quarter_s: int) -> None:
    """What a run's processes and nodes say of themselves each second, and one fault a phase."""
    t_s = float(second)
    phase, in_phase_s = divmod(second, quarter_s)
    users = round(PHASES[phase][1] * _CYCLE_S)
    writer.progress(Progress(t_s, users, users))
    writer.health(Health(t_s, _SOURCE, {"lag_p99_ms": 4.0, "cpu_percent": 60.0, "users": users}))
    for node in range(5):
        values = {"cpu": 0.3, "queue_depth": 4.0, "commit_ms": 1.5, "memory_mb": 80.0}
        writer.target(TargetSample(t_s, f"http://127.0.0.1:{9_000 + node}", values))
    if in_phase_s == quarter_s // 3:
        writer.fault_began(Fault(f"kill-{phase}", "kill", "n1", t_s))
    if in_phase_s == quarter_s // 2:
        writer.fault_healed(f"kill-{phase}", t_s)


if __name__ == "__main__":
    write_run(Path(sys.argv[1]), int(sys.argv[2]))
