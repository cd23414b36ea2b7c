"""Faults on the timeline and the windows that they make: names, edges, what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from results.errors import TimelineError
from results.fault import MAX_FAULTS, FaultLog
from results.statistic import cut
from results.timeline import Fault, Timeline
from results.timeline_reader import read_timeline
from results.timeline_writer import TimelineWriter
from results.windows import Window, fault_spans, interval, run_window, standard_windows
from tests.unit.results.builder import HEADER, PLAN, request, timeline, write

LONG = replace(PLAN, duration_s=200.0, phases=(), users=(2,) * 200, user_seconds=(2.0,) * 200)


def with_faults(*faults: Fault) -> Timeline:
    return timeline([], plan=LONG, faults=faults)


def windows_of(made: Timeline) -> dict[str, tuple[tuple[float, float], ...]]:
    return {window.name: window.intervals for window in standard_windows(made)}


def test_a_fault_has_a_window_and_is_followed_by_its_recovery() -> None:
    made = with_faults(Fault("kill-1", "kill", "n1", 20.0, 30.0))
    assert standard_windows(made) == (
        interval("run", 0, 200),
        interval("baseline", 0, 20),
        interval("fault:kill-1", 20, 30),
        interval("recovery:kill-1", 30, 90),
    )


def test_a_run_without_faults_has_neither_baseline_nor_recovery() -> None:
    assert set(windows_of(with_faults())) == {"run"}


def test_a_kind_that_occurs_twice_has_a_union_and_a_recovery_ends_where_the_next_begins() -> None:
    found = standard_windows(
        with_faults(Fault("a", "kill", "", 10.0, 12.0), Fault("b", "kill", "", 20.0, 22.0))
    )
    assert found[2:] == (
        interval("fault:a", 10, 12),
        interval("fault:b", 20, 22),
        Window("fault:kill", ((10, 12), (20, 22)), is_union=True),
        interval("recovery:a", 12, 20),
        interval("recovery:b", 22, 82),
        Window("recovery:kill", ((12, 20), (22, 82)), is_union=True),
    )


def test_a_kind_that_occurs_once_is_its_only_faults_window() -> None:
    fault = Fault("a", "kill", "", 10.0, 12.0)
    assert set(windows_of(with_faults(fault))) == {"run", "baseline", "fault:a", "recovery:a"}
    own = with_faults(replace(fault, kind="a"))
    assert len(standard_windows(own)) == 4, "its id is its kind"


def test_faults_that_overlap_recover_when_the_last_of_them_is_gone() -> None:
    found = windows_of(
        with_faults(Fault("a", "kill", "", 10.0, 30.0), Fault("b", "pause", "", 15.0, 20.0))
    )
    assert found["fault:b"] == ((15, 20),)
    assert found["recovery:a"] == found["recovery:b"] == ((30, 90),)


def test_a_fault_that_never_healed_lasts_to_the_plans_end_and_nothing_recovers() -> None:
    found = windows_of(
        with_faults(Fault("a", "kill", "", 50.0), Fault("b", "pause", "", 60.0, 70.0))
    )
    assert found["fault:a"] == ((50, 200),)
    assert not any(name.startswith("recovery") for name in found)


def test_a_fault_without_a_whole_second_has_that_of_its_beginning() -> None:
    made = with_faults(Fault("a", "reset", "", 3.6, 3.7), Fault("b", "reset", "", 9.9, 9.9))
    found = windows_of(made)
    assert found["baseline"] == ((0, 3),)
    assert found["fault:a"] == ((3, 4),)
    assert found["recovery:a"] == ((4, 9),)
    assert found["fault:b"] == ((9, 10),)
    spans = fault_spans(made)
    assert [span.healed_s for span in spans] == [3.7, 9.9]


def test_a_fault_in_the_first_second_leaves_no_baseline_and_one_at_the_end_no_recovery() -> None:
    found = windows_of(with_faults(Fault("a", "kill", "", 0.2, 199.8)))
    assert set(found) == {"run", "fault:a"}
    late = windows_of(with_faults(Fault("a", "kill", "", 250.0)))
    assert late["fault:a"] == ((250, 251),)
    assert late["baseline"] == ((0, 200),)


def test_without_a_plan_a_fault_lasts_to_the_end_of_what_was_recorded() -> None:
    made = timeline([request(s) for s in range(8)], plan=None, faults=(Fault("a", "k", "", 4.0),))
    assert windows_of(made)["fault:a"] == ((4, 8),)
    assert run_window(made) == interval("run", 0, 8)


def test_what_happened_in_a_fault_is_cut_into_its_window() -> None:
    made = timeline(
        [request(s + 0.1) for s in range(6)], faults=(Fault("a", "kill", "n", 2.0, 4.0),)
    )
    stats = cut(made, standard_windows(made))
    counts = {name: found.total.ended for name, found in stats.items() if "phase" not in name}
    assert counts == {"run": 6, "baseline": 2, "fault:a": 2, "recovery:a": 2}


def test_faults_are_read_back_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    faults = (
        Fault("early", "pause", "http://n1:1", 1.5, 2.0),
        Fault("late", "kill", "", 2.5),
    )
    path = write(tmp_path / "t.jsonl", timeline([], faults=faults[::-1]))
    assert read_timeline(path).faults == faults


def test_a_timeline_without_faults_is_written_as_before_there_were_any(tmp_path: Path) -> None:
    text = write(tmp_path / "t.jsonl", timeline([request(1)])).read_text()
    assert "fault" not in text and "healed" not in text and "statuses" not in text


HEADER_LINE = '{"kind":"header","version":1,"run_id":"r","scenario":"s","origin_us":0}'
BEGAN = '{"kind":"fault","t_s":2,"id":"a","fault":"kill","node":""}'
HEALED = '{"kind":"healed","t_s":3,"id":"a"}'


def began(id: str, kind: str) -> str:
    return BEGAN.replace("kill", kind).replace('"a"', f'"{id}"')


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEALED], "line 2.*'a' healed, but it never began"),
        ([BEGAN, HEALED, HEALED], "line 4.*healed twice"),
        ([BEGAN, BEGAN], "line 3.*'a' began twice"),
        ([BEGAN, HEALED.replace("3", "1")], "before it began"),
        ([BEGAN.replace('"a"', '""')], "a fault's id is 1 to 64"),
        ([BEGAN.replace('"a"', '"' + "a" * 65 + '"')], "a fault's id is 1 to 64"),
        ([BEGAN.replace('"a"', '"a b"')], "a fault's id"),
        ([BEGAN.replace('"a"', '"a:b"')], "a fault's id"),
        ([BEGAN.replace('"a"', '"*"')], "a fault's id"),
        ([BEGAN.replace('"a"', '"a\\u001b[31m"')], "a fault's id"),
        ([BEGAN.replace('"a"', '"a\\n"')], "a fault's id"),
        ([BEGAN.replace("kill", "ki/ll")], "a fault's kind"),
        ([BEGAN.replace("kill", "")], "a fault's kind"),
        ([BEGAN.replace('"node":""', '"node":"\\u0007"')], "printable"),
        ([BEGAN.replace('"node":""', '"node":"' + "n" * 201 + '"')], "200 printable"),
        ([BEGAN.replace('"node":""', '"node":null')], "'node' must be text"),
        ([BEGAN.replace('"t_s":2', '"t_s":1e9')], "from the origin"),
        ([BEGAN.replace('"t_s":2', '"t_s":NaN')], "finite"),
        ([BEGAN, HEALED.replace("3", "1e300")], "finite"),
        ([BEGAN, HEALED.replace("3", "20000000")], "from the origin"),
        ([BEGAN.replace('"node":""', '"node":"","x":1')], "unknown field 'x'"),
        ([HEALED.replace('"id":"a"', '"id":7')], "'id' must be text"),
        ([began("kill", "kill"), began("b", "kill")], "'kill' is the id of one fault and the kind"),
        ([began("a", "kill"), began("kill", "x")], "'kill' is the id of one fault and the kind"),
        ([began(f"f{n}", "k") for n in range(MAX_FAULTS + 1)], "at most 1,000 faults"),
    ],
)  # fmt: skip
def test_what_is_no_fault_is_an_error_that_names_the_line(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(line + "\n" for line in (HEADER_LINE, *lines)))
    with pytest.raises(TimelineError, match=message):
        read_timeline(path)


def test_a_log_says_which_faults_are_under_way() -> None:
    log = FaultLog()
    log.begin(Fault("a", "kill", "", 1.0))
    log.begin(Fault("b", "kill", "", 2.0))
    log.heal("a", 1.0)
    assert log.under_way == ("b",)
    with pytest.raises(ValueError, match="from the origin"):
        log.heal("b", math.nan)


def test_an_unhealed_fault_is_on_disk_when_its_run_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with TimelineWriter(path, HEADER) as writer:
        writer.fault_began(Fault("a", "kill", "n", 1.25))
        (fault,) = read_timeline(path).faults
    assert fault == Fault("a", "kill", "n", 1.25, None)
