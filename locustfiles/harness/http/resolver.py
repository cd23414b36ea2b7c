"""Host names to addresses: looked up once per process, never for a numeric address.

gevent resolves names in a pool of ten threads. Two thousand users that start in the same second
and each ask it for the same name would wait for each other, so all of them share one look-up and
its answer is kept. A failure is not kept. This module must not open a connection.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.timeout import Timeout

from locustfiles.harness.http.origin import Origin
from locustfiles.harness.http.transport_error import HostUnresolvable


@dataclass(frozen=True, slots=True)
class Address:
    """`socket.AF_INET` or `AF_INET6`, and what `connect` takes."""

    family: int
    sockaddr: tuple[Any, ...]


def numeric_address(host: str, port: int) -> Address | None:
    """The address when `host` is a literal of either family, else None."""
    try:
        socket.inet_pton(socket.AF_INET, host)
        return Address(socket.AF_INET, (host, port))
    except OSError:
        pass
    try:
        socket.inet_pton(socket.AF_INET6, host)
        return Address(socket.AF_INET6, (host, port, 0, 0))
    except OSError:
        return None


class Resolver:
    """Addresses by host and port. One per process is enough; users share it.

    Life cycle: empty; a first `addresses` starts a look-up that later callers join; its answer is
    kept until `forget`, which the session calls when none of the addresses could be reached.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[Address, ...]] = {}
        self._pending: dict[tuple[str, int], Any] = {}

    def addresses(self, origin: Origin, timeout_s: float) -> tuple[Address, ...]:
        """At least one address, in the resolver's order. Raises HostUnresolvable.

        Waits at most `timeout_s`; the look-up itself goes on for whoever asks next.
        """
        key = (origin.host, origin.port)
        known = self._known.get(key)
        if known is not None:
            return known
        numeric = numeric_address(*key)
        if numeric is not None:
            self._known[key] = (numeric,)
            return self._known[key]
        lookup = self._pending.get(key)
        if lookup is None:
            # A greenlet of its own: the user that asked first may be killed while others wait.
            lookup = self._pending[key] = gevent.spawn(self._look_up, *key)
        try:
            found: tuple[Address, ...] | str = lookup.get(timeout=timeout_s)
        except Timeout:
            raise HostUnresolvable(
                origin.label, f"could not be resolved within {timeout_s:.3g} s"
            ) from None
        if isinstance(found, str):
            raise HostUnresolvable(origin.label, f"cannot be resolved ({found})")
        return found

    def forget(self, origin: Origin) -> None:
        """Look the host up again next time: its addresses may have changed."""
        self._known.pop((origin.host, origin.port), None)

    def _look_up(self, host: str, port: int) -> tuple[Address, ...] | str:
        """The addresses, or why there are none (a greenlet's exception would be printed)."""
        try:
            rows = gevent.socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
            found = tuple(Address(row[0], row[4]) for row in rows)
            self._known[(host, port)] = found
            return found
        except (OSError, UnicodeError) as error:
            return getattr(error, "strerror", None) or str(error)
        finally:
            self._pending.pop((host, port), None)
