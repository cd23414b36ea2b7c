"""Leases: who is here, and that a worker never believes in its lease for longer than the master."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from locustfiles.harness.distribution.lease import (
    LEASE_S,
    Absence,
    Attendance,
    Change,
    OwnLease,
    Silence,
)


def test_a_worker_joins_once_is_away_without_beats_and_comes_back() -> None:
    here = Attendance()
    assert here.renew("a", 10.0) is Change.JOINED
    assert here.renew("a", 10.5) is None
    assert here.lapse(10.5 + LEASE_S - 0.001) == ()
    assert here.lapse(10.5 + LEASE_S) == (Absence("a", 10.5, 10.5 + LEASE_S),)
    assert here.present() == ()
    assert here.lapse(99.0) == (), "said once"
    assert here.renew("a", 99.5) is Change.BACK
    assert here.present() == ("a",)


def test_one_that_comes_back_has_its_old_place() -> None:
    here = Attendance()
    for worker in ("b", "a", "c"):
        here.renew(worker, 0.0)
    here.renew("a", 2.0)
    assert {absence.worker for absence in here.lapse(LEASE_S)} == {"b", "c"}
    here.renew("b", LEASE_S)
    assert here.present() == ("b", "a")


def test_nobody_is_away_because_the_master_stood_still() -> None:
    here = Attendance()
    here.renew("a", 0.0)
    here.excuse(5.0, now_s=5.0)
    assert here.lapse(5.0 + LEASE_S - 0.1) == ()
    (absence,) = here.lapse(5.0 + LEASE_S)
    assert absence.ended_s == 5.0 + LEASE_S, "never earlier than its worker's own"


def test_who_was_heard_while_the_master_stood_still_was_not_heard_in_the_future() -> None:
    here = Attendance()
    here.renew("a", 4.5)
    here.excuse(5.0, now_s=5.0)
    assert here.unheard_s("a", 5.0) == 0.0
    assert here.lapse(5.0 + LEASE_S), "and its lease is not longer than any other"


def test_who_has_left_is_away_at_once_and_its_lease_does_not_run_out_as_well() -> None:
    here = Attendance()
    here.renew("a", 0.0)
    assert here.end("a") and here.present() == ()
    assert not here.end("a") and not here.end("unknown")
    assert here.lapse(99.0) == ()


def test_who_is_away_already_stays_so_when_the_master_stood_still() -> None:
    here = Attendance()
    here.renew("a", 0.0)
    here.lapse(LEASE_S)
    here.excuse(5.0, now_s=5.0)
    assert here.present() == ()


BEATS = st.lists(
    st.tuples(st.floats(0.01, 4.0), st.floats(0.0, 5.0), st.floats(0.0, 5.0), st.booleans()),
    min_size=1,
    max_size=20,
)


@given(beats=BEATS)
def test_when_the_master_gives_a_share_away_its_worker_has_stopped(
    beats: list[tuple[float, float, float, bool]],
) -> None:
    """Beats with any delay there and back, some of them lost on either way."""
    here, own = Attendance(), OwnLease()
    events: list[tuple[float, str, float]] = []
    now_s = 0.0
    for pause_s, there_s, back_s, is_lost in beats:
        now_s += pause_s
        events.append((now_s + there_s, "heard", now_s))
        if not is_lost:
            events.append((now_s + there_s + back_s, "answered", now_s))
    for at_s, what, sent_s in sorted(events, key=lambda one: (one[0], one[1] == "answered")):
        if what == "heard":
            here.renew("a", at_s)
        else:
            own.extend(int(sent_s * 1e6), LEASE_S)
        for moment_s in (at_s + step / 4 for step in range(30)):
            if not here.knows("a") or here.unheard_s("a", moment_s) >= LEASE_S:
                assert not own.lasts(round(moment_s * 1e6))


def test_a_late_answer_makes_no_lease_shorter() -> None:
    own = OwnLease()
    assert not own.lasts(0)
    own.extend(1_000_000, LEASE_S)
    own.extend(500_000, LEASE_S)
    assert own.until_us == 1_000_000 + LEASE_S * 1e6
    assert own.lasts(own.until_us - 1) and not own.lasts(own.until_us)


def test_silence_counts_only_time_in_which_the_process_was_awake() -> None:
    silence = Silence(1.0)
    silence.pass_time(0.0)
    assert silence.pass_time(0.5) == 0.0
    assert silence.pass_time(10.5) == 9.0, "stood still beyond a step"
    assert silence.missing_s == 1.5
    silence.heard()
    assert silence.missing_s == 0.0
