"""What becomes of Locust's request events, whatever a client puts into them."""

from __future__ import annotations

import math
import time
from typing import Any
from uuid import UUID

import pytest
import uuid_utils
from locust.env import Environment
from locust.event import Events

from locustfiles.harness.audit.run_audit import origins_of
from locustfiles.harness.event_recorder import MAX_HOSTS, EventRecorder
from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.http.origin import Origin
from locustfiles.harness.http.resolver import Address, Resolver
from locustfiles.harness.http.response import Response
from locustfiles.harness.http.session import LeanHttpSession
from locustfiles.harness.http.transport_error import NeverSent
from results.ledger.ledger import FURTHER_NODES
from results.sample import Outcome, Sample


class Taken:
    """A recorder on real events."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.untimed: list[str] = []
        self.environment = Environment(events=Events())  # type: ignore[no-untyped-call]
        self.misnamed: list[ValueError] = []
        self.recorder = EventRecorder(
            self.samples.append, self.untimed.append, self.misnamed.append
        )
        self.recorder.attach(self.environment)

    def fire(self, **given: Any) -> Sample | None:
        usual: dict[str, Any] = {
            "request_type": "GET",
            "name": "/",
            "response_time": 12.5,
            "response_length": 5,
            "context": {},
            "exception": None,
        }
        before = len(self.samples)
        self.environment.events.request.fire(**(usual | given))  # type: ignore[no-untyped-call]
        return self.samples[-1] if len(self.samples) > before else None


@pytest.fixture
def taken() -> Taken:
    return Taken()


def found(sample: Sample | None) -> Sample:
    assert sample is not None
    return sample


def test_an_event_is_one_sample_that_ends_about_now(taken: Taken) -> None:
    sample = found(taken.fire(url="http://user:pw@A.example:80/x?y"))
    now_us = wall_us(time.perf_counter())
    assert (sample.name, sample.outcome, sample.bytes_received) == ("GET /", Outcome.OK, 5)
    assert sample.end_us - sample.start_us == 12_500
    assert 0 <= now_us - sample.end_us < 5_000_000
    assert sample.node == "http://a.example"
    assert sample.intended_us is None, "nobody knows when it was meant to start"


def test_a_failed_event_is_a_failed_sample(taken: Taken) -> None:
    assert found(taken.fire(exception=TimeoutError())).outcome is Outcome.TIMEOUT


def test_an_exception_that_is_false_is_no_failure_as_for_locust(taken: Taken) -> None:
    assert found(taken.fire(exception="")).outcome is Outcome.OK


def test_what_a_lean_user_sends_is_not_counted_twice(taken: Taken) -> None:
    own = Response("http://a/", {"request_type": "GET", "name": "/"}, 200, b"", b"", None)
    own.is_sampled = True
    assert taken.fire(response=own) is None


@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_session_of_the_locustfiles_own_is_counted_once(taken: Taken, is_recorded: bool) -> None:
    class Nowhere(Resolver):
        def addresses(self, origin: Origin, timeout_s: float) -> tuple[Address, ...]:
            raise NeverSent(origin.label, "is nowhere")

    sampled: list[Sample] = []
    session = LeanHttpSession(
        "http://a.example",
        taken.environment.events.request,
        resolver=Nowhere(),
        sample_sink=sampled.append if is_recorded else None,
    )
    assert session.get("/x").status_code == 0
    counted = sampled if is_recorded else taken.samples
    assert [(one.name, one.node) for one in counted] == [("GET /x", "http://a.example")]
    assert len(sampled) + len(taken.samples) == 1


def test_the_start_is_known_where_the_with_block_took_its_time(taken: Taken) -> None:
    sample = found(taken.fire(response_time=100.0, start_time=time.time() - 3.0))
    assert sample.end_us - sample.start_us == 100_000
    ago_us = wall_us(time.perf_counter()) - sample.start_us
    assert 3_000_000 <= ago_us < 8_000_000


@pytest.mark.parametrize(
    "start", [None, True, "now", 0, time.time() * 1000, time.time() + 3600, math.nan, math.inf]
)
def test_a_start_that_cannot_be_right_is_not_believed(taken: Taken, start: object) -> None:
    sample = found(taken.fire(response_time=100.0, start_time=start))
    ago_us = wall_us(time.perf_counter()) - sample.start_us
    assert 100_000 <= ago_us < 5_000_000


@pytest.mark.parametrize("took", [None, True, "12", -1, math.nan, math.inf])
def test_an_event_without_a_time_counts_and_the_first_is_told(taken: Taken, took: object) -> None:
    for _ in range(3):
        sample = found(taken.fire(response_time=took))
        assert sample.end_us == sample.start_us
    assert taken.untimed == ["GET /"]


@pytest.mark.parametrize("length", [None, True, "5", -1, math.nan, math.inf])
def test_a_length_that_is_none_counts_as_nothing(taken: Taken, length: object) -> None:
    assert found(taken.fire(response_length=length)).bytes_received == 0


@pytest.mark.parametrize(
    ("request_type", "name", "endpoint"),
    [
        ("grpc", "/shop.Shop/Buy", "grpc /shop.Shop/Buy"),
        (b"GET".decode(), b"/bytes", "GET /bytes"),
        ("", "lonely", "lonely"),
        (None, 5, "None 5"),
    ],
)
def test_any_name_that_a_client_gives_is_taken(
    taken: Taken, request_type: object, name: object, endpoint: str
) -> None:
    assert found(taken.fire(request_type=request_type, name=name)).name == endpoint


@pytest.mark.parametrize("url", [None, 5, "", "/path", "localhost:50051", b"http:/a", "x//a/b"])
def test_without_a_url_there_is_no_host(taken: Taken, url: object) -> None:
    assert found(taken.fire(url=url)).node == ""


@pytest.mark.parametrize(
    ("url", "node"),
    [
        ("http://node:80", "http://node"),
        ("HTTP://Node:80/x", "http://node"),
        ("https://node:443/", "https://node"),
        ("https://node:80/", "https://node:80"),
        ("http://node:443/", "http://node:443"),
        ("http://node:8080/", "http://node:8080"),
        ("http://[::1]:80/", "http://[::1]"),
        ("http://[::1]/", "http://[::1]"),
        ("http://node:/", "http://node"),
        ("ws://node:80/", "ws://node:80"),
    ],
)
def test_a_node_has_one_name_with_and_without_its_schemes_port(
    taken: Taken, url: str, node: str
) -> None:
    assert found(taken.fire(url=url)).node == node
    if node.startswith("http") and "node:/" not in url:
        assert origins_of([url]) == (node,), "as an audit asks for it"


def test_hosts_beyond_a_bound_are_counted_as_one(taken: Taken) -> None:
    nodes = [found(taken.fire(url=f"http://host{number}/")).node for number in range(MAX_HOSTS + 5)]
    assert nodes[MAX_HOSTS - 1] == f"http://host{MAX_HOSTS - 1}"
    assert nodes[MAX_HOSTS:] == [FURTHER_NODES] * 5
    assert found(taken.fire(url="http://host0/")).node == "http://host0", "still its own"


def test_a_context_that_names_a_write_is_in_the_sample(taken: Taken) -> None:
    key = UUID("0190f3a0-0000-7000-8000-00000000000a")
    for named in (key, str(key), key.bytes, [key], uuid_utils.UUID(str(key))):
        assert found(taken.fire(context={"write_id": named})).write_id == key.bytes
    sample = found(taken.fire(context={"write_id": [key, key.bytes], "digest": bytes(16)}))
    assert (sample.write_id, sample.digest) == (key.bytes * 2, bytes(16))
    assert taken.misnamed == []


@pytest.mark.parametrize("context", [None, {}, {"write_id": None}, {"digest": "own"}, 5, "x"])
def test_a_context_without_a_write_is_no_write(taken: Taken, context: object) -> None:
    sample = found(taken.fire(context=context))
    assert (sample.write_id, sample.digest) == (None, None)
    assert taken.misnamed == []


@pytest.mark.parametrize("named", ["x", b"", b"short", 5, [], [None], {"a": 1}, True])
def test_a_write_that_is_named_wrongly_is_told_and_the_request_counts(
    taken: Taken, named: object
) -> None:
    sample = found(taken.fire(context={"write_id": named}))
    assert sample.write_id is None
    [error] = taken.misnamed
    assert "write_id must be" in str(error)


def test_nothing_is_taken_once_it_is_detached(taken: Taken) -> None:
    taken.recorder.detach(taken.environment)
    assert taken.fire() is None
