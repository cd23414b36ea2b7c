"""When a generator was not fit: each limit from either side, why, and which seconds are marked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from results.finding import Finding, Mark, joined, touching, unfit_s
from results.generator import assess
from results.sample import Outcome
from results.timeline import Annotation, End, EndReason, Health, Plan, PlannedPhase, Progress
from tests.unit.results.builder import HEALTHY, planned_requests, request, timeline

LONG = Plan(20.0, (PlannedPhase("steady", 0, 20),), (1,) * 20, (1.0,) * 20, 1.0)
CALM = {"lag_p99_ms": 5.0}


def lines(*each: Mapping[str, float], source: str = "w1") -> tuple[Health, ...]:
    """One line a second, from second 1 on."""
    return tuple(Health(t + 1.0, source, {**CALM, **values}) for t, values in enumerate(each))


def of(name: str, *values: float, source: str = "w1") -> tuple[Health, ...]:
    return lines(*({name: value} for value in values), source=source)


def found(*health: Health) -> tuple[Finding, ...]:
    """The findings of a run of 20 s that has nothing else wrong."""
    calm = tuple(Health(float(t), "w1", CALM) for t in range(21))
    told = {(line.t_s, line.source) for line in health if "lag_p99_ms" in line.values}
    rest = tuple(line for line in calm if (line.t_s, line.source) not in told)
    return assess(timeline([request(s) for s in range(20)], plan=LONG, health=(*health, *rest)))


def told(findings: tuple[Finding, ...], code: str) -> Finding:
    """The only finding of that code."""
    (finding,) = (one for one in findings if one.code == code)
    return finding


def codes(*health: Health) -> list[str]:
    return [finding.code for finding in found(*health)]


def test_a_run_of_calm_lines_is_fit() -> None:
    assert found() == ()


@pytest.mark.parametrize(
    ("name", "code"), [("lag_p99_ms", "generator_lag"), ("lateness_p99_ms", "arrivals_late")]
)
def test_lag_and_lateness_void_a_run_beyond_250_ms_for_3_s(name: str, code: str) -> None:
    assert codes(*of(name, *[250] * 10)) == []
    assert codes(*of(name, 251, 251, 250, 251, 251)) == []
    assert codes(*of(name, 0, 251, 251, 0)) == []
    assert codes(*of(name, 0, 251, 251, 251, 0)) == [code]
    assert codes(*of(name, 146, *[146] * 10)) == [], "15 % foreign load on clean runs"
    two = (*of(name, 0, 300, 300, 0), *of(name, 0, 0, 0, 300, 300, source="w2"))
    assert codes(*two) == [], "stretches of two processes are not one"


def test_an_arrival_is_not_late_in_seconds_in_which_none_was_due() -> None:
    rare = [Health(t, "w1", {**CALM, "lateness_p99_ms": 900.0}) for t in (1.0, 2.0)]
    assert codes(*rare) == []


def test_one_late_arrival_speaks_for_its_own_second_and_not_for_those_in_which_none_was_due() -> (
    None
):
    late = {"lateness_p99_ms": 260.0}
    assert codes(*lines(*[{}, {}, {}, late] * 4)) == []
    assert codes(*lines({}, late, late, {}, late, {})) == [], "the second without ends a stretch"
    # What a master writes of a worker is no line of that worker.
    unheard = Health(2.5, "w1", {"missed_reports": 1.0, "unheard_s": 3.0})
    assert codes(*lines(late, late, late), unheard) == ["arrivals_late"]


def test_the_marks_are_the_stretches_that_are_long_enough_of_each_source() -> None:
    (first, second) = found(
        *of("lag_p99_ms", 300, 300, 300, 0, 300, 0, 300, 300, 300, 300),
        *of("lag_p99_ms", 0, 0, 300, 400, 300, source="w2"),
    )
    assert first.marks == (Mark("w1", 0.0, 3.0), Mark("w1", 6.0, 10.0))
    assert "w1: the loop's lag p99 was over 250 ms for 4 s (worst 300 ms)" in first.text
    assert second.marks == (Mark("w2", 2.0, 5.0),)
    assert "for 3 s (worst 400 ms)" in second.text


STARVED = {"lag_p99_ms": 900.0, "cpu_percent": 22.0, "cpu_wait_percent": 78.0}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (STARVED, ["waited for a processor 78 % of the time", "other processes", "22 % of a core"]),
        (
            {**STARVED, "cpu_percent": 99.6, "cpu_wait_percent": 0.4},
            ["it used 100 % of a core", "more workers (--processes)"],
        ),
        (
            {"lag_p99_ms": 900.0, "cpu_percent": 95.0},
            ["it used 95 % of a core", "more workers (--processes)"],
        ),
        (
            {**STARVED, "cpu_percent": 3.0, "cpu_wait_percent": 1.0},
            ["it used 3 % of a core", "suspended, or blocked in a call"],
        ),
        (
            {"lag_p99_ms": 900.0, "cpu_percent": 22.0},
            ["22 % of a core: other processes took the processor, or it was suspended"],
        ),
        (
            {**STARVED, "cpu_percent": 3.0, "cpu_wait_percent": 1.0, "write_max_ms": 2900.0},
            ["a write to the timeline took up to 2,900 ms", "--results-dir"],
        ),
        ({"lag_p99_ms": 900.0}, ["give the generator more cores or workers, or lower the load"]),
    ],
)
def test_the_finding_says_why_the_loop_was_late(values: dict[str, float], words: list[str]) -> None:
    finding = told(found(*lines(*[values] * 4)), "generator_lag")
    for word in words:
        assert word in finding.text, finding.text


def test_the_reason_is_that_of_the_marked_seconds_and_of_that_process() -> None:
    calm = {"lag_p99_ms": 5.0, "cpu_percent": 100.0, "cpu_wait_percent": 0.0}
    seen = found(
        *lines(*[calm] * 6, *[STARVED] * 4, *[calm] * 6), *lines(*[calm] * 16, source="w2")
    )
    finding = told(seen, "generator_lag")
    assert "78 % of the time" in finding.text
    assert "22 % of a core" in finding.text


def test_a_line_that_speaks_for_longer_weighs_more_in_the_reason() -> None:
    late = {"lag_p99_ms": 900.0, "cpu_percent": 10.0}
    (finding,) = assess(
        timeline(
            [request(0)],
            plan=LONG,
            health=(
                Health(0.0, "w1", CALM),
                Health(1.0, "w1", {**late, "cpu_wait_percent": 40.0}),
                Health(4.0, "w1", {**late, "cpu_wait_percent": 80.0}),
            ),
        )
    )
    assert "waited for a processor 70 % of the time" in finding.text


def test_a_master_that_computes_all_the_time_is_found_and_told_what_helps_it() -> None:
    busy = {"lag_p99_ms": 900.0, "cpu_percent": 100.0, "cpu_wait_percent": 0.0}
    (finding,) = found(*lines(*[busy] * 3, source="master"))
    assert finding.text.startswith("master: the loop's lag p99")
    assert "a faster core of its own, or fewer workers" in finding.text
    assert "--processes" not in finding.text


def use(cpu: float, wait: float, lag_ms: float = 120.0) -> dict[str, float]:
    """What one busy loop of equal priority does to a loop's lag p99 is far below its limit."""
    return {"lag_p99_ms": lag_ms, "cpu_percent": cpu, "cpu_wait_percent": wait}


