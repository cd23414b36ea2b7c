"""Answers that clients do not read are bounded together, and given back when they are read."""

from __future__ import annotations

import contextlib
import json

import pytest

from service.unsent import Unsent
from tests.unit.service.protocol_client import Client, connected, post, until
from tests.unit.service.protocol_server import serving

GET_BIG = b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n"


async def is_big(client: Client) -> bool:
    """Whether the answer is whole, and not the refusal."""
    status, headers, body = await client.response()
    if status == 200:
        return len(body) == 8_000_000
    assert (status, json.loads(body)["code"], headers["retry-after"]) == (503, "overloaded", "1")
    return False


async def test_answers_that_clients_do_not_read_are_bounded_and_given_back() -> None:
    """The test's app answers `/big` with 8 MB, and a GET with what it holds for all."""
    async with serving(max_held_bytes=20_000_000) as server, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(server)) for _ in range(12)]
        for client in clients:
            client.send(GET_BIG)
        await until(lambda: len(server.refused) == 10 and server.held.requests == 0)
        assert server.held.unsent == 16_000_000
        answered = [client for client in clients if await is_big(client)]
        assert len(answered) == 2
        server.sweep(0.0)
        await until(lambda: server.held.unsent == 0)
        answered[0].send(GET_BIG)
        assert await is_big(answered[0]), "what was given back is had again"


async def test_the_answer_of_a_write_is_held_longer_and_then_lost_rather_than_refused() -> None:
    async with serving(max_held_bytes=20_000_000) as server, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(server)) for _ in range(6)]
        for client in clients:
            client.send(post("/big", b""))
        await until(lambda: len(server.refused) == 1 and server.held.requests == 0)
        assert server.held.unsent == 40_000_000
        sizes = sorted([len(await client.ended_after(8_000_000)) for client in clients])
        assert sizes[0] == 0 and sizes[1] > 8_000_000, "no word of the one that was lost"


async def test_the_checks_of_unread_answers_catch_a_server_that_holds_them_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Unsent, "has_room", lambda self, size_bytes, done: True)
    async with serving(max_held_bytes=20_000_000) as server, contextlib.AsyncExitStack() as stack:
        for _ in range(6):
            (await stack.enter_async_context(connected(server))).send(GET_BIG)
        await until(lambda: server.held.unsent == 48_000_000)


async def test_pipelined_answers_that_wait_to_be_written_are_counted_too() -> None:
    async with serving(max_held_bytes=20_000_000) as server, connected(server) as client:
        client.send(GET_BIG * 2)
        await until(lambda: server.held.unsent == 16_000_000)
        client.writer.transport.abort()
        await until(lambda: server.held.unsent == 0)
