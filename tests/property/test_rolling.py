"""Checks over time say what counting every interval by itself says.

The reference below decodes nothing and slides nothing: it looks at each interval anew, with the
samples themselves.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.check import Check, availability, error_rate, errors, latency, mean_latency, rate
from results.judging.check_result import CheckResult, Status, holds
from results.judging.rolling import evaluate_rolling
from results.judging.silence import CERTAIN_STARTS
from results.judging.sliding import Sliding
from results.judging.spell import Breach, Spell
from results.measure import Measure, Series
from results.sample import Outcome, Sample
from results.second import SecondReport
from results.statistic import QUANTILES, cut
from results.timeline import Header, Plan, PlannedPhase, Timeline
from results.windows import Window, interval
from tests.unit.results.builder import reports

FAILED = frozenset({Outcome.TIMEOUT, Outcome.HTTP_5XX})
NODE_MADE = frozenset({Outcome.HTTP_5XX})


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    end_us = draw(st.integers(min_value=0, max_value=19_999_999))
    took_us = draw(st.integers(min_value=0, max_value=4_000_000))
    return Sample(
        name=draw(st.sampled_from(["a", "b1", "b2"])),
        intended_us=draw(st.sampled_from([None, end_us - took_us - 5_000])),
        start_us=end_us - took_us,
        end_us=end_us,
        outcome=draw(st.sampled_from([Outcome.OK, Outcome.OK, *FAILED])),
        status=0,
        bytes_received=draw(st.sampled_from([0, 1])),
        emulated_us=draw(st.integers(0, 1_000_000)),
        write_id=None,
        node="n",
    )


@st.composite
def checks(draw: st.DrawFn) -> Check:
    where: dict[str, Any] = {
        "endpoint": draw(st.sampled_from([None, "a", "b*", "nothing"])),
        "window": "w",
    }
    limit_ms = draw(st.floats(min_value=0.5, max_value=4_000))
    share = draw(st.floats(min_value=0.01, max_value=0.99))
    series = draw(st.sampled_from(list(Series)))
    quantile = draw(st.sampled_from(QUANTILES))
    made = draw(
        st.sampled_from(
            [
                errors(at_most=draw(st.integers(0, 3)), **where),
                error_rate(below=share, **where),
                availability(above=share, **where),
                rate(above=draw(st.floats(min_value=0.1, max_value=3)), **where),
                latency(quantile=quantile, below_ms=limit_ms, series=series, **where),
                mean_latency(below_ms=limit_ms, series=series, **where),
            ]
        )
    )
    span_s = float(draw(st.integers(1, 8)))
    return replace(made, over_s=span_s) if draw(st.booleans()) else replace(made, for_s=span_s)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    edges = sorted(draw(st.lists(st.integers(0, 22), min_size=2, max_size=4, unique=True)))
    if len(edges) == 3:
        edges.pop()
    return Window("w", tuple(zip(map(float, edges[::2]), map(float, edges[1::2]), strict=True)))


@st.composite
def plans(draw: st.DrawFn) -> Plan | None:
    if draw(st.booleans()):
        return None
    users = draw(st.lists(st.sampled_from([0, 2, 2, 7, 40]), min_size=18, max_size=18))
    return Plan(
        18.0,
        (PlannedPhase("one", 0, 18),),
        tuple(users),
        tuple(map(float, users)),
        draw(st.sampled_from([None, 0.5, 1.0, 4.0])),
        draw(st.sampled_from([None, "a"])),
    )


class Reference:
    """One check, by the samples. Their number of bytes says which source sent them."""

    def __init__(
        self, check: Check, window: Window, plan: Plan | None, sent: Sequence[Sample]
    ) -> None:
        self.check, self.plan, self.failed = check, plan, FAILED
        pattern = check.endpoint
        self.sent = [
            one
            for one in sent
            if pattern in (None, one.name) or (pattern == "b*" and one.name.startswith("b"))
        ]
        self.spans = [list(span) for span in window.seconds()]
        self.length = int(check.over_s or check.for_s or 0)
        self.hung = self.fates()

    def value(self, seconds: Sequence[int]) -> float | None:
        check, failed = self.check, self.failed
        ended = [one for one in self.sent if one.end_us // 1_000_000 in seconds]
        bad = sum(one.outcome in failed for one in ended)
        told = [self.hung.get(second, set()) for second in seconds]
        if not ended and check.measure in (Measure.RATE, Measure.AVAILABILITY):
            if failed is not FAILED:
                return None
            is_certain = self.is_certain(seconds, whole=check.for_s is not None)
            if check.measure is Measure.RATE:
                return 0.0 if all(told) or is_certain else None
            is_served = any(False in one for one in told)
            is_failing = any(True in one for one in told)
            return 0.0 if not is_served and (is_failing or is_certain) else None
        if check.measure is Measure.RATE:
            return len(ended) / len(seconds)
        if not ended:
            return None
        match check.measure:
            case Measure.ERRORS:
                return bad
            case Measure.ERROR_RATE:
                return bad / len(ended)
            case Measure.AVAILABILITY:
                return 1 - bad / len(ended)
            case _:
                # The numbers of a window that is this interval and nothing else.
                return self.latency(ended)

    def latency(self, ended: Sequence[Sample]) -> float | None:
        made = Timeline(Header("r", "s", 0), reports=reports(ended))
        (stats,) = cut(made, [interval("all", 0, 20)]).values()
        series = {
            Series.RAW: stats.total.raw,
            Series.EXCESS: stats.total.excess,
            Series.CORRECTED: stats.total.corrected,
        }[self.check.series or Series.RAW]
        if series is None or not series.count:
            return None
        quantile = self.check.quantile
        return series.mean_ms if quantile is None else series.quantile_ms(quantile)

    def fates(self) -> dict[int, set[bool]]:
        """Of each second: whether requests that were under way in it failed afterwards.

        Of what one source tells of an endpoint's second, timeouts count as those that began first.
        """
        groups: dict[tuple[int, str, int], list[Sample]] = {}
        for one in self.sent:
            source = one.bytes_received
            groups.setdefault((source, one.name, one.end_us // 10**6), []).append(one)
        found: dict[int, set[bool]] = {}
        for (_, _, end_s), group in groups.items():
            timeouts = sum(one.outcome is Outcome.TIMEOUT for one in group)
            all_failed = all(one.outcome in FAILED for one in group)
            begun = sorted(one.start_us // 10**6 for one in group)
            for nth, first_s in enumerate(begun):
                for second in range(first_s, end_s):
                    found.setdefault(second, set()).add(nth < timeouts or all_failed)
        return found

    def is_certain(self, seconds: Sequence[int], *, whole: bool = False) -> bool:
        """Whether enough was planned of the silence that these seconds end, or belong to."""
        plan = self.plan
        if plan is None or self.check.endpoint not in (None, plan.endpoint):
            return False
        planned = {
            s: user_s / plan.mean_cycle_s
            for s, user_s in enumerate(plan.user_seconds)
            if plan.mean_cycle_s and user_s
        }
        if not any(s in planned for s in seconds):
            return False
        span = next(span for span in self.spans if seconds[0] in span)
        busy = {one.end_us // 10**6 for one in self.sent}
        first = last = seconds[-1]
        while first - 1 in span and first - 1 not in busy:
            first -= 1
        while whole and last + 1 in span and last + 1 not in busy:
            last += 1
        # One that is certain stays so: of a whole silence, any of its planned seconds may tell.
        ends = [s for s in range(first, last + 1) if s in planned] if whole else [seconds[-1]]
        return any(
            sum(planned.get(s, 0) for s in range(first, end)) >= CERTAIN_STARTS
            and sum(s in planned for s in range(first, end + 1)) >= 2 * (plan.mean_cycle_s or 0)
            for end in ends
        )

    def worse(self, value: float) -> float:
        return -value if self.check.bound.is_lower else value

    def is_firm(self) -> bool:
        """Whether it would fail with what nodes alone have caused."""
        if self.check.measure not in (Measure.ERRORS, Measure.ERROR_RATE, Measure.AVAILABILITY):
            return False
        self.failed = NODE_MADE
        return self.answer()[0] is Status.FAIL

    def over(self) -> tuple[Status, float | None]:
        found = [
            value
            for span in self.spans
            for n in range(len(span) - self.length + 1)
            if (value := self.value(span[n : n + self.length])) is not None
        ]
        if not found:
            return Status.INCONCLUSIVE, None
        worst = max(found, key=self.worse)
        return (Status.PASS if holds(self.check, worst) else Status.FAIL), worst

    def for_(self) -> tuple[Status, float | None]:
        """Every stretch that begins and ends with a value and is long enough."""
        found: list[tuple[int, float]] = []
        least: list[tuple[int, float]] = []
        for span in self.spans:
            values = [(s, v) for s in span if (v := self.value([s])) is not None]
            for first, (begun, _) in enumerate(values):
                for last in range(first, len(values)):
                    length = values[last][0] - begun + 1
                    if length < self.length:
                        continue
                    mildest = min((v for _, v in values[first : last + 1]), key=self.worse)
                    found.append((length, mildest))
                    if last == first or values[last - 1][0] - begun + 1 < self.length:
                        least.append((length, mildest))
        broken = [one for one in found if not holds(self.check, one[1])]
        if broken:
            longest = max(length for length, _ in broken)
            return Status.FAIL, next(value for length, value in broken if length == longest)
        if not least:
            return Status.INCONCLUSIVE, None
        return Status.PASS, max((value for _, value in least), key=self.worse)

    def answer(self) -> tuple[Status, float | None]:
        if max(map(len, self.spans)) < self.length:
            return Status.INCONCLUSIVE, None
        return self.over() if self.check.over_s is not None else self.for_()


def rolled(
    check: Check,
    window: Window,
    plan: Plan | None,
    sent: Sequence[Sample],
    order: Callable[[list[SecondReport]], None] = lambda _: None,
) -> CheckResult:
    of = {source: [one for one in sent if one.bytes_received == source] for source in (0, 1)}
    made = [*reports(of[0], "w1"), *reports(of[1], "w2")]
    order(made)
    timeline = Timeline(Header("r", "s", 0), plan, reports=tuple(made))
    return evaluate_rolling([check], {"w": window}, timeline)[check.id]


@settings(max_examples=300, deadline=None)
@given(
    sent=st.lists(samples(), max_size=40),
    check=checks(),
    window=windows(),
    plan=plans(),
    order=st.randoms(use_true_random=False),
)
def test_a_check_over_time_says_what_every_interval_by_itself_says(
    sent: list[Sample], check: Check, window: Window, plan: Plan | None, order: random.Random
) -> None:
    result = rolled(check, window, plan, sent, order.shuffle)
    reference = Reference(check, window, plan, sent)
    status, value = reference.answer()
    assert result.status is status, result.reason
    assert result.firm is (status is Status.FAIL and reference.is_firm())
    assert (result.value is None) is (value is None)
    assert result.value == pytest.approx(value) if value is not None else True
    assert result.value is None or (holds(check, result.value) is (status is Status.PASS))


def _at(second: int, outcome: Outcome) -> Sample:
    start_us = second * 1_000_000
    return Sample("a", None, start_us, start_us + 9, outcome, 0, 0, 0, None, "n")


def test_the_reference_finds_sums_that_never_drop_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: two failures far apart are one in any two seconds."""
    sent = [_at(s, Outcome.TIMEOUT if s in (2, 9) else Outcome.OK) for s in range(12)]
    check, window = replace(errors(at_most=1, window="w"), over_s=2.0), interval("w", 0, 12)
    expected = Reference(check, window, None, sent).answer()
    assert expected == (Status.PASS, 1)
    assert rolled(check, window, None, sent).value == 1
    monkeypatch.setattr(Sliding, "_drop", lambda self: self._seconds.popleft())
    assert rolled(check, window, None, sent).value == 2


