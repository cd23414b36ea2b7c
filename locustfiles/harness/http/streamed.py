"""A response whose body is read as it comes (`stream=True`), with FastHttpUser's ways to read it.

It returns with the head and counts once, when its body is over: read to the end, broken off by the
target or the deadline, or closed by the locustfile, which is no failure (whoever follows a feed has
to stop somewhere). What is not read is not held: a slow reader slows the target down. This module
must not know what is sent or how a sample is made.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from time import perf_counter
from types import TracebackType
from typing import Any

import gevent

from locustfiles.harness.http.body import ContentError, ContentTooLarge, decode
from locustfiles.harness.http.connection import Connection, Reply
from locustfiles.harness.http.keepalive import KeptConnections
from locustfiles.harness.http.origin import Origin
from locustfiles.harness.http.response import Response
from locustfiles.harness.http.transport_error import (
    MalformedResponse,
    ResponseTooLarge,
    TransportError,
)
from locustfiles.harness.http.upload import Upload
from results.sample import Outcome

_READ_BYTES = 65_536


class StreamCancelled(TransportError):
    """The user ended while its stream was open: unknown, not failed."""

    outcome = Outcome.CANCELLED


class Stream:
    """The body on its way. Life cycle: `begin` (again for each redirect), `read` until it gives
    nothing, or `close` at any time; then the connection is kept or closed, and `over`.
    """

    __slots__ = (
        "_connection", "_connections", "_origin", "_rest", "bytes_received", "cancelled",
        "ended_s", "error", "over", "size_bytes",
    )  # fmt: skip

    def __init__(self, connections: KeptConnections) -> None:
        self._connections = connections
        self._connection: Connection | None = None
        self._origin: Origin | None = None
        self._rest: list[memoryview] = []
        self.bytes_received = 0
        self.size_bytes = 0
        """Of the body, as far as it was read."""
        self.ended_s = 0.0
        self.error: TransportError | None = None
        self.cancelled = False
        self.over = True

    @property
    def label(self) -> str:
        return "" if self._origin is None else self._origin.label

    def begin(
        self,
        origin: Origin,
        payload: bytes | Upload,
        bodiless: bool,
        timeout_s: float,
        start_s: float,
    ) -> Reply:
        """As `KeptConnections.exchange`, until the head."""
        self._drop()
        self._origin = origin
        self._connection, reply = self._connections.begin(
            origin, payload, bodiless, timeout_s, start_s
        )
        self.over = False
        return reply

    def read(self, limit_bytes: int) -> bytes:
        """What is there, at most `limit_bytes`; waits for something; empty at the end.

        The end may be an `error`. Whatever interrupts it (the user was killed) cancels it.
        """
        while not self._rest:
            connection = self._connection
            if connection is None:
                return b""
            done = False
            try:
                self._rest = [memoryview(chunk) for chunk in connection.more()][::-1]
                done = True
            except TransportError as problem:
                done = True
                # Without its frames, which hold this.
                self.error = problem.with_traceback(None)
            finally:
                self.bytes_received = connection.bytes_received
                if not done:
                    self.cancel()
            if not self._rest:
                self._end()
                return b""
        view = self._rest.pop()
        if len(view) > limit_bytes:
            self._rest.append(view[limit_bytes:])
            view = view[:limit_bytes]
        self.size_bytes += len(view)
        return bytes(view)

    def close(self) -> None:
        """Read no further. A body that is not over costs the connection."""
        self._rest = []
        if self._connection is not None:
            self.bytes_received = self._connection.bytes_received
            self._connection.discard()
            self._end()

    def cancel(self) -> None:
        """End it from outside, wherever its reader waits."""
        self._rest = []
        if self._connection is not None:
            self.cancelled = True
            self.bytes_received = self._connection.bytes_received
            self._connection.abort(StreamCancelled(self.label, "was left in mid-response"))
            self._end()

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        self.ended_s = perf_counter()
        self.over = True
        if connection is not None and not connection.closed:
            assert self._origin is not None
            self._connections.give_back(self._origin, connection)

    def _drop(self) -> None:
        """The response of a redirect: its body is not worth waiting for."""
        if self._connection is not None:
            self._connection.discard()
            self._end()


Settle = Callable[["StreamedResponse"], None]


class StreamedResponse(Response):
    """See the module's docstring. `content`, `text` and `json()` read the rest of the body."""

    __slots__ = ("__weakref__", "_body_limit", "_caught", "_content", "_settle", "stream")

    def __init__(
        self,
        url: str,
        request_meta: dict[str, Any],
        reply: Reply,
        error: TransportError | None,
        stream: Stream,
        settle: Settle,
        *,
        caught: bool,
        body_limit: int,
    ) -> None:
        self._content: bytes | None = None
        self._settle: Settle | None = settle
        self._caught = caught
        self._body_limit = body_limit
        self.stream = stream
        super().__init__(url, request_meta, reply.status, reply.head, b"", error)
        self._content = None
        if caught:
            self.report_with(_settle)
        elif stream.over:
            stream.ended_s = perf_counter()
            self.settle()

    def settle(self) -> None:
        """Count it, once."""
        settle, self._settle = self._settle, None
        if settle is not None:
            if self.error is None:
                self.error = self.stream.error
            settle(self)

    # Reading

    def read(self, size: int | None = None) -> bytes:
        """At most `size` bytes as soon as there are any, or the rest of the body; empty at its end.

        The bytes are as they were sent: a content coding is not undone.
        """
        if size is None:
            return b"".join(iter(self._next, b""))
        return self._next(size)

    def _next(self, limit_bytes: int = _READ_BYTES) -> bytes:
        if limit_bytes < 1:
            raise ValueError(f"cannot read {limit_bytes} bytes: pass a size of at least 1")
        try:
            return self.stream.read(limit_bytes)
        finally:
            if self.stream.over:
                self._note_end()

    def _note_end(self) -> None:
        if self.error is None:
            self.error = self.stream.error
        if not self._caught or self.stream.cancelled:
            self.settle()

    def iter_content(
        self, chunk_size: int = 1024, decode_content: bool = True
    ) -> Iterator[str | bytes]:
        """Pieces of at most `chunk_size` bytes as they come; text where a piece is valid UTF-8 by
        itself, unless `decode_content` is False.
        """
        while chunk := self._next(chunk_size):
            if decode_content:
                try:
                    yield chunk.decode("utf-8")
                    continue
                except UnicodeDecodeError:
                    pass
            yield chunk

    def iter_lines(self) -> Iterator[str]:
        """Lines as they come, without their line feed. A line is bounded as a body is."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        line = ""
        while chunk := self._next():
            *lines, line = (line + decoder.decode(chunk)).split("\n")
            yield from lines
            if len(line) > self._body_limit:
                self._fail(ResponseTooLarge(self.stream.label, "sent too long a line"))
                return
        line += decoder.decode(b"", final=True)
        if line:
            yield line

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._next, b"")

    @property
    def content(self) -> bytes:
        """The rest of the body, decoded; empty if it is broken or above the session's limit."""
        if self._content is None:
            self._content = b""
            self._content = self._read_all()
        return self._content

    @content.setter
    def content(self, value: bytes) -> None:
        self._content = value

    def _read_all(self) -> bytes:
        parts, size_bytes = [], 0
        try:
            while part := self.stream.read(_READ_BYTES):
                parts.append(part)
                size_bytes += len(part)
                if size_bytes > self._body_limit:
                    limit = f"{self._body_limit:,}"
                    raise ContentTooLarge(f"more than {limit} bytes of body")
            if self.stream.error is None:
                encodings = self.headers.get("content-encoding", "")
                return decode(encodings, b"".join(parts), self._body_limit)
        except ContentTooLarge as problem:
            self.error = ResponseTooLarge(self.stream.label, f"sent too much: {problem}")
        except ContentError as problem:
            self.error = MalformedResponse(self.stream.label, f"sent a broken response: {problem}")
        finally:
            self.stream.close()
            self._note_end()
        return b""

    def _fail(self, error: TransportError) -> None:
        self.error = error
        self.close()

    # The end

    def close(self) -> None:
        """Read no further; it counts now, unless a with-block is to decide how."""
        self.stream.close()
        self._note_end()

    release = close

    def cancel(self) -> None:
        """The user ends: unknown, not failed."""
        if not self.stream.over:
            self.stream.cancel()
            self.settle()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is not None and not isinstance(error, Exception):
            self.cancel()
        self.close()
        return super().__exit__(kind, error, traceback)

    def __del__(self) -> None:
        """Dropped by its reader, as FastHttpUser's allows: closed, and counted in its own turn,
        since this may be any greenlet, or the event loop itself.
        """
        if getattr(self, "_settle", None) is not None:
            self.stream.close()
            if not self._caught:
                gevent.spawn(self.settle)


def _settle(response: Response) -> None:
    assert isinstance(response, StreamedResponse)
    response.settle()
