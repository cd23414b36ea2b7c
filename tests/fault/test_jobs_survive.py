"""Jobs survive SIGKILL (P1-10): every accepted one ends exactly once, none early, none invented.

A real node is killed while its jobs run, wait and are being sent, again and again; the last life
works off what is left. Then the log itself is judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
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
from tests.fault.forked_node import ForkedNodeProcess
from tests.fault.node_process import NodeProcess

SCALE = 0.02
"""Jobs of 10 to 300 ms, so that a moment's kill finds some at every stage."""

SENDERS = 6
GUARD_S = 30.0

Blow = Callable[[NodeProcess], None]


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
    url = f"http://127.0.0.1:{node.port}"
    return httpx.Client(base_url=url, timeout=GUARD_S, trust_env=False)


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


def life(node: NodeProcess, sent: Sent, seed: int, blow: Blow) -> None:
    """Send jobs to a node, and strike it at a seeded moment while some run and some wait."""
    random, stop = Random(seed), Flag()
    node.start()
    with ThreadPoolExecutor(SENDERS) as pool:
        senders = [
            pool.submit(send, node, sent, stop, Random(seed * 100 + n)) for n in range(SENDERS)
        ]
        try:
            until(lambda: (now := summary(node)).running and now.queued, "no job runs or waits")
            sleep(random.uniform(0, 0.3))  # the moment is the test's input
            blow(node)
        finally:
            stop.set()
            for sender in senders:
                sender.result(GUARD_S)


def last_life(node: NodeProcess) -> list[Event]:
    """Let the node work off what is left, as long as that goes on; then its log of jobs."""
    node.start()
    while (now := summary(node)).queued or now.running:
        before = now.completed
        until(lambda before=before: summary(node).completed > before, "jobs are left")
    log = list(log_of(node))
    node.kill()
    return log


def kill(node: NodeProcess) -> None:
    node.kill()


def stop(node: NodeProcess) -> None:
    assert node.terminate(GUARD_S) == 0, node.log()


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


def survive(folder: Path, *, lives: int, seed: int) -> None:
    sent = Sent()
    with ForkedNodeProcess.reserve(folder, emulated_latency=SCALE, log_level="error") as node:
        for number in range(lives):
            life(node, sent, seed + number, kill)
        log = last_life(node)
    found = judge(sent, log)
    stored = sum(event.type == "job_enqueued" for event in log)
    print(
        f"{lives} kills, seed {seed}: {len(sent.accepted)} accepted, {len(sent.unknown)} unknown,"
        f" {stored} stored"
    )
    assert found.is_clean, found
    assert len(sent.accepted) > 5 * lives, "too few jobs to prove anything"


def test_every_accepted_job_ends_exactly_once_although_the_node_is_killed(tmp_path: Path) -> None:
    survive(tmp_path, lives=5, seed=20_266)


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_jobs_survive_a_hundred_kills(tmp_path: Path) -> None:
    survive(tmp_path, lives=100, seed=20_400)


def test_a_shutdown_ends_no_job_early_and_loses_none(tmp_path: Path) -> None:
    sent = Sent()
    with ForkedNodeProcess.reserve(tmp_path, emulated_latency=SCALE, log_level="error") as node:
        for seed in (1, 2):
            life(node, sent, seed, stop)
        found = judge(sent, last_life(node))
    assert found.is_clean, found


@pytest.mark.parametrize(
    ("mutant", "blow", "fault"),
    [("amnesiac", kill, "lost"), ("repetitive", kill, "ended_twice"), ("hurried", stop, "early")],
)
def test_a_node_with_a_seeded_bug_is_caught(
    tmp_path: Path, mutant: str, blow: Blow, fault: str
) -> None:
    """The positive control of the tests above, on the same judgement."""
    sent, arguments = Sent(), ("-m", "tests.fault.mutant_jobs", mutant)
    with NodeProcess.reserve(
        tmp_path, arguments, emulated_latency=SCALE, log_level="error"
    ) as node:
        life(node, sent, 7, blow)
        found = judge(sent, last_life(node))
    assert getattr(found, fault), found
