"""Hostile HTTP against a real node, byte by byte: framing, targets, versions, encodings, smuggling.

`tests/unit/service/test_protocol.py` has the limits and deadlines with a small app. Here is what
each abuse does to a whole node: an answer from the documented set, then a connection that either
goes on with the right next request or is closed; nothing slips through as a request of its own.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uuid_utils

from tests.e2e.node_process import NodeProcess, running
from tests.e2e.raw_http import Reply, connect, exchange, push, read_until_closed, split, until

EVENT = b'{"type":"t"}'
POST = b"POST /v1/events HTTP/1.1\r\nhost: x\r\n"
SIZED = POST + b"content-length: 12\r\n\r\n" + EVENT
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
ONE_CHUNK = b"c\r\n" + EVENT + b"\r\n"
END = 404
"""Status of the request that follows where the connection goes on."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    data = tmp_path_factory.mktemp("hostile") / "data"
    with running(data, emulated_latency=0, log_level="error") as process:
        yield process
        health = httpx.get(f"{process.url}/health", timeout=20).json()
        assert health["status"] == "up", health
    assert "Traceback" not in process.log


def statuses(replies: list[Reply]) -> list[int]:
    return [reply.status for reply in replies]


def stored(node: NodeProcess) -> float:
    return gauge(node, "foundation_events_stored_total")


def assert_refused(replies: list[Reply], code: str = "malformed_request") -> None:
    """One problem, and nothing after it: the rest was not taken for a request."""
    assert [(reply.status, reply.code) for reply in replies] == [(400, code)], replies


# What is not HTTP/1.x at all


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param(bytes.fromhex("16030100f8010000f40303") + b"\0" * 240, id="TLS hello"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 preface"),
        pytest.param(b"GET /health HTTP/2.0\r\nhost: x\r\n\r\n", id="HTTP/2.0"),
        pytest.param(b"GET /health HTTP/1.2\r\nhost: x\r\n\r\n", id="HTTP/1.2"),
        pytest.param(b"GET /health\r\n\r\n", id="HTTP/0.9"),
        pytest.param(b"SSH-2.0-x\r\n", id="SSH"),
        pytest.param(b"get /health HTTP/1.1\r\nhost: x\r\n\r\n", id="lower-case method"),
        pytest.param(b"G" * 40_000 + b" / HTTP/1.1\r\nhost: x\r\n\r\n", id="endless method"),
        pytest.param(b"BREW /v1/events HTTP/1.1\r\nhost: x\r\n\r\n", id="unknown method"),
        pytest.param(b"\0" * 5_000, id="NUL"),
        pytest.param(b"*3\r\n$3\r\nSET\r\n", id="Redis"),
    ],
)
def test_what_is_not_http_1_is_refused_and_the_connection_ends(
    node: NodeProcess, noise: bytes
) -> None:
    assert_refused(exchange(node.port, noise))


def test_http_1_0_is_answered_and_the_connection_ends(node: NodeProcess) -> None:
    for head in (b"", b"connection: keep-alive\r\n"):
        [reply] = exchange(node.port, b"GET /health HTTP/1.0\r\n" + head + b"\r\n")
        assert reply.status == 200 and "connection: close" in reply.head


