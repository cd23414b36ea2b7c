"""The client to peers: what went wrong is told apart by what may have happened there."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from yarl import URL

from service.cluster.upstream import MAX_REPLY_BYTES, Reply, Upstream
from service.errors import BadGateway, FoundationError, GatewayTimeout, NoUpstream, PeerLost
from tests.unit.service.cluster.scripted_node import (
    Asked,
    Play,
    ScriptedNode,
    cut_short,
    free_port,
    hang_up,
    http,
    playing,
    saying,
    silence,
)

TOKEN = "a-token-of-the-clients"


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream(TOKEN)
    yield made
    await made.close()


async def ask(upstream: Upstream, node: ScriptedNode, timeout_s: float = 5.0) -> Reply:
    return await upstream.ask(
        "POST", URL(node.url + "/x"), timeout_s=timeout_s, body=b"{}", headers={"X-A": "b"}
    )


async def test_an_answer_comes_back_whole_and_the_connection_is_used_again(
    upstream: Upstream,
) -> None:
    node = ScriptedNode(saying(http(409, {"a": 1}, retry_after="7")))
    async with playing(node):
        replies = [await ask(upstream, node) for _ in range(3)]
        assert len(node._tasks) == 1, "one connection for all three"
    assert [(r.status, r.body, r.headers["Retry-After"]) for r in replies] == [
        (409, b'{"a": 1}', "7")
    ] * 3
    [first, *_] = node.asked
    assert (first.method, first.path, first.body) == ("POST", "/x", b"{}")
    assert first.headers["authorization"] == f"Bearer {TOKEN}"
    assert first.headers["x-a"] == "b"
    assert "user-agent" not in first.headers and "accept-encoding" not in first.headers


async def test_without_a_token_none_is_sent() -> None:
    upstream = Upstream(None)
    node = ScriptedNode(saying(http(200, {})))
    async with playing(node):
        await ask(upstream, node)
        await upstream.close()
    assert "authorization" not in node.asked[0].headers


async def test_a_refused_connection_means_that_nothing_was_sent(upstream: Upstream) -> None:
    node = ScriptedNode(hang_up, port=free_port())
    with pytest.raises(NoUpstream, match="cannot be reached: Connection refused"):
        await ask(upstream, node)


@pytest.mark.parametrize("play", [hang_up, cut_short])
async def test_a_connection_that_ends_early_may_have_done_its_work(
    play: Play, upstream: Upstream
) -> None:
    node = ScriptedNode(play)
    async with playing(node):
        with pytest.raises(PeerLost, match="unknown"):
            await ask(upstream, node)
    assert len(node.asked) == 1, "the client itself sends nothing twice"


async def test_a_silent_peer_is_a_timeout(upstream: Upstream) -> None:
    node = ScriptedNode(silence)
    async with playing(node):
        with pytest.raises(GatewayTimeout, match="unknown"):
            await ask(upstream, node, timeout_s=0.1)


ENDLESS_HEADER = b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 20_000 + b"\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example ESMTP\r\n\r\n",
        b"HTTP/9.9 999 What\r\ncontent-length: x\r\n\r\n",
        ENDLESS_HEADER,
        http(200, b"a" * (MAX_REPLY_BYTES + 1)),
        http(200, b"", content_length=str(2**62)),
    ],
)
async def test_garbage_and_too_much_are_a_bad_gateway(answer: bytes, upstream: Upstream) -> None:
    node = ScriptedNode(saying(answer))
    async with playing(node):
        with pytest.raises(BadGateway) as caught:
            await ask(upstream, node)
    assert type(caught.value) is BadGateway
    assert "aaaa" not in str(caught.value), "what a stranger sends is not repeated"


async def test_an_endless_chunked_answer_is_dropped_at_the_limit(upstream: Upstream) -> None:
    sent = 0

    async def endless(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n%s\r\n" % (2**16, b"a" * 2**16)
        while True:
            writer.write(chunk)
            sent += 2**16
            await writer.drain()

    node = ScriptedNode(endless)
    async with playing(node):
        with pytest.raises(BadGateway, match="more than"):
            await ask(upstream, node)
    assert sent < 64 * MAX_REPLY_BYTES


async def test_an_answer_of_just_the_limit_is_taken(upstream: Upstream) -> None:
    node = ScriptedNode(saying(http(200, b"a" * MAX_REPLY_BYTES)))
    async with playing(node):
        assert len((await ask(upstream, node)).body) == MAX_REPLY_BYTES


async def test_redirects_cookies_proxies_and_packed_bodies_are_left_alone(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = gzip.compress(b"{}")
    elsewhere = ScriptedNode(saying(http(200, {})))
    async with playing(elsewhere):
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, elsewhere.url)
        redirect = http(307, b"", location=elsewhere.url + "/x", set_cookie="a=b")
        node = ScriptedNode(saying(redirect))
        async with playing(node):
            assert (await ask(upstream, node)).status == 307
            node.play = saying(http(200, packed, content_encoding="gzip"))
            assert (await ask(upstream, node)).body == packed
            assert "cookie" not in node.asked[1].headers
    assert elsewhere.asked == []


async def test_after_close_nothing_is_sent() -> None:
    upstream = Upstream(None)
    await upstream.close()
    node = ScriptedNode(saying(http(200, {})))
    async with playing(node):
        with pytest.raises(NoUpstream, match="shutting down"):
            await ask(upstream, node)
    assert node.asked == []


async def test_a_stream_is_read_bit_by_bit_and_ends_with_its_block(upstream: Upstream) -> None:
    ended = asyncio.Event()

    async def drip(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"1\r\na\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            ended.set()

    node = ScriptedNode(drip)
    async with playing(node):
        async with upstream.stream(URL(node.url), timeout_s=10) as response:
            assert await response.content.readexactly(3) == b"aaa"
        async with asyncio.timeout(20):
            await ended.wait()


@pytest.mark.parametrize("play, error", [(cut_short, PeerLost), (silence, GatewayTimeout)])
async def test_a_stream_fails_as_a_request_does(
    play: Play, error: type[FoundationError], upstream: Upstream
) -> None:
    node = ScriptedNode(play)
    async with playing(node):
        with pytest.raises(error):
            async with upstream.stream(URL(node.url), timeout_s=0.3) as response:
                await response.content.read()
