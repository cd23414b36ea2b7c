"""A loopback port that belongs to one node for the life of the cluster, also while it is dead.

The supervisor keeps a socket bound to the port but never listens on it. The kernel then neither
gives the port to an outgoing connection nor to anyone who binds port 0, a dead node still refuses
connections, since nobody listens, and the node can bind it: both sides set SO_REUSEPORT.
"""

from __future__ import annotations

import socket

from chaos.supervisor.errors import PortBusy

LOOPBACK = "127.0.0.1"


class Reservation:
    """Holds `port` on 127.0.0.1 until `close`. Port 0 reserves a free one.

    Raises PortBusy when a fixed port is taken. SO_REUSEPORT alone would not notice: it would
    happily share the port with another process of the same user.
    """

    def __init__(self, port: int = 0) -> None:
        if port:
            _require_free(port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._socket.bind((LOOPBACK, port))
        except OSError as error:
            self._socket.close()
            raise _busy(port, error) from error
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()


def _require_free(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Ports in TIME_WAIT are free for our purpose; ports that are bound or listening are not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise _busy(port, error) from error


def _busy(port: int, error: OSError) -> PortBusy:
    return PortBusy(
        f"port {port} on {LOOPBACK} cannot be taken ({error.strerror}): "
        "choose another one, or none for free ports"
    )
