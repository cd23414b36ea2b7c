"""Prometheus text: read as prometheus_client reads it, and whatever is hostile costs one pass."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from time import process_time

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from results.errors import ExpositionError
from results.exposition import MAX_PAGE_CHARACTERS, MAX_SERIES, parse


def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    requests = Counter("requests", "By route", ["route", "status"], registry=made)
    for value in ("GET /a/{b}", 'quo"te', "back\\slash", "line\nbreak", "☃", "", "a,b=} # {c"):
        requests.labels(value, "200").inc(3)
    Gauge("depth", "Plain", registry=made).set(-1.5e-7)
    Gauge("big", "Plain", registry=made).set(1e17)
    took = Histogram("took_seconds", "Histogram", registry=made)
    took.observe(0.3, {"trace": "abc"})
    Summary("size_bytes", "Summary", registry=made).observe(12)
    return made


def by_prometheus(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_a_page_is_read_as_prometheus_client_reads_it() -> None:
    page = generate_latest(registry()).decode()
    theirs = by_prometheus(page)
    ours = parse(page)
    assert len(ours) == len(theirs) > 30
    # A series as we name it, on a page of its own, is read by them as the same one.
    for series, value in ours.items():
        ((key, _),) = by_prometheus(f"{series} 1\n").items()
        assert theirs[key] == value


def test_a_page_of_openmetrics_is_read_too() -> None:
    page = openmetrics(registry()).decode()  # type: ignore[no-untyped-call]
    assert "# {" in page, "it has an exemplar"
    found = parse(page)
    assert found["depth"] == -1.5e-7
    assert found['took_seconds_bucket{le="0.5"}'] == 1.0
    assert found['requests_total{route="a,b=} # {c",status="200"}'] == 3.0


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("up 1", {"up": 1.0}),
        ("up\t1 1700000000000", {"up": 1.0}),
        ("up 1 -12.5\r", {"up": 1.0}),
        ("  up 1", {}),
        ('a{b="c"} 2', {'a{b="c"}': 2.0}),
        ('a {b="c"} 2', {'a{b="c"}': 2.0}),
        ('a{b="c"}2', {'a{b="c"}': 2.0}),
        ('a{b="c",} 2', {'a{b="c",}': 2.0}),
        ("a{} 2", {"a{}": 2.0}),
        (r'a{b="\"}\\"} 2', {r'a{b="\"}\\"}': 2.0}),
        ("ns:rule:x 3", {"ns:rule:x": 3.0}),
        ("a +1.5e3", {"a": 1500.0}),
        ("a .5", {"a": 0.5}),
        ("a 5.", {"a": 5.0}),
        ("a NaN", {}),
        ("a +Inf", {}),
        ("a -Inf", {}),
        ("a 1e999", {}),
        ("a 1e18", {}),
        ("a 1" + "0" * 5000, {}),
        ("a 0x10", {}),
        ("a 1_000", {}),
        ("a \u0661", {}),
        ("a", {}),
        ("a1", {}),
        ("a ", {}),
        ("1a 2", {}),
        ("é 2", {}),
        ("a 1 2 3", {}),
        ("a 1 # x", {"a": 1.0}),
        ("a 1# x", {}),
        ("# TYPE a gauge", {}),
        ('a{b="c} 2', {}),
        ('a{b="c"', {}),
        ('a{b="c"}', {}),
        ('a{b="c"}} 2', {}),
        ('a{b="x\\', {}),
        ("a 1\na 2", {"a": 2.0}),
        ("", {}),
        ("\x00\x1b[31m\n\ufffd", {}),
        ("<html><body>a 1</body></html>", {}),
        ('{"status": "ok"}', {}),
    ],
)
def test_a_line_is_a_series_or_left_out(line: str, expected: dict[str, float]) -> None:
    assert parse(line) == expected
    assert parse(f"before 1\n{line}\nafter 2\n") == {"before": 1.0, **expected, "after": 2.0}


def test_a_page_or_a_number_of_series_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ExpositionError, match="characters, the limit"):
        parse("a 1\n" + "#" * MAX_PAGE_CHARACTERS)
    most = "".join(f"a{n} {n}\n" for n in range(MAX_SERIES))
    assert len(parse(most)) == MAX_SERIES
    with pytest.raises(ExpositionError, match="series, the limit"):
        parse(most + "b 1\n")


def growth(read: Callable[[str], object], page: str) -> float:
    """CPU time of four times the page over that of the page: 4 in one pass, 16 if quadratic."""

    def cpu_s(text: str) -> float:
        times_s = []
        for _ in range(3):
            began_s = process_time()
            read(text)
            times_s.append(process_time() - began_s)
        return min(times_s)

    return cpu_s(page * 4) / max(cpu_s(page), 1e-4)


@pytest.mark.parametrize(
    "piece",
    [
        'a{b="',
        'a{b="\n',
        "a{" + "b" * 50,
        'a{b="\\"',
        "a{b" * 10 + "\n",
        '""',
        "a 1e",
        "a 1 " + "1" * 50,
        "a" * 50,
        " " * 50,
        'a{x="' + "y" * 50 + '"',
        "a 1 #\n",
        "0." * 30,
    ],
)
def test_a_hostile_page_costs_one_pass(piece: str) -> None:
    assert growth(parse, piece * (60_000 // len(piece))) < 11


def test_the_check_of_costs_sees_an_expression_that_looks_across_lines() -> None:
    careless = re.compile(r"^[a-z]+\{[^}]*\} 1$", re.MULTILINE)
    assert growth(careless.findall, "a{b\n" * 1500) > 11


def test_no_text_at_all_makes_it_fail() -> None:
    pieces = ["a", "{", "}", '"', "\\", "\n", " ", "1", ".", "e", "+", "#", ",", "=", "\t", "é"]
    choose = random.Random(7).choices
    for _ in range(3000):
        for series, value in parse("".join(choose(pieces, k=60))).items():
            assert "\n" not in series and -1e18 < value < 1e18
