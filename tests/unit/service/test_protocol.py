"""The protocol's limits over real sockets: sizes, deadlines, turns, ends."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from service.protocol import NodeProtocol
from tests.unit.service.protocol_client import GUARD_S, connected, post, until
from tests.unit.service.protocol_server import serving


async def test_a_request_within_every_limit_is_answered_and_the_connection_kept() -> None:
    async with serving() as server, connected(server) as client:
        for size in (0, 10_000):
            client.send(post("/x", b"a" * size))
            assert (await client.response())[2] == b"/x %d" % size
        assert server.refused == []


async def test_a_declared_body_over_the_limit_is_refused_before_it_is_read() -> None:
    async with serving() as server, connected(server) as client:
        client.send(b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 10001\r\n\r\n")
        assert await client.refusal() == (413, "payload_too_large")
        assert await client.ended() == b""
        assert server.seen.bodies == []


async def test_only_paths_named_for_large_bodies_get_the_larger_limit() -> None:
    async with serving() as server, connected(server) as client:
        client.send(post("/large?x=1", b"a" * 100_000))
        assert (await client.response())[0] == 200
        client.send(post("/largest", b"a" * 100_000))
        assert await client.refusal() == (413, "payload_too_large")


async def test_a_chunked_body_is_counted_and_refused_when_it_passes_the_limit() -> None:
    async with serving() as server, connected(server) as client:
        client.send(b"POST /x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(11):
            client.send(b"3e8\r\n" + b"a" * 1_000 + b"\r\n")
        assert await client.refusal() == (413, "payload_too_large")
        await until(lambda: server.seen.disconnects == 1)
        assert server.seen.bodies == []


async def test_bodies_of_all_connections_together_are_bounded_and_given_back() -> None:
    large = b"POST /large HTTP/1.1\r\nhost: x\r\ncontent-length: 90000\r\n\r\n"
    async with (
        serving(max_held_bytes=200_000) as server,
        connected(server) as one,
        connected(server) as two,
        connected(server) as three,
    ):
        for client in (one, two):
            client.send(large + b"a" * 89_999)
        await until(lambda: server.held.total == 2 * 89_999)
        three.send(large + b"a" * 90_000)
        assert await three.refusal() == (503, "overloaded")
        one.send(b"a")
        assert (await one.response())[2] == b"/large 90000"
        two.writer.close()
        await until(lambda: server.held.total == 0)
        one.send(post("/slow", b"abc") + post("/y", b"abc"))
        await until(lambda: server.held.total == 6)
        one.writer.transport.abort()
        server.seen.gate.set()
        await until(lambda: server.held.total == 0)


async def test_a_refused_client_that_goes_on_sending_still_reads_the_answer() -> None:
    async with serving() as server, connected(server) as client:
        client.send(post("/x", b"a" * 3_000_000))
        assert await client.refusal() == (413, "payload_too_large")


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET /x HTTP/1.1\r\n" + b"a: %s\r\n" % (b"b" * 5_000), id="one header"),
        pytest.param(b"GET /x HTTP/1.1\r\n" + b"a: bbbbbbbb\r\n" * 400, id="many headers"),
        pytest.param(b"GET /%s HTTP/1.1\r\n" % (b"x" * 5_000), id="request line"),
    ],
)
async def test_headers_over_the_limit_are_refused(head: bytes) -> None:
    async with serving() as server, connected(server) as client:
        client.send(head + b"host: x\r\n\r\n")
        assert await client.refusal() == (431, "headers_too_large")


async def test_an_endless_header_is_refused_though_the_parser_never_sees_its_end() -> None:
    async with serving() as server, connected(server) as client:
        client.send(b"GET /x HTTP/1.1\r\na: ")
        await until(lambda: len(server.connections) == 1)
        for _ in range(6):
            client.send(b"b" * 1_000)
            await client.writer.drain()
            await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):
            while not server.refused:
                client.send(b"b" * 1_000)
                await client.writer.drain()
                await asyncio.sleep(0.005)
        assert await client.refusal() == (431, "headers_too_large")


async def test_trailers_count_as_headers() -> None:
    async with serving() as server, connected(server) as client:
        client.send(b"POST /x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
        client.send(b"t: tttttttttttttttttttt\r\n" * 300 + b"\r\n")
        assert await client.refusal() == (431, "headers_too_large")


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /x HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_a_problem_and_the_end_of_the_connection(noise: bytes) -> None:
    async with serving() as server, connected(server) as client:
        client.send(noise)
        assert await client.refusal() == (400, "malformed_request")
        assert await client.ended() == b""
        assert server.refused == ["malformed_request"]


async def test_headers_that_dribble_in_are_answered_408_at_their_deadline() -> None:
    async with serving() as server, connected(server) as client:
        client.send(b"GET /x HTTP/1.1\r\nhos")
        await until(lambda: any(c._messages for c in server.connections))
        server.sweep(29.0)
        assert server.refused == []
        client.send(b"t: x\r\n")  # more bytes do not extend the deadline
        server.sweep(31.0)
        assert await client.refusal() == (408, "request_timeout")


async def test_a_body_that_stops_arriving_is_answered_408_at_its_deadline() -> None:
    async with serving(body_deadline_s=60.0) as server, connected(server) as client:
        client.send(b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc")
        await until(lambda: any(c._phase == 1 for c in server.connections))
        server.sweep(59.0)
        assert server.refused == []
        server.sweep(61.0)
        assert await client.refusal() == (408, "request_timeout")
        await until(lambda: server.seen.disconnects == 1)


async def test_a_body_that_follows_an_early_answer_has_its_deadline_too() -> None:
    async with serving() as server, connected(server) as client:
        client.send(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc")
        assert (await client.response())[0] == 200
        server.sweep(31.0)
        assert await client.ended() == b""


async def test_a_connection_that_never_speaks_is_closed_without_an_answer() -> None:
    async with serving() as server, connected(server) as client:
        await until(lambda: len(server.connections) == 1)
        server.sweep(31.0)
        assert await client.ended() == b""


async def test_an_idle_connection_is_closed_after_the_keep_alive_time_only() -> None:
    async with serving(keep_alive_s=75.0) as server, connected(server) as client:
        client.send(post("/x", b""))
        await client.response()
        server.sweep(74.0)
        client.send(post("/x", b"again"))
        assert (await client.response())[2] == b"/x 5"
        server.sweep(76.0)
        assert await client.ended() == b""


async def test_a_request_being_answered_has_no_deadline() -> None:
    async with serving() as server, connected(server) as client:
        client.send(post("/slow", b""))
        await until(lambda: len(server.seen.bodies) == 1)
        server.sweep(1_000.0)
        server.seen.gate.set()
        assert (await client.response())[2] == b"/slow 0"


async def test_a_client_that_stops_reading_is_cut_off() -> None:
    async with serving(max_held_bytes=20_000_000) as server, connected(server) as client:
        client.send(post("/big", b""))
        await until(lambda: any(c.flow.write_paused for c in server.connections))
        server.sweep(31.0)
        await until(lambda: not server.connections)


async def test_a_refused_connection_that_stays_is_cut_off() -> None:
    async with serving() as server, connected(server) as client:
        client.send(b"nonsense\r\n\r\n")
        assert await client.refusal() == (400, "malformed_request")
        await until(lambda: len(server.connections) == 1)
        server.sweep(2.0)
        await until(lambda: not server.connections)


async def test_connections_over_the_maximum_are_answered_503_and_the_rest_served() -> None:
    async with serving(max_connections=2) as server, contextlib.AsyncExitStack() as stack:
        kept = [await stack.enter_async_context(connected(server)) for _ in range(2)]
        await until(lambda: len(server.connections) == 2)
        surplus = await stack.enter_async_context(connected(server))
        surplus.send(post("/x", b""))
        assert await surplus.refusal() == (503, "overloaded")
        for client in kept:
            client.send(post("/x", b"1"))
            assert (await client.response())[0] == 200


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving() as server, connected(server) as client:
        client.send(b"".join(post(f"/p{i}", b"a" * i) for i in range(20)))
        for i in range(20):
            assert (await client.response())[2] == b"/p%d %d" % (i, i)


async def test_a_pipelined_refusal_waits_for_its_turn() -> None:
    async with serving() as server, connected(server) as client:
        client.send(post("/slow", b"") + post("/x", b"a" * 10_001))
        await until(lambda: len(server.seen.bodies) == 1)
        assert server.refused == []
        server.sweep(1_000.0)
        server.seen.gate.set()
        assert (await client.response())[2] == b"/slow 0"
        assert await client.refusal() == (413, "payload_too_large")


async def test_a_pipelined_body_that_overruns_is_refused_in_its_turn() -> None:
    chunked = b"POST /y HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    async with serving() as server, connected(server) as client:
        client.send(post("/slow", b"") + chunked + b"3a98\r\n" + b"a" * 15_000 + b"\r\n0\r\n\r\n")
        await until(lambda: len(server.seen.bodies) == 1)
        server.seen.gate.set()
        assert (await client.response())[2] == b"/slow 0"
        assert await client.refusal() == (413, "payload_too_large")
        assert len(server.seen.bodies) == 1


async def test_a_client_that_ends_its_side_after_the_request_still_gets_the_answer() -> None:
    async with serving() as server, connected(server) as client:
        client.send(post("/slow", b"abc"))
        client.writer.write_eof()
        await until(lambda: len(server.seen.bodies) == 1)
        server.seen.gate.set()
        status, headers, body = await client.response()
        assert (status, body, headers["connection"]) == (200, b"/slow 3", "close")


async def test_a_client_that_ends_its_side_in_mid_body_is_dropped() -> None:
    async with serving() as server, connected(server) as client:
        client.send(b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc")
        client.writer.write_eof()
        assert await client.ended() == b""
        await until(lambda: server.seen.disconnects == 1 and not server.connections)


async def test_expect_continue_is_answered_before_the_body() -> None:
    async with serving() as server, connected(server) as client:
        client.send(post("/x", b"", "expect: 100-continue").replace(b": 0", b": 3"))
        async with asyncio.timeout(GUARD_S):
            assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"abc")
        assert (await client.response())[2] == b"/x 3"


async def test_the_checks_above_catch_a_server_without_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Positive control: where nothing is refused the same bytes reach the app."""
    monkeypatch.setattr(NodeProtocol, "_stop", lambda self, error: None)
    async with serving() as server, connected(server) as client:
        client.send(post("/x", b"a" * 50_000, "a: " + "b" * 5_000))
        assert (await client.response())[2] == b"/x 50000"