def test_a_process_that_wants_its_whole_core_and_shares_it_voids_the_run_after_5_s() -> None:
    half = use(50.0, 50.0)
    (finding,) = found(*lines(use(30.0, 2.0), *[half] * 6, use(30.0, 2.0)))
    assert finding.code == "processor_starved"
    assert finding.marks == (Mark("w1", 1.0, 7.0),)
    assert "w1: the process wanted its whole core for 6 s and did not get it" in finding.text
    assert "waited for a processor 50 % of the time: other processes took it" in finding.text
    assert codes(*lines(*[half] * 4, use(30.0, 2.0), *[half] * 4)) == [], "5 s at a stretch"
    assert codes(*lines(*[half] * 5, source="master")) == ["processor_starved"]


@pytest.mark.parametrize(
    "values",
    [
        use(55.0, 45.0),
        use(99.0, 12.0),
        use(45.0, 49.9),
        use(5.0, 80.0),
        use(40.0, 58.0, lag_ms=39.9),
        {"cpu_percent": 100.0},
        {"cpu_wait_percent": 100.0},
    ],
)
def test_a_process_that_sleeps_or_nearly_gets_its_core_is_not_starved(
    values: dict[str, float],
) -> None:
    assert codes(*lines(*[values] * 10)) == []


@pytest.mark.parametrize(
    "values",
    [
        {"cpu_percent": 100.0},
        {"cpu_wait_percent": 100.0},
        {"cpu_percent": 400.0, "memory_bytes": 1e12, "reconnects": 1e9, "open_sockets": 1e6},
        {"write_max_ms": 9e9, "lag_max_ms": 9e9, "lateness_max_ms": 9e9, "shipping_failures": 3.0},
    ],
)
def test_a_busy_generator_that_keeps_up_is_fit(values: dict[str, float]) -> None:
    assert found(*lines(*[values] * 20)) == ()


