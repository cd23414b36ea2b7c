"""Series: sums, bounds, overflow; and the ids that are counted once."""

from __future__ import annotations

import tracemalloc
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import IdConflict
from service.telemetry.retries import CountedIds, content_hash
from service.telemetry.series import TAG_SETS_PER_PATH, Telemetry, fault_of

HOSTILE: list[tuple[str, dict[str, str]]] = [
    ("", {}),
    ("a//b", {}),
    ("/a", {}),
    ("a/", {}),
    ("a b", {}),
    ("a\n", {}),
    ("a" * 65, {}),
    ("/".join("abcdefghi"), {}),
    ("/".join(["a" * 60] * 3), {}),
    ("overflow", {}),
    ("a", {f"t{i}": "v" for i in range(9)}),
    ("a", {"": "v"}),
    ("a", {"1a": "v"}),
    ("a", {"a-b": "v"}),
    ("a", {"ä": "v"}),
    ("a", {"a\n": "v"}),
    ("a", {"a" * 65: "v"}),
    ("a", {"__name__": "v"}),
    ("a", {"le": "v"}),
    ("a", {"quantile": "v"}),
    ("a", {"overflow": "true"}),
    ("a", {"telemetry_path": "b"}),
    ("a", {"t": ""}),
    ("a", {"t": "v" * 201}),
    ("a", {"t": "v\n"}),
    ("a", {"t": "\x00"}),
    ("a", {"t": "\x85"}),
    ("a", {"t": "\u2028"}),
]


def counters(telemetry: Telemetry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {(one.path, tuple(one.tags.items())): one.value for one in telemetry.counters()}


def test_counters_add_up_whatever_the_order_of_their_tags() -> None:
    telemetry = Telemetry()
    telemetry.count("a/b", {"x": "1", "y": "2"})
    telemetry.count("a/b", {"y": "2", "x": "1"}, n=2.5)
    telemetry.count("a/b")
    assert counters(telemetry) == {("a/b", (("x", "1"), ("y", "2"))): 3.5, ("a/b", ()): 1}
    assert (telemetry.series, telemetry.overflowed) == (2, 0)


def test_a_gauge_keeps_the_last_value_and_a_measurement_its_extremes() -> None:
    telemetry = Telemetry()
    for value in (3, -1.5):
        telemetry.gauge("g", value)
        telemetry.measure("m", abs(value), {"k": "v"})
    assert [(one.path, one.value) for one in telemetry.gauges()] == [("g", -1.5)]
    [measured] = telemetry.measurements()
    of = measured.of
    assert (measured.tags, of.count, of.sum_ms, of.min_ms, of.max_ms) == (
        {"k": "v"},
        2,
        4.5,
        1.5,
        3,
    )


def test_one_path_of_each_kind_is_three_series() -> None:
    telemetry = Telemetry()
    telemetry.count("a")
    telemetry.gauge("a", 1)
    telemetry.measure("a", 1)
    assert telemetry.series == 3


def test_a_path_with_too_many_tag_sets_keeps_its_total_in_its_own_overflow() -> None:
    telemetry = Telemetry()
    for index in range(TAG_SETS_PER_PATH + 50):
        telemetry.count("a", {"user": str(index)}, n=2)
    telemetry.count("a", {"user": "0"})
    telemetry.count("b")
    found = counters(telemetry)
    assert found["a", (("overflow", "true"),)] == 100
    assert found["a", (("user", "0"),)] == 3
    assert sum(value for (path, _), value in found.items() if path == "a") == 301
    assert (telemetry.series, telemetry.overflowed) == (TAG_SETS_PER_PATH + 2, 50)


def test_a_full_node_keeps_the_totals_of_new_paths_in_one_series() -> None:
    telemetry = Telemetry(series=10)
    for index in range(30):
        telemetry.count(f"path_{index}")
        telemetry.gauge(f"path_{index}", index)
        telemetry.measure(f"path_{index}", 1)
    assert sum(counters(telemetry).values()) == 30
    assert sum(one.of.count for one in telemetry.measurements()) == 30
    assert [one.value for one in telemetry.gauges() if one.path == "overflow"] == [29]
    assert telemetry.series == 10 + 3  # the bound, and the one of all paths for each kind
    assert telemetry.overflowed == 90 - 10


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdefgh"),
            st.dictionaries(st.sampled_from("xyz"), st.sampled_from("12345"), max_size=3),
            st.integers(0, 5),
        ),
        max_size=200,
    )
)
def test_totals_are_right_and_series_bounded_whatever_is_emitted(
    emitted: list[tuple[str, dict[str, str], int]],
) -> None:
    telemetry = Telemetry(series=12)
    for path, tags, n in emitted:
        telemetry.count(path, tags, n)
        telemetry.measure(path, n, tags)
    assert sum(counters(telemetry).values()) == sum(n for _, _, n in emitted)
    assert sum(one.of.sum_ms for one in telemetry.measurements()) == sum(n for *_, n in emitted)
    shown = [*telemetry.counters(), *telemetry.gauges(), *telemetry.measurements()]
    assert len(shown) == telemetry.series <= 12 + 3


