"""When a run is sound, or its fault is found, though the machine that it ran on was busy.

The verdict of a run on a busy machine is INCONCLUSIVE by design: its generator lagged. What it
measured of speed may be worse than a limit, too. A test that is not about either must hold all the
same, and must not hide anything else.
"""

from __future__ import annotations

from collections.abc import Collection

from tests.e2e.scenario import Finished

P1_SPEED = frozenset({"achieved", "achieved@phase:peak"})
F2_SPEED = frozenset(
    {"raw_mean[GET /v1/config/{path}]", "raw_p95[GET /v1/config/{path}]"},
)
F3_SPEED = frozenset(
    {
        "events_rate_above@phase:single",
        "events_rate_over_phase:single@phase:multi",
        "events_rate_over_phase:single@phase:batch",
        "raw_max[GET /v1/events?type]",
        "raw_max[GET /v1/events?created_after]",
    }
)
"""The checks that only say how fast a scenario's target is, by their ids."""

LATE = frozenset({"generator_lag", "processor_starved"})
"""What a busy machine does to a generator."""


def assert_sound(done: Finished, *, may_miss: Collection[str] = ()) -> None:
    """PASS, or no other doubt than the generator's lag and a miss of the checks `may_miss`.

    These must be there, so that none is tolerated that has another name by now.
    """
    statuses = _statuses(done)
    said = done.stdout + done.stderr
    assert set(may_miss) <= statuses.keys(), sorted(statuses)
    missed = {check: status for check, status in statuses.items() if status != "PASS"}
    assert missed.keys() <= set(may_miss), said
    lagged = _has_lagged(done)
    code = 3 if lagged or "INCONCLUSIVE" in missed.values() else 1 if missed else 0
    assert done.exit_code == done.verdict["exit_code"] == code, said


def assert_found(done: Finished, check: str) -> None:
    """This check fails the run; or voids it with the value that it saw, if the generator lagged and
    may itself be to blame."""
    said = done.stdout + done.stderr
    statuses = _statuses(done)
    if statuses[check] == "INCONCLUSIVE" and _has_lagged(done):
        (value,) = (one["value"] for one in done.verdict["checks"] if one["id"] == check)
        assert value is not None, said
    else:
        assert statuses[check] == "FAIL", said
        assert done.exit_code == 1, said


def _statuses(done: Finished) -> dict[str, str]:
    assert done.exit_code in (0, 1, 3), done.stdout + done.stderr
    return {check["id"]: check["status"] for check in done.verdict["checks"]}


def _has_lagged(done: Finished) -> bool:
    """Or was kept from its core. No other finding is tolerated, but for what that itself makes
    late: arrivals, beats."""
    findings = {finding["code"] for finding in done.verdict["generator"]["findings"]}
    has_lagged = not findings.isdisjoint(LATE)
    excused = {*LATE, "arrivals_late", "worker_away"} if has_lagged else set()
    assert findings <= excused, done.stdout + done.stderr
    return has_lagged
