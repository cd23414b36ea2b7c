"""The target's samples by window and node: nothing is filled in, and what is missing shows."""

from __future__ import annotations

from dataclasses import replace

from results.check import error_rate
from results.replay import judge_timeline
from results.target import TargetStats, target_stats
from results.timeline import TargetSample
from results.verdict import Verdict
from results.windows import Window, interval, standard_windows
from tests.unit.results.builder import planned_requests, timeline

RUN = interval("run", 0, 6)


def test_each_value_has_mean_most_and_count_by_window_and_node() -> None:
    samples = [
        TargetSample(1.0, "n1", {"cpu_percent": 10.0, "queue_events": 5.0}),
        TargetSample(2.0, "n1", {"cpu_percent": 40.0}),
        TargetSample(3.0, "n1", {"cpu_percent": 70.0}),
        TargetSample(1.0, "n2", {"cpu_percent": 0.0}),
    ]
    early = interval("early", 0, 2)
    found = target_stats(samples, [RUN, early])
    assert found["run"]["n1"] == {
        "cpu_percent": TargetStats(40.0, 70.0, 3),
        "queue_events": TargetStats(5.0, 5.0, 1),
    }
    assert found["early"] == {
        "n1": {
            "cpu_percent": TargetStats(25.0, 40.0, 2),
            "queue_events": TargetStats(5.0, 5.0, 1),
        },
        "n2": {"cpu_percent": TargetStats(0.0, 0.0, 1)},
    }


def test_a_sample_belongs_to_the_second_before_it() -> None:
    window = interval("w", 2, 3)
    moments = [2.2, 2.49, 2.5, 3.0, 3.2, 3.49, 3.5]
    samples = [TargetSample(t_s, "n", {str(t_s): 1.0}) for t_s in moments]
    assert sorted(target_stats(samples, [window])["w"]["n"]) == ["2.5", "3.0", "3.2", "3.49"]


def test_every_sample_is_in_exactly_one_of_adjoining_windows() -> None:
    samples = [TargetSample(n / 10, "n", {"v": 1.0}) for n in range(5, 65)]
    windows = [interval("a", 0, 2.4), interval("b", 2.4, 2.6), interval("c", 2.6, 6)]
    found = target_stats(samples, [RUN, *windows])
    counts = [stats["n"]["v"].samples for name, stats in found.items() if "v" in stats["n"]]
    assert counts[0] == 60 == sum(counts[1:])


def test_a_node_without_samples_in_a_window_is_there_without_values() -> None:
    samples = [TargetSample(1.0, "n1", {"up": 1.0}), TargetSample(5.0, "n2", {"up": 0.0})]
    phases = [interval("early", 0, 3), Window("late", ((3, 4), (4, 6)))]
    found = target_stats(samples, phases)
    assert found["early"] == {"n1": {"up": TargetStats(1.0, 1.0, 1)}, "n2": {}}
    assert found["late"] == {"n1": {}, "n2": {"up": TargetStats(0.0, 0.0, 1)}}
    assert target_stats([], phases) == {}


def test_the_verdict_does_not_depend_on_the_target() -> None:
    made = timeline(planned_requests(), checks=[error_rate(below=0.1)])
    down = tuple(TargetSample(float(t), "n1", {"up": 0.0}) for t in range(6))
    without, with_it = judge_timeline(made), judge_timeline(replace(made, target=down))
    assert without.verdict is Verdict.PASS
    assert without.target == {}
    names = [window.name for window in standard_windows(made)]
    assert list(with_it.target) == names
    assert replace(with_it, target={}) == without