@pytest.mark.parametrize(("path", "tags"), HOSTILE)
def test_what_no_page_could_show_is_named_and_never_a_series(
    path: str, tags: dict[str, str]
) -> None:
    assert fault_of(path, tags) is not None
    telemetry = Telemetry()
    telemetry.count(path, tags)
    telemetry.gauge(path, 1, tags)
    telemetry.measure(path, 1, tags)
    assert counters(telemetry) == {("overflow", (("overflow", "true"),)): 1}
    assert (telemetry.series, telemetry.overflowed) == (3, 3)


def test_good_paths_and_tags_have_no_fault() -> None:
    assert fault_of("dev/file_saves", {"file_type": "elixir", "T": 'a "b\\c'}) is None
    assert fault_of("/".join(["a" * 20] * 8), {f"t{i}": "ü" * 200 for i in range(8)}) is None


def test_emitting_on_a_warm_series_keeps_nothing() -> None:
    telemetry = Telemetry()
    tags = {"kind": "email_delivery", "node": "node-1"}
    for _ in range(10):
        telemetry.count("a/b", tags)
        telemetry.measure("a/b", 1.5, tags)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(10_000):
            telemetry.count("a/b", tags)
            telemetry.measure("a/b", 1.5, tags)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Other threads of the test process allocate a little; one byte kept per call would be 20,000.
    assert after - before < 20_000


def test_an_id_is_new_once_and_only_the_last_are_remembered() -> None:
    counted = CountedIds(capacity=3)
    samples = [(uuid.uuid4().bytes, b"content") for _ in range(4)]
    assert counted.sift([*samples[:3], None, *samples[:3]]) == [True] * 4 + [False] * 3
    assert counted.sift([samples[3]]) == [True]
    assert counted.sift([samples[0], samples[3]]) == [True, False]
    assert len(counted) == 3


def test_an_id_with_another_content_is_a_conflict_and_nothing_is_remembered() -> None:
    counted = CountedIds()
    first, second = uuid.uuid4().bytes, uuid.uuid4().bytes
    contents = [
        content_hash(kind, path, tags, value)
        for kind, path, tags, value in (
            ("counter", "a", {"x": "1", "y": "2"}, 1),
            ("measurement", "a", {"x": "1", "y": "2"}, 1),
            ("counter", "b", {"x": "1", "y": "2"}, 1),
            ("counter", "a", {"x": "1"}, 1),
            ("counter", "a", {"x": "1", "y": "2"}, 1.5),
        )
    ]
    assert len(set(contents)) == 5
    assert content_hash("counter", "a", {"y": "2", "x": "1"}, 1.0) == contents[0]
    assert counted.sift([(first, contents[0])]) == [True]
    for other in contents[1:]:
        with pytest.raises(IdConflict, match=r"^\[1\]"):
            counted.sift([(second, contents[0]), (first, other)])
        with pytest.raises(IdConflict, match=r"^id:"):
            counted.sift([(first, other)])
    with pytest.raises(IdConflict):
        counted.sift([(second, contents[0]), (second, contents[1])])
    assert counted.sift([(second, contents[0]), (first, contents[0])]) == [True, False]
