"""One second of every source: counts and latencies of a selection of endpoints."""

from __future__ import annotations

import pytest

from results.errors import HistogramError
from results.histogram import EncodedHistogram
from results.judging.tally import NOTHING, Part, Tally
from results.measure import Series
from results.sample import Outcome
from results.second import EndpointSecond
from results.selection import is_about
from tests.unit.results.builder import reports, request


def tally(*sources: str) -> Tally:
    made = Tally()
    for n, source in enumerate(sources):
        outcome = Outcome.HTTP_5XX if n else Outcome.TIMEOUT
        samples = [
            request(0.1, 100.0 + n, name="GET /a", outcome=outcome),
            request(0.2, 20.0, name="GET /b/1"),
            request(0.3, 30.0, name="GET /b/2", outcome=Outcome.CHECK),
        ]
        (report,) = reports(samples, source)
        made.add(report.endpoints)
    return made


def test_all_sources_and_endpoints_are_added_up() -> None:
    part = tally("w1", "w2").part(None, Series.RAW)
    assert part == Part(
        ended=6, failed=4, node_made=3, timed=6, sum_us=301_000, max_us=101_000
    )  # a timeout may be the generator's own


@pytest.mark.parametrize(
    ("selection", "ended"), [("GET /a", 1), ("GET /b/*", 2), ("GET /?", 1), ("nothing", 0)]
)
def test_a_name_or_pattern_selects(selection: str, ended: int) -> None:
    assert tally("w1").part(selection, None).ended == ended
    assert tally("w1").part(selection, None).timed == 0, "nobody asked for a series"


def test_the_histogram_holds_what_the_part_counts() -> None:
    made = tally("w1", "w2")
    part = made.part("GET /b/*", Series.RAW)
    found = made.latencies("GET /b/*", Series.RAW)
    assert found is not None
    assert (found.count, found.sum_us, found.max_us) == (4, part.sum_us, 30_000)
    assert made.latencies("GET /b/*", Series.RAW) is found, "merged once"
    assert made.latencies("GET /b/*", Series.CORRECTED) is None
    assert made.latencies("nothing", Series.RAW) is None


def test_asking_for_a_whole_does_not_change_its_parts() -> None:
    made = tally("w1", "w2")
    first = made.latencies("GET /a", Series.RAW)
    assert first is not None and first.count == 2
    whole = made.latencies(None, Series.RAW)
    assert whole is not None and whole.count == 6
    assert first.count == 2
    alone = tally("w1")
    one = alone.latencies("GET /a", Series.RAW)
    assert one is not None and one.count == 1
    all_of_them = alone.latencies(None, Series.RAW)
    assert all_of_them is not None and all_of_them.count == 3
    assert one.count == 1


def test_a_damaged_histogram_is_refused_by_whoever_decodes_it() -> None:
    made = Tally()
    bad = EncodedHistogram(3, 30, 10, 0, "nothing that decodes")
    made.add({"GET /a": EndpointSecond(3, 0, {}, 0, {0: 3}, bad, bad)})
    assert made.part(None, Series.RAW).timed == 3
    with pytest.raises(HistogramError):
        made.latencies(None, Series.RAW)


def test_an_empty_second_has_nothing() -> None:
    assert Tally().part(None, Series.RAW) == NOTHING
    assert Tally().latencies(None, Series.RAW) is None


def test_a_name_with_brackets_is_about_itself() -> None:
    assert is_about("GET /a[1]", "GET /a[1]")
    assert not is_about("GET /a", "GET /b")
    assert is_about(None, "anything")
