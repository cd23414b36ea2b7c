"""What a run follows, a shape with its end or a person who ends it, and the books of the latter."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from locust import User

from locustfiles.harness.course import Course, ad_hoc_course, course_of
from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.plan import ATTRIBUTE, RunPlan
from locustfiles.harness.run_book import RECENT_SECONDS, RunBook
from locustfiles.harness.scenario import Cluster, Scenario
from locustfiles.harness.target.target import Node
from results.check import error_rate, requests
from results.recorder import Recorder
from results.run_folder import create_run
from results.sample import Outcome, Sample
from results.timeline import Header
from results.timeline_reader import read_timeline
from shapes.locust_shape import PhasedShape
from shapes.profile import burst, sequence, steady

BOOKED_US = 1_000_000


class Shape(PhasedShape):
    profile = sequence(steady(2, 3), burst(4, 2))


def scenario() -> Scenario:
    return Scenario(
        id="one",
        tier="foundation",
        cluster=Cluster(roles=(("app",),)),
        users=(User,),
        shape=Shape,
        mean_cycle_s=0.5,
        endpoint="GET /a",
        checks=(error_rate(below=0.1),),
        source_dir=Path(),
    )


def test_a_shape_is_cut_short_before_its_end_and_not_after_it() -> None:
    now_s = 100.0
    shape = Shape(clock_s=lambda: now_s, wall_clock_us=lambda: BOOKED_US)
    course = course_of(shape, scenario())
    assert not course.is_ad_hoc
    assert course.origin_us == wall_us(now_s + 1.0), "its first users start a second ahead"
    assert course.cut_short() == "stopped after 0 of 5 s", "in the second before it"
    now_s = 103.5
    assert course.cut_short() == "stopped after 2 of 5 s"
    now_s = 106.0
    assert course.cut_short() is None
    assert course.plan is not None
    assert course.plan.users == (2, 2, 4, 4, 4)
    assert course.plan.endpoint == "GET /a"


def test_an_ad_hoc_run_is_never_cut_short_and_begins_at_once() -> None:
    course = ad_hoc_course()
    assert course.is_ad_hoc
    assert course.cut_short() is None
    assert (course.plan, course.profile, course.fixed_users) == (None, None, 0)
    before_s, after_s = course.elapsed_s(), course.elapsed_s()
    assert 0 <= before_s <= after_s


@pytest.mark.parametrize("ad_hoc", [True, False])
def test_workers_learn_whether_a_run_is_ad_hoc(ad_hoc: bool) -> None:
    node = Node("node-1", "http://127.0.0.1:1", ("app",))
    plan = RunPlan("run", 1, 2, (node,), ad_hoc=ad_hoc)
    options = argparse.Namespace()
    plan.publish(options)
    wire = msgpack.unpackb(msgpack.packb(getattr(options, ATTRIBUTE)))
    assert RunPlan.of(argparse.Namespace(**{ATTRIBUTE: wire})) == plan


def book(tmp_path: Path, course: Course) -> RunBook:
    return RunBook(
        create_run(tmp_path, "run"),
        header=Header("run", "one", course.origin_us, course.is_ad_hoc),
        plan=course.plan,
        checks=(error_rate(below=0.1), requests(above=5)),
        profile=course.profile,
        elapsed_s=course.elapsed_s,
    )


def test_the_books_of_an_ad_hoc_run_hold_what_was_asked_for_and_no_plan(tmp_path: Path) -> None:
    course = replace(ad_hoc_course(), elapsed_s=lambda: 7.75)
    opened = book(tmp_path, course)
    moment = opened.tick(3, 5)
    assert (moment.second, moment.phase, moment.planned_users) == (7, None, 5)
    opened.close(None, {})
    written = read_timeline(opened.folder.timeline)
    assert written.header.ad_hoc
    assert written.plan is None
    assert [(p.users, p.planned) for p in written.progress] == [(3, 5)]
    assert opened.judge().reasons[-1].endswith("left out: requests")


def second_report(second: int, sequence: int, ended: int) -> dict[str, object]:
    """What a load side ships of a second in which so many requests ended."""
    recorder = Recorder(source="local", origin_us=0)
    for _ in range(ended):
        at_us = second * 1_000_000
        recorder.record(
            Sample("GET /", None, at_us, at_us + 10, Outcome.OK, 200, 1, 0, None, "http://a")
        )
    recorder.close()
    (report,) = [one for one in recorder.reports() if one is not None]
    return replace(report, sequence=sequence).as_dict()


def test_the_books_of_a_long_run_remember_recent_seconds_alone(tmp_path: Path) -> None:
    now_s = 0.0
    opened = book(tmp_path, replace(ad_hoc_course(), elapsed_s=lambda: now_s))
    seconds = 3 * RECENT_SECONDS
    for second in range(seconds):
        opened.take("second", second_report(second, second, 2))
    now_s = seconds + 0.5
    assert (opened.tick(1, 1).rate_per_s, opened.tick(1, 1).ended) == (2.0, 2 * seconds)
    # Late samples: of the second that is shown, and of one that is long past.
    opened.take("second", second_report(seconds - 1, seconds, 3))
    opened.take("second", second_report(0, seconds + 1, 4))
    moment = opened.tick(1, 1)
    assert (moment.rate_per_s, moment.ended) == (5.0, 2 * seconds + 7)
    assert len(opened._ended_by_second) <= RECENT_SECONDS
    opened.close(None, {})
    assert len(read_timeline(opened.folder.timeline).reports) == seconds + 2, "all are written"
