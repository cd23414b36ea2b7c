"""The load process counts what it was answered, and a benchmark trusts nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

import pytest

from tests.bench.load import LoadResult, drive, post
from tests.bench.row import BenchError

REQUESTS = [post("/v1/events", b"{}")]


@contextlib.asynccontextmanager
async def answering(answers: list[bytes]) -> AsyncIterator[tuple[int, list[int]]]:
    """A port whose every connection gets `answers` in turn; and how many it gave in all."""
    given = [0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            answer = answers[given[0] % len(answers)]
            given[0] += 1
            if not answer:
                break
            for piece in (answer[:20], answer[20:]):
                writer.write(piece)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], given


async def loaded(port: int) -> LoadResult:
    core = min(os.sched_getaffinity(0))
    return await asyncio.to_thread(
        drive, port, REQUESTS, connections=4, seconds=0.2, warm_up_s=0.05, core=core
    )


CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nabc"
FAILED = b"HTTP/1.1 500 Internal\r\nContent-Length: 0\r\n\r\n"


async def test_every_answer_is_counted_also_after_the_window_and_in_pieces() -> None:
    async with answering([CREATED]) as (port, given):
        result = await loaded(port)
    assert result.acknowledged("201") == given[0] > 0
    assert result.rate > 0


async def test_one_other_status_spoils_the_measurement() -> None:
    async with answering([CREATED] * 9 + [FAILED]) as (port, _):
        result = await loaded(port)
    with pytest.raises(BenchError, match="500"):
        result.acknowledged("201")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 201 Created\r\n\r\n"])
async def test_a_lost_or_unframed_answer_spoils_the_measurement(answer: bytes) -> None:
    """Whether it was lost before the measured window or in it."""
    async with answering([CREATED] * 40 + [answer]) as (port, _):
        with pytest.raises(BenchError, match=r"lost|no request was answered"):
            (await loaded(port)).acknowledged("201")


async def test_a_server_that_never_answers_is_an_error() -> None:
    async with answering([b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n"]) as (port, _):
        with pytest.raises(BenchError):
            await loaded(port)