# Framing: wherever two readers could disagree on where a request ends, there is no second request


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"content-length: 6\r\ntransfer-encoding: chunked\r\n", id="CL, TE"),
        pytest.param(b"transfer-encoding: chunked\r\ncontent-length: 6\r\n", id="TE, CL"),
        pytest.param(b"content-length: 12\r\ncontent-length: 12\r\n", id="the same CL twice"),
        pytest.param(b"content-length: 5\r\ncontent-length: 12\r\n", id="two CLs"),
        pytest.param(b"content-length: 12, 12\r\n", id="a list of CLs"),
        pytest.param(b"content-length: +12\r\n", id="CL with a sign"),
        pytest.param(b"content-length: 0xc\r\n", id="CL in hex"),
        pytest.param(b"content-length: \r\n", id="empty CL"),
        pytest.param(b"content-length: 1 2\r\n", id="CL with a space"),
        pytest.param(b"content-length: 12abc\r\n", id="CL with letters"),
        pytest.param(b"content-length: 18446744073709551628\r\n", id="CL beyond 2^64"),
        pytest.param(b"content-length : 12\r\n", id="space before the colon"),
        pytest.param(b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", id="TE, TE"),
        pytest.param(b"transfer-encoding: chunked, identity\r\n", id="chunked is not last"),
        pytest.param(b"transfer-encoding: xchunked\r\n", id="unknown TE"),
        pytest.param(b'transfer-encoding: "chunked"\r\n', id="quoted TE"),
        pytest.param(b"transfer-encoding: \x0bchunked\r\n", id="TE behind a vertical tab"),
        pytest.param(b"transfer-encoding: identity\r\ncontent-length: 12\r\n", id="TE identity"),
        pytest.param(b"a: b\r\n content-length: 12\r\n", id="folded header"),
        pytest.param(b"a: b\ncontent-length: 12\r\n", id="bare LF in a header"),
        pytest.param(b"a: b\rcontent-length: 12\r\n", id="bare CR in a header"),
        pytest.param(b": x\r\n", id="header without a name"),
        pytest.param(b"a\0b: x\r\n", id="NUL in a header's name"),
        pytest.param(b"a: x\0y\r\n", id="NUL in a header's value"),
        pytest.param(b"host: y\r\n", id="a second Host"),
    ],
)
def test_contradicting_or_malformed_headers_are_refused(node: NodeProcess, head: bytes) -> None:
    before = stored(node)
    hidden = b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n" + EVENT
    assert_refused(exchange(node.port, POST + head + b"\r\n", EVENT, hidden))
    assert stored(node) == before


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(b"zz\r\n", id="no number"),
        pytest.param(b"-1\r\n" + EVENT, id="negative"),
        pytest.param(b"+c\r\n" + EVENT, id="sign"),
        pytest.param(b"0xc\r\n" + EVENT, id="prefix"),
        pytest.param(b" c\r\n" + EVENT, id="leading space"),
        pytest.param(b"fffffffffffffffff\r\n", id="beyond 2^64"),
        pytest.param(b"c\n" + EVENT + b"\n0\n\n", id="bare LF"),
        pytest.param(b"c\r\n" + EVENT + b"XX" + LAST_CHUNK, id="no end of line after the data"),
        pytest.param(b"5\r\n" + EVENT + b"\r\n" + LAST_CHUNK, id="more data than told"),
        pytest.param(b"c;\0\r\n" + EVENT, id="NUL in an extension"),
        pytest.param(ONE_CHUNK + b"0\r\ncontent-length: 5\r\n\r\n", id="CL as a trailer"),
        pytest.param(ONE_CHUNK + b"0\r\ntransfer-encoding: chunked\r\n\r\n", id="TE as a trailer"),
        pytest.param(ONE_CHUNK + b"0\r\n x: y\r\n\r\n", id="folded trailer"),
    ],
)
def test_malformed_chunks_are_refused(node: NodeProcess, chunks: bytes) -> None:
    before = stored(node)
    assert_refused(exchange(node.port, CHUNKED + chunks))
    assert stored(node) == before


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(ONE_CHUNK + LAST_CHUNK, id="one"),
        pytest.param(b"".join(b"1\r\n%c\r\n" % byte for byte in EVENT) + LAST_CHUNK, id="bytes"),
        pytest.param(b'c;a=b;c="d;e"\r\n' + EVENT + b"\r\n" + LAST_CHUNK, id="extensions"),
        pytest.param(b"00000c\r\n" + EVENT + b"\r\n000\r\n\r\n", id="leading zeros"),
        pytest.param(ONE_CHUNK + b"0\r\nx: y\r\n\r\n", id="a trailer"),
        pytest.param(b"C\r\n" + EVENT + b"\r\n" + LAST_CHUNK, id="upper case"),
    ],
)
def test_chunks_as_they_may_be_are_taken_and_the_connection_goes_on(
    node: NodeProcess, chunks: bytes
) -> None:
    for parts in ((CHUNKED + chunks,), (CHUNKED, *(b"%c" % byte for byte in chunks))):
        assert statuses(exchange(node.port, *parts)) == [201, END]


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(b"c;" + b"a" * 3_000_000, id="one extension"),
        pytest.param((b"1;" + b"a" * 16_000 + b"\r\n \r\n") * 200, id="many extensions"),
        pytest.param(b"0" * 3_000_000, id="leading zeros"),
    ],
)
def test_chunk_framing_that_outweighs_the_body_is_refused(node: NodeProcess, flood: bytes) -> None:
    [reply] = exchange(node.port, CHUNKED, flood)
    assert (reply.status, reply.code) == (413, "payload_too_large")


