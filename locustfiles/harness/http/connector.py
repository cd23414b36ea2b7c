"""Opening a connection: TCP to the first address that accepts, then TLS if the scheme asks for it.

The rare half of a connection's life, kept apart from the hot one. It waits with gevent's own
`wait_read` and `wait_write`, each bounded by the caller's deadline. This module must not send
anything of a request.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from time import perf_counter
from typing import Any

import gevent.socket
from gevent import monkey

from locustfiles.harness.http.origin import Origin
from locustfiles.harness.http.resolver import Address
from locustfiles.harness.http.socket_count import SOCKETS
from locustfiles.harness.http.tls import TlsLayer
from locustfiles.harness.http.transport_error import (
    ConnectFailed,
    ConnectionRefused,
    ConnectReset,
    ConnectTimeout,
    GeneratorExhausted,
    NeverSent,
    TlsFailure,
)

# The plain socket, whether or not Locust has patched the module: gevent's would wait by itself.
_Socket: Any = monkey.get_original("socket", "socket")

_RECEIVE_BYTES = 65_536


def connect(
    origin: Origin,
    addresses: tuple[Address, ...],
    context: ssl.SSLContext | None,
    deadline: float,
) -> tuple[Any, TlsLayer | None]:
    """A connected, non-blocking socket, and its TLS session if `context` is given.

    `deadline` is on the `perf_counter` scale, in seconds, and covers all addresses and the
    handshake. Raises NeverSent; however it ends otherwise, no socket stays open. The socket is
    counted as open until its `Connection` closes it.
    """
    limit_s = deadline - perf_counter()
    error: NeverSent | None = None
    for address in addresses:
        sock = None
        connected = False
        try:
            sock = _Socket(address.family, socket.SOCK_STREAM)
            SOCKETS.created += 1
            code = _connect(sock, address, deadline)
            if code == 0:
                tls = _shake_hands(sock, origin, context, deadline, limit_s) if context else None
                connected = True
                SOCKETS.connected += 1
                return sock, tls
            error = _connect_error(origin, code, limit_s)
        except OSError as problem:
            error = _connect_error(origin, problem.errno or errno.EIO, limit_s)
        finally:
            if sock is not None and not connected:
                sock.close()
                SOCKETS.closed += 1
    assert error is not None, "a resolver gives at least one address"
    raise error


def _connect(sock: Any, address: Address, deadline: float) -> int:
    """0, or the errno of the failure."""
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    code: int = sock.connect_ex(address.sockaddr)
    if code != errno.EINPROGRESS:
        return code
    if not _wait(gevent.socket.wait_write, sock, deadline):
        return errno.ETIMEDOUT
    result: int = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return result


def _wait(wait: Any, sock: Any, deadline: float) -> bool:
    """Whether the socket got ready before the deadline."""
    try:
        wait(sock.fileno(), timeout=max(deadline - perf_counter(), 0.0))
    except TimeoutError:
        return False
    return True


def _connect_error(origin: Origin, code: int, limit_s: float) -> NeverSent:
    label = origin.label
    if code == errno.ECONNREFUSED:
        return ConnectionRefused(label, "refused the connection")
    if code == errno.ECONNRESET:
        return ConnectReset(label, "reset the connection before the request was sent")
    if code == errno.ETIMEDOUT:
        return ConnectTimeout(label, f"did not accept a connection within {limit_s:.3g} s")
    if code in (errno.EMFILE, errno.ENFILE):
        return GeneratorExhausted(label, "not tried: no file descriptors left, raise `ulimit -n`")
    if code == errno.EADDRNOTAVAIL:
        return GeneratorExhausted(label, "not tried: no local ports left, keep connections alive")
    if code in (errno.ENOBUFS, errno.ENOMEM):
        return GeneratorExhausted(label, "not tried: no memory left for a socket, send less")
    return ConnectFailed(label, f"cannot be reached: {os.strerror(code)}")


def _shake_hands(
    sock: Any, origin: Origin, context: ssl.SSLContext, deadline: float, limit_s: float
) -> TlsLayer:
    label = origin.label
    late = ConnectTimeout(label, f"did not finish the TLS handshake within {limit_s:.3g} s")
    try:
        tls = TlsLayer(context, origin.host)
        received = b""
        while not tls.handshake(received):
            _send(sock, tls.outgoing(), deadline, late)
            if not _wait(gevent.socket.wait_read, sock, deadline):
                raise late
            received = sock.recv(_RECEIVE_BYTES)
            if not received:
                raise TlsFailure(label, "closed the connection during the TLS handshake")
        _send(sock, tls.outgoing(), deadline, late)
    except ssl.SSLCertVerificationError as error:
        reason = error.verify_message
        raise TlsFailure(label, f"has a certificate that does not verify: {reason}") from error
    except ssl.SSLError as error:
        raise TlsFailure(label, f"failed the TLS handshake: {error.reason}") from error
    except OSError as error:
        raise TlsFailure(label, "reset the connection during the TLS handshake") from error
    return tls


def _send(sock: Any, data: bytes, deadline: float, late: ConnectTimeout) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[sock.send(view) :]
        except BlockingIOError:
            if not _wait(gevent.socket.wait_write, sock, deadline):
                raise late from None
