"""Background jobs over HTTP (P1-10): answers, errors, held polls, what /health and /metrics say."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import httpx
import pytest
import uuid_utils

from service.schema import ComponentHealth, EventPage, Health, Problem
from service.schema_jobs import JobKind, JobReceipt, JobStatus, JobSummary
from service.workloads.jobs_log import outcome_ids
from tests.e2e.node_process import NodeProcess, running

GUARD_S = 30.0


def client_of(node: NodeProcess) -> httpx.Client:
    return httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False)


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    data = tmp_path_factory.mktemp("jobs") / "data"
    with running(data, name="node-4", emulated_latency=0.01) as node, client_of(node) as client:
        yield client


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[NodeProcess]:
    # A job takes minutes: it runs, and three wait, for as long as a test.
    with running(tmp_path / "data", emulated_latency=1_000, job_workers=1, job_queue=3) as node:
        yield node


def new_job(kind: str = "email_delivery", **payload: Any) -> dict[str, Any]:
    return {"id": str(uuid_utils.uuid7()), "kind": kind, "payload": payload}


def submit(http: httpx.Client, job: dict[str, Any]) -> JobReceipt:
    response = http.post("/v1/jobs", json=job)
    assert response.status_code == 202, response.text
    return JobReceipt.model_validate_json(response.content)


def status(http: httpx.Client, job: dict[str, Any], wait_s: float = 0) -> JobStatus:
    response = http.get(f"/v1/jobs/{job['id']}", params={"wait_s": wait_s})
    assert response.status_code == 200, response.text
    return JobStatus.model_validate_json(response.content)


def refused(response: httpx.Response, code_status: int, code: str) -> Problem:
    found = Problem.model_validate_json(response.content)
    assert (response.status_code, found.code) == (code_status, code), response.text
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + GUARD_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.mark.parametrize("kind", get_args(JobKind))
def test_a_job_of_every_kind_is_accepted_runs_and_completes(http: httpx.Client, kind: str) -> None:
    job = new_job(kind, to="someone@example.org")
    receipt = submit(http, job)
    assert receipt.model_dump(mode="json", exclude={"seq", "prescribed_ms"}) == {
        "id": job["id"],
        "kind": kind,
        "state": "queued",
        "node": "node-4",
        "duplicate": False,
    }
    found = status(http, job, wait_s=20)
    assert (found.state, found.attempt, found.error) == ("completed", 1, None)
    assert found.completed_at is not None and found.completed_at >= found.enqueued_at
    assert found.processing_time_ms is not None
    assert found.processing_time_ms >= receipt.prescribed_ms * 0.01 - 4
    assert found.result
    assert status(http, job, wait_s=20) == found


def test_a_retry_is_the_same_job_and_other_content_a_conflict(http: httpx.Client) -> None:
    job = new_job(n=1)
    first = submit(http, job)
    status(http, job, wait_s=20)
    again = submit(http, job)
    expected = first.model_copy(update={"duplicate": True, "state": "completed"})
    assert again == expected
    refused(http.post("/v1/jobs", json=job | {"payload": {"n": 2}}), 409, "id_conflict")
    refused(http.post("/v1/jobs", json=job | {"kind": "data_cleanup"}), 409, "id_conflict")


def test_an_id_that_an_event_has_is_no_job(http: httpx.Client) -> None:
    event = {"id": str(uuid_utils.uuid7()), "type": "job_enqueued", "data": {"kind": "x"}}
    assert http.post("/v1/events", json=event).status_code == 201
    refused(http.get(f"/v1/jobs/{event['id']}"), 404, "not_found")
    refused(http.post("/v1/jobs", json=new_job() | {"id": event["id"]}), 409, "id_conflict")


def test_the_events_of_a_job_are_in_the_log_and_nobody_can_forge_them(http: httpx.Client) -> None:
    job = new_job()
    submit(http, job)
    status(http, job, wait_s=20)
    query = {"stream": "$jobs", "type": "background_job_completed", "limit": "1000"}
    page = EventPage.model_validate_json(http.get("/v1/events", params=query).content)
    [end] = [event for event in page.events if event.data["job"] == job["id"]]
    assert end.data["kind"] == "email_delivery"
    forged = {"type": "background_job_completed", "stream": "$jobs"}
    refused(http.post("/v1/events", json=forged), 422, "invalid_input")
    job = new_job()
    end_id = str(UUID(bytes=next(outcome_ids(UUID(job["id"]).bytes))))
    data = {"job": job["id"], "kind": job["kind"], "attempt": 1, "result": {"forged": True}}
    ending = {"type": "background_job_completed", "data": data, "id": end_id}
    refused(http.post("/v1/events", json=ending), 422, "invalid_input")
    refused(http.post("/v1/jobs", json=job | {"id": end_id}), 422, "invalid_input")
    submit(http, job)
    assert "forged" not in (status(http, job, wait_s=20).result or {"forged": True})


def test_the_summary_telemetry_and_metrics_agree(http: httpx.Client) -> None:
    submit(http, job := new_job("data_cleanup"))
    status(http, job, wait_s=20)
    until(lambda: not summary(http).running and not summary(http).queued)
    found = summary(http)
    assert (found.workers, found.queued, found.running, found.failed) == (4, 0, 0, 0)
    counters = http.get("/v1/telemetry", params={"prefix": "background_jobs/"}).json()["counters"]
    assert sum(one["value"] for one in counters) == found.completed > 0
    lines = http.get("/metrics").text.splitlines()
    assert "foundation_jobs_queued 0.0" in lines
    exposed = [line for line in lines if line.startswith("foundation_jobs_completed_total{")]
    assert sum(float(line.split()[-1]) for line in exposed) == found.completed


def summary(http: httpx.Client) -> JobSummary:
    return JobSummary.model_validate_json(http.get("/v1/jobs").content)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "coffee"},
        {"kind": None},
        {"id": "x"},
        {"id": None},
        {"payload": []},
        {"payload": None},
        {"payload": "x"},
        {"more": 1},
        {"payload": {"n": 2**63}},
    ],
)
def test_a_job_of_a_wrong_form_is_refused(http: httpx.Client, change: dict[str, Any]) -> None:
    response = http.post("/v1/jobs", json=new_job() | change)
    assert response.status_code in (400, 422), response.text
    Problem.model_validate_json(response.content)


ABSENT = "0190f3a0-0000-7000-8000-0000000000ff"


@pytest.mark.parametrize(
    ("path", "code_status"),
    [
        (f"/v1/jobs/{ABSENT}", 404),
        ("/v1/jobs/x", 422),
        (f"/v1/jobs/{ABSENT}?wait_s=21", 422),
        (f"/v1/jobs/{ABSENT}?wait_s=-1", 422),
        (f"/v1/jobs/{ABSENT}?wait_s=nan", 422),
        (f"/v1/jobs/{ABSENT}?wiat_s=1", 422),
    ],
)
def test_a_bad_question_is_refused(http: httpx.Client, path: str, code_status: int) -> None:
    assert http.get(path).status_code == code_status


def test_a_full_queue_is_503_with_retry_after_and_shows_in_health(slow: NodeProcess) -> None:
    with client_of(slow) as http:
        jobs = [new_job() for _ in range(4)]
        for job in jobs:
            submit(http, job)
            until(lambda: summary(http).running == 1)
        response = http.post("/v1/jobs", json=new_job())
        refused(response, 503, "overloaded")
        assert response.headers["retry-after"] == "1"
        assert submit(http, jobs[3]).duplicate
        found = summary(http)
        assert (found.queued, found.running) == (3, 1)
        assert found.oldest_queued_s > 0
        health = Health.model_validate_json(http.get("/health").content)
        assert health.components["jobs"].status == "degraded"
        assert "3 queued (100% of bound)" in health.components["jobs"].detail
        assert status(http, jobs[0]).state == "running"
        assert status(http, jobs[3]).state == "queued"


def test_a_held_poll_ends_after_its_time_and_says_how_long_it_was_held(slow: NodeProcess) -> None:
    with client_of(slow) as http:
        submit(http, job := new_job())
        response = http.get(f"/v1/jobs/{job['id']}", params={"wait_s": 0.2})
        held_ms = float(response.headers["server-timing"].removeprefix("emulated;dur="))
        assert held_ms >= 199
        assert response.json()["state"] == "running"
        assert "server-timing" not in http.get(f"/v1/jobs/{job['id']}").headers


def test_a_held_poll_does_not_keep_a_stopping_node(slow: NodeProcess) -> None:
    with client_of(slow) as http, ThreadPoolExecutor(4) as pool:
        submit(http, job := new_job())
        polls = [pool.submit(status, http, job, 20.0) for _ in range(4)]
        until(lambda: held(http) == 4)
        started_s = time.monotonic()
        assert slow.stop(signal.SIGTERM) == 0
        assert time.monotonic() - started_s < 20
        assert [poll.result(GUARD_S).state for poll in polls] == ["running"] * 4


def test_a_poll_is_held_no_longer_than_its_client_is_there(slow: NodeProcess) -> None:
    with client_of(slow) as http, ThreadPoolExecutor(1) as pool:
        submit(http, job := new_job())
        staying = pool.submit(status, http, job, 20.0)
        until(lambda: held(http) == 1)
        target = f"GET /v1/jobs/{job['id']}?wait_s=20 HTTP/1.1\r\nhost: x\r\n\r\n"
        leaving = [socket.create_connection(("127.0.0.1", slow.port)) for _ in range(20)]
        for connection in leaving:
            connection.sendall(target.encode())
        until(lambda: held(http) == 21)
        for connection in leaving:
            connection.close()
        until(lambda: held(http) == 1)
        assert not staying.done(), "all of them ended with their time"
        assert slow.stop(signal.SIGTERM) == 0
        assert staying.result(GUARD_S).state == "running"
    assert "Traceback" not in slow.log and "request failed" not in slow.log


def test_a_client_that_ends_its_side_gets_the_state_at_once(slow: NodeProcess) -> None:
    with client_of(slow) as http:
        submit(http, job := new_job())
        target = f"GET /v1/jobs/{job['id']}?wait_s=20 HTTP/1.1\r\nhost: x\r\n\r\n"
        polls = [socket.create_connection(("127.0.0.1", slow.port)) for _ in range(3)]
        for poll in polls:
            poll.settimeout(GUARD_S)
        polls[0].sendall(target.encode())
        until(lambda: held(http) == 1)
        polls[0].shutdown(socket.SHUT_WR)
        for poll, requests in ((polls[1], 1), (polls[2], 3)):
            poll.sendall(target.encode() * requests)
            poll.shutdown(socket.SHUT_WR)
        staying = socket.create_connection(("127.0.0.1", slow.port))
        staying.sendall(target.encode())
        answers = [b"".join(iter(partial(poll.recv, 65_536), b"")) for poll in polls]
        assert [answer.count(b"HTTP/1.1 200") for answer in answers] == [1, 1, 3]
        assert [answer.count(b'"running"') for answer in answers] == [1, 1, 3]
        assert held(http) == 1, "all of them ended with their time"
        for poll in (*polls, staying):
            poll.close()


def test_a_backup_that_hangs_keeps_no_stopping_node(tmp_path: Path) -> None:
    backups = tmp_path / "data" / "backups"
    backups.mkdir(parents=True)
    job = new_job("backup_creation")
    # Opening it waits for a reader, as a disk that hangs makes a call wait.
    os.mkfifo(backups / f"{job['id']}.partial")
    with running(tmp_path / "data", emulated_latency=0) as node, client_of(node) as http:
        submit(http, job)
        until(lambda: summary(http).running == 1)
        other = new_job("backup_creation")
        submit(http, other)
        assert status(http, other, wait_s=20).state == "completed"
        assert status(http, job).state == "running"
        assert node.stop(signal.SIGTERM) == 0, node.log


def test_a_full_disk_that_postpones_a_backup_shows_in_health(tmp_path: Path) -> None:
    backups = tmp_path / "data" / "backups"
    backups.mkdir(parents=True)
    job = new_job("backup_creation")
    (backups / f"{job['id']}.partial").symlink_to("/dev/full")
    with running(tmp_path / "data", emulated_latency=0) as node, client_of(node) as http:
        submit(http, job)
        until(lambda: jobs_health(http).status == "degraded")
        found = status(http, job, wait_s=20)
        assert (found.state, found.attempt) == ("completed", 1)
        assert jobs_health(http).status == "up"


def jobs_health(http: httpx.Client) -> ComponentHealth:
    return Health.model_validate_json(http.get("/health").content).components["jobs"]


def held(http: httpx.Client) -> int:
    """Requests that wait for a job's end."""
    [line] = [
        line
        for line in http.get("/metrics").text.splitlines()
        if line.startswith("foundation_jobs_polls_held")
    ]
    return int(float(line.split()[-1]))