def test_a_body_after_a_length_that_is_too_short_or_missing_is_no_request(
    node: NodeProcess,
) -> None:
    for head in (b"content-length: 5\r\n", b""):
        replies = exchange(node.port, POST + head + b"\r\n" + EVENT)
        assert [reply.code for reply in replies] == ["malformed_json", "malformed_request"]


def test_a_body_on_a_get_is_read_past(node: NodeProcess) -> None:
    sized = b"GET /health HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n" + EVENT
    chunked = b"GET /health HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    replies = exchange(node.port, sized, chunked + ONE_CHUNK + LAST_CHUNK)
    assert statuses(replies) == [200, 200, END]


def test_pipelined_requests_are_answered_each_in_its_turn_however_they_are_cut(
    node: NodeProcess,
) -> None:
    get = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    whole = SIZED + get + CHUNKED + ONE_CHUNK + LAST_CHUNK + b"\r\n" + get
    for size in (1, 7, len(whole)):
        parts = (whole[at : at + size] for at in range(0, len(whole), size))
        assert statuses(exchange(node.port, *parts)) == [201, 200, 201, 200, END]


def test_a_thousand_pipelined_requests_are_answered_in_order(node: NodeProcess) -> None:
    ids = [str(uuid_utils.uuid7()) for _ in range(1_000)]
    bodies = [b'{"type":"p","id":"%s"}' % one.encode() for one in ids]
    replies = exchange(
        node.port, b"".join(POST + b"content-length: %d\r\n\r\n%b" % (len(b), b) for b in bodies)
    )
    assert [json.loads(reply.body)["id"] for reply in replies[:-1]] == ids


# Targets


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"http://elsewhere/health", [200, END]),
        (b"/health#fragment", [200, END]),
        (b"/health?x=1&x=2", [200, END]),
        (b"*", [404, END]),
        (b"//health", [404, END]),
        (b"/./health", [404, END]),
        (b"/v1/../health", [404, END]),
        (b"/health/", [404, END]),
        (b"/%2e%2e/%2e%2e/etc/passwd", [404, END]),
        (b"/nowhere%0d%0aset-cookie:%20a=b", [404, END]),
        (b"/" + b"a" * 30_000, [404, END]),
        (b"/" + b"%41" * 10_000, [404, END]),
        (b"/v1/events/%zz", [422, END]),
        (b"/v1/events/%", [422, END]),
        (b"/v1/events/%00", [422, END]),
        (b"/v1/events/%ff%fe", [422, END]),
        (b"/v1/events/%ed%a0%80", [422, END]),
        (b"/v1/events?type=%ff%00", [422, END]),
        (b"/v1/events?%zz=1", [422, END]),
        (b"/v1/events?" + b"&".join(b"a%d=1" % i for i in range(3_000)), [422, END]),
        (b"/v1/events?cursor=" + b"A" * 20_000, [422, END]),
        (b"/" + b"a" * 40_000, [431]),
        (b"health", [400]),
        (b"http://x", [400]),
        (b"http://a:b@x:99999/health", [400]),
        (b"/v1/ev ents", [400]),
        (b"/v1/events/\xff", [400]),
        ("/v1/events/é".encode(), [400]),
        (b"/v1/events?type=\xff", [400]),
        (b"/\0", [400]),
    ],
)
def test_odd_targets_find_what_they_name_or_are_refused(
    node: NodeProcess, target: bytes, expected: list[int]
) -> None:
    replies = exchange(node.port, b"GET " + target + b" HTTP/1.1\r\nhost: x\r\n\r\n")
    assert statuses(replies) == expected, replies
    assert all(reply.code for reply in replies if reply.status >= 400)
    assert not any("set-cookie" in reply.head for reply in replies)


