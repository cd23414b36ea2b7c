"""Telemetry on the Prometheus page: a scraper reads back what was emitted, whatever it was."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from service.events.store import StoreStats
from service.telemetry.exposition import Exposition
from service.telemetry.families import claimed
from service.telemetry.meter import Meter
from service.telemetry.series import Telemetry

STATS = StoreStats(queue_events=0, queue_bytes=0, wal_bytes=0, last_seq=0, healthy=True, detail="")

Sample = tuple[str, tuple[tuple[str, str], ...]]


def faults(page: str) -> list[str]:
    """What Prometheus would refuse: a name of two families, a sample given twice."""
    families = list(text_string_to_metric_families(page))
    typed = Counter(line.split()[2] for line in page.splitlines() if line.startswith("# TYPE"))
    named = Counter(name for family in families for name in claimed(family))
    samples = Counter(
        (one.name, tuple(sorted(one.labels.items())))
        for family in families
        for one in family.samples
    )
    return [
        *(f"{name} has two types" for name, count in typed.items() if count > 1),
        *(f"{name} is of two families" for name, count in named.items() if count > 1),
        *(f"{sample} is there twice" for sample, count in samples.items() if count > 1),
        *(f"{family.name} has no type" for family in families if family.type == "unknown"),
    ]


def page_of(telemetry: Telemetry, meter: Meter | None = None) -> str:
    exposition = Exposition(meter or Meter(), lambda: STATS, lambda: 0, (), telemetry)
    return exposition.render().decode()


def values(page: str) -> dict[Sample, float]:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(page)
        for one in family.samples
    }


def test_each_kind_has_its_name_and_its_unit() -> None:
    telemetry = Telemetry()
    telemetry.count("dev/file_saves", {"file_type": "elixir"}, 50)
    telemetry.gauge("queue/depth", -2.5)
    telemetry.measure("dev/test_suite", 100, {"tests": "45"})
    telemetry.measure("dev/test_suite", 50, {"tests": "45"})
    page = page_of(telemetry)
    assert faults(page) == []
    found = values(page)
    assert found["foundation_dev_file_saves_total", (("file_type", "elixir"),)] == 50
    assert found["foundation_queue_depth", ()] == -2.5
    assert found["foundation_dev_test_suite_seconds_count", (("tests", "45"),)] == 2
    assert found["foundation_dev_test_suite_seconds_sum", (("tests", "45"),)] == 0.15


def test_paths_of_one_name_are_told_apart() -> None:
    telemetry = Telemetry()
    for path in ("a/b", "a-b", "a_b"):
        telemetry.count(path, {"k": "v"})
    telemetry.count("a/c", {"k": "v"})
    page = page_of(telemetry)
    assert faults(page) == []
    found = values(page)
    for path in ("a/b", "a-b", "a_b"):
        assert found["foundation_a_b_total", (("k", "v"), ("telemetry_path", path))] == 1
    assert found["foundation_a_c_total", (("k", "v"),)] == 1


def test_a_path_cannot_forge_what_the_node_states_itself() -> None:
    telemetry, meter = Telemetry(), Meter()
    meter.committed(7, 0.001)
    telemetry.count("events/stored", n=1_000_000)
    telemetry.gauge("commit_seconds_count", 5)
    telemetry.gauge("events/stored_total", 5)
    telemetry.measure("loop_lag", 5)
    page = page_of(telemetry, meter)
    assert faults(page) == []
    found = values(page)
    assert found["foundation_events_stored_total", ()] == 7
    assert found["foundation_telemetry_events_stored_total", ()] == 1_000_000
    assert found["foundation_commit_seconds_count", ()] == 1
    assert found["foundation_telemetry_commit_seconds_count", ()] == 5
    assert found["foundation_loop_lag_seconds_count", ()] == 0
    assert found["foundation_telemetry_loop_lag_seconds_count", ()] == 1


def test_kinds_that_would_share_a_sample_do_not() -> None:
    telemetry = Telemetry()
    telemetry.count("a")
    telemetry.gauge("a", 2)
    telemetry.gauge("a_total", 3)
    telemetry.gauge("a_seconds_sum", 4)
    telemetry.measure("a", 5)
    telemetry.count("telemetry/a", n=6)
    page = page_of(telemetry)
    assert faults(page) == []
    ours = {value for (name, _), value in values(page).items() if "_a" in name}
    assert {2, 3, 4, 6} <= ours


_WORDS = st.sampled_from(
    ["a", "b", "A", "a_b", "a-b", "total", "sum", "count", "seconds", "created", "bucket"]
)
_PATHS = st.one_of(
    st.lists(_WORDS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["events/stored", "telemetry/events/stored", "requests", "api-requests"]),
)
_TAGS = st.dictionaries(
    st.sampled_from(["k", "route", "Total"]),
    st.text(min_size=1, max_size=5),
    max_size=2,
)


@given(st.lists(st.tuples(st.sampled_from("cgm"), _PATHS, _TAGS), max_size=30))
def test_the_page_is_valid_whatever_is_emitted(
    emitted: list[tuple[str, str, dict[str, str]]],
) -> None:
    telemetry = Telemetry()
    for kind, path, tags in emitted:
        if kind == "c":
            telemetry.count(path, tags)
        elif kind == "g":
            telemetry.gauge(path, 1, tags)
        else:
            telemetry.measure(path, 1, tags)
    assert faults(page_of(telemetry)) == []


def test_the_check_finds_a_page_that_is_not_valid() -> None:
    """The positive control: two families of one name, and a sample twice in one of them."""

    class Collisions:
        def collect(self) -> list[Metric]:
            gauge = Metric("foundation_a", "", "gauge")
            gauge.add_sample("foundation_a_total", {}, 1)
            counter = CounterMetricFamily("foundation_a", "")
            counter.add_metric([], 1)
            counter.add_metric([], 2)
            return [gauge, counter]

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collisions())
    found = faults(generate_latest(registry).decode())
    assert any("twice" in fault for fault in found)
    assert any("two families" in fault for fault in found)
