"""Request bodies that are not in memory: files and iterables of bytes, sent piece by piece.

A file whose size can be told is sent with a Content-Length, everything else in chunks (RFC 9112,
section 7.1). Such a body can be sent a second time only if it can be started over; the client asks
`rewind` and never sends the rest of a body as if it were all of it. This module must not send
anything.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterable, Iterator, Mapping
from time import perf_counter
from typing import Protocol

from gevent.timeout import Timeout

from locustfiles.harness.http.transport_error import TransportError
from results.sample import Outcome

PIECE_BYTES = 65_536
"""What is read from a file at a time."""

_BYTES = (bytes, bytearray, memoryview)


class UploadFailed(TransportError):
    """The body's own source raised, ended early, or gave what is not bytes: not the target's."""

    outcome = Outcome.LOCAL


class SourceFailed(Exception):
    """As UploadFailed, without the target."""


class SourceLate(Exception):
    """The source gave nothing until the request's deadline."""


class ReadableFile(Protocol):
    def read(self, size: int, /) -> bytes: ...


Source = ReadableFile | Iterable[bytes]


def is_source(data: object) -> bool:
    """Whether `data` is to be streamed: it can be read from, or gives pieces of bytes."""
    if hasattr(data, "read"):
        return True
    if isinstance(data, Mapping):
        return False
    if isinstance(data, list | tuple):
        return bool(data) and isinstance(data[0], _BYTES)
    return isinstance(data, Iterable) and not isinstance(data, str)


class Upload:
    """A request whose body comes from `source`. Life cycle: made; `start` with the head of the
    request; `pieces` once, or again after a `rewind` that was granted.

    `length_bytes` is None for a body sent in chunks. Raises TypeError for a file in text mode.
    """

    __slots__ = ("_begun", "_head", "_position", "_source", "length_bytes")

    def __init__(self, source: Source) -> None:
        if isinstance(source, io.TextIOBase):
            raise TypeError("a file that is sent must be opened in binary mode: open(path, 'rb')")
        self._source = source
        self._head = b""
        self._begun = False
        self._position: int | None = None
        self.length_bytes: int | None = None
        if hasattr(source, "read"):
            self._measure(source)

    def _measure(self, file: object) -> None:
        """From where the file stands to its end, if it can be told."""
        try:
            position = file.tell()  # type: ignore[attr-defined]
            end = file.seek(0, io.SEEK_END)  # type: ignore[attr-defined]
            file.seek(position)  # type: ignore[attr-defined]
        except (OSError, AttributeError, ValueError):
            return
        if isinstance(position, int) and isinstance(end, int) and end >= position:
            self._position, self.length_bytes = position, end - position

    @property
    def framing(self) -> str:
        """The header line that says how long the body is."""
        if self.length_bytes is None:
            return "Transfer-Encoding: chunked\r\n"
        return f"Content-Length: {self.length_bytes}\r\n"

    def start(self, head: bytes) -> Upload:
        self._head = head
        return self

    def rewind(self) -> bool:
        """Whether the body can be sent from its beginning (again); it is ready for that then."""
        if not self._begun:
            return True
        source = self._source
        if self._position is not None:
            try:
                source.seek(self._position)  # type: ignore[union-attr]
            except (OSError, ValueError):
                return False
        elif hasattr(source, "read") or isinstance(source, Iterator):
            return False
        self._begun = False
        return True

    def pieces(self, deadline: float) -> Generator[bytes, None, None]:
        """The head, then the body as it goes over the wire.

        `deadline` is on the `perf_counter` scale. Raises SourceFailed (its cause is what the
        source raised) and SourceLate. A source that is waited for is interrupted at the deadline.
        """
        yield self._head
        self._begun = True
        if self.length_bytes is None:
            source = iter(self._read()) if hasattr(self._source, "read") else self._iterate()
            for piece in _until(source, deadline):
                if piece:
                    yield b"%x\r\n%b\r\n" % (len(piece), piece)
            yield b"0\r\n\r\n"
            return
        left = self.length_bytes
        for piece in _until(iter(self._read()), deadline):
            yield piece[:left]
            left -= min(len(piece), left)
            if left == 0:
                return
        if left:
            raise SourceFailed("was not sent the whole body: its file ended early")

    def _iterate(self) -> Iterator[bytes]:
        return iter(self._source)  # type: ignore[arg-type]

    def _read(self) -> Iterator[bytes]:
        read = self._source.read  # type: ignore[union-attr]
        while piece := read(PIECE_BYTES):
            yield piece


def _until(source: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    """What `source` gives, as bytes."""
    ended = False
    try:
        while True:
            limit = Timeout.start_new(max(deadline - perf_counter(), 0.0))
            try:
                piece = next(source)
            except StopIteration:
                ended = True
                return
            except Timeout as late:
                if late is not limit:
                    raise
                raise SourceLate from None
            except Exception as error:  # whatever the locustfile's own code raises
                kind = type(error).__name__
                raise SourceFailed(
                    f"was not sent the whole body: its source raised {kind}"
                ) from error
            finally:
                limit.close()
            if not isinstance(piece, _BYTES):
                kind = type(piece).__name__
                raise SourceFailed(
                    f"was not sent the whole body: its source gave {kind}, not bytes"
                )
            yield bytes(piece)
    finally:
        if not ended and isinstance(source, Generator):
            source.close()
