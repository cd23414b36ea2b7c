"""Histograms against exact quantiles, against the library, and against damaged input."""

from __future__ import annotations

import base64
import random
from dataclasses import replace

import pytest
from hdrh.histogram import HdrHistogram

from results.encoding import HIGHEST_US, packed, unpacked, zeros
from results.errors import HistogramError
from results.histogram import EncodedHistogram, Histogram, decode

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999, 1.0)


def histogram_of(values: list[int]) -> Histogram:
    histogram = Histogram()
    histogram.record(values)
    return histogram


def test_an_empty_histogram_has_no_quantiles_and_no_mean() -> None:
    assert Histogram().quantiles_us(QUANTILES) == [None] * 6
    assert Histogram().mean_us is None
    empty = Histogram()
    empty.merge(Histogram().encode())
    assert empty.count == 0


def test_one_value_is_every_quantile() -> None:
    assert histogram_of([1234]).quantiles_us(QUANTILES) == [1234] * 6


def test_quantiles_are_nearest_ranks() -> None:
    histogram = histogram_of(list(range(1, 101)))
    assert histogram.quantiles_us((0.01, 0.07, 0.5, 0.501, 0.99, 1.0)) == [1, 7, 50, 51, 99, 100]


def test_the_index_formula_is_the_librarys() -> None:
    rng = random.Random(7)
    values = [0, 1, 2047, 2048, 4095, 4096, HIGHEST_US]
    values += [rng.randrange(2 ** rng.randrange(1, 32)) for _ in range(2000)]
    library = HdrHistogram(1, HIGHEST_US, 3)
    for value in values:
        assert library.record_value(min(value, HIGHEST_US))
    ours = histogram_of(values).encode().data
    # The same but for the compression, whose window is smaller.
    assert unpacked(ours) == unpacked(library.encode().decode())


def test_values_out_of_range_count_as_clamped() -> None:
    histogram = histogram_of([-5, 10, HIGHEST_US + 1])
    assert (histogram.count, histogram.clamped, histogram.max_us) == (3, 2, HIGHEST_US)
    assert histogram.quantiles_us((0.3, 1.0)) == [0, HIGHEST_US]


def test_merging_encoded_parts_equals_recording_all() -> None:
    rng = random.Random(8)
    values = [int(rng.lognormvariate(10, 2)) for _ in range(3000)]
    merged = Histogram()
    for start in range(0, 3000, 700):
        merged.merge(histogram_of(values[start : start + 700]).encode())
    assert merged.encode() == histogram_of(values).encode()
    assert merged.mean_us == sum(values) / 3000


@pytest.mark.parametrize("quantile", [0.0, -0.1, 1.01, float("nan")])
def test_a_quantile_outside_of_its_range_is_refused(quantile: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        histogram_of([1]).quantiles_us([quantile])


def damaged() -> list[EncodedHistogram]:
    good = histogram_of([10, 20_000]).encode()
    raw = base64.b64decode(good.data)
    other_range = HdrHistogram(1, 1000, 2)
    other_range.record_value(5)
    return [
        replace(good, data=""),
        replace(good, data="no base64!"),
        replace(good, data="äöü"),
        replace(good, data=base64.b64encode(raw[:-3]).decode()),
        replace(good, data=base64.b64encode(b"\0" * 60).decode()),
        replace(good, data=base64.b64encode(raw[:20] + b"\xff\xff" + raw[22:]).decode()),
        replace(good, data="A" * 300_000),
        replace(good, count=3),
        replace(good, max_us=10),
        EncodedHistogram(1, 5, 5, 0, other_range.encode().decode()),
    ]


@pytest.mark.parametrize("encoded", damaged())
def test_a_damaged_histogram_is_a_clear_error(encoded: EncodedHistogram) -> None:
    with pytest.raises(HistogramError):
        Histogram().merge(encoded)


def test_every_reader_of_hdr_histograms_reads_ours() -> None:
    rng = random.Random(9)
    values = [int(rng.lognormvariate(11, 1.5)) for _ in range(2000)]
    library = HdrHistogram.decode(histogram_of(values).encode().data)
    assert library.get_total_count() == len(values)
    for percent in (50, 90, 99, 99.9):
        (ours,) = histogram_of(values).quantiles_us([percent / 100])
        assert library.get_value_at_percentile(percent) == ours


LATER = histogram_of([1_000_000]).encode()


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"\xff" * 8 + b"\x7f" + b"\x02",  # more zeros than there is memory for
        b"\xff" * 50_000 + b"\x02",  # a number of no end
        b"\xff" * 9,
        b"\x01\x02",  # one zero, then a count: another bucket than the line's
        zeros(1_000) + b"\x02" * 100_000,  # beyond the last bucket
        zeros(10_000),
        zeros(10_000) + b"\x00\x00",
    ],
)
def test_a_stream_of_counts_that_does_not_fit_its_line_is_damage(stream: bytes) -> None:
    with pytest.raises(HistogramError):
        decode(replace(LATER, data=packed(stream)))