def test_the_reference_finds_a_breach_that_an_empty_second_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control: nobody asked in seconds 4 and 5."""
    sent = [_at(s, Outcome.TIMEOUT) for s in (2, 3, 6, 7)]
    check, window = replace(error_rate(below=0.5, window="w"), for_s=6.0), interval("w", 0, 12)
    assert Reference(check, window, None, sent).answer() == (Status.FAIL, 1)
    assert rolled(check, window, None, sent).status is Status.FAIL
    whole = Breach.take

    def forgetful(self: Breach, spell: Spell) -> None:
        if self._breach is not None and self._breach.end_s != spell.first_s:
            self.interrupt()
        whole(self, spell)

    monkeypatch.setattr(Breach, "take", forgetful)
    assert rolled(check, window, None, sent).status is not Status.FAIL


@pytest.mark.parametrize("check", [replace(rate(above=1, window="w"), for_s=3.0)])
def test_the_reference_finds_a_silence_that_counts_too_late(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: at 10/s it is certain in its fourth second, and all of it counts."""
    sent = [_at(s, Outcome.OK) for s in (0, 1, 6, 7) for _ in range(9)]
    plan = Plan(9.0, (PlannedPhase("one", 0, 9),), (10,) * 9, (10.0,) * 9, 1.0)
    window = interval("w", 0, 8)
    assert Reference(check, window, plan, sent).answer() == (Status.FAIL, 0)
    assert rolled(check, window, plan, sent).status is Status.FAIL
    monkeypatch.setattr(Sliding, "may_be_silence", False)
    assert rolled(check, window, plan, sent).status is Status.PASS
