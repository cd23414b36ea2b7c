"""The books of a run that a check may end, and how a run without a plan is ended."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gevent
import pytest

from locustfiles.harness.course import Course
from locustfiles.harness.run import Run
from locustfiles.harness.run_book import RunBook
from results.check import Check, error_rate
from results.recorder import Recorder
from results.run_folder import create_run
from results.sample import Outcome, Sample
from results.timeline import Header
from results.timeline_reader import read_timeline
from results.verdict import Verdict

ERRORS = replace(error_rate(below=0.1), abort_after_s=2.0)


def second_report(second: int, outcome: Outcome) -> dict[str, object]:
    recorder = Recorder(source="local", origin_us=0)
    end_us = second * 1_000_000 + 500_000
    sample = Sample("GET /", None, end_us - 9, end_us, outcome, 500, 1, 0, None, "http://a")
    for _ in range(10):
        recorder.record(sample)
    recorder.close()
    (report,) = [one for one in recorder.reports() if one is not None]
    return {**report.as_dict(), "sequence": second}


class Ran:
    """The books of a run without a plan, as its owner keeps them."""

    def __init__(self, folder: Path, check: Check = ERRORS) -> None:
        self.now_s = 0.0
        self.book = RunBook(
            create_run(folder, "run"),
            header=Header("run", "one", 0, unplanned=True),
            plan=None,
            checks=(check,),
            profile=None,
            elapsed_s=lambda: self.now_s,
        )

    def second(self, second: int, outcome: Outcome = Outcome.OK) -> str | None:
        self.book.take("second", second_report(second, outcome))
        self.now_s = second + 1.75
        self.book.tick(10, 10)
        return self.book.broken_check()


def test_the_books_say_which_check_ended_the_run_and_the_verdict_rests_on_that(
    tmp_path: Path,
) -> None:
    ran = Ran(tmp_path)
    found = [ran.second(second, Outcome.HTTP_5XX) for second in range(2)]
    assert found[0] is None, "it is asked from two seconds on"
    text = found[1]
    assert text == "error_rate is broken, 100 % after 2 s (errors < 10%, abort after 2s)"
    for second in range(2, 40):
        ran.book.take("second", second_report(second, Outcome.OK))
    for second in range(40):
        health = {"t_s": float(second), "source": "local", "values": {"lag_p99_ms": 5.0}}
        ran.book.take("health", health)
    ran.now_s = 40.0
    ran.book.close(None, {"local": 40})
    (note,) = read_timeline(ran.book.folder.timeline).annotations
    assert (note.label, note.t_s) == ("check_aborted", 2.75)
    judgement = ran.book.judge()
    assert judgement.verdict is Verdict.FAIL
    assert judgement.results[0].value == 1.0, "in the end it would be 5 %"


def test_the_books_of_a_check_that_holds_say_nothing_of_it(tmp_path: Path) -> None:
    ran = Ran(tmp_path)
    assert [ran.second(second) for second in range(9)] == [None] * 9
    ran.book.close(None, {"local": 9})
    assert read_timeline(ran.book.folder.timeline).annotations == ()
    assert ran.book.judge().results[0].status == "PASS"


class LocustsPart:
    """What `Run` needs of Locust's runner; it notes who asked it to end."""

    def __init__(self, *, headless: bool) -> None:
        self.state = "running"
        self.asked: list[str] = []
        self.environment = SimpleNamespace(parsed_options=argparse.Namespace(headless=headless))

    def quit(self) -> None:
        self.asked.append("quit")

    def stop(self) -> None:
        self.asked.append("stop")


def going_on(book: Any, runner: LocustsPart) -> Run:
    course = Course(0, lambda: 5.0, is_unplanned=True)
    return Run("run", cast(RunBook, book), course, cast(Any, runner), lambda: 1)


class Told:
    """Books in which a check is broken whenever somebody asks."""

    def __init__(self) -> None:
        self.asked = 0

    def limit_found(self) -> None:
        return None

    def broken_check(self) -> str:
        self.asked += 1
        return "errors is broken"


@pytest.mark.parametrize(("headless", "way"), [(True, "quit"), (False, "stop")])
def test_a_run_without_a_plan_is_ended_as_locust_ends_it_once(headless: bool, way: str) -> None:
    book, runner = Told(), LocustsPart(headless=headless)
    run = going_on(book, runner)
    run._end_where_a_check_broke()
    run._end_where_a_check_broke()
    gevent.sleep(0)
    assert runner.asked == [way]
    assert book.asked == 1
    assert run.course.cut_short() is None, "it has come to its end"


def being_ended(run: Run, runner: LocustsPart) -> None:
    run.is_ending = True


def being_stopped(run: Run, runner: LocustsPart) -> None:
    runner.state = "stopping"


@pytest.mark.parametrize("end", [being_ended, being_stopped])
def test_a_run_that_is_being_ended_is_ended_by_no_check(
    end: Callable[[Run, LocustsPart], None],
) -> None:
    book, runner = Told(), LocustsPart(headless=True)
    run = going_on(book, runner)
    end(run, runner)
    run._end_where_a_check_broke()
    gevent.sleep(0)
    assert (runner.asked, book.asked) == ([], 0)
