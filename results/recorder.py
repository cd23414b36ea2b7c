"""Turns samples into reports, one per second, without ever stalling the process that sends load.

Recording a sample appends integers to lists and does no more (the budget is 8 us a request, all
in). Life cycle of a second:

1. open: `record` sorts samples by the second in which they *ended*;
2. closed: a sample of a later second arrived, or `close` was told the time;
3. encoded: `reports` builds its histograms in slices of about a millisecond, between which the
   caller lets others run, and yields a `SecondReport` with the next sequence number.

A sample for a second that is already encoded opens it again: the later report is an increment.
Nothing here waits, reads a clock or does I/O; it must not import gevent. One thread (or one gevent
loop) owns a recorder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator

from results.arrival import ArrivalTally, Unsent
from results.figure import (
    FURTHER_FIGURES,
    MAX_FIGURES,
    Tally,
    validated_name,
    validated_value,
)
from results.histogram import EncodedHistogram, Histogram
from results.printable import printable
from results.redaction import redacted_url
from results.sample import Outcome, Sample
from results.second import EndpointSecond, NodeSecond, SecondReport

SLICE_SAMPLES = 2000
"""Samples between two pauses while encoding: 2,000 at 0.13 us, and 0.1 ms to make and encode."""

MAX_PENDING_SAMPLES = 2_000_000
"""Closed but not encoded: 400 s at 5,000 requests/s, about 200 MB. Beyond it whole seconds are
dropped and counted, since a run that lost its figures must say so rather than run out of memory."""

MAX_ENDPOINTS = 500
"""Names are route templates, of which a service has dozens. Names made of raw URLs would cost
0.2 ms each in every second, so whatever comes after these is counted under one name."""

MAX_ALIASES = 2_000
"""Names as they were given whose shown form is remembered: one with a token in it may be another in
every request, and is then looked through each time."""

LONGEST_NAME = 500

FURTHER_ENDPOINTS = "(further endpoints)"

_SECOND_US = 1_000_000


class _Cell:
    """One endpoint in one second, still as lists."""

    __slots__ = (
        "bytes",
        "cancelled",
        "corrected",
        "errors",
        "excess",
        "raw",
        "started",
        "statuses",
    )

    def __init__(self) -> None:
        self.raw: list[int] = []
        self.excess: list[int] = []
        self.corrected: list[int] = []
        self.errors: dict[str, int] = {}
        self.started: dict[int, int] = {}
        self.statuses: dict[int, int] = {}
        self.cancelled = 0
        self.bytes = 0


class _Bin:
    """One second: cells by endpoint, [ended, errors] by node, figures by name, arrivals by class.

    `samples` counts requests, observations and arrivals.
    """

    __slots__ = ("arrivals", "cells", "figures", "nodes", "samples", "second")

    def __init__(self, second: int) -> None:
        self.second = second
        self.arrivals: dict[str, ArrivalTally] = {}
        self.cells: dict[str, _Cell] = {}
        self.figures: dict[str, Tally] = {}
        self.nodes: dict[str, list[int]] = {}
        self.samples = 0


class Recorder:
    """Records the samples of one process. `source` names it in its reports.

    `origin_us` is the run's second 0 in microseconds since the epoch; what ended before it is kept
    in negative seconds.
    """

    def __init__(
        self,
        *,
        source: str,
        origin_us: int,
        max_pending_samples: int = MAX_PENDING_SAMPLES,
        slice_samples: int = SLICE_SAMPLES,
    ) -> None:
        assert max_pending_samples > 0 and slice_samples > 0
        self.source = source
        self.dropped = 0
        self.sequence = 0
        self._origin_us = origin_us
        self._max_pending = max_pending_samples
        self._slice = slice_samples
        self._shown: dict[str, str] = {}
        self._endpoint_names: set[str] = set()
        self._node_names: dict[str, str] = {}
        self._figure_names: set[str] = set()
        self._open: _Bin | None = None
        self._late: dict[int, _Bin] = {}
        self._closed: deque[_Bin] = deque()
        self._pending = 0
        self._pass = 0

    def record(self, sample: Sample) -> None:
        """Count one request. CANCELLED counts as started only: its outcome is unknown (G10).

        Its corrected latency is never below its raw one, whatever start was intended.
        """
        name, intended_us, start_us, end_us, outcome, status, size, emulated_us, _, node, _, _ = (
            sample
        )
        second = (end_us - self._origin_us) // _SECOND_US
        bin_ = self._open
        if bin_ is None or bin_.second != second:
            bin_ = self._bin_of(second)
        bin_.samples += 1
        cell = bin_.cells.get(name)
        if cell is None:
            cell = self._new_cell(bin_, name)
        start = (start_us - self._origin_us) // _SECOND_US
        cell.started[start] = cell.started.get(start, 0) + 1
        if outcome is Outcome.CANCELLED:
            cell.cancelled += 1
            return
        took_us = end_us - start_us
        cell.raw.append(took_us)
        cell.excess.append(took_us - emulated_us if took_us > emulated_us else 0)
        if intended_us is not None:
            # A request that began ahead of its intended start waited for nothing.
            cell.corrected.append(max(took_us, end_us - intended_us))
        cell.bytes += size
        counts = bin_.nodes.get(node)
        if counts is None:
            counts = self._new_node(bin_, node)
        counts[0] += 1
        if outcome is not Outcome.OK:
            counts[1] += 1
            cell.errors[outcome] = cell.errors.get(outcome, 0) + 1
            if 100 <= status <= 999:
                cell.statuses[status] = cell.statuses.get(status, 0) + 1

    def observe(self, name: str, value: float, at_us: int) -> None:
        """Count one figure, at a moment in microseconds since the epoch.

        Raises ValueError when the name is no short printable text or the value is not finite.
        Names beyond `MAX_FIGURES` are counted as `FURTHER_FIGURES`.
        """
        key = name if name in self._figure_names else self._new_figure(name)
        number = validated_value(key, value)
        second = (at_us - self._origin_us) // _SECOND_US
        bin_ = self._open
        if bin_ is None or bin_.second != second:
            bin_ = self._bin_of(second)
        bin_.samples += 1
        tally = bin_.figures.get(key)
        if tally is None:
            tally = bin_.figures[key] = Tally()
        tally.add(number)

    def arrival(self, name: str, intended_us: int, *, unsent: Unsent | None = None) -> None:
        """Count an arrival of the user class `name`, in the second of its intended start.

        Started, or `unsent` and why.
        """
        tally = self._arrivals_at(name, intended_us)
        if unsent is None:
            tally.started += 1
        else:
            tally.refuse(unsent.value)

    def arrival_done(self, name: str, at_us: int) -> None:
        """Count the end of a started arrival's task, in the second in which it ended."""
        self._arrivals_at(name, at_us).completed += 1

    def _arrivals_at(self, name: str, at_us: int) -> ArrivalTally:
        second = (at_us - self._origin_us) // _SECOND_US
        bin_ = self._open
        if bin_ is None or bin_.second != second:
            bin_ = self._bin_of(second)
        bin_.samples += 1
        tally = bin_.arrivals.get(name)
        if tally is None:
            tally = bin_.arrivals[name] = ArrivalTally()
        return tally

    def _new_figure(self, name: str) -> str:
        """The name that it is counted under: its own while there is room."""
        validated_name(name)
        if len(self._figure_names) >= MAX_FIGURES:
            return FURTHER_FIGURES
        self._figure_names.add(name)
        return name

    def _new_cell(self, bin_: _Bin, name: str) -> _Cell:
        """The second's first of that name; and every one of a name that is shown otherwise."""
        shown = self._shown.get(name) or self._new_name(name)
        cell = bin_.cells.get(shown)
        if cell is None:
            cell = bin_.cells[shown] = _Cell()
        return cell

    def _new_name(self, name: str) -> str:
        """Without secrets and control characters, while there is room for one more."""
        shown = _shown(name)
        if shown not in self._endpoint_names:
            if len(self._endpoint_names) < MAX_ENDPOINTS:
                self._endpoint_names.add(shown)
            else:
                shown = FURTHER_ENDPOINTS
        if len(self._shown) < MAX_ALIASES:
            self._shown[name] = shown
        return shown

    def _new_node(self, bin_: _Bin, node: str) -> list[int]:
        shown = self._node_names.get(node)
        if shown is None:
            shown = _shown(node)
            if len(self._node_names) < MAX_ALIASES:
                self._node_names[node] = shown
        return bin_.nodes.setdefault(shown, [0, 0])

    def _bin_of(self, second: int) -> _Bin:
        current = self._open
        if current is None or second > current.second:
            if current is not None:
                self._swap_out(current)
            self._open = self._late.pop(second, None) or _Bin(second)
            return self._open
        late = self._late.get(second)
        if late is None:
            late = self._late[second] = _Bin(second)
        return late

    def _swap_out(self, bin_: _Bin) -> None:
        if self._pending + bin_.samples > self._max_pending:
            self.dropped += bin_.samples
            return
        self._pending += bin_.samples
        self._closed.append(bin_)

    def close(self, now_us: int | None = None) -> None:
        """Close every second that ended before `now_us`, or all of them when it is None."""
        limit = None if now_us is None else (now_us - self._origin_us) // _SECOND_US
        for second in sorted(self._late):
            if limit is None or second < limit:
                self._swap_out(self._late.pop(second))
        if self._open is not None and (limit is None or self._open.second < limit):
            self._swap_out(self._open)
            self._open = None

    @property
    def pending_samples(self) -> int:
        """Closed samples that `reports` has not encoded yet."""
        return self._pending

    def reports(self) -> Generator[SecondReport | None, None, None]:
        """Encode all closed seconds. None means: a slice is done, let others run, then go on.

        A pass that is dropped half-way loses nothing: the next one starts that second anew. A new
        pass ends an older one that is still held somewhere, such as by a killed greenlet.
        """
        self._pass += 1
        mine = self._pass
        while self._closed:
            bin_ = self._closed[0]
            endpoints: dict[str, EndpointSecond] = {}
            for name, cell in bin_.cells.items():
                endpoints[name] = yield from self._encoded(cell)
                if self._pass != mine:
                    return
            self._closed.popleft()
            self._pending -= bin_.samples
            report = SecondReport(
                self.source,
                self.sequence,
                bin_.second,
                endpoints,
                {node: NodeSecond(*counts) for node, counts in bin_.nodes.items()},
                self.dropped,
                {name: tally.figure() for name, tally in bin_.figures.items()},
                {name: tally.second() for name, tally in bin_.arrivals.items()},
            )
            self.sequence += 1
            yield report
            if self._pass != mine:
                return

    def _encoded(self, cell: _Cell) -> Generator[None, None, EndpointSecond]:
        raw = excess = yield from self._histogram(cell.raw)
        if cell.excess != cell.raw:
            excess = yield from self._histogram(cell.excess)
        corrected = None
        if cell.corrected:
            corrected = yield from self._histogram(cell.corrected)
        return EndpointSecond(
            ended=len(cell.raw),
            cancelled=cell.cancelled,
            errors={str(outcome): count for outcome, count in cell.errors.items()},
            bytes_received=cell.bytes,
            started=cell.started,
            raw=raw,
            excess=excess,
            corrected=corrected,
            statuses=cell.statuses,
        )

    def _histogram(self, values_us: list[int]) -> Generator[None, None, EncodedHistogram]:
        histogram = Histogram()
        for start in range(0, len(values_us), self._slice):
            if start:
                yield
            histogram.record(values_us[start : start + self._slice])
        encoded = histogram.encode()
        yield
        return encoded


def _shown(name: str) -> str:
    """As it may be written. HTML and formulas stay text: whoever shows them escapes them."""
    plain = printable(redacted_url(name[: 4 * LONGEST_NAME]), LONGEST_NAME)
    # Again, since an escape is longer than what it stands for.
    return printable(plain, LONGEST_NAME)
