"""What the ledger learns of a write whose request was redirected, or sent again, by any client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment
from locust.event import Events

from locustfiles.harness.event_recorder import EventRecorder
from locustfiles.harness.http.resolver import Resolver
from locustfiles.harness.http.session import LeanHttpSession
from results.ledger.ledger import WriteOutcome, write_outcome
from results.sample import Sample
from tests.e2e.scenario import free_port

KEY = bytes(range(16))


class Target(ThreadingHTTPServer):
    """Stores a write and answers `/go?STATUS` with a redirect to `leads_to`; knows `/there`. The
    next `drops` writes get no answer, but the end of their connection."""

    daemon_threads = True
    leads_to = ""
    drops = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Target

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/there" else 404)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.server.drops:
            self.server.drops -= 1
            self.close_connection = True
            return
        _, _, status = self.path.partition("?")
        self.answer(int(status) if status else 201 if self.path == "/there" else 404)

    def answer(self, status: int) -> None:
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", self.server.leads_to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def target() -> Iterator[Target]:
    with Target(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(20)


def url_of(target: Target) -> str:
    return f"http://127.0.0.1:{target.server_address[1]}"


CLIENTS = ("lean", "requests", "fast")


def posted(client: str, url: str, path: str, *, follows: bool = True) -> Sample:
    """The sample of one write, as that client's request leaves it."""
    samples: list[Sample] = []
    environment = Environment(events=Events())  # type: ignore[no-untyped-call]
    recorder = EventRecorder(samples.append, lambda _: None, lambda _: None)
    recorder.attach(environment)
    session: Any
    if client == "lean":
        session = LeanHttpSession(
            url, environment.events.request, resolver=Resolver(), sample_sink=samples.append
        )
    elif client == "requests":
        session = HttpSession(url, environment.events.request, user=None)
    else:
        kind = type("Fast", (FastHttpUser,), {"host": url})
        session = kind(environment).client
    session.post(path, data=b"x", context={"write_id": KEY}, allow_redirects=follows)
    (session.client if client == "fast" else session).close()
    recorder.detach(environment)
    (sample,) = samples
    assert sample.write_id == KEY
    return sample


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_that_nobody_follows_says_nothing_of_the_write(
    target: Target, client: str, status: int
) -> None:
    target.leads_to = "/there"
    sample = posted(client, url_of(target), f"/go?{status}", follows=False)
    assert sample.status == status
    assert write_outcome(sample) is WriteOutcome.UNKNOWN


@pytest.mark.parametrize("client", CLIENTS)
def test_a_page_that_is_missing_after_a_redirect_denies_nothing(
    target: Target, client: str
) -> None:
    target.leads_to = "/missing"
    sample = posted(client, url_of(target), "/go?303")
    assert sample.status == 404 and sample.repeated
    assert write_outcome(sample) is WriteOutcome.UNKNOWN
    assert sample.node == url_of(target)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status", [303, 307])
def test_a_redirect_to_where_nobody_listens_denies_nothing_and_names_the_first_node(
    target: Target, client: str, status: int
) -> None:
    target.leads_to = f"http://127.0.0.1:{free_port()}/there"
    sample = posted(client, url_of(target), f"/go?{status}")
    assert sample.status == 0 and sample.repeated
    assert write_outcome(sample) is WriteOutcome.UNKNOWN
    assert sample.node == url_of(target)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("path", ["/go?303", "/there"])
def test_what_ends_well_is_acknowledged_by_the_first_node(
    target: Target, client: str, path: str
) -> None:
    target.leads_to = "/there"
    sample = posted(client, url_of(target), path)
    assert write_outcome(sample) is WriteOutcome.ACKNOWLEDGED
    assert sample.node == url_of(target)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_denial_of_the_write_itself_is_one(target: Target, client: str) -> None:
    """The control: not everything is unknown."""
    sample = posted(client, url_of(target), "/missing")
    assert not sample.repeated
    assert write_outcome(sample) is WriteOutcome.REFUSED


@pytest.mark.parametrize("client", CLIENTS)
def test_a_closed_port_refuses_only_where_nothing_can_have_been_sent_before(client: str) -> None:
    sample = posted(client, f"http://127.0.0.1:{free_port()}", "/there")
    refused = WriteOutcome.REFUSED if client == "lean" else WriteOutcome.UNKNOWN
    assert write_outcome(sample) is refused


@pytest.mark.parametrize("drops", [0, 1])
def test_a_denial_after_a_lost_connection_may_be_of_what_is_stored(
    target: Target, drops: int
) -> None:
    """LeanHttpUser sends once more what a kept connection has swallowed, with the same id."""
    samples: list[Sample] = []
    events = Events()  # type: ignore[no-untyped-call]
    session = LeanHttpSession(
        url_of(target), events.request, resolver=Resolver(), sample_sink=samples.append
    )
    session.post("/there", data=b"x", write_id=KEY)
    target.drops = drops
    session.post("/go?409", data=b"x", write_id=KEY)
    session.post("/go?409", data=b"x", write_id=KEY)
    session.close()
    assert [sample.status for sample in samples] == [201, 409, 409]
    denied = WriteOutcome.UNKNOWN if drops else WriteOutcome.REFUSED
    assert write_outcome(samples[1]) is denied
    assert write_outcome(samples[2]) is WriteOutcome.REFUSED, "each request for itself"
