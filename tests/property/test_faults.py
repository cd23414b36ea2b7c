"""Laws of faults: their windows part the run's seconds, and what they did is what a slow and simple
reckoning says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.check import error_rate
from results.impact import SETTLED_S, Impact, impacts
from results.sample import Outcome, Sample
from results.timeline import Fault, Plan, PlannedPhase, Timeline
from results.windows import RECOVERY_S, Window, fault_spans, standard_windows
from tests.unit.results.builder import request, timeline

LENGTH_S = 150

PLAN = Plan(
    float(LENGTH_S),
    (PlannedPhase("a", 0, LENGTH_S),),
    (1,) * LENGTH_S,
    (1.0,) * LENGTH_S,
    1.0,
)

TIMES = st.integers(0, 10 * LENGTH_S).map(lambda tenths: tenths / 10)


@st.composite
def faults(draw: st.DrawFn) -> tuple[Fault, ...]:
    found = []
    for n in range(draw(st.integers(1, 5))):
        began_s, healed_s = sorted((draw(TIMES), draw(TIMES)))
        heals = draw(st.integers(0, 9)) > 0
        kind = draw(st.sampled_from(["kill", "pause"]))
        found.append(Fault(f"f{n}", kind, "", began_s, healed_s if heals else None))
    return tuple(sorted(found, key=lambda fault: (fault.began_s, fault.id)))


def seconds_of(window: Window) -> set[int]:
    return {second for span in window.seconds() for second in span}


def assert_parted(windows: Sequence[Window], plan_s: int = LENGTH_S) -> None:
    """No second is in two of baseline, faults and recoveries, but for faults that overlap."""
    by_kind: dict[str, set[int]] = {"baseline": set(), "fault": set(), "recovery": set()}
    for window in windows:
        kind = window.name.partition(":")[0]
        if kind not in by_kind:
            continue
        seconds = seconds_of(window)
        assert seconds, f"{window.name} holds no second"
        by_kind[kind] |= seconds
    baseline, fault, recovery = by_kind.values()
    assert not baseline & fault and not baseline & recovery and not fault & recovery
    assert recovery | baseline <= set(range(plan_s))
    assert baseline == set(range(min(fault | {plan_s})))


@settings(max_examples=200, deadline=None)
@given(told=faults())
def test_baseline_faults_and_recoveries_share_no_second(told: tuple[Fault, ...]) -> None:
    made = timeline([], plan=PLAN, faults=told)
    windows = standard_windows(made)
    assert_parted(windows)
    assert len({window.name for window in windows}) == len(windows)
    held = {window.name: seconds_of(window) for window in windows}
    for fault in told:
        # Its own second, or the next one where it began after that one's middle.
        began = math.floor(fault.began_s)
        assert {began, began + 1} & held[f"fault:{fault.id}"]
    # Whatever is in none of them comes after a recovery that was long enough.
    healed = [span.end_s for span in fault_spans(made) if span.recovery is not None]
    named = ("baseline", "fault:", "recovery:")
    parted = set().union(*(held[name] for name in held if name.startswith(named)))
    for second in set(range(LENGTH_S)) - parted:
        assert any(second + 0.5 >= end_s + RECOVERY_S for end_s in healed)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda w: replace(w, intervals=tuple((a - 2, b) for a, b in w.intervals)),
        lambda w: replace(w, intervals=tuple((a, b + 2) for a, b in w.intervals)),
    ],
)
def test_the_law_notices_a_window_that_is_two_seconds_too_long(spoil: object) -> None:
    assert callable(spoil)
    made = timeline([], plan=PLAN, faults=(Fault("f0", "kill", "", 20.0, 30.0),))
    windows = standard_windows(made)
    assert_parted(windows)
    spoilt = [spoil(w) if w.name == "fault:f0" else w for w in windows]
    with pytest.raises(AssertionError):
        assert_parted(spoilt)


def traffic(bad: Sequence[bool]) -> list[Sample]:
    """One request a second, which fails in the bad ones."""
    return [
        request(second + 0.1, outcome=Outcome.RESET if is_bad else Outcome.OK)
        for second, is_bad in enumerate(bad)
    ]


def reckoned(made: Timeline, bad: Sequence[bool]) -> list[tuple[float | None, float | None]]:
    """Detection and recovery of each fault, second by second and without any cleverness."""
    found = []
    for fault in made.faults:
        (span,) = (s for s in fault_spans(made) if s.fault == fault)
        after = [s for s in range(LENGTH_S) if span.end_s <= s + 0.5]
        if span.recovery is not None:
            after = [s for s in range(LENGTH_S) if span.recovery[0] <= s + 0.5 < span.until_s]
        recovered = None
        for n, second in enumerate(after if span.recovery is not None else ()):
            if not any(bad[s] for s in after[n : n + SETTLED_S]):
                recovered = second
                break
        last = span.end_s if span.recovery is None else span.recovery[1]
        if recovered is not None:
            last = max(float(recovered), span.end_s)
        looked = [s for s in range(LENGTH_S) if math.floor(fault.began_s) <= s and s + 0.5 < last]
        broke = [s for s in looked if bad[s]]
        detect = max(0.0, broke[0] - fault.began_s) if broke else None
        recover: float | None = None
        if recovered is not None:
            assert span.healed_s is not None
            recover = 0.0 if recovered == after[0] else max(0.0, recovered - span.healed_s)
        elif span.healed_s is not None and looked and not broke:
            recover = 0.0
        found.append((detect, recover))
    return found


def shown(found: Sequence[Impact]) -> list[tuple[float | None, float | None]]:
    return [(one.detect_s, one.recover_s) for one in found]


@settings(max_examples=150, deadline=None)
@given(told=faults(), data=st.data())
def test_what_a_fault_did_is_what_a_simple_reckoning_says(
    told: tuple[Fault, ...], data: st.DataObject
) -> None:
    runs = data.draw(st.lists(st.tuples(st.booleans(), st.integers(1, 30)), max_size=30))
    bad = [is_bad for is_bad, length in runs for _ in range(length)]
    bad = [*bad, *[False] * LENGTH_S][:LENGTH_S]
    made = timeline(traffic(bad), plan=PLAN, faults=told)
    assert shown(impacts(made, [error_rate(below=0.5)])) == reckoned(made, bad)


@settings(max_examples=150, deadline=None)
@given(told=faults(), data=st.data())
def test_what_nobody_looked_at_lies_between_the_bounds_that_are_told(
    told: tuple[Fault, ...], data: st.DataObject
) -> None:
    runs = data.draw(st.lists(st.tuples(st.booleans(), st.integers(1, 30)), max_size=30))
    bad = [is_bad for is_bad, length in runs for _ in range(length)]
    bad = [*bad, *[False] * LENGTH_S][:LENGTH_S]
    edges = sorted(data.draw(st.sets(st.integers(1, LENGTH_S - 1), max_size=12)))
    spans = list(pairwise([0, *edges, LENGTH_S]))
    phases = tuple(PlannedPhase("ab"[n % 2], *span) for n, span in enumerate(spans))
    made = timeline(traffic(bad), plan=replace(PLAN, phases=phases), faults=told)
    whole = impacts(made, [error_rate(below=0.5)])
    for true, seen in zip(
        whole, impacts(made, [error_rate(below=0.5, window="phase:a")]), strict=True
    ):
        assert true.detect_least_s == true.detect_s
        if true.recover_least_s != true.recover_s:
            assert left_to_look(made, true.fault) < SETTLED_S, "no second of them was well"
            assert true.recover_s is None and seen.recover_s is None
            continue
        assert_between(seen.recover_least_s, true.recover_s, seen.recover_s)
        if true.detect_s is not None and seen.detect_s is not None:
            assert_between(seen.detect_least_s, true.detect_s, seen.detect_s)


def left_to_look(made: Timeline, fault: Fault) -> int:
    """Seconds of its recovery."""
    named = f"recovery:{fault.id}"
    return sum(len(seconds_of(w)) for w in standard_windows(made) if w.name == named)


def assert_between(least: float | None, true: float | None, most: float | None) -> None:
    """None as the truth: it never was, so that nobody may have seen it."""
    if true is None:
        assert most is None
        return
    assert least is not None and least <= true
    assert most is None or true <= most


def test_the_bounds_notice_a_truth_beyond_them() -> None:
    assert_between(1.0, 2.0, None)
    assert_between(1.0, None, None)
    for least, true, most in ((1.0, None, 2.0), (None, 1.0, None), (2.0, 1.0, None), (0.0, 3, 2)):
        with pytest.raises(AssertionError):
            assert_between(least, true, most)


def test_the_reckoning_notices_a_second_that_was_taken_for_good() -> None:
    bad = [20 <= second < 35 for second in range(LENGTH_S)]
    made = timeline(traffic(bad), plan=PLAN, faults=(Fault("f0", "kill", "", 20.0, 30.0),))
    found = shown(impacts(made, [error_rate(below=0.5)]))
    assert found == reckoned(made, bad) == [(0.0, 5.0)]
    bad[34] = False
    assert found != reckoned(made, bad)
