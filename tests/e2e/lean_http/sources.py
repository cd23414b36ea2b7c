"""Bodies to send that are not bytes, by the name that a test asks for, in the client process."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import gevent

PIECE = b"0123456789" * 10_000
"""More than is read from a file at a time."""


class Unseekable(io.RawIOBase):
    """A pipe, say: its size cannot be told and it cannot be started over."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)


class Shrinking(io.BytesIO):
    """Ends before the size that it had when it was asked."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(10) if self.tell() == 0 else b""


def _file() -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the client sends it)
    file.write(b"skipped" + PIECE * 3)
    file.seek(7)
    return file


def _pieces() -> Iterator[bytes]:
    yield b"one,"
    yield b""
    yield b"two,"
    yield PIECE


def _raising() -> Iterator[bytes]:
    yield b"one"
    raise ValueError("no more")


def _late() -> Iterator[bytes]:
    yield b"one"
    gevent.sleep(60)


def _endless() -> Iterator[bytes]:
    while True:
        yield PIECE


def _busy() -> Iterator[bytes]:
    """Never waits; says in the end how often somebody else could run meanwhile."""
    turns = []

    def take_turns() -> None:
        while True:
            turns.append(1)
            gevent.sleep(0)

    other = gevent.spawn(take_turns)
    for _ in range(200):
        yield b"."
    other.kill(block=False)
    yield b"%d turns" % len(turns)


def _text() -> Iterator[Any]:
    yield b"one"
    yield "two"


def _text_file() -> Any:
    return open(os.devnull, encoding="utf-8")


SOURCES: dict[str, Callable[[], Any]] = {
    "file": _file,
    "empty file": io.BytesIO,
    "pipe": lambda: Unseekable(b"from a pipe"),
    "shrinking file": lambda: Shrinking(b"x" * 100),
    "text file": _text_file,
    "pieces": _pieces,
    "no pieces": lambda: iter(()),
    "list": lambda: [b"one,", b"two"],
    "bytearray": lambda: bytearray(b"array"),
    "raising": _raising,
    "late": _late,
    "endless": _endless,
    "text": _text,
    "busy": _busy,
}
