"""TLS on top of a socket that somebody else reads and writes.

The connection owns the socket and its watcher; this layer only turns bytes into bytes
(`ssl.MemoryBIO`), so that plain and encrypted connections share one read path. Contexts are
built once per process: loading the certificate store takes tens of milliseconds. This module must
not touch a socket.
"""

from __future__ import annotations

import contextlib
import ssl
from functools import cache

_RECORD_BYTES = 65_536


@cache
def verifying_context() -> ssl.SSLContext:
    """The system's certificate store, host names checked."""
    return ssl.create_default_context()


@cache
def insecure_context() -> ssl.SSLContext:
    """Any certificate for any name. For targets with self-signed certificates only."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class TlsLayer:
    """One TLS client session. Life cycle: `handshake` until it says done, then `encrypt` and
    `decrypt` in any order, then `goodbye`. After each call `outgoing` may hold bytes to send.

    Every method may raise `ssl.SSLError`.
    """

    __slots__ = ("_incoming", "_object", "_outgoing", "closed")

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.closed = False
        """True once the peer said properly that nothing follows (close_notify)."""

    def handshake(self, received: bytes = b"") -> bool:
        """Feed what came; True when the handshake is complete."""
        if received:
            self._incoming.write(received)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def outgoing(self) -> bytes:
        return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        view = memoryview(data)
        while view:
            view = view[self._object.write(view) :]
        return self._outgoing.read()

    def decrypt(self, received: bytes) -> bytes:
        """The plain bytes that became available; sets `closed` at the peer's close_notify."""
        self._incoming.write(received)
        parts: list[bytes] = []
        try:
            while True:
                part = self._object.read(_RECORD_BYTES)
                if not part:
                    self.closed = True
                    break
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        return b"".join(parts)

    def goodbye(self) -> bytes:
        """The close_notify to send before the socket is closed."""
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()
        return self._outgoing.read()
