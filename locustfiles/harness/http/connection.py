"""One HTTP/1.1 connection: a socket, a parser and a deadline, shared with the event loop.

Why not gevent's own socket: it starts and stops a watcher and, with a timeout, makes a timer for
every read. Here a read watcher lives as long as the connection and feeds the parser from the
loop, so the user's greenlet is switched to once per response; and one timer per connection is
moved only when it fires, so that a deadline costs a comparison per request.

Life cycle: made from an open socket (`connector.py`); `exchange` sends one request and returns
one response, any number of times in a row; `close` at the end. A connection whose exchange ended in
any other way than a whole response with keep-alive has closed itself. While it is idle it notices
that the peer closes it. It must never be used by two greenlets at once, and knows nothing of
Locust, names or statistics.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import ssl
from time import perf_counter
from typing import Any, NamedTuple

from gevent import getcurrent
from gevent.hub import get_hub
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from locustfiles.harness.http.header import ResponseHeaders
from locustfiles.harness.http.origin import Origin
from locustfiles.harness.http.socket_count import SOCKETS
from locustfiles.harness.http.tls import TlsLayer
from locustfiles.harness.http.transport_error import (
    ConnectionClosed,
    ConnectionReset,
    DeadlineExceeded,
    MalformedResponse,
    ResponseTooLarge,
    TransportError,
)

_READABLE, _WRITABLE = 1, 2
"""libev's event masks."""

_RECEIVE_BYTES = 65_536


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


