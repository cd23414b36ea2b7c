"""A run's checks before its load: those of the scenario with those of `--slo`, and their windows.

What could only be found wrong after the run is found here, with the line of the file where there is
one. This module must not evaluate a check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.options import Options
from locustfiles.harness.scenario import Scenario
from results.check import Check, interval_windows, unknown_windows
from results.judging.abort import require_abortable
from results.judging.audit_check import namesakes
from results.judging.rolling import why_too_short
from results.text.slo import read_slo
from results.text.source import nearest
from results.timeline import Plan
from results.windows import RUN, interval, phase_windows


def with_slo(scenario: Scenario, options: Options) -> Scenario:
    """With the checks of the file, where one was named. Raises CheckError that names its line."""
    if options.slo is None:
        return scenario
    slo = read_slo(options.slo)
    return replace(scenario, checks=slo.over(scenario.checks), slo=slo)


def require_known_windows(scenario: Scenario, windows: Sequence[str], ends_s: float) -> None:
    """Raises BadConfiguration for a window that the plan does not have, or that lies beyond it.

    `windows` are the plan's. Those of faults are known only when they have happened.
    """
    for check in scenario.checks:
        if unknown := unknown_windows([check], windows):
            near = nearest(unknown[0], windows)
            known = f" There are {', '.join(windows)} and 'phase:*'" if "mean" in near else ""
            raise _of_window(
                scenario, check, f"names the window {unknown[0]!r}, which there is not{near}{known}"
            )
        for window in interval_windows([check]):
            if window.intervals[-1][1] > ends_s:
                raise _of_window(
                    scenario,
                    check,
                    f"names the window {window.name}, but the plan ends at {ends_s:g} s: end the "
                    "window there, or sooner (it does not scale with --time-scale)",
                )


def require_long_enough(scenario: Scenario, plan: Plan) -> None:
    """Raises BadConfiguration for a check over more seconds than its window has: it would prove
    nothing, however the run went."""
    run = interval(RUN, 0.0, plan.duration_s)
    for check in scenario.checks:
        windows = (run, *phase_windows(plan), *interval_windows([check]))
        if why := why_too_short(check, windows):
            raise _of_window(scenario, check, why)


def require_abortable_checks(scenario: Scenario) -> None:
    """Raises BadConfiguration for a check that says abort and could never end a run."""
    for check in scenario.checks:
        try:
            require_abortable(check)
        except ValueError as error:
            raise BadConfiguration(f"{scenario.place(check)}: {error}") from None


def require_free_ids(scenario: Scenario) -> None:
    """Raises BadConfiguration for a check that has the id of one that every audited run has."""
    for check in namesakes(scenario.checks):
        raise BadConfiguration(
            f"{scenario.place(check)}: the id {check.id!r} is that of the check {check.id} == 0, "
            "which every audited run has, and this one asks something else "
            f"({check.expression}): give it another id"
        )


def _of_window(scenario: Scenario, check: Check, problem: str) -> BadConfiguration:
    return BadConfiguration(f"{scenario.place(check, 'in')}: the check {check.id!r} {problem}")
