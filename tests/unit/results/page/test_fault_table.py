"""The rows of faults on the page at a run's end."""

from __future__ import annotations

from dataclasses import replace

from results.check import error_rate
from results.page.fault_table import MOST_FAULTS
from results.page.summary import summary
from results.timeline import Fault, PlannedPhase
from tests.unit.results.page.test_summary import section
from tests.unit.results.test_fault_verdict import KILL, PLAN, judged


def test_each_fault_has_a_row_with_what_it_did() -> None:
    text = summary(judged(KILL, bad=range(6, 10)), folder="x")
    assert section(text, "fault") == [
        [
            *("fault", "node", "began", "lasted", "detected", "recovered"),
            *("errors", "burnt", "lost"),
        ],
        ["kill-1 (kill)", "n1", "5 s", "3 s", "1 s", "2 s", "20", "40 %", "0"],
    ]
    assert "recovered: from its healing until the checks held again" in text
    assert "errors in run: 40 x http_5xx" in text
    assert "30 (100 %)" in summary(judged(KILL), folder="x")
    assert max(map(len, text.splitlines())) <= 100


def test_what_is_not_known_of_a_fault_is_said() -> None:
    text = summary(
        judged(replace(KILL, id="kill", node="", healed_s=None), bad=range(0)), folder=""
    )
    assert section(text, "fault")[1] == [
        *("kill", "-", "5 s", "not healed", "-", "not seen", "0", "0 %", "0"),
    ]


def test_times_that_no_check_looked_at_are_bounds_or_not_known() -> None:
    phases = (PlannedPhase("steady", 0, 10), PlannedPhase("burst", 10, 20))
    plan = replace(PLAN, phases=phases)
    burst = error_rate(below=0.5, window="phase:burst")
    text = summary(judged(KILL, checks=(burst,), plan=plan), folder="")
    assert section(text, "fault")[1][4:6] == ["-", "<= 2 s"]
    steady = error_rate(below=0.5, window="phase:steady")
    text = summary(judged(KILL, bad=range(5, 20), checks=(steady,), plan=plan), folder="")
    assert section(text, "fault")[1][4:6] == ["0 s", "not known"]


def test_a_run_without_faults_has_no_table_of_them() -> None:
    assert "fault" not in summary(judged(bad=range(0)), folder="")


def test_of_many_faults_the_first_have_rows_and_windows() -> None:
    many = [Fault(f"k{n}", "kill", "", 1.0 + n, 1.4 + n) for n in range(15)]
    text = summary(judged(*many, bad=range(0)), folder="")
    rows = section(text, "fault")[1:]
    assert [row[0] for row in rows] == [f"k{n} (kill)" for n in range(MOST_FAULTS)]
    assert f"{15 - MOST_FAULTS} more faults are in verdict.json" in text
    shown = [row[0] for row in section(text, "window")]
    assert sum(name.startswith("fault:") for name in shown) == MOST_FAULTS
    assert {"run", "phase:all", "baseline"} <= set(shown)