class Connection:
    """See the module's docstring. `exchanges` counts finished exchanges; `closed` is final.

    `untouched` tells, after an exchange failed, that no byte of a response had come.
    """

    __slots__ = (
        "_bodiless", "_chunks", "_complete", "_deadline", "_error", "_head", "_headers_done",
        "_hub", "_keep", "_limits", "_origin", "_over", "_parser", "_received", "_socket",
        "_status", "_timeout_s", "_timer", "_timer_due", "_tls", "_waiter", "_watcher",
        "closed", "exchanges",
    )  # fmt: skip

    def __init__(self, origin: Origin, sock: Any, tls: TlsLayer | None, limits: Limits) -> None:
        self._origin = origin
        self._limits = limits
        self._socket = sock
        self._tls = tls
        self._hub: Any = get_hub()
        self._timer: Any = None
        self._timer_due = math.inf
        self._waiter: Any = None
        self._parser: Any = HttpResponseParser(self)
        self._over = True
        self._keep = True
        self._complete = False
        self._headers_done = False
        self._received = 0
        self._head = b""
        self._chunks: list[bytes] = []
        self.closed = False
        self.exchanges = 0
        self._watcher: Any = self._hub.loop.io(sock.fileno(), _READABLE, ref=False)
        self._watcher.start(self._readable if tls is None else self._readable_tls)

    @property
    def untouched(self) -> bool:
        return self._received == 0

    # One exchange

    def exchange(self, payload: bytes, bodiless: bool, timeout_s: float, deadline: float) -> Reply:
        """Send `payload` and wait for the response that belongs to it.

        `bodiless` for HEAD, whose response has no body whatever its headers say. `deadline` is on
        the `perf_counter` scale; `timeout_s` is what it was made from, for the message. Raises
        TransportError; whatever else interrupts it (the user was killed) closes the connection.
        """
        hub = self._hub
        greenlet = getcurrent()
        assert greenlet is not hub, "a request cannot be made from the event loop itself"
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
        try:
            self._over = False
            self._send(payload, greenlet)
            while not self._over:
                self._waiter = greenlet
                hub.switch()
        finally:
            self._waiter = None
            self._over = True
            if not self._keep:
                self.close()
        if self._error is not None:
            raise self._error
        self.exchanges += 1
        # Given away, so that an idle connection holds no response.
        head, self._head = self._head, b""
        chunks, self._chunks = self._chunks, []
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return Reply(self._status, head, body, self._received)

    def _send(self, payload: bytes, greenlet: Any) -> None:
        """All of it, unless the response (or the end) comes first.

        An error is left to the read side: it sees the same end, and perhaps the response that the
        peer sent before it hung up.
        """
        data = payload if self._tls is None else self._tls.encrypt(payload)
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return
        if sent < len(data):
            self._send_rest(memoryview(data)[sent:], greenlet)

    def _send_rest(self, view: memoryview, greenlet: Any) -> None:
        """What the socket's buffer did not take at once, as it gets room."""
        writable = self._hub.loop.io(self._socket.fileno(), _WRITABLE)
        try:
            writable.start(self._resume)
            while view and not self._over:
                self._waiter = greenlet
                self._hub.switch()
                if not self._over:
                    view = self._send_some(view)
        finally:
            self._waiter = None
            writable.stop()
            writable.close()
        if view:
            # What was left unsent would be taken for the start of the next request.
            self._keep = False

    def _send_some(self, view: memoryview) -> memoryview:
        """What is left; nothing once the socket is broken."""
        try:
            return view[self._socket.send(view) :]
        except BlockingIOError:
            return view
        except OSError:
            return view[:0]

    def _resume(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            waiter.switch()

    def _finish(self, error: TransportError | None = None) -> None:
        """The exchange is over. Must be the last thing that a loop callback does."""
        self._error = error
        self._over = True
        if error is not None:
            self._keep = False
        self._resume()

    # The deadline

    def _move_timer(self) -> None:
        self._drop_timer()
        self._timer_due = self._deadline
        self._timer = self._hub.loop.timer(max(self._deadline - perf_counter(), 0.0))
        self._timer.start(self._timer_fired, update=True)

    def _drop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None
            self._timer_due = math.inf

    def _timer_fired(self) -> None:
        self._drop_timer()
        if self._over:
            return
        if perf_counter() < self._deadline:
            self._move_timer()
            return
        limit = f"{self._timeout_s:.3g} s"
        self._finish(
            DeadlineExceeded(
                self._origin.label,
                f"did not answer within {limit}"
                if self._received == 0
                else f"did not finish its response within {limit}",
            )
        )

    # What the loop calls

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lost(error)
            return
        if data:
            self._feed(data)
        else:
            self._ended(clean=True)

    def _readable_tls(self) -> None:
        tls = self._tls
        assert tls is not None
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
            plain = tls.decrypt(data) if data else b""
        except BlockingIOError:
            return
        except ssl.SSLError as error:
            self._protocol_error(f"broke the TLS protocol: {error.reason}")
            return
        except OSError as error:
            self._lost(error)
            return
        reply = tls.outgoing()
        if reply:
            with contextlib.suppress(OSError):
                self._socket.send(reply)
        # Read before the feed: it may switch to the user, who may start the next exchange.
        ended, clean = tls.closed or not data, tls.closed
        if plain:
            self._feed(plain)
        if ended and not self.closed:
            self._ended(clean=clean)

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
        if self._received > self._limits.head_bytes and self._is_too_large():
            return
        if self._complete:
            self._over = True
            self._resume()

    def _is_too_large(self) -> bool:
        limits = self._limits
        if not self._headers_done or self._head.find(b"\r\n\r\n") > limits.head_bytes:
            what = f"more than {limits.head_bytes:,} bytes of headers"
        elif self._received > limits.head_bytes + limits.body_bytes:
            what = f"more than {limits.body_bytes:,} bytes of body"
        else:
            return False
        self._finish(ResponseTooLarge(self._origin.label, f"sent {what}"))
        return True

    def _ended(self, *, clean: bool) -> None:
        """The peer will send no more. `clean` unless TLS was cut off without a farewell."""
        label = self._origin.label
        if self._over:
            self.close()
        elif self._received == 0:
            self._finish(ConnectionClosed(label, "closed the connection without an answer"))
        elif clean and self._headers_done and self._runs_until_close():
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

    def close(self) -> None:
        """Release socket, watcher and timer. Safe at any time, any number of times."""
        if self.closed:
            return
        self.closed = True
        self._drop_timer()
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        if self._socket is not None:
            if self._tls is not None:
                self._say_goodbye(self._tls)
            self._socket.close()
            SOCKETS.closed += 1
            self._socket = None
        self._parser = None

    def _say_goodbye(self, tls: TlsLayer) -> None:
        """At best: a full buffer or a dead peer does not hold up the end."""
        with contextlib.suppress(OSError):
            self._socket.send(tls.goodbye())
