"""Cursors over logs that grow, restart, vanish and come back older: every event counts once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BadGateway, StorageError
from service.schema import Event
from service.workloads.analytics_feed import Frames, read_on
from service.workloads.analytics_pass import batch_size, prescribed_ms, share_out
from service.workloads.analytics_state import (
    KEPT_INCARNATIONS,
    OTHER_ACTION,
    Cursor,
    Progress,
    Tally,
    advanced,
)
from tests.unit.service.workloads.memory_log import MemoryLog, event

LONG_S = 20.0


class ForgetfulTally(Tally):
    """A seeded bug: after a rewind it no longer knows what it had counted."""

    def rewind(self) -> None:
        super().rewind()
        self.cursor.counted.clear()


class BlindTally(Tally):
    """A seeded bug: it never looks whether the log is still the one that it read."""

    def is_place(self, event: object) -> bool:
        return True


@dataclass
class Reader:
    """One consumer of one log, over passes; `kind` may have a seeded bug."""

    log: MemoryLog
    kind: type[Tally] = Tally
    progress: Progress = field(default_factory=Progress)
    observed: set[tuple[int, int]] = field(default_factory=set)
    """(incarnation, seq) of everything at or below the cursor after any pass: what must count."""

    def read(self, limit: int = 1_000, limit_s: float = LONG_S) -> Tally:
        """One pass, its progress put through JSON as it is in the log."""
        tally = self.kind(self.progress.cursors.get("node-2") or Cursor(url="http://n:1"))
        asyncio.run(read_on(self.log, tally, limit, limit_s))
        progress = advanced(self.progress, {"node-2": tally})
        self.progress = Progress.model_validate_json(progress.model_dump_json())
        read = self.log.events[: tally.cursor.seq]
        self.observed |= {(one.incarnation, one.seq) for one in read}
        return tally

    @property
    def is_exact(self) -> bool:
        return self.progress.processed_total == len(self.observed)


def test_a_pass_reads_its_share_and_the_next_goes_on() -> None:
    reader = Reader(MemoryLog())
    reader.log.append(25)
    assert [reader.read(10).processed for _ in range(4)] == [10, 10, 5, 0]
    cursor = reader.progress.cursors["node-2"]
    assert (cursor.seq, cursor.last_seq, cursor.lag_events) == (25, 25, 0)
    assert reader.log.opened_at == [0, 9, 19, 24], "the event at the cursor is the proof"


def test_lag_is_what_is_left_and_how_old_the_last_one_is() -> None:
    reader = Reader(MemoryLog())
    reader.log.append(10)
    reader.read(4)
    cursor = reader.progress.cursors["node-2"]
    assert cursor.lag_events == 6
    assert cursor.lag_s(2_004_000) == pytest.approx(2.0), "event 4 was stored at 4,000 us"
    assert cursor.lag_s(0) == 0.0, "a clock that is behind makes no negative age"
    reader.read()
    assert reader.progress.cursors["node-2"].lag_s(9_000_000) == 0.0
    assert Cursor(url="u", last_seq=5).lag_s(1) is None, "nothing was ever read"


def test_a_killed_node_that_comes_back_with_its_log_is_read_on() -> None:
    """Its incarnation is new, its events are not: starting at 0 would count them again."""
    reader = Reader(MemoryLog())
    reader.log.append(10)
    reader.read()
    reader.log.restart_uncleanly()
    reader.log.append(5)
    tally = reader.read()
    assert (tally.processed, tally.rewinds, reader.log.opened_at[-1]) == (5, 0, 9)
    assert reader.is_exact


def test_a_new_database_is_read_from_its_start() -> None:
    reader = Reader(MemoryLog())
    reader.log.append(10)
    reader.read()
    reader.log.put_back(0)
    reader.log.append(3)
    tally = reader.read()
    assert (tally.processed, tally.rewinds) == (3, 1)
    assert reader.progress.processed_total == 13
    reader.log.append(20)
    assert reader.read().processed == 20
    assert reader.progress.rewinds == 1


def test_a_new_database_that_is_longer_already_is_noticed() -> None:
    reader = Reader(MemoryLog())
    reader.log.append(10)
    reader.read()
    reader.log.put_back(0)
    reader.log.append(30)
    assert reader.read().processed == 30


def test_an_older_copy_counts_only_what_is_new_in_it() -> None:
    reader = Reader(MemoryLog())
    reader.log.append(10)
    reader.read()
    reader.log.put_back(6)
    reader.log.append(8)
    tally = reader.read()
    assert (tally.processed, tally.rewinds) == (8, 1)
    assert reader.progress.processed_total == 18 and reader.is_exact


def test_a_log_that_takes_a_while_to_send_its_first_event_is_waited_for() -> None:
    reader = Reader(MemoryLog())
    reader.log.append(3)
    reader.log.silence_s = 0.4
    assert [reader.read(2).processed for _ in range(2)] == [2, 1]


@pytest.mark.parametrize("read_before", [0, 2])
def test_a_log_that_is_silent_is_an_error_and_its_cursor_stays(read_before: int) -> None:
    reader = Reader(MemoryLog())
    reader.log.append(3)
    if read_before:
        reader.read(read_before)
    reader.log.silence_s = LONG_S
    tally = reader.read(limit_s=0.05)
    assert tally.error is not None and "no event came within" in tally.error
    assert (tally.processed, tally.cursor.seq, tally.cursor.lag_events) == (
        0,
        read_before,
        3 - read_before,
    )
    assert not tally.has_more, "it is not asked twice in one pass"


def test_a_feed_that_ends_before_its_log_is_an_error_that_keeps_what_was_counted() -> None:
    reader = Reader(MemoryLog())
    reader.log.append(5)
    reader.log.ends_after = 2
    tally = reader.read()
    assert (tally.processed, tally.cursor.lag_events) == (2, 3)
    assert tally.error is not None and "ended before seq 5" in tally.error
    reader.log.ends_after = None
    assert reader.read().processed == 3 and reader.is_exact


def test_a_pass_that_its_time_ended_in_the_middle_is_none() -> None:
    """What came was counted; the rest is lag, not an error."""

    class Endless(MemoryLog):
        async def _follow(self, events: Sequence[Event]) -> AsyncIterator[Event]:
            yield events[0]
            await asyncio.sleep(LONG_S)

    reader = Reader(Endless())
    reader.log.append(5)
    tally = reader.read(limit_s=0.05)
    assert (tally.processed, tally.error) == (1, None)


def test_an_emptied_log_is_waited_for_at_its_start() -> None:
    reader = Reader(MemoryLog())
    reader.log.append(10)
    reader.read()
    reader.log.put_back(0)
    assert reader.read().rewinds == 1
    assert reader.read().rewinds == 0, "once is enough"


HISTORY = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 12)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("put back"), st.integers(0, 20)),
        st.tuples(st.just("read"), st.integers(1, 9)),
    ),
    max_size=25,
)


def live(history: list[tuple[str, int]], kind: type[Tally] = Tally) -> Reader:
    reader = Reader(MemoryLog(), kind)
    for word, number in [*history, ("read", 1_000)]:
        match word:
            case "append":
                reader.log.append(number)
            case "restart":
                reader.log.restart_uncleanly()
            case "put back":
                reader.log.put_back(min(number, len(reader.log.events)))
            case "read":
                reader.read(number)
    return reader


@given(HISTORY)
def test_whatever_becomes_of_a_log_every_event_counts_once(history: list[tuple[str, int]]) -> None:
    reader = live(history)
    assert reader.is_exact
    assert reader.progress.cursors["node-2"].lag_events == 0


@pytest.mark.parametrize("kind", [ForgetfulTally, BlindTally])
def test_a_reader_with_a_seeded_bug_is_not_exact(kind: type[Tally]) -> None:
    """The positive control of the property above."""
    history = [("append", 10), ("read", 9), ("put back", 4), ("append", 8)]
    assert live(history).is_exact
    assert not live(history, kind).is_exact


def test_a_nodes_own_streams_move_the_cursor_and_are_not_counted() -> None:
    reader = Reader(MemoryLog())
    reader.log.append(3, stream="$config/a", type="config_changed")
    reader.log.append(2, stream="orders", type="order")
    tally = reader.read()
    assert (tally.processed, tally.cursor.seq, dict(tally.actions)) == (2, 5, {})


@pytest.mark.parametrize(
    "action, counted", [("login", "login"), ("x" * 99, OTHER_ACTION), (["login"], OTHER_ACTION)]
)
def test_actions_that_clients_make_up_share_one_name(action: object, counted: str) -> None:
    tally = Tally(Cursor(url="u"))
    tally.take(event(1, action=action))
    assert dict(tally.actions) == {counted: 1}


def test_only_so_many_incarnations_are_kept() -> None:
    tally = Tally(Cursor(url="u"))
    for number in range(1, 3 * KEPT_INCARNATIONS):
        tally.take(event(number, incarnation=number))
    assert len(tally.cursor.counted) == KEPT_INCARNATIONS
    assert max(tally.cursor.counted) == 3 * KEPT_INCARNATIONS - 1


def test_what_was_read_before_a_failure_counts() -> None:
    reader = Reader(MemoryLog())
    reader.log.append(10)
    reader.log.error, reader.log.error_after = StorageError("seeded"), 6
    tally = reader.read()
    assert (tally.processed, tally.error) == (6, "seeded")
    reader.log.error = None
    assert reader.read().processed == 4 and reader.is_exact


def test_a_log_that_is_out_of_order_is_refused() -> None:
    reader = Reader(MemoryLog())
    reader.log.append(3)
    reader.log.events[2] = reader.log.events[0]
    assert "seq 1 came after 2" in str(reader.read().error)


def test_a_log_that_cannot_be_opened_keeps_its_cursor() -> None:
    reader = Reader(MemoryLog())
    reader.log.append(3)
    reader.read()
    reader.log.error = BadGateway("seeded")
    tally = reader.read()
    assert (tally.was_read, tally.error, tally.cursor.seq) == (False, "seeded", 3)


@pytest.mark.parametrize(
    "lengths, limit, counted",
    [
        ([100, 100], 50, [25, 25]),
        ([100, 10], 50, [40, 10]),
        ([10, 100], 50, [10, 40]),
        ([3, 4], 50, [3, 4]),
        ([0, 100, 0], 50, [0, 50, 0]),
        ([9, 9, 9], 2, [1, 1, 0]),
        ([100], 7, [7]),
    ],
)
def test_what_one_log_leaves_of_its_share_goes_to_the_others(
    lengths: list[int], limit: int, counted: list[int]
) -> None:
    logs = [MemoryLog(f"node-{number}") for number in range(len(lengths))]
    named = [(log, Tally(Cursor(url="u"))) for log in logs]
    for log, length in zip(logs, lengths, strict=True):
        log.append(length)
    asyncio.run(share_out(list(named), limit))
    assert [tally.processed for _, tally in named] == counted
    assert [tally.cursor.last_seq for _, tally in named] == lengths, "all lags are known"


@pytest.mark.parametrize(
    "processed, took_ms", [(0, 0), (1, 100), (50, 5_000), (59, 5_900), (60, 5_900), (1_000, 5_900)]
)
def test_a_hundred_milliseconds_an_event_and_never_more_than_six_seconds(
    processed: int, took_ms: int
) -> None:
    assert prescribed_ms(processed) == took_ms


@pytest.mark.parametrize("processed, word", [(1, "1-10"), (10, "1-10"), (11, "11-50"), (51, "51+")])
def test_the_size_of_a_batch_is_one_of_three_words(processed: int, word: str) -> None:
    assert batch_size(processed) == word


STREAM = b": feed\n\n" + b"".join(b'id: %d\ndata: {"n":%d}\n\n' % (n, n) for n in range(5))


@given(st.lists(st.integers(0, len(STREAM))))
def test_frames_are_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    frames = Frames(1_000)
    places = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[a:b] for a, b in itertools.pairwise(places)]
    data = [one for chunk in chunks for one in frames.feed(chunk)]
    assert data == [b'{"n":%d}' % n for n in range(5)]


def test_a_frame_beyond_the_limit_is_refused_before_it_is_whole() -> None:
    frames = Frames(100)
    assert list(frames.feed(b"data: " + b"a" * 90)) == []
    with pytest.raises(BadGateway, match="FOUNDATION_MAX_BODY_BYTES"):
        list(frames.feed(b"a" * 90))
