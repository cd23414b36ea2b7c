"""The sampler against real sockets: pages, rubbish, silence, and endpoints that come and go."""

from __future__ import annotations

import contextlib
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.run_book import RunBook
from locustfiles.harness.target import sampler
from locustfiles.harness.target.sampler import (
    Endpoint,
    Reader,
    Sampler,
    Unreadable,
    endpoints,
    require_readable,
)
from locustfiles.harness.target.target import Node
from results.exposition import MAX_PAGE_CHARACTERS
from results.run_folder import create_run
from results.scrape import foundation_values, general_values
from results.timeline import Header, TargetSample

Answer = Callable[["Handler"], None]
LIMIT_S = 20.0
GAUGE = b"# HELP load of it\n# TYPE load gauge\nload 3\n"


class Handler(socketserver.StreamRequestHandler):
    """Reads requests and lets `server.answer` write; a request's head goes to `server.heads`."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while head := self._head():
                self.server.heads.append(head)  # type: ignore[attr-defined]
                self.server.answer(self)  # type: ignore[attr-defined]
                if self.server.closing:  # type: ignore[attr-defined]
                    return

    def _head(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline(65_536)
            if not line:
                return b""
            head += line
        return head

    def send(self, body: bytes, status: str = "200 OK", extra: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{extra}\r\n"
        self.wfile.write(head.encode() + body)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    closing = False

    def __init__(self, answer: Answer, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.answer = answer
        self.heads: list[bytes] = []
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/metrics"


@contextlib.contextmanager
def serving(answer: Answer, port: int = 0) -> Iterator[Server]:
    with Server(answer, port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            server.shutdown()
            thread.join(LIMIT_S)


def page(body: bytes) -> Answer:
    return lambda handler: handler.send(body)


def hang(handler: Handler) -> None:
    server: Any = handler.server
    server.closing = True
    server.release.wait(LIMIT_S)


def hang_up(handler: Handler) -> None:
    handler.server.closing = True  # type: ignore[attr-defined]


def trickle(handler: Handler) -> None:
    """A page that never ends, a few bytes at a time."""
    server: Any = handler.server
    server.closing = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while not server.release.wait(0.05):
        handler.wfile.write(b"a 1\n")


def huge_chunked(handler: Handler) -> None:
    """Two megabytes and no announcement of how much it will be."""
    handler.server.closing = True  # type: ignore[attr-defined]
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    chunk = b"load 3\n" * 1000
    for _ in range(2 * MAX_PAGE_CHARACTERS // len(chunk)):
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    handler.wfile.write(b"0\r\n\r\n")


MANY = b"".join(b"load%d 3\n" % n for n in range(6_000))

BAD: dict[str, tuple[Answer, str]] = {
    "hangs": (hang, "did not answer within"),
    "hangs_up": (hang_up, "could not be read"),
    "trickles": (trickle, "did not finish its response within"),
    "not_found": (lambda handler: handler.send(b"no", "404 Not Found"), "answered 404"),
    "redirects": (
        lambda handler: handler.send(b"", "302 Found", "location: /other\r\n"),
        "answered 302",
    ),
    "no_text": (page(b"<html><body>hello</body></html>"), "not one series"),
    "json": (page(b'{"load": 3}'), "not one series"),
    "binary": (page(bytes(range(256)) * 40), "not one series"),
    "empty": (page(b""), "not one series"),
    "only_nan": (page(b"load NaN\nother +Inf\n"), "not one series"),
    "large": (page(b"load 3\n" * (MAX_PAGE_CHARACTERS // 7 + 1)), "no page that can be sampled"),
    "huge": (page(b"load 3\n" * (2 * MAX_PAGE_CHARACTERS // 7)), "could not be read"),
    "huge_chunked": (huge_chunked, "could not be read"),
    "too_many_series": (page(MANY), "no page that can be sampled"),
}


@pytest.mark.parametrize("name", BAD)
def test_whatever_is_no_page_of_metrics_is_unreadable_in_plain_words(name: str) -> None:
    answer, says = BAD[name]
    with serving(answer) as server:
        reader = Reader(Endpoint("a", server.url, general_values))
        before_s = time.perf_counter()
        with pytest.raises(Unreadable, match=says):
            reader.page(0.3)
        # The limit holds, with room for a busy machine.
        assert time.perf_counter() - before_s < LIMIT_S / 2
        reader.close()


def test_values_of_two_readings_come_with_the_second_and_go_with_a_failure() -> None:
    pages = [b"load 3\nhits_total 10\n", b"load 4\nhits_total 30\n", b"", b"hits_total 90\n"]
    with serving(lambda handler: handler.send(pages.pop(0))) as server:
        reader = Reader(Endpoint("a", server.url, general_values))
        assert reader.values() == {"up": 1.0, "load": 3.0}
        second = reader.values()
        assert second["load"] == 4.0
        assert second["hits_total"] > 0
        with pytest.raises(Unreadable):
            reader.values()
        assert reader.values() == {"up": 1.0}, "what came before the failure is too old"
        reader.close()


def test_only_the_nodes_are_sent_their_token_and_a_query_is_never_shown() -> None:
    node = Node("node-1", "http://127.0.0.1:1", ())
    own, other = endpoints((node,), "secret", ["http://127.0.0.1:2/metrics?key=hidden"])
    assert (own.node, own.url, own.derive) == ("node-1", f"{node.url}/metrics", foundation_values)
    assert (other.node, other.token, other.derive) == ("127.0.0.1:2", None, general_values)
    assert "hidden" not in other.shown
    with serving(page(GAUGE)) as server:
        Reader(Endpoint("own", server.url, foundation_values, "secret")).page(LIMIT_S)
        Reader(Endpoint("other", server.url, general_values)).page(LIMIT_S)
        with_token, without = server.heads
    assert b"authorization: bearer secret" in with_token.lower()
    assert b"authorization" not in without.lower()


def test_nodes_of_one_name_are_told_apart() -> None:
    urls = [f"http://127.0.0.1:{port}" for port in (8001, 8002, 8003)]
    nodes = [Node(name, url, ()) for name, url in zip(("a", "node-1", "node-1"), urls, strict=True)]
    others = ["http://127.0.0.1:9100/metrics"]
    assert [one.node for one in endpoints(nodes, None, others)] == [
        "a",
        "node-1 (127.0.0.1:8002)",
        "node-1 (127.0.0.1:8003)",
        "127.0.0.1:9100",
    ]
    named_so = [Node("127.0.0.1:9100", urls[0], ())]
    names = {one.node for one in endpoints(named_so, None, others)}
    assert len(names) == 2, names


def test_an_endpoint_without_metrics_is_bad_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "CHECK_TIMEOUT_S", 0.3)
    with serving(page(GAUGE)) as server:
        require_readable([Endpoint("a", server.url, general_values)])
        gone = server.url
    for url, says in [(gone, "refused"), ("http://no-such-host.invalid/m", "could not be read")]:
        with pytest.raises(BadConfiguration, match=says) as caught:
            require_readable([Endpoint("a", f"{url}?key=hidden", general_values)])
        assert "--target-metrics" in str(caught.value)
        assert "hidden" not in str(caught.value)


class Clock:
    """The run's clock, from 0."""

    def __init__(self) -> None:
        self._began_s = time.perf_counter()

    def __call__(self) -> float:
        return time.perf_counter() - self._began_s


