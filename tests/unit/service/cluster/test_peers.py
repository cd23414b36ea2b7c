"""Who the other nodes are: asked when needed, down at once, up only by their own account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import structlog

from service.cluster.peers import Peer, Peers, PeerState
from service.cluster.upstream import Upstream
from tests.unit.service.cluster.scripted_node import (
    ScriptedNode,
    free_port,
    hang_up,
    playing,
)

GUARD_S = 20.0


@asynccontextmanager
async def peers_of(*nodes: ScriptedNode, name: str = "node-1") -> AsyncIterator[Peers]:
    upstream = Upstream(None)
    peers = Peers([node.url for node in nodes], upstream, name, structlog.get_logger())
    try:
        yield peers
    finally:
        await peers.close()
        await upstream.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(GUARD_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def names(peers: list[Peer]) -> list[str | None]:
    return [peer.name for peer in peers]


def node(**fields: object) -> ScriptedNode:
    return ScriptedNode(hang_up, **fields)  # type: ignore[arg-type]


async def test_nothing_is_asked_before_the_first_use() -> None:
    one = node()
    async with playing(one), peers_of(one) as peers:
        for _ in range(50):
            await asyncio.sleep(0)
        assert not peers.in_use and one.health_asked == 0
        assert peers.with_role("app") == []
        await peers.ready()
        assert peers.in_use and one.health_asked == 1
        assert names(peers.with_role("app")) == ["node-2"]


async def test_roles_are_what_the_peers_say() -> None:
    app = node(name="node-2", roles=("app", "jobs"))
    jobs = node(name="node-3", roles=("jobs",))
    async with playing(app, jobs), peers_of(app, jobs) as peers:
        await peers.ready()
        assert names(peers.with_role("app")) == ["node-2"]
        assert names(peers.with_role("jobs")) == ["node-2", "node-3"]
        assert names(peers.with_role("gateway")) == []


async def test_a_peer_that_failed_is_down_at_once_and_up_again_by_its_health() -> None:
    one = node()
    async with playing(one), peers_of(one) as peers:
        await peers.ready()
        [peer] = peers.with_role("app")
        peers.failed(peer, "it hung up")
        assert peers.with_role("app") == [] and peer.why == "it hung up"
        await until(lambda: bool(peers.with_role("app")))
        assert peer.why == ""


async def test_a_peer_that_is_not_there_yet_is_asked_again() -> None:
    one = node(port=free_port())
    async with peers_of(one) as peers:
        await peers.ready()
        assert peers.with_role("app") == []
        assert "Connection refused" in peers.all[0].why
        async with playing(one):
            await until(lambda: bool(peers.with_role("app")))


async def test_looking_again_does_not_wait_for_the_next_second() -> None:
    one = node(port=free_port())
    async with peers_of(one) as peers:
        await peers.ready()
        async with playing(one):
            await asyncio.gather(*(peers.look_again() for _ in range(100)))
            assert names(peers.with_role("app")) == ["node-2"]
        assert one.health_asked == 1, "a hundred who look at once are one request"


async def test_a_suspected_peer_stays_up_while_it_answers() -> None:
    one = node()
    async with playing(one), peers_of(one) as peers:
        await peers.ready()
        for _ in range(100):
            peers.suspect(peers.all[0])
            assert peers.with_role("app")
        await until(lambda: one.health_asked == 2)


@pytest.mark.parametrize(
    "other, why",
    [
        (node(health_status=503), "health is down"),
        (node(health_body=b"{}"), "not a Foundation node"),
        (node(health_body=b"[]"), "not a Foundation node"),
        (node(name="node-1"), "as this node is: give each node its own FOUNDATION_NAME"),
    ],
)
async def test_a_peer_that_is_no_fit_node_is_down(other: ScriptedNode, why: str) -> None:
    async with playing(other), peers_of(other) as peers:
        await peers.ready()
        assert peers.all[0].state is PeerState.DOWN
        assert why in peers.all[0].why


async def test_of_two_with_one_name_only_one_is_used() -> None:
    first, second = node(name="node-2"), node(name="node-2")
    async with playing(first, second), peers_of(first, second) as peers:
        await peers.ready()
        assert len(peers.with_role("app")) == 1
        down = next(peer for peer in peers.all if peer.state is PeerState.DOWN)
        assert "node-2, as http://127.0.0.1" in down.why


async def test_a_peer_that_hangs_delays_the_others_by_a_second_at_most() -> None:
    """Its listener takes connections and nobody reads them."""
    hanging, good = node(name="node-3"), node()
    async with playing(good):

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(hold, "127.0.0.1", 0)
        hanging.port = server.sockets[0].getsockname()[1]
        async with peers_of(hanging, good) as peers:
            await peers.ready()
            assert names(peers.with_role("app")) == ["node-2"]
            assert "did not answer in time" in peers.all[0].why
        server.close()


async def test_a_node_without_peers_is_ready_at_once_and_starts_nothing() -> None:
    async with peers_of() as peers:
        await peers.ready()
        await peers.look_again()
        assert not peers.in_use


async def test_closing_in_mid_question_leaves_nothing_behind() -> None:
    one = node()
    async with playing(one), peers_of(one) as peers:
        waiting = asyncio.create_task(peers.ready())
        await asyncio.sleep(0)
        await peers.close()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await peers.ready()
        assert asyncio.all_tasks() - {asyncio.current_task()} - one._tasks == set()
