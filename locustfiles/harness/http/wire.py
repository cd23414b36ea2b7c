"""The lower half of a connection: its socket, its TLS session, its one timer, and the event loop.

Why not gevent's own socket: it starts and stops a watcher and, with a timeout, makes a timer for
every read. Here a read watcher lives as long as the connection and hands what came to the upper
half from the loop, so the user's greenlet is switched to once per response; and one timer per
connection is moved only when it fires, so that a deadline costs a comparison per request.

Life cycle: made from an open socket; reads from then on; `close` at the end. This module must not
know what a request or a response is.
"""

from __future__ import annotations

import contextlib
import math
import ssl
from time import perf_counter
from typing import Any

from gevent.hub import get_hub

from locustfiles.harness.http.origin import Origin
from locustfiles.harness.http.socket_count import SOCKETS
from locustfiles.harness.http.tls import TlsLayer

_READABLE, _WRITABLE = 1, 2
"""libev's event masks."""

_RECEIVE_BYTES = 65_536


class Wire:
    """See the module's docstring. `closed` is final.

    The upper half sets `_over` while no exchange is under way and `_keep` when the stream may be
    used for another one, and implements the five methods below it that raise.
    """

    __slots__ = (
        "_deadline", "_hub", "_keep", "_origin", "_over", "_socket", "_timer", "_timer_due",
        "_tls", "_waiter", "_watcher", "closed",
    )  # fmt: skip

    def __init__(self, origin: Origin, sock: Any, tls: TlsLayer | None) -> None:
        self._origin = origin
        self._socket = sock
        self._tls = tls
        self._hub: Any = get_hub()
        self._timer: Any = None
        self._timer_due = math.inf
        self._deadline = math.inf
        self._waiter: Any = None
        self._over = True
        self._keep = True
        self.closed = False
        self._watcher: Any = self._hub.loop.io(sock.fileno(), _READABLE, ref=False)
        self._listen()

    # What the upper half makes of it

    def _feed(self, data: bytes) -> None:
        """Bytes came."""
        raise NotImplementedError

    def _ended(self, *, clean: bool) -> None:
        """The peer will send no more. `clean` unless TLS was cut off without a farewell."""
        raise NotImplementedError

    def _lost(self, error: OSError) -> None:
        raise NotImplementedError

    def _protocol_error(self, what: str) -> None:
        raise NotImplementedError

    def _expire(self) -> None:
        """The deadline passed while an exchange was under way."""
        raise NotImplementedError

    # Sending

    def _send_bytes(self, data: bytes, greenlet: Any) -> bool:
        """All of it, unless the response (or the end) comes first. False if the socket is broken.

        An error is left to the read side: it sees the same end, and perhaps the response that the
        peer sent before it hung up.
        """
        if self._tls is not None:
            data = self._tls.encrypt(data)
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        if sent < len(data):
            return self._send_rest(memoryview(data)[sent:], greenlet)
        return True

    def _send_rest(self, view: memoryview, greenlet: Any) -> bool:
        """What the socket's buffer did not take at once, as it gets room."""
        broken = False
        writable = self._hub.loop.io(self._socket.fileno(), _WRITABLE)
        try:
            writable.start(self._resume)
            while view and not self._over and not broken:
                self._waiter = greenlet
                self._hub.switch()
                if not self._over:
                    try:
                        view = view[self._socket.send(view) :]
                    except BlockingIOError:
                        continue
                    except OSError:
                        broken = True
        finally:
            self._waiter = None
            writable.stop()
            writable.close()
        if view:
            # What was left unsent would be taken for the start of the next request.
            self._keep = False
        return not broken

    def _resume(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            waiter.switch()

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
        self._expire()

    # Receiving

    def _listen(self) -> None:
        """Take what the peer sends, now and until `_pause`."""
        self._watcher.start(self._readable if self._tls is None else self._readable_tls)

    def _pause(self) -> None:
        """Leave what the peer sends to the kernel, whose full buffer then slows the peer down."""
        self._watcher.stop()

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

    # The end

    def close(self) -> None:
        """Release socket, watcher and timer. Safe at any time, any number of times."""
        if self.closed:
            return
        self.closed = True
        self._drop_timer()
        self._watcher.stop()
        self._watcher.close()
        self._watcher = None
        if self._tls is not None:
            self._say_goodbye(self._tls)
        self._socket.close()
        self._socket = None
        SOCKETS.closed += 1

    def _say_goodbye(self, tls: TlsLayer) -> None:
        """At best: a full buffer or a dead peer does not hold up the end."""
        with contextlib.suppress(OSError):
            self._socket.send(tls.goodbye())
