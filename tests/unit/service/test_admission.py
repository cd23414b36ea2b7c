"""Requests that wait for their answers are bounded together, and connections accepted in bulk."""

from __future__ import annotations

import asyncio
import io
import socket
import sys
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp

from service import log as logs
from service import refusal
from service.accept import Acceptor
from service.auth import Tokens
from service.dispatch import READS_FACTOR, Answer, Dispatch, FastRequest
from service.errors import NotFound, Overloaded
from service.settings import load
from service.telemetry.meter import Meter
from service.unsent import HeldBytes
from tests.unit.service.protocol_server import serving

LIMIT = 10


async def answer(request: FastRequest) -> Answer:
    return Answer(200, b"{}", "cid")


async def slow_lane(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("every route here is a fast one")


async def ask(
    held: HeldBytes, method: str, path: str, times: int = 1, slow: ASGIApp | None = None
) -> list[httpx.Response]:
    """All routes are fast, or all are those of `slow`."""
    app = Dispatch(
        lambda method, path: None if slow else (f"{method} {path}", answer),
        slow or slow_lane,
        Tokens(None, None),
        Meter(),
        logs.configure(load(log_format="json")),
        log_successes=False,
        held=held,
        max_requests=LIMIT,
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
        return [await client.request(method, path) for _ in range(times)]


@pytest.mark.parametrize(
    ("waiting", "method", "path", "status"),
    [
        (LIMIT, "POST", "/v1/events", 200),
        (LIMIT + 1, "POST", "/v1/events", 503),
        (LIMIT + 1, "PUT", "/v1/config/a", 503),
        (LIMIT + 1, "GET", "/v1/events", 200),
        (READS_FACTOR * LIMIT, "GET", "/v1/events", 200),
        (READS_FACTOR * LIMIT + 1, "GET", "/v1/events", 503),
        (1_000 * LIMIT, "GET", "/health", 200),
        (1_000 * LIMIT, "GET", "/metrics", 200),
    ],
)
async def test_writes_are_refused_beyond_the_bound_reads_later_and_probes_never(
    waiting: int, method: str, path: str, status: int
) -> None:
    [reply] = await ask(HeldBytes(requests=waiting), method, path)
    assert reply.status_code == status
    if status == 503:
        assert reply.json()["code"] == "overloaded"
        assert int(reply.headers["retry-after"]) > 0


async def test_of_many_refusals_one_line_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    replies = await ask(HeldBytes(requests=LIMIT + 1), "POST", "/v1/events", times=20)
    assert [reply.status_code for reply in replies] == [503] * 20
    assert stream.getvalue().count("overloaded") == 1


async def test_of_many_refusals_in_the_slow_lane_one_line_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    app = FastAPI()
    refusal.install(app)

    @app.get("/v1/full")
    async def full() -> None:
        raise Overloaded("it is full")

    @app.get("/v1/absent")
    async def absent() -> None:
        raise NotFound("it is not there")

    assert {one.status_code for one in await ask(HeldBytes(), "GET", "/v1/full", 20, app)} == {503}
    assert stream.getvalue().count('"overloaded"') == 1
    assert len(await ask(HeldBytes(), "GET", "/v1/absent", 3, app)) == 3
    assert stream.getvalue().count('"not_found"') == 3, "only overload is told of sparingly"


def test_a_line_says_how_many_were_left_out_before_it() -> None:
    lines = logs.Sparing(interval_s=1.0)
    assert [lines.pass_at(now_s) for now_s in (5.0, 5.1, 5.9, 6.1, 7.2)] == [0, None, None, 2, 0]


async def test_a_line_that_cannot_be_written_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", FullDisk())
    [reply] = await ask(HeldBytes(requests=LIMIT + 1), "POST", "/v1/events")
    assert reply.status_code == 503


async def test_requests_count_from_their_last_byte_to_their_answer() -> None:
    async with serving() as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{")
        await until(lambda: running.held.total == 1)
        assert running.held.requests == 0, "a client that sends slowly holds a place"
        writer.write(b"}")
        async with asyncio.timeout(10):
            await reader.readuntil(b"\r\n\r\n")
        await until(lambda: (running.held.requests, running.held.total) == (0, 0))
        writer.close()


async def test_pipelined_requests_beyond_the_bound_end_the_connection() -> None:
    async with serving(max_requests=5) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\n" * 500)
        async with asyncio.timeout(10):
            answers = await reader.read()
        writer.close()
        assert answers.count(b"HTTP/1.1 200") == 5
        assert answers.count(b"HTTP/1.1 503") == 1
        assert running.refused == ["overloaded"]
        await until(lambda: running.held.requests == 0)


async def test_an_acceptor_takes_a_storm_of_connections_in_few_turns() -> None:
    class Noting(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            made.append(transport)

    made: list[asyncio.Transport] = []
    clients = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        acceptor = Acceptor(listening, Noting)
        for _ in range(100):
            client = socket.create_connection(listening.getsockname(), timeout=5)
            clients.append(client)
        try:
            acceptor.start()
            for _ in range(10):  # turns of the loop, of which libuv alone takes one each
                await asyncio.sleep(0)
            assert len(made) == 100
        finally:
            acceptor.stop()
            acceptor.stop()
            for transport in made:
                transport.abort()
            for client in clients:
                client.close()
            await asyncio.sleep(0)


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 what is waited for has no event
            await asyncio.sleep(0.005)
