"""Jobs survive SIGKILL (P1-10): every accepted one ends exactly once, none early, none invented.

A real node is killed while its jobs run, wait and are being sent, again and again; the last life
works off what is left. Then the log itself is judged.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Event as Flag
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import httpx
import pytest
import uuid_utils

from service.emulation import SLACK_S
from service.schema import Event, EventPage
from service.schema_jobs import JobSummary
from service.workloads.jobs import KINDS, prescribed_ms
from tests.e2e.node_process import NodeProcess, running

NODE = ("-m", "service")
SCALE = 0.02
"""Jobs of 10 to 300 ms, so that a moment's kill finds some at every stage."""

SETTINGS = {"emulated_latency": SCALE, "log_level": "error"}
SENDERS = 6
GUARD_S = 30.0


@dataclass
class Sent:
    """Jobs by what the client knows of them."""

    accepted: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Judgement:
    lost: set[str]
    ended_twice: set[str]
    queued_twice: set[str]
    invented: set[str]
    early: set[str]

    @property
    def is_clean(self) -> bool:
        return not (
            self.lost or self.ended_twice or self.queued_twice or self.invented or self.early
        )


def judge(sent: Sent, log: Sequence[Event]) -> Judgement:
    """What the log says of the jobs that were sent."""
    queued = Counter(str(event.id) for event in log if event.type == "job_enqueued")
    over = [event for event in log if event.type.startswith("background_job_")]
    ends = Counter(event.data["job"] for event in over)
    completed = {event.data["job"] for event in over if event.type == "background_job_completed"}
    return Judgement(
        lost=(sent.accepted | set(queued)) - completed,
        ended_twice={job for job, count in ends.items() if count > 1},
        queued_twice={job for job, count in queued.items() if count > 1},
        invented=(set(ends) - set(queued)) | (set(queued) - sent.accepted - sent.unknown),
        early={event.data["job"] for event in over if _is_early(event)},
    )


def _is_early(end: Event) -> bool:
    """Less than was prescribed; the event says what was waited, to the grid of the waits."""
    wanted_ms = prescribed_ms(end.data["kind"], UUID(end.data["job"]).bytes) * SCALE
    took_ms: float = end.data.get("processing_time_ms", 0.0)
    return took_ms < wanted_ms - 1_000 * SLACK_S


def client(node: NodeProcess) -> httpx.Client:
    return httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False)


def send(node: NodeProcess, sent: Sent, stop: Flag, random: Random) -> None:
    """One client: job after job until the node is dead or `stop` is set."""
    with client(node) as http:
        while not stop.is_set():
            job = str(uuid_utils.uuid7())
            sent.unknown.add(job)
            try:
                reply = http.post("/v1/jobs", json={"id": job, "kind": random.choice(KINDS)})
            except httpx.TransportError:
                return
            if reply.status_code == 202:
                sent.accepted.add(job)
                sent.unknown.discard(job)
            else:
                assert reply.status_code == 503, reply.text
            stop.wait(0.005)  # a client's pause, so that the workers keep up roughly


def summary(node: NodeProcess) -> JobSummary:
    with client(node) as http:
        return JobSummary.model_validate_json(http.get("/v1/jobs").content)


def until(condition: Any, what: str) -> None:
    deadline_s = monotonic() + GUARD_S
    while not condition():
        assert monotonic() < deadline_s, what
        sleep(0.01)


def life(
    data: Path, command: tuple[str, ...], sent: Sent, seed: int, blow: int = signal.SIGKILL
) -> None:
    """Send jobs to a node, and strike it at a seeded moment while some run and some wait."""
    random, stop = Random(seed), Flag()
    with running(data, command=command, **SETTINGS) as node, ThreadPoolExecutor(SENDERS) as pool:
        senders = [
            pool.submit(send, node, sent, stop, Random(seed * 100 + n)) for n in range(SENDERS)
        ]
        try:
            until(lambda: (now := summary(node)).running and now.queued, "no job runs or waits")
            sleep(random.uniform(0, 0.3))  # the moment is the test's input
            node.stop(blow)
        finally:
            stop.set()
            for sender in senders:
                sender.result(GUARD_S)


def last_life(data: Path, command: tuple[str, ...]) -> list[Event]:
    """Let the node work off what is left; then its log of jobs."""
    with running(data, command=command, **SETTINGS) as node:
        until(lambda: not ((now := summary(node)).queued or now.running), "jobs are left")
        return list(log_of(node))


def log_of(node: NodeProcess) -> Iterator[Event]:
    query = {"stream": "$jobs", "order_by": "seq", "limit": "1000"}
    with client(node) as http:
        while True:
            reply = http.get("/v1/events", params=query)
            assert reply.status_code == 200, reply.text
            page = EventPage.model_validate_json(reply.content)
            yield from page.events
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor


def survive(data: Path, *, lives: int, seed: int) -> None:
    sent = Sent()
    for number in range(lives):
        life(data, NODE, sent, seed + number)
    log = last_life(data, NODE)
    found = judge(sent, log)
    stored = sum(event.type == "job_enqueued" for event in log)
    print(
        f"{lives} kills, seed {seed}: {len(sent.accepted)} accepted, {len(sent.unknown)} unknown,"
        f" {stored} stored"
    )
    assert found.is_clean, found
    assert len(sent.accepted) > 5 * lives, "too few jobs to prove anything"


def test_every_accepted_job_ends_exactly_once_although_the_node_is_killed(tmp_path: Path) -> None:
    survive(tmp_path / "data", lives=4, seed=20_266)


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_jobs_survive_a_hundred_kills(tmp_path: Path) -> None:
    survive(tmp_path / "data", lives=100, seed=20_400)


def test_a_shutdown_ends_no_job_early_and_loses_none(tmp_path: Path) -> None:
    sent = Sent()
    life(tmp_path / "data", NODE, sent, seed=1, blow=signal.SIGTERM)
    found = judge(sent, last_life(tmp_path / "data", NODE))
    assert found.is_clean, found


@pytest.mark.parametrize(
    ("mutant", "blow", "fault"),
    [
        ("amnesiac", signal.SIGKILL, "lost"),
        ("repetitive", signal.SIGKILL, "ended_twice"),
        ("hurried", signal.SIGTERM, "early"),
    ],
)
def test_a_node_with_a_seeded_bug_is_caught(
    tmp_path: Path, mutant: str, blow: int, fault: str
) -> None:
    """The positive control of the tests above, on the same judgement."""
    sent, command = Sent(), ("-m", "tests.fault.mutant_jobs", mutant)
    life(tmp_path / "data", command, sent, seed=7, blow=blow)
    found = judge(sent, last_life(tmp_path / "data", command))
    assert getattr(found, fault), found
