"""Whether workers' reports come in time: pure, with times of its own."""

from __future__ import annotations

from locustfiles.harness.health.report_watch import IN_TIME_S, ReportWatch


def test_workers_that_speak_every_second_miss_nothing() -> None:
    watch = ReportWatch()
    for second in range(20):
        for worker in ("a", "b"):
            watch.heard(worker, f"worker-{worker}", second + 0.06)
        assert watch.look(second + 0.05 + 1) == {}


def test_a_line_that_is_late_by_less_than_a_second_is_in_time() -> None:
    watch = ReportWatch()
    watch.heard("a", "worker-0", 1.0)
    assert watch.look(1.0 + IN_TIME_S - 0.01) == {}
    assert watch.look(1.0 + IN_TIME_S + 0.01) != {}


def test_a_silent_worker_misses_one_report_a_second_and_the_others_none() -> None:
    watch = ReportWatch()
    told = []
    for second in range(8):
        watch.heard("a", "worker-0", float(second))
        if second < 2:
            watch.heard("b", "worker-1", float(second))
        told.append(watch.look(second + 0.5))
    assert told[:3] == [{}, {}, {}]
    assert [list(one) for one in told[3:]] == [["worker-1"]] * 5
    assert [one["worker-1"]["unheard_s"] for one in told[3:]] == [2.5, 3.5, 4.5, 5.5, 6.5]
    assert [one["worker-1"]["missed_reports"] for one in told[3:]] == [1, 2, 3, 4, 5]


def test_a_worker_whose_first_line_never_comes_is_missed_from_where_it_was_due() -> None:
    watch = ReportWatch()
    watch.expect("a", "worker-0", 0.0)
    assert [bool(watch.look(second + 0.5)) for second in range(4)] == [False, False, True, True]
    watch.heard("a", "worker-0", 3.6)
    watch.expect("a", "worker-0", 0.0)
    assert watch.look(4.5) == {}, "one that was heard is due a second later, as any"


def test_a_worker_that_comes_back_keeps_what_it_missed_and_is_silent_no_more() -> None:
    watch = ReportWatch()
    watch.heard("a", "worker-0", 0.0)
    for second in range(1, 5):
        told = watch.look(float(second))
    assert told["worker-0"]["missed_reports"] == 3
    watch.heard("a", "worker-0", 4.5)
    assert watch.look(5.0) == {}
    assert watch.look(6.0) == {}
    told = watch.look(7.0)
    assert told["worker-0"] == {"missed_reports": 4, "unheard_s": 2.5}


def test_of_a_worker_that_is_done_nothing_is_expected() -> None:
    watch = ReportWatch()
    watch.heard("a", "worker-0", 0.0)
    assert watch.look(1.0) == watch.look(2.0, excused={"a"}) == watch.look(3.0, excused={"a"}) == {}
    assert watch.look(4.0) == {}
    assert "worker-0" in watch.look(5.0), "silence begins when it is no longer excused"


def test_a_worker_that_was_away_and_is_back_has_its_time_to_speak() -> None:
    watch = ReportWatch()
    watch.heard("a", "worker-0", 0.0)
    for second in range(1, 11):
        told = watch.look(float(second), excused={"a"} if second > 2 else set())
        assert ("worker-0" in told) == (second == 2)
    assert watch.look(11.0) == {}
    watch.heard("a", "worker-0", 11.1)
    assert watch.look(12.0) == {}


def test_seconds_in_which_the_master_itself_stood_still_are_no_silence() -> None:
    watch = ReportWatch()
    watch.heard("a", "worker-0", 1.0)
    assert watch.look(1.5) == {}
    # Its messages wait in the socket for as long as the master does not run.
    assert watch.look(11.5) == {}
    watch.heard("a", "worker-0", 11.6)
    assert watch.look(12.5) == watch.look(13.5) == {}
    assert "worker-0" in watch.look(14.5), "the control"


def test_nobody_is_expected_before_its_first_line() -> None:
    watch = ReportWatch()
    assert watch.look(0.0) == watch.look(1.0) == watch.look(2.0) == {}
