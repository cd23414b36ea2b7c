"""G8: subscribers killed at random while writers write and the node dies once, too.

Every life of the subscriber must get exactly the log's next events behind the position that it
resumed from: no gap, the log's order, nothing twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random
from time import monotonic, sleep
from uuid import UUID

import pytest

from tests.fault.feed_session import Seen, Session, Subscriber, compare_feed, digest
from tests.fault.http_connection import HttpConnection
from tests.fault.ledger import Ledger, StoredEvent
from tests.fault.node_process import NODE, NodeProcess
from tests.fault.stored import read_log
from tests.fault.writers import RETRY_TIMEOUT_S, WriterClient, plans

LIVE_ONLY = ("-m", "tests.fault.mutant_node", "live-only")
MOMENT_S = (0.0, 0.1)
"""A subscriber is killed this long after it noted its first event."""

FORGOTTEN_EVENTS = 30
"""At most this many notes had not reached a killed subscriber's disk."""

LOG = [StoredEvent(seq, UUID(int=seq), b"%d" % seq) for seq in (1, 2, 3, 5, 6)]
SEEN = [Seen(event.seq, event.id, digest(event.content)) for event in LOG]
SOUND = (Session(0, tuple(SEEN[:3])), Session(2, tuple(SEEN[2:4])), Session(5, tuple(SEEN[4:])))


async def sessions_under_load(
    node: NodeProcess, folder: Path, *, kills: int, seed: int, patience_s: float
) -> tuple[list[Session], list[StoredEvent]]:
    """Subscribers are killed `kills` times under load, the last one follows to the log's end."""
    random, ledger, stop = Random(seed), Ledger(), asyncio.Event()
    sessions: list[Session] = []
    await asyncio.to_thread(node.start)
    async with asyncio.TaskGroup() as tasks:
        for plan in plans(seed, singles=3, batches=(20,)):
            tasks.create_task(WriterClient(plan, node.port, ledger, stop).run())
        for number in range(kills):
            subscriber = Subscriber(node.port, position(sessions, random), folder / f"{number}")
            try:
                await asyncio.to_thread(wait_for_notes, subscriber, 1, RETRY_TIMEOUT_S)
                await asyncio.sleep(random.uniform(*MOMENT_S))  # the moment is the test's input
                if number == kills // 2:
                    await asyncio.to_thread(node.kill)
            finally:
                sessions.append(subscriber.kill())
            if number == kills // 2:
                await asyncio.to_thread(node.start)
        stop.set()
    log = await whole_log(node)
    last = Subscriber(node.port, position(sessions, random), folder / "last")
    try:
        due = sum(event.seq > last.after for event in log)
        await asyncio.to_thread(wait_for_notes, last, due, patience_s)
    finally:
        sessions.append(last.kill())
    return sessions, log


def position(sessions: list[Session], random: Random) -> int:
    """Where the next life resumes: what the last one noted, less what was not yet durable."""
    if not sessions:
        return 0
    seqs = [sessions[-1].after, *(seen.seq for seen in sessions[-1].events)]
    return seqs[max(0, len(seqs) - 1 - random.randrange(FORGOTTEN_EVENTS))]


def wait_for_notes(subscriber: Subscriber, events: int, patience_s: float) -> None:
    """Until it has noted that many, or the time is up: then the comparison tells."""
    deadline_s = monotonic() + patience_s
    while subscriber.count() < events and monotonic() < deadline_s:
        sleep(0.005)


async def whole_log(node: NodeProcess) -> list[StoredEvent]:
    connection = HttpConnection(node.port)
    try:
        return await read_log(connection)
    finally:
        connection.close()


async def survive(node: NodeProcess, folder: Path, kills: int, seed: int) -> None:
    sessions, log = await sessions_under_load(
        node, folder, kills=kills, seed=seed, patience_s=RETRY_TIMEOUT_S
    )
    again = sum(len(session.events) for session in sessions) - len(log)
    print(f"{kills} kills, seed {seed}: {len(log)} events, {again} of them noted again")
    assert compare_feed(sessions, log) == [], f"seed {seed}"
    assert again > 0, "no session overlapped another: nothing was resumed"
    assert all(session.events for session in sessions[:-1])


async def test_a_subscriber_killed_at_random_misses_nothing_and_keeps_order(
    tmp_path: Path,
) -> None:
    with NodeProcess.reserve(tmp_path, NODE) as node:
        await survive(node, tmp_path, kills=8, seed=88)


@pytest.mark.long
@pytest.mark.timeout(1_200)
async def test_a_subscriber_killed_two_hundred_times_misses_nothing(tmp_path: Path) -> None:
    with NodeProcess.reserve(tmp_path, NODE) as node:
        await survive(node, tmp_path, kills=200, seed=89)


async def test_a_feed_that_resumes_at_the_log_s_end_is_caught(tmp_path: Path) -> None:
    """The positive control of both tests above."""
    with NodeProcess.reserve(tmp_path, LIVE_ONLY) as node:
        found = await sessions_under_load(node, tmp_path, kills=3, seed=90, patience_s=1.0)
    assert any(fault.startswith("gap") for fault in compare_feed(*found))


def test_sessions_that_resume_where_they_ended_or_earlier_are_sound() -> None:
    assert compare_feed(SOUND, LOG) == []


@pytest.mark.parametrize(
    "events, fault",
    [
        ([SEEN[2], SEEN[4]], "gap: seq 5 is missing behind 3"),
        ([SEEN[3]], "gap: seq 3 is missing behind 2"),
        ([SEEN[2], SEEN[2], SEEN[3]], "repeated or out of order: seq 3 after 3"),
        ([SEEN[1], SEEN[2], SEEN[3]], "repeated or out of order: seq 2 after 2"),
        ([SEEN[2], replace(SEEN[3], seq=4), SEEN[3]], "invented: seq 4"),
        ([SEEN[2], replace(SEEN[3], digest="other")], "altered: seq 5"),
        ([SEEN[2], replace(SEEN[3], id=UUID(int=9))], "altered: seq 5"),
    ],
)
def test_a_fault_of_a_session_is_named(events: list[Seen], fault: str) -> None:
    sessions = (SOUND[0], Session(2, tuple(events)), SOUND[2])
    assert fault in compare_feed(sessions, LOG)


def test_a_feed_that_stops_short_of_the_end_is_unfinished() -> None:
    assert compare_feed(SOUND[:2], LOG) == ["unfinished: seq 5 was the last of 6"]
