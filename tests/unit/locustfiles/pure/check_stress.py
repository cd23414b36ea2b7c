"""From a shape with `until` to its stairs, and what the books of such a run hold."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from locust import User
from locust.env import Environment

from locustfiles.harness.arrivals.own_share import LOCAL, WholeShare
from locustfiles.harness.arrivals.session_pool import LATEST_START_US
from locustfiles.harness.course import Course, planned
from locustfiles.harness.load_side import LoadSide
from locustfiles.harness.plan import RunPlan
from locustfiles.harness.run_book import RunBook
from locustfiles.harness.scenario import Scenario
from locustfiles.harness.stress import stairs_of, stress_of
from results.check import Check, achieved, figure, latency
from results.recorder import Recorder
from results.run_folder import create_run
from results.sample import Outcome, Sample
from results.stress import LATEST_START_S
from results.timeline import Header, Plan
from results.timeline_reader import read_timeline
from results.verdict import Verdict
from shapes.locust_shape import PhasedShape
from shapes.profile import Profile, at, burst, overlay, per_s, sequence, steady, stress

P50 = latency(quantile=0.5, below_ms=100)


class Reader(User):
    pass


class Writer(User):
    pass


def shape_of(
    given: Profile | dict[type[User], Profile], until: Check | None = P50, *, time_scale: float = 1
) -> tuple[PhasedShape, Plan]:
    by_class = isinstance(given, dict)

    class Shape(PhasedShape):
        profile: ClassVar[Profile | None] = None if by_class else given  # type: ignore[assignment]
        profiles = given if by_class else None  # type: ignore[assignment]

    Shape.until = until
    shape = Shape()
    shape.configure(users=list(given) if isinstance(given, dict) else [Reader])
    shape.configure(
        users=list(given) if isinstance(given, dict) else [Reader], time_scale=time_scale
    )
    scenario = Scenario(
        id="one",
        tier="foundation",
        users=(Reader,),
        shape=Shape,
        checks=(figure("capacity", "most", at_least=1),),
        source_dir=Path(),
    )
    return shape, planned(shape, scenario)


def stairs(given: Profile | dict[type[User], Profile]) -> list[tuple[str, float, str]]:
    shape, plan = shape_of(given)
    return [(one.window.name, one.level, one.unit) for one in stairs_of(shape.plan, plan)]


def test_every_phase_is_a_stair_at_its_own_level_not_at_the_next_ones() -> None:
    assert stairs(stress(100, 100, 10, up_to=300)) == [
        ("phase:stress 1", 100, "users"),
        ("phase:stress 2", 200, "users"),
        ("phase:stress 3", 300, "users"),
    ]


def test_occurrences_of_a_phase_are_stairs_of_their_own_and_pauses_are_none() -> None:
    assert stairs(sequence(steady(5, 4), steady(0, 4, phase="pause"), steady(9, 4))) == [
        ("phase:steady#1", 5, "users"),
        ("phase:steady#2", 9, "users"),
    ]


def test_stairs_of_arrivals_are_rates_with_what_they_plan() -> None:
    shape, plan = shape_of({Writer: stress(per_s(2.5), per_s(2.5), 4, up_to=per_s(5))})
    counted = Plan(
        plan.duration_s, plan.phases, plan.users, plan.user_seconds,
        arrivals={"Writer": (2, 3, 2, 3, 5, 5, 5, 5)},
    )  # fmt: skip
    found = stairs_of(shape.plan, counted)
    assert [(one.level, one.unit, one.arrivals) for one in found] == [
        (2.5, "arrivals/s", 10),
        (5.0, "arrivals/s", 20),
    ]


def test_users_that_never_change_leave_the_level_to_arrivals_and_others_do_not() -> None:
    rates = stress(per_s(5), per_s(5), 4, up_to=per_s(10))
    assert [one[1:] for one in stairs({Writer: rates, Reader: steady(7, 8)})] == [
        (5.0, "arrivals/s"),
        (10.0, "arrivals/s"),
    ]
    changing = overlay(steady(7, 8), at(4, burst(3, 4)))
    assert [one[1:] for one in stairs({Writer: rates, Reader: changing})] == [
        (7, "users"),
        (10, "users"),
    ]


def test_without_until_there_is_no_stress() -> None:
    assert stress_of(*shape_of(steady(5, 10), until=None)) is None


@pytest.mark.parametrize(
    ("profile", "until", "scale", "message"),
    [
        (steady(5, 10), achieved(at_least=0.9), 1.0, "cannot be held against a run that goes on"),
        (steady(0, 10), P50, 1.0, "no phase plans any load"),
        (stress(1, 1, 5, up_to=3), P50, 0.05, "phase:stress 1 is shorter than a second"),
    ],
)
def test_what_no_stair_can_be_held_to_is_refused(
    profile: Profile, until: Check, scale: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        stress_of(*shape_of(profile, until, time_scale=scale))


def second_report(second: int, took_ms: int) -> dict[str, object]:
    recorder = Recorder(source="local", origin_us=0)
    end_us = second * 1_000_000 + 999_999
    for _ in range(10):
        start_us = end_us - took_ms * 1000
        recorder.record(
            Sample("GET /", None, start_us, end_us, Outcome.OK, 200, 1, 0, None, "http://a")
        )
    recorder.close()
    (report,) = [one for one in recorder.reports() if one is not None]
    return {**report.as_dict(), "sequence": second}


class Ran:
    """The books of a run of three stairs of four seconds, as its owner keeps them."""

    def __init__(self, folder: Path) -> None:
        self.now_s = -1.0
        shape, plan = shape_of(stress(10, 10, 4, up_to=30))
        self.book = RunBook(
            create_run(folder, "run"),
            header=Header("run", "one", 0),
            plan=plan,
            checks=(figure("capacity", "most", at_least=10),),
            profile=shape.plan,
            elapsed_s=lambda: self.now_s,
            stress=stress_of(shape, plan),
        )

    def second(self, second: int, took_ms: int) -> str | None:
        self.book.take("second", second_report(second, took_ms))
        self.now_s = second + 1.75
        self.book.tick(10, 10)
        return self.book.limit_found()


def test_the_books_hold_where_the_check_broke_and_the_verdict_rests_on_that(
    tmp_path: Path,
) -> None:
    ran = Ran(tmp_path)
    found = [ran.second(second, 10 if second < 4 else 500) for second in range(7)]
    assert found[:6] == [None] * 6
    text = found[6]
    assert text is not None and "held up to 10 users" in text and "broke at 20 users" in text
    assert ran.book.plan_ends(7.76) == 8.0
    assert ran.second(7, 500) is None, "told once"
    ran.now_s = 8.3
    moment = ran.book.tick(10, 0)
    assert (moment.phase, moment.planned_users) == (None, 0)
    ran.book.close(None, {"local": 8})

    written = read_timeline(ran.book.folder.timeline)
    assert written.end is not None
    assert written.end.plan_ends_s == 8.0
    assert written.end.reports == {"local": 8, "owner": 1}
    assert written.lost_reports() == {}
    (own,) = [report for report in written.reports if report.source == "owner"]
    assert own.figures["capacity"].most == 10
    judgement = ran.book.judge()
    assert text in judgement.reasons
    assert [stats.window.name for stats in judgement.windows] == [
        "run",
        "phase:stress 1",
        "phase:stress 2",
    ]


def test_the_books_of_a_stress_that_broke_nothing_say_so_within_the_plan(tmp_path: Path) -> None:
    ran = Ran(tmp_path)
    assert [ran.second(second, 10) for second in range(12)] == [None] * 12
    ran.now_s = 19.0
    ran.book.close(None, {"local": 12})
    written = read_timeline(ran.book.folder.timeline)
    (note,) = written.annotations
    assert note.label == "limit_not_found" and "held up to 30 users" in note.text
    assert written.end is not None and written.end.plan_ends_s is None
    judgement = ran.book.judge()
    assert judgement.windows[0].window.intervals == ((0, 12),), "draining is no part of the plan"


def test_a_stress_that_was_stopped_is_aborted_and_says_what_held(tmp_path: Path) -> None:
    ran = Ran(tmp_path)
    for second in range(6):
        ran.second(second, 10)
    ran.book.close("stopped after 7 of 12 s", {"local": 6})
    judgement = ran.book.judge()
    assert judgement.verdict is Verdict.ABORTED
    assert "held up to 10 users" in judgement.reasons[-1]
    assert judgement.reasons[-1].endswith("its limit was not found")


def test_stairs_await_arrivals_for_as_long_as_they_may_be_started() -> None:
    assert LATEST_START_S * 1_000_000 == LATEST_START_US


@pytest.mark.parametrize("until", [P50, None])
def test_users_of_a_stress_cannot_say_what_its_capacity_is(until: Check | None) -> None:
    shape, _ = shape_of(steady(5, 10), until)
    environment = Environment(user_classes=[Reader], shape_class=shape)
    plan = RunPlan("run", 0, 1, ())
    side = LoadSide(plan, source="x", worker_index=0, users=lambda: 0, ship=lambda k, r: None)
    side.attach(environment)
    try:
        side.observe("capacity_of_mine", 1.0)
        if until is None:
            side.observe("capacity", 500.0)
        else:
            with pytest.raises(ValueError, match="`until` finds: use another name"):
                side.observe("capacity", 500.0)
    finally:
        side.detach(environment)


def test_what_is_found_is_written_when_all_requests_have_ended(tmp_path: Path) -> None:
    """A later stair may break before an earlier one is known to have broken."""
    ran = Ran(tmp_path)
    for second in range(6):
        assert ran.second(second, 10) is None
    text = [ran.second(second, 500) for second in (8, 9, 10)][-1]
    assert text is not None and "broke at 30 users" in text
    ran.book.plan_ends(11.76)
    assert read_timeline(ran.book.folder.timeline).annotations == ()
    slow = second_report(12, 6_500)
    for number in (11, 12, 13):
        ran.book.take("second", {**slow, "sequence": number})
    ran.now_s = 13.0
    ran.book.close(None, {"local": 12})
    (note,) = read_timeline(ran.book.folder.timeline).annotations
    assert "broke at 20 users" in note.text
    (own,) = [r for r in read_timeline(ran.book.folder.timeline).reports if r.source == "owner"]
    assert own.figures["capacity"].most == 10


def test_a_run_whose_plan_was_ended_is_not_cut_short() -> None:
    now_s = 0.0
    shape, plan = shape_of(stress(10, 10, 4, up_to=30))
    shape._clock_s = lambda: now_s
    shape.reset_time()
    course = Course(0, shape.elapsed_s, shape.plan, plan, shape=shape)
    now_s = 9.0
    assert course.cut_short() == "stopped after 8 of 12 s", "the control"
    assert shape.end_now() == 8.0
    now_s = 9.5
    assert course.cut_short() is None


def test_the_only_process_owns_no_arrival_from_the_plans_end_on() -> None:
    share = WholeShare()
    share.end_arrivals(8_000_000)
    assert share.epochs.owner(5, 7_999_999) == LOCAL
    assert share.epochs.owner(5, 8_000_000) is None
