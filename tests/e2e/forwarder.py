"""A link between two processes that can be cut and joined again without closing a connection.

While it is cut nothing is read or written, as if cables were pulled: what was sent stays with its
sender and comes when the link is up again.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 65536
TURN_S = 0.05


class Forwarder:
    """Listens on `port` and forwards every connection to another port of the loopback."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._is_up = threading.Event()
        self._is_up.set()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """Nothing comes through any more."""
        self._is_up.clear()

    def join(self) -> None:
        """The link is up again."""
        self._is_up.set()

    def close(self) -> None:
        self._is_over.set()
        self._is_up.set()
        for thread in list(self._threads):
            thread.join(5)
        self._listener.close()

    def _accept(self) -> None:
        self._listener.settimeout(TURN_S)
        while not self._is_over.is_set():
            with suppress(TimeoutError):
                near, _ = self._listener.accept()
                thread = threading.Thread(target=self._forward, args=(near,))
                self._threads.append(thread)
                thread.start()

    def _forward(self, near: socket.socket) -> None:
        with (
            near,
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self._to_port)) as far,
            selectors.DefaultSelector() as ready,
        ):
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            while not self._is_over.is_set():
                for key, _ in ready.select(TURN_S):
                    self._is_up.wait()
                    data = key.fileobj.recv(CHUNK)  # type: ignore[union-attr]
                    if not data:
                        return
                    key.data.sendall(data)


@contextmanager
def forwarder(to_port: int) -> Iterator[Forwarder]:
    link = Forwarder(to_port)
    try:
        yield link
    finally:
        link.close()