def test_methods_that_a_path_does_not_take_are_refused_with_allow(node: NodeProcess) -> None:
    for method in (b"OPTIONS", b"TRACE", b"PROPFIND", b"DELETE", b"PATCH"):
        replies = exchange(node.port, method + b" /v1/events HTTP/1.1\r\nhost: x\r\n\r\n")
        assert statuses(replies) == [405, END]
        assert re.search(r"^allow: [A-Z, ]+\r?$", replies[0].head, re.MULTILINE)
    for target in (b"x:443", b"/v1/events"):
        replies = exchange(node.port, b"CONNECT " + target + b" HTTP/1.1\r\nhost: x\r\n\r\n")
        assert statuses(replies) in ([400], [405]), "no tunnel, and the connection ends"


def test_a_head_request_gets_no_body(node: NodeProcess) -> None:
    with connect(node.port) as sock:
        push(sock, b"HEAD /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        head, _, body = read_until_closed(sock).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 405 ") and body == b""


# Headers


def test_text_in_headers_that_is_not_utf_8_breaks_nothing(node: NodeProcess) -> None:
    path = b"POST /v1/saas/actions/dashboard_view HTTP/1.1\r\nhost: x\r\n"
    for header, status in (
        (b"x-session: \xff\xfe", 401),
        (b"x-session: " + b"." * 5_000, 401),
        (b"x-correlation-id: \xff", 422),
        (b"content-type: \xff/\xfe", 415),
        (b"authorization: Bearer \xff", 201),
        (b"traceparent: \xff", 201),
    ):
        action = b'{"id":"%s","user_id":"u"}' % str(uuid_utils.uuid7()).encode()
        head = path + b"content-length: %d\r\n" % len(action) + header
        replies = exchange(node.port, head + b"\r\n\r\n" + action)
        assert statuses(replies) == [status, END], (header, replies)


def test_headers_beyond_their_limit_are_refused(node: NodeProcess) -> None:
    for bomb in (
        b"a: " + b"b" * 40_000 + b"\r\n",
        b"a:b\r\n" * 10_000,
        b"a" * 40_000 + b": b\r\n",
    ):
        replies = exchange(node.port, b"GET /health HTTP/1.1\r\nhost: x\r\n" + bomb + b"\r\n")
        assert [reply.code for reply in replies] == ["headers_too_large"]


