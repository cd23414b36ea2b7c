"""One HTTP/1.1 connection: requests go out on a wire, a parser makes responses of what comes back.

Life cycle: made from an open socket (`connector.py`); `exchange` sends one request and returns
one response, any number of times in a row, and so does `begin`, which returns with the head, with
`more` until the body is over; `close` at the end. A connection whose exchange ended in any other
way than a whole response with keep-alive has closed itself. While it is idle it notices that the
peer closes it. It must never be used by two greenlets at once, and knows nothing of Locust, names
or statistics.
"""

from __future__ import annotations

import errno
import os
from time import perf_counter
from typing import Any, NamedTuple

import gevent
from gevent import getcurrent
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from locustfiles.harness.http.header import ResponseHeaders
from locustfiles.harness.http.origin import Origin
from locustfiles.harness.http.tls import TlsLayer
from locustfiles.harness.http.transport_error import (
    ConnectionClosed,
    ConnectionReset,
    DeadlineExceeded,
    MalformedResponse,
    ResponseTooLarge,
    TransportError,
)
from locustfiles.harness.http.upload import SourceFailed, SourceLate, Upload, UploadFailed
from locustfiles.harness.http.wire import Wire

_PIECES_PER_TURN = 16
"""A fast target never makes an upload wait, and other users must run all the same."""


class Limits(NamedTuple):
    """What one response may take, counted on the wire, before it counts as malformed."""

    head_bytes: int = 65_536
    body_bytes: int = 64 * 1024 * 1024


class Reply(NamedTuple):
    """A whole response. `head` is every byte up to and possibly beyond the blank line."""

    status: int
    head: bytes
    body: bytes
    bytes_received: int


