"""A raw keep-alive connection that sends bytes and reads one whole answer; every wait is bounded.

An event stream has no end, so it is read until its first blank line and left; so is nothing else.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from http import HTTPStatus

TIMEOUT_S = 20.0
_STREAM = "text/event-stream"


class NoAnswer(Exception):
    """The connection ended, or stayed silent for TIMEOUT_S, before the answer was complete."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have lower-case names; `ended` when the connection is not to be used again."""

    status: int
    headers: dict[str, list[str]]
    body: bytes
    ended: bool

    @property
    def reason(self) -> str:
        return HTTPStatus(self.status).phrase


class Connection:
    """Connects when first used, and again after an answer that ended the connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._buffer = b""

    def exchange(self, wire: bytes) -> Answer:
        """Raises NoAnswer."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), TIMEOUT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._buffer = b""
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._socket.sendall(wire)  # a refused body: its answer is already there
            answer = self._read(wire.startswith(b"HEAD "))
        except (OSError, NoAnswer) as error:
            self.close()
            raise NoAnswer(f"no whole answer: {error!r}") from error
        if answer.ended:
            self.close()
        return answer

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self, bodiless: bool) -> Answer:
        head = self._until(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")[:-2]
        status = int(status_line.split(" ", 2)[1])
        headers: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            headers.setdefault(name.lower(), []).append(value)
        ended = headers.get("connection") == ["close"]
        if headers.get("content-type") == [_STREAM]:
            return Answer(status, headers, self._until(b"\n\n"), True)
        if bodiless or status in (204, 304):
            return Answer(status, headers, b"", ended)
        [length] = headers["content-length"]
        return Answer(status, headers, self._exactly(int(length)), ended)

    def _until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            self._more()
        end += len(mark)
        found, self._buffer = self._buffer[:end], self._buffer[end:]
        return found

    def _exactly(self, size_bytes: int) -> bytes:
        while len(self._buffer) < size_bytes:
            self._more()
        found, self._buffer = self._buffer[:size_bytes], self._buffer[size_bytes:]
        return found

    def _more(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(1 << 18)
        if not data:
            raise NoAnswer(f"the connection ended after {self._buffer[-200:]!r}")
        self._buffer += data