def test_thirty_megabytes_of_headers_are_cut_short_and_cost_no_memory(node: NodeProcess) -> None:
    def resident_bytes() -> int:
        pages = Path(f"/proc/{node.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4_096

    before = resident_bytes()
    for bomb in (b"a: %s\r\n" % (b"b" * 1_000), b"b" * 1_000):
        with connect(node.port) as sock:
            push(sock, b"GET /health HTTP/1.1\r\nhost: x\r\nc: ")
            for _ in range(30):
                push(sock, bomb * 1_000)
            replies = list(split(read_until_closed(sock)))
        assert [reply.code for reply in replies] in (["headers_too_large"], [])
    assert resident_bytes() - before < 10_000_000


def test_as_many_headers_as_fit_are_taken(node: NodeProcess) -> None:
    many = b"a:b\r\n" * 4_000
    replies = exchange(node.port, b"GET /health HTTP/1.1\r\nhost: x\r\n" + many + b"\r\n")
    assert statuses(replies) == [200, END]


def test_expect_continue_is_granted_or_refused_before_the_body(node: NodeProcess) -> None:
    expect = b"expect: 100-continue\r\n"
    with connect(node.port) as sock:
        push(sock, POST + expect + b"connection: close\r\ncontent-length: 12\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        push(sock, EVENT)
        assert statuses(list(split(read_until_closed(sock)))) == [201]
    [reply] = exchange(node.port, POST + expect + b"content-length: 99999999\r\n\r\n", end=False)
    assert (reply.status, reply.code) == (413, "payload_too_large")
    assert statuses(
        exchange(node.port, POST + b"expect: magic\r\ncontent-length: 12\r\n\r\n", EVENT)
    ) == [201, END]


@pytest.mark.parametrize(
    "upgrade",
    [
        pytest.param(
            b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
            id="h2c",
        ),
        pytest.param(
            b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            id="websocket",
        ),
        pytest.param(b"upgrade: a, b, c\r\nconnection: upgrade\r\nupgrade: d\r\n", id="several"),
    ],
)
def test_an_upgrade_is_ignored_and_its_body_kept(node: NodeProcess, upgrade: bytes) -> None:
    """A client that offers HTTP/2 with each request, as some do, is served like any other."""
    get = b"GET /health HTTP/1.1\r\nhost: x\r\n" + upgrade + b"\r\n"
    post = POST + upgrade + b"content-length: 12\r\n\r\n" + EVENT
    chunked = POST + upgrade + b"transfer-encoding: chunked\r\n\r\n" + ONE_CHUNK + LAST_CHUNK
    whole = get + post + chunked + post + get
    for size in (1, 50, len(whole)):
        parts = (whole[at : at + size] for at in range(0, len(whole), size))
        assert statuses(exchange(node.port, *parts)) == [200, 201, 201, 201, 200, END]


def test_thousands_of_pipelined_upgrades_are_ordinary_requests(node: NodeProcess) -> None:
    get = b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
    assert len(exchange(node.port, get * 3_000)) == 3_001


# Clients that are slow, silent, or gone


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node that waits for nobody longer than half a second."""
    data = tmp_path_factory.mktemp("hasty") / "data"
    with running(
        data, header_deadline_s=0.5, body_deadline_s=0.5, keep_alive_s=0.5, log_level="error"
    ) as process:
        yield process
    assert "Traceback" not in process.log


def gauge(node: NodeProcess, name: str) -> float:
    text = httpx.get(f"{node.url}/metrics", timeout=20).text
    return float(text.split(f"\n{name} ")[1].split("\n")[0])


def open_connections(node: NodeProcess) -> float:
    """Without this request's own."""
    return gauge(node, "foundation_open_connections") - 1


def reset(sock: socket.socket) -> None:
    """Ends the connection with a reset instead of a FIN."""
    linger = b"\1\0\0\0\0\0\0\0"  # l_onoff 1, l_linger 0
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    sock.close()


def dribble(sock: socket.socket, data: bytes) -> bytes:
    """Sends a byte at a time until the node answers; the answer."""
    sock.settimeout(0.05)
    for byte in data:
        push(sock, bytes([byte]))
        try:
            answer = sock.recv(65_536)
        except TimeoutError:
            continue
        sock.settimeout(20)
        return answer + read_until_closed(sock)
    raise AssertionError("the node took all of it")


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"GET /health HTTP/1.1\r\na: ", id="header"),
        pytest.param(b"GET /", id="request line"),
        pytest.param(POST + b"content-length: 999\r\n\r\n", id="body"),
        pytest.param(CHUNKED + b"3e8\r\n", id="chunk"),
    ],
)
def test_a_client_that_dribbles_is_cut_off_at_the_deadline(
    hasty: NodeProcess, start: bytes
) -> None:
    with connect(hasty.port) as sock:
        push(sock, start)
        [reply] = split(dribble(sock, b"a" * 400))
    assert (reply.status, reply.code) == (408, "request_timeout")


