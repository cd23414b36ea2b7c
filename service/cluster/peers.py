"""Who the other nodes are: the configured addresses, and what their /health says of them.

Nothing is asked before the first use, so that a node that needs no peer costs nothing. From then on
one task asks in the background: every second those that are unknown or down, every 10 s the others.
A failure in use marks a peer down at once; only its /health brings it back. No request ever leaves
for an address that is not configured. This module must not know what peers are used for.

Life cycle: made without a loop -> `ready` starts the task -> `close` ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError
from structlog.typing import FilteringBoundLogger
from yarl import URL

from service.cluster.upstream import Upstream
from service.errors import FoundationError
from service.schema import Health

ASK_TIMEOUT_S = 1.0
RETRY_S = 1.0
RECHECK_S = 10.0
_LEAST_PAUSE_S = 0.2
"""A peer that fails many requests at once is still asked five times a second at most."""

_NAMED_ALIKE = "it is called {}, as {} is: give each node its own FOUNDATION_NAME"


class PeerState(StrEnum):
    """`unknown` until it was asked for the first time."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


@dataclass(slots=True, eq=False)
class Peer:
    """One configured address. `name` and `roles` are the last that it told; `why` it is not up."""

    url: URL
    name: str | None = None
    roles: tuple[str, ...] = ()
    state: PeerState = PeerState.UNKNOWN
    why: str = "not asked yet"
    asked_s: float = 0.0
    due_s: float = 0.0

    @property
    def address(self) -> str:
        """As it is configured: scheme, host and port."""
        return str(self.url.origin())


class Peers:
    """The peers of the node called `own_name`, at `urls` (as `address.peer_url` writes them)."""

    def __init__(
        self, urls: Sequence[str], upstream: Upstream, own_name: str, log: FilteringBoundLogger
    ) -> None:
        self.all = tuple(Peer(URL(url)) for url in urls)
        self._upstream = upstream
        self._own_name = own_name
        self._log = log
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._round = asyncio.Event()
        self._known = asyncio.Event()
        self._closed = False

    @property
    def in_use(self) -> bool:
        """Whether anything has needed the peers yet."""
        return self._task is not None

    def with_role(self, role: str) -> list[Peer]:
        """Those that are up and have `role`, as far as is known now."""
        return [peer for peer in self.all if peer.state is PeerState.UP and role in peer.roles]

    async def ready(self) -> None:
        """Returns when every peer has been asked once; that takes 1 s at most, the first time."""
        if self._known.is_set() or not self.all or self._closed:
            return
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="peers")
        await _wait(self._known)

    async def look_again(self) -> None:
        """Ask those that are not up now rather than in a second, and wait for their answers."""
        await self.ready()
        if not self.all or self._closed:
            return
        for peer in self.all:
            if peer.state is not PeerState.UP:
                self._soon(peer)
        round_ = self._round
        self._wake.set()
        await _wait(round_)

    def failed(self, peer: Peer, why: str) -> None:
        """A request to it found that it is gone: it is down until its /health says otherwise."""
        self._became(peer, PeerState.DOWN, why)
        self.suspect(peer)

    def suspect(self, peer: Peer) -> None:
        """A request to it took too long: ask it now, and let its answer decide."""
        self._soon(peer)
        self._wake.set()

    async def close(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _soon(self, peer: Peer) -> None:
        peer.due_s = min(peer.due_s, peer.asked_s + _LEAST_PAUSE_S)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            now_s = loop.time()
            due = [peer for peer in self.all if peer.due_s <= now_s]
            if due:
                round_, self._round = self._round, asyncio.Event()
                await asyncio.gather(*(self._ask(peer) for peer in due))
                self._known.set()
                round_.set()
            pause_s = min(peer.due_s for peer in self.all) - loop.time()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, pause_s)):
                    await self._wake.wait()

    async def _ask(self, peer: Peer) -> None:
        """Its account of itself; never raises."""
        loop = asyncio.get_running_loop()
        peer.asked_s = loop.time()
        # Until the answer is in: whoever wants it sooner moves this forward again.
        peer.due_s = peer.asked_s + RECHECK_S
        try:
            reply = await self._upstream.ask(
                "GET", peer.url.with_path("/health"), timeout_s=ASK_TIMEOUT_S
            )
            health = Health.model_validate_json(reply.body)
        except FoundationError as error:
            self._became(peer, PeerState.DOWN, str(error))
        except ValidationError:
            self._became(peer, PeerState.DOWN, "its /health is not a Foundation node's")
        else:
            self._learned(peer, health, reply.status)
        if peer.state is not PeerState.UP:
            peer.due_s = min(peer.due_s, loop.time() + RETRY_S)

    def _learned(self, peer: Peer, health: Health, status: int) -> None:
        same = [one for one in self.all if one.state is PeerState.UP and one.name == health.node]
        if health.node == self._own_name:
            self._became(peer, PeerState.DOWN, _NAMED_ALIKE.format(health.node, "this node"))
        elif same and same[0] is not peer:
            why = _NAMED_ALIKE.format(health.node, same[0].address)
            self._became(peer, PeerState.DOWN, why)
        else:
            peer.name, peer.roles = health.node, tuple(health.roles)
            up = status == 200
            self._became(peer, PeerState.UP if up else PeerState.DOWN, "its health is down")

    def _became(self, peer: Peer, state: PeerState, why: str) -> None:
        peer.why = "" if state is PeerState.UP else why
        if peer.state is not state:
            peer.state = state
            self._log.info("peer", url=peer.address, node=peer.name, state=state, why=peer.why)


async def _wait(event: asyncio.Event) -> None:
    """For an event of the task, which bounds every wait; this bound is for one that has died."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2 * (ASK_TIMEOUT_S + _LEAST_PAUSE_S)):
            await event.wait()