def test_descriptors_void_a_run_beyond_95_percent_of_their_limit_in_any_line() -> None:
    def use(*counts: float, limit: float = 1000.0) -> tuple[Health, ...]:
        return lines(*({"open_fds": count, "fds_limit": limit} for count in counts))

    assert codes(*use(950, 950)) == []
    (finding,) = found(*use(10, 951, 960, 10, 951))
    assert finding.code == "descriptors_short"
    assert "w1: 960 of 1,000 file descriptors were in use, over 95%" in finding.text
    assert finding.marks == (Mark("w1", 1.0, 3.0), Mark("w1", 4.0, 5.0))
    assert codes(*of("open_fds", 1e6)) == [], "without a limit"
    assert codes(*use(5, limit=0)) == []
    both = (*use(951), *of("open_fds", 5, source="w2"))
    assert [finding.text[:2] for finding in found(*both)] == ["w1"]


def test_a_source_that_the_master_did_not_hear_for_5_s_voids_the_run() -> None:
    def unheard(*values: float, source: str = "w1") -> tuple[Health, ...]:
        return tuple(
            Health(10.0 + n, source, {"unheard_s": value, "missed_reports": n + 1.0})
            for n, value in enumerate(values)
        )

    assert codes(*unheard(3, 4, 5)) == []
    (finding,) = found(*unheard(3, 4, 5, 6, 7))
    assert finding.code == "reports_late"
    assert "w1: the master heard nothing of it for 7 s at a stretch (5 reports" in finding.text
    assert finding.marks == (Mark("w1", 7.0, 14.0),)
    again = (*unheard(5.5, source="w2"), Health(20.0, "w2", {"unheard_s": 5.5}))
    (finding,) = found(*again)
    assert "w2: the master" in finding.text
    assert [(mark.from_s, mark.to_s) for mark in finding.marks] == [(4.5, 10.0), (14.5, 20.0)]


def test_a_masters_line_about_a_silent_worker_is_no_sign_that_it_was_watched() -> None:
    silent = [Health(float(t), "w1", {"unheard_s": 1.0}) for t in range(1, 8)]
    calm = [Health(t, "w1", CALM) for t in (0.0, 8.0)]
    made = timeline([request(s) for s in range(8)], plan=LONG, health=(*silent, *calm))
    (finding,) = assess(made)
    assert (finding.code, finding.marks) == ("unwatched", (Mark("w1", 0.0, 8.0),))


def test_seconds_with_requests_that_were_never_sent_are_marked() -> None:
    samples = [request(s) for s in range(20)]
    samples += [request(s + 0.5, outcome=Outcome.LOCAL) for s in (3, 4, 9)]
    health = tuple(Health(float(t), "w1", CALM) for t in range(21))
    (finding,) = assess(timeline(samples, plan=LONG, health=health))
    assert finding.code == "generator_exhausted"
    assert finding.marks == (Mark("w1", 3.0, 5.0), Mark("w1", 9.0, 10.0)), "neighbours are one"


def test_counters_mark_the_seconds_in_which_they_rose() -> None:
    (finding,) = found(*of("user_errors", 0, 0, 2, 2, 3, 4, 4))
    assert finding.marks == (Mark("w1", 2.0, 3.0), Mark("w1", 4.0, 6.0))
    (finding,) = found(Health(7.0, "owner", {"workers_lost": 1.0}))
    assert (finding.code, finding.marks) == ("workers_lost", (Mark("owner", 6.0, 7.0),))