def test_a_client_that_ends_its_side_early_leaves_nothing_open(hasty: NodeProcess) -> None:
    for start in (b"", b"GET /hea", POST + b"content-length: 99\r\n\r\n{", CHUNKED + b"5\r\nab"):
        with connect(hasty.port) as sock:
            push(sock, start)
            sock.shutdown(socket.SHUT_WR)
            assert read_until_closed(sock) == b""
    until(lambda: open_connections(hasty) == 0, "all connections to be gone")


def test_a_client_that_resets_leaves_nothing_open(hasty: NodeProcess) -> None:
    for start in (b"GET /hea", SIZED * 50, POST + b"content-length: 99\r\n\r\n{"):
        with connect(hasty.port) as sock:
            push(sock, start)
            reset(sock)
    until(lambda: open_connections(hasty) == 0, "all connections to be gone")


def test_a_client_that_never_reads_is_cut_off_and_the_rest_served(hasty: NodeProcess) -> None:
    large = json.dumps({"type": "large", "data": {"x": "y" * 100_000}}).encode()
    with httpx.Client(base_url=hasty.url, timeout=20, trust_env=False) as http:
        for _ in range(50):
            assert http.post("/v1/events", content=large).status_code == 201
    get = b"GET /v1/events?type=large HTTP/1.1\r\nhost: x\r\n\r\n"
    with connect(hasty.port) as one, connect(hasty.port) as two:
        for sock in (one, two):
            push(sock, get * 200)  # 5 MB each: a GB that nobody reads
        assert open_connections(hasty) >= 1
        resident = Path(f"/proc/{hasty.process.pid}/statm")
        before = int(resident.read_text().split()[1])
        until(lambda: open_connections(hasty) == 0, "the silent readers to be cut off")
        after = int(resident.read_text().split()[1])
        assert (after - before) * 4_096 < 100_000_000
        assert httpx.get(f"{hasty.url}/health", timeout=20).status_code == 200


def test_a_feed_that_nobody_reads_is_cut_off(hasty: NodeProcess) -> None:
    large = json.dumps({"type": "fed", "data": {"x": "y" * 100_000}}).encode()
    with httpx.Client(base_url=hasty.url, timeout=20, trust_env=False) as http:
        for _ in range(100):
            assert http.post("/v1/events", content=large).status_code == 201
    with connect(hasty.port) as sock:
        push(sock, b"GET /v1/events/feed?after=0 HTTP/1.1\r\nhost: x\r\n\r\n")
        until(lambda: open_connections(hasty) == 1, "the feed to be open")
        until(lambda: open_connections(hasty) == 0, "the feed to be cut off")


def test_a_feed_with_a_request_behind_it_ends_with_its_client(hasty: NodeProcess) -> None:
    """The request that waits its turn is not the only one to learn that the client is gone."""
    with connect(hasty.port) as sock:
        push(sock, b"GET /v1/events/feed HTTP/1.1\r\nhost: x\r\n\r\n" + SIZED)
        until(lambda: gauge(hasty, "foundation_open_feeds") == 1, "the feed to be open")
        reset(sock)

    def ended() -> bool:
        httpx.post(f"{hasty.url}/v1/events", content=EVENT, timeout=20)
        return gauge(hasty, "foundation_open_feeds") == 0

    until(ended, "the feed to end")


def test_the_refusals_above_are_counted(hasty: NodeProcess) -> None:
    exchange(hasty.port, b"nonsense\r\n\r\n")
    text = httpx.get(f"{hasty.url}/metrics", timeout=20).text
    assert re.search(r'foundation_refusals_total\{code="malformed_request"\} [1-9]', text)


def test_the_checks_above_see_a_request_that_slipped_through(node: NodeProcess) -> None:
    """Positive control: two requests where one was expected are two answers here."""
    with pytest.raises(AssertionError):
        assert_refused(exchange(node.port, SIZED))
    smuggled = CHUNKED + ONE_CHUNK + LAST_CHUNK + b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    assert statuses(exchange(node.port, smuggled)) == [201, 200, END]