def samples_until(
    asked: list[Endpoint], enough: Callable[[list[TargetSample]], bool]
) -> list[TargetSample]:
    """What a sampler takes until it is enough; it is killed as a run does."""
    taken: list[TargetSample] = []
    running = gevent.spawn(Sampler(asked, Clock(), taken.append).run)
    deadline_s = time.perf_counter() + LIMIT_S
    while not enough(taken):
        assert time.perf_counter() < deadline_s, taken
        gevent.sleep(0.02)
    running.kill(timeout=LIMIT_S)
    return taken


def of(taken: list[TargetSample], node: str) -> list[TargetSample]:
    return [sample for sample in taken if sample.node == node]


def test_an_endpoint_that_hangs_costs_only_its_own_samples(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(page(GAUGE)) as good, serving(hang) as bad:
        asked = [
            Endpoint("bad", bad.url, general_values),
            Endpoint("good", good.url, general_values),
        ]
        taken = samples_until(asked, lambda all_: len(of(all_, "bad")) >= 3)
    assert {tuple(sample.values.items()) for sample in of(taken, "bad")} == {(("up", 0.0),)}
    fine = of(taken, "good")
    assert len(fine) >= 3
    assert all(sample.values == {"up": 1.0, "load": 3.0} for sample in fine)
    assert caplog.text.count("bad could not be read") == 1
    assert "good" not in caplog.text


def test_an_endpoint_that_comes_back_is_sampled_again() -> None:
    with serving(page(GAUGE)) as server:
        port = server.server_address[1]
    asked = [Endpoint("a", server.url, general_values)]
    with contextlib.ExitStack() as stack:
        again: list[Server] = []

        def enough(taken: list[TargetSample]) -> bool:
            if taken and not again:
                again.append(stack.enter_context(serving(page(GAUGE), port)))
            return bool(taken) and taken[-1].values["up"] == 1.0

        taken = samples_until(asked, enough)
    assert taken[0].values == {"up": 0.0}, "the control: it was gone"


def test_a_fault_of_ours_ends_nothing_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> dict[str, float]:
        raise RuntimeError("seeded: deriving fails")

    with serving(page(GAUGE)) as server:
        asked = [Endpoint("a", server.url, broken), Endpoint("b", server.url, general_values)]
        taken = samples_until(asked, lambda all_: len(of(all_, "a")) >= 2)
    assert [sample.values for sample in of(taken, "a")] == [{"up": 0.0}] * 2
    assert of(taken, "b")[0].values["up"] == 1.0
    assert caplog.text.count("sampling a failed") == 1
    assert caplog.text.count("seeded: deriving fails") >= 1


def test_a_sample_that_comes_after_the_end_of_its_run_is_dropped(tmp_path: Path) -> None:
    folder = create_run(tmp_path, "run")
    book = RunBook(
        folder, header=Header("run", "s", 0, True), plan=None, checks=(), profile=None,
        elapsed_s=lambda: 1.0,
    )  # fmt: skip
    book.target(TargetSample(0.5, "node-1", {"up": 1.0}))
    book.close(None, {})
    book.target(TargetSample(1.5, "node-1", {"up": 1.0}))
    lines = folder.timeline.read_text().splitlines()
    assert [line.count('"target"') for line in lines] == [0] * (len(lines) - 2) + [1, 0]
    assert book.failures == 0