@pytest.mark.parametrize("max_us", [-1, HIGHEST_US + 1, 2**62])
def test_a_line_that_ends_where_no_histogram_does_is_damage(max_us: int) -> None:
    with pytest.raises(HistogramError, match="between 0 and 1 h"):
        decode(replace(LATER, max_us=max_us))


def test_zeros_that_are_written_one_by_one_are_read_alike() -> None:
    """No reader may rely on how another writer puts them."""
    wide = decode(replace(LATER, data=packed(b"\x00" * 500 + zeros(11_169 - 500) + b"\x02")))
    assert wide.encode() == LATER
    assert wide.quantiles_us(QUANTILES) == decode(LATER).quantiles_us(QUANTILES)


@pytest.mark.parametrize("order", [(5, 3_000_000, 900), (3_000_000, 5, 900), (900, 5, 3_000_000)])
def test_room_is_made_on_either_side_of_what_is_there(order: tuple[int, ...]) -> None:
    grown = Histogram()
    for value in order:
        grown.record([value])
    repeated = Histogram()
    for value in order:
        repeated.repeat(value, 1)
    added = Histogram()
    for value in order:
        added.add(histogram_of([value]))
    wanted = histogram_of(sorted(order)).encode()
    assert [each.encode() for each in (grown, repeated, added)] == [wanted] * 3


def test_counts_that_overflow_when_they_are_added_are_damage() -> None:
    most = HdrHistogram(1, HIGHEST_US, 3)
    most.record_value(7, 2**61)
    encoded = EncodedHistogram(2**61, 0, 7, 0, most.encode().decode())
    full = decode(encoded)
    with pytest.raises(HistogramError, match="too many"):
        for _ in range(8):
            full.merge(encoded)


def test_a_sliding_window_is_what_its_parts_are() -> None:
    rng = random.Random(10)
    parts = [[int(rng.lognormvariate(10, 3)) for _ in range(200)] for _ in range(20)]
    parts[7] = [-1, 0, HIGHEST_US + 9]
    sliding = Histogram()
    for n, part in enumerate(parts):
        sliding.add(histogram_of(part))
        if n >= 5:
            left = [max(0, v) for kept in parts[n - 4 : n + 1] for v in kept]
            sliding.subtract(histogram_of(parts[n - 5]), max_us=min(max(left), HIGHEST_US))
        kept = Histogram()
        for each in parts[max(0, n - 4) : n + 1]:
            kept.add(histogram_of(each))
        assert sliding.encode() == kept.encode()
        assert sliding.quantiles_us(QUANTILES) == kept.quantiles_us(QUANTILES)


def test_a_window_from_which_everything_slid_is_empty_and_may_fill_again() -> None:
    sliding = histogram_of([5_000, 70])
    sliding.subtract(histogram_of([70, 5_000]), max_us=0)
    assert sliding.encode() == Histogram().encode()
    assert sliding.quantiles_us([0.5]) == [None]
    sliding.add(histogram_of([9_000_000]))
    assert sliding.encode() == histogram_of([9_000_000]).encode()


@pytest.mark.parametrize("other", [[1_000], [70, 70], [5_000, 5_000], [70, 5_000, 5_000]])
def test_what_was_never_added_cannot_be_taken_away(other: list[int]) -> None:
    with pytest.raises(AssertionError):
        histogram_of([70, 5_000]).subtract(histogram_of(other), max_us=0)