class Connection(Wire):
    """See the module's docstring. `exchanges` counts finished exchanges; `closed` is final.

    `untouched` tells, after an exchange failed, that no byte of a response had come.
    """

    __slots__ = (
        "_bodiless", "_chunks", "_complete", "_error", "_head", "_headers_done", "_limits",
        "_parser", "_received", "_status", "_streaming", "_timeout_s", "exchanges",
    )  # fmt: skip

    def __init__(self, origin: Origin, sock: Any, tls: TlsLayer | None, limits: Limits) -> None:
        self._limits = limits
        self._parser: Any = HttpResponseParser(self)
        self._complete = False
        self._headers_done = False
        self._streaming = False
        self._received = 0
        self._head = b""
        self._chunks: list[bytes] = []
        self.exchanges = 0
        super().__init__(origin, sock, tls)

    @property
    def untouched(self) -> bool:
        return self._received == 0

    @property
    def bytes_received(self) -> int:
        """Of the exchange that is under way or was the last."""
        return self._received

    # One exchange

    def exchange(
        self, payload: bytes | Upload, bodiless: bool, timeout_s: float, deadline: float
    ) -> Reply:
        """Send `payload` and wait for the response that belongs to it.

        `bodiless` for HEAD, whose response has no body whatever its headers say. `deadline` is on
        the `perf_counter` scale; `timeout_s` is what it was made from, for the message. Raises
        TransportError; whatever else interrupts it (the user was killed) closes the connection.
        """
        hub = self._hub
        greenlet = self._start(bodiless, timeout_s, deadline)
        try:
            self._over = False
            if isinstance(payload, bytes):
                self._send_bytes(payload, greenlet)
            else:
                self._send_upload(payload, greenlet)
            while not self._over:
                self._waiter = greenlet
                hub.switch()
        finally:
            self._waiter = None
            self._over = True
            if not (self._keep and self._complete):
                self.close()
        if self._error is not None:
            raise self._error
        self.exchanges += 1
        # Given away, so that an idle connection holds no response.
        head, self._head = self._head, b""
        chunks, self._chunks = self._chunks, []
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return Reply(self._status, head, body, self._received)

    def _start(self, bodiless: bool, timeout_s: float, deadline: float) -> Any:
        """Ready for a response; the greenlet that will wait for it."""
        greenlet = getcurrent()
        assert greenlet is not self._hub, "a request cannot be made from the event loop itself"
        assert self._over and not self.closed, "one exchange at a time"
        self._bodiless = bodiless
        self._timeout_s = timeout_s
        self._deadline = deadline
        self._error: TransportError | None = None
        self._received = 0
        self._headers_done = self._complete = False
        # Until a whole response with keep-alive has come, the stream is dirty.
        self._keep = False
        if deadline < self._timer_due:
            self._move_timer()
        return greenlet

    def _send_upload(self, upload: Upload, greenlet: Any) -> None:
        """A body piece by piece, until it or the exchange is over. Raises UploadFailed."""
        pieces = upload.pieces(self._deadline)
        try:
            for number, piece in enumerate(pieces):
                if self._over or not self._send_bytes(piece, greenlet):
                    break
                if number % _PIECES_PER_TURN == _PIECES_PER_TURN - 1:
                    gevent.sleep(0)
                    if not self._over and perf_counter() >= self._deadline:
                        self._expire()
            else:
                return
        except SourceLate:
            if not self._over:
                self._expire()
        except SourceFailed as problem:
            # What has come by now, such as a refusal, says more than a source that failed later.
            if not self._over:
                raise UploadFailed(self._origin.label, str(problem)) from problem.__cause__
        finally:
            pieces.close()
        if self._over:
            # The peer waits for the rest of a body that will not come.
            self._keep = False

    # A response in pieces

    def begin(
        self, payload: bytes | Upload, bodiless: bool, timeout_s: float, deadline: float
    ) -> Reply:
        """As `exchange`, but return once the head has come; `more` gives the body.

        The deadline goes on to hold for the body. Whoever does not read to the end calls `close`.
        """
        greenlet = self._start(bodiless, timeout_s, deadline)
        self._streaming = True
        begun = False
        try:
            self._over = False
            if isinstance(payload, bytes):
                self._send_bytes(payload, greenlet)
            else:
                self._send_upload(payload, greenlet)
            while not self._over and not self._headers_done:
                self._waiter = greenlet
                self._hub.switch()
            begun = self._headers_done
        finally:
            self._waiter = None
            if not begun:
                self._stop_stream()
                self.close()
        if not begun:
            assert self._error is not None
            raise self._error
        return Reply(self._status, self._head, b"", self._received)

    def more(self) -> list[bytes]:
        """The next pieces of the body, waiting for them; none at its end. Raises TransportError.

        At most one read's worth is held: nothing is read from the socket while there are pieces
        that nobody has asked for.
        """
        if not self._chunks and not self._over:
            self._wait_for_chunks()
        if self._chunks:
            chunks, self._chunks = self._chunks, []
            return chunks
        if not self._streaming:
            return []
        self._stop_stream()
        if not (self._keep and self._complete):
            self.close()
        if self._error is not None:
            raise self._error
        self.exchanges += 1
        return []

    def discard(self) -> None:
        """Read no further: only a body that has come whole leaves the connection open."""
        if self._over and self._keep and self._complete and self._error is None:
            self._chunks = []
            self.more()
        else:
            self.close()

    def _wait_for_chunks(self) -> None:
        greenlet = getcurrent()
        assert self._waiter is None, "one reader at a time"
        came = False
        self._listen()
        try:
            while not self._over and not self._chunks:
                self._waiter = greenlet
                self._hub.switch()
            came = True
        finally:
            self._waiter = None
            if not came:
                self._stop_stream()
                self.close()

    def _stop_stream(self) -> None:
        self._over = True
        self._streaming = False
        self._head = b""

    def _finish(self, error: TransportError | None = None) -> None:
        """The exchange is over. Must be the last thing that a loop callback does."""
        self._error = error
        self._over = True
        if error is not None:
            self._keep = False
        self._resume()

    # What the wire says

    def _expire(self) -> None:
        limit = f"{self._timeout_s:.3g} s"
        what = "did not answer" if self._received == 0 else "did not finish its response"
        self._finish(DeadlineExceeded(self._origin.label, f"{what} within {limit}"))

    def _feed(self, data: bytes) -> None:
        if self._over:
            # Nothing was asked: whatever this is, it would be taken for the next response.
            self.close()
            return
        self._received += len(data)
        if not self._headers_done:
            self._head = self._head + data if self._head else data
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._protocol_error("switched protocols, which nobody asked for")
            return
        except HttpParserError as error:
            if not self._complete:
                self._protocol_error(f"did not answer in HTTP: {error}")
                return
            self._keep = False
            self._error = self._too_long()
        if self._received > self._limits.head_bytes and self._is_too_large():
            return
        if self._complete:
            self._over = True
            self._resume()
        elif self._streaming:
            if self._chunks:
                self._pause()
            if self._headers_done:
                self._resume()

    def _too_long(self) -> MalformedResponse:
        """Bytes after the end that its headers state: nobody can say which of them is right."""
        return MalformedResponse(self._origin.label, "sent more than the length of its response")

    def _is_too_large(self) -> bool:
        limits = self._limits
        if not self._headers_done or self._head.find(b"\r\n\r\n") > limits.head_bytes:
            what = f"more than {limits.head_bytes:,} bytes of headers"
        elif self._streaming:
            return False
        elif self._received > limits.head_bytes + limits.body_bytes:
            what = f"more than {limits.body_bytes:,} bytes of body"
        else:
            return False
        self._finish(ResponseTooLarge(self._origin.label, f"sent {what}"))
        return True

    def _ended(self, *, clean: bool) -> None:
        label = self._origin.label
        if self._over:
            self.close()
        elif self._received == 0:
            self._finish(ConnectionClosed(label, "closed the connection without an answer"))
        elif clean and self._headers_done and self._runs_until_close():
            self._complete = True
            self._finish()
        else:
            self._finish(ConnectionClosed(label, "closed the connection in mid-response"))

    def _runs_until_close(self) -> bool:
        """RFC 9112, section 6.3: neither a length nor chunks, so the end is the end."""
        headers = ResponseHeaders(self._head)
        coding = headers.get("transfer-encoding", "")
        if coding:
            return coding.rpartition(",")[2].strip().lower() != "chunked"
        return "content-length" not in headers

    def _lost(self, error: OSError) -> None:
        if self._over:
            self.close()
            return
        what = "reset the connection"
        if error.errno != errno.ECONNRESET:
            what = f"lost the connection ({os.strerror(error.errno or errno.EIO)})"
        where = "" if self._received == 0 else " in mid-response"
        self._finish(ConnectionReset(self._origin.label, what + where))

    def _protocol_error(self, what: str) -> None:
        if self._over:
            self.close()
        else:
            self._finish(MalformedResponse(self._origin.label, what))

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._complete:
            self._keep = False
            self._error = self._too_long()

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._complete or status < 200:
            return
        self._status = status
        self._headers_done = True
        if self._bodiless:
            self._complete = True
            self._keep = self._keeps_after_head()
        else:
            # Asked here, since it is false once the message is complete.
            self._keep = self._parser.should_keep_alive()

    def _keeps_after_head(self) -> bool:
        """The parser would wait for the body that a HEAD only describes, so it is replaced."""
        version = self._parser.get_http_version()
        self._parser = HttpResponseParser(self)
        token = ResponseHeaders(self._head).get("connection", "").lower()
        return version == "1.1" and "close" not in token

    def on_body(self, chunk: bytes) -> None:
        if not self._complete:
            self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        if self._headers_done:
            self._complete = True

    def abort(self, error: TransportError) -> None:
        """End what is under way, from another greenlet: whoever waits for it gets `error`."""
        self._error = error
        self._over = True
        self._keep = False
        self.close()
        self._hub.loop.run_callback(self._resume)

    def close(self) -> None:
        """Release socket, watcher, timer and parser. Safe at any time, any number of times."""
        super().close()
        self._parser = None
