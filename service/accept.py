"""Takes new connections as they come, also when the node is busy (G13).

libuv accepts one connection in a turn of its loop. With a thousand requests in a turn that is a
handful a second: clients that reconnect, and probes that use a connection of their own, waited in
the kernel's backlog for as long as an overload lasted (2.5 s of 2.5 s measured; with this 0.2 s).
So beside the server a second descriptor of the same socket is read, up to MAX_PER_TURN a turn.
It must be stopped before the server is: what it has accepted belongs to the server's connections.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress

MAX_PER_TURN = 256
"""Bounded, so that a storm of connections does not keep those that are open from being served."""


class Acceptor:
    """Made on a listening socket; `start`, then `stop`, which is harmless when repeated."""

    def __init__(self, sock: socket.socket, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._make_protocol = make_protocol
        self._sock = socket.socket(sock.family, sock.type, fileno=os.dup(sock.fileno()))
        self._sock.setblocking(False)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._accept)

    def stop(self) -> None:
        if self._sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(MAX_PER_TURN):
            try:
                connection, _ = self._sock.accept()
            except OSError:
                # None left, one that has gone again, or no descriptor: libuv's turn, which has a
                # spare descriptor to refuse with.
                return
            task = loop.create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):  # the client has gone
            connection.setblocking(False)
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(self._make_protocol, connection)