def test_missing_users_and_gaps_of_the_watch_are_marked() -> None:
    plan = replace(LONG, users=(100,) * 20)
    health = tuple(Health(t, "w1", CALM) for t in (0.0, 1.0, 12.0, 13.0, 14.0, 19.0))
    made = timeline([request(s) for s in range(20)], plan=plan, health=health)
    users = [100] * 5 + [60] * 11 + [100] * 4
    made = replace(made, progress=tuple(Progress(float(t), n) for t, n in enumerate(users)))
    watch, missing = assess(made)
    assert (watch.code, watch.marks) == ("unwatched", (Mark("w1", 1.0, 12.0),))
    assert (missing.code, missing.marks) == ("users_missing", (Mark("all", 4.0, 15.0),))


def test_a_hole_in_the_sequence_marks_where_the_reports_would_have_been() -> None:
    whole = timeline(planned_requests())
    hole = replace(whole, reports=whole.reports[:1] + whole.reports[3:])
    (finding,) = assess(hole)
    assert finding.marks == (Mark("w1", 0.0, 4.0),)
    (finding,) = assess(replace(whole, reports=whole.reports[:-2]))
    assert finding.marks == (Mark("w1", 3.0, 6.0),)
    (finding,) = assess(replace(whole, reports=whole.reports[2:]))
    assert finding.marks == (Mark("w1", 0.0, 3.0),)
    assert whole.end is not None
    silent = replace(whole, end=End(6.0, EndReason.COMPLETED, "", {**whole.end.reports, "w2": 4}))
    (finding,) = assess(silent)
    assert (finding.code, finding.marks) == ("reports_lost", ())


def test_an_annotation_alone_voids_a_run_without_marks() -> None:
    noted = (Annotation(2.0, "user_errors", "KeyError in ShopUser"),)
    (finding,) = assess(replace(timeline(planned_requests()), annotations=noted))
    assert finding.marks == ()


def test_marks_end_where_the_run_does() -> None:
    late = [Health(t, "w1", {"lag_p99_ms": 900.0}) for t in (18.0, 19.0, 20.0, 24.0)]
    (finding,) = found(*late)
    assert finding.marks == (Mark("w1", 17.0, 20.0),)
    after = [Health(t, "w1", {"lag_p99_ms": 900.0}) for t in (22.0, 26.0)]
    calm = tuple(Health(float(t), "w1", CALM) for t in range(22))
    made = timeline([request(s) for s in range(20)], plan=LONG, health=(*calm, *after))
    (finding,) = assess(made)
    assert (finding.code, finding.marks) == ("generator_lag", ())


def test_every_window_that_a_mark_touches_carries_it() -> None:
    findings = (
        Finding("a", "", (Mark("w1", 1.0, 2.5), Mark("w1", 9.0, 10.0))),
        Finding("b", "", (Mark("w2", 2.0, 4.0),)),
        Finding("c", ""),
    )
    assert list(touching(findings, [(0.0, 1.0)])) == []
    assert [code for code, _ in touching(findings, [(0.0, 1.1)])] == ["a"]
    assert list(touching(findings, [(2.0, 3.0), (9.5, 20.0)])) == [
        ("a", Mark("w1", 1.0, 2.5)),
        ("a", Mark("w1", 9.0, 10.0)),
        ("b", Mark("w2", 2.0, 4.0)),
    ]
    assert unfit_s(findings, [(0.0, 20.0)]) == 4.0, "each second once, whoever was not fit"
    assert unfit_s(findings, [(0.0, 2.0), (9.5, 20.0)]) == 1.5
    assert unfit_s(findings, [(4.0, 9.0)]) == 0.0
    assert unfit_s((), [(0.0, 20.0)]) == 0


def test_marks_of_one_source_that_meet_are_one() -> None:
    marks = [Mark("b", 0, 1), Mark("a", 5, 6), Mark("a", 0, 2), Mark("a", 2, 3), Mark("a", 1, 1.5)]
    assert joined(marks) == (Mark("a", 0, 3), Mark("a", 5, 6), Mark("b", 0, 1))


def test_healthy_lines_of_the_builder_are_fit() -> None:
    assert assess(timeline(planned_requests(), health=HEALTHY)) == ()
