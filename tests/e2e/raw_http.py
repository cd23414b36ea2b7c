"""Hand-made bytes to a real node, and what it answered to them, in order."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

GUARD_S = 20.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; `code` is the problem's, empty where it is none."""

    status: int
    head: str
    body: bytes

    @property
    def code(self) -> str:
        if "content-type: application/problem+json" not in self.head:
            return ""
        code: str = json.loads(self.body)["code"]
        return code


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), GUARD_S)


def push(sock: socket.socket, data: bytes) -> None:
    """Sends all of it, or as much as the other side takes before it hangs up."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        sock.sendall(data)


def read_until_closed(sock: socket.socket) -> bytes:
    """Everything until the node ends the connection; a reset counts as an end."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(1 << 18):
            data += part
    return data


def split(data: bytes) -> Iterator[Reply]:
    """The answers in `data`, which must hold nothing else."""
    while data:
        head, mark, rest = data.partition(b"\r\n\r\n")
        assert mark and head.startswith(b"HTTP/1.1 "), data[:200]
        length = re.search(rb"^content-length: (\d+)\r?$", head, re.MULTILINE)
        size = int(length[1]) if length else 0
        assert len(rest) >= size, "an answer was cut off"
        yield Reply(int(head[9:12]), head.decode("latin-1"), rest[:size])
        data = rest[size:]


def exchange(port: int, *parts: bytes, end: bool = True) -> list[Reply]:
    """Every answer to `parts`, sent one after the other, until the node ends the connection.

    With `end` a last request asks it to, so that a connection that goes on shows by its answer:
    a 404 for `/end`.
    """
    with connect(port) as sock:
        for part in parts:
            push(sock, part)
        if end:
            push(sock, b"GET /end HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return list(split(read_until_closed(sock)))


def until(condition: Callable[[], bool], what: str) -> None:
    """Polls until it holds; fails after GUARD_S."""
    deadline_s = time.monotonic() + GUARD_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {GUARD_S:g} s in vain for {what}"
        time.sleep(0.02)
