"""Which hosts a run may load: this machine and private networks, or what `--allow-target` names.

Load on somebody else's service is an attack, and a slip of the keyboard is enough for it (D17). So
every address that a target's name resolves to must be of this machine or of a private network, or
the host must be named on the command line. Life cycle: the options make one `Allowance`; the owning
process asks it before any load, and each worker again, since it may resolve a name otherwise.

This module must not open a connection; names are resolved by the function it is given.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from locustfiles.harness.failure import BadConfiguration

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

OWN_NETWORKS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/32",  # "this host": a connection to it ends on the loopback
        "127.0.0.0/8",
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",  # link-local, RFC 3927
        "::/128",
        "::1/128",
        "fc00::/7",  # unique local, RFC 4193
        "fe80::/10",  # link-local, RFC 4291
    )
)
"""Not `ipaddress.is_private`: it counts blocks that are reserved for examples and tests, too. Nor
100.64.0.0/10 (RFC 6598): behind a carrier's address translation other customers answer."""

MIN_PREFIX = {4: 8, 6: 32}
"""Of a network that is allowed. A wider one would be a switch that turns the question off."""

_AMBIGUOUS = re.compile(r"[\\\x00-\x1f\x7f]")
_IS_HTTP = re.compile(r"https?:", re.IGNORECASE)
_REMEDY = "write it as http://host:port"

Resolve = Callable[[str], Iterable[str]]
"""Host name, or literal -> its addresses as text. Raises OSError when there are none."""


def resolve(host: str) -> list[str]:
    """By the system's resolver, as the load itself does."""
    return [str(row[4][0]) for row in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True)
class Allowance:
    """What `--allow-target` names. `names` are in lower case, without a dot at their end."""

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, items: Iterable[str]) -> Allowance:
        """From checked items, see `allowed_targets`."""
        names, networks = set(), []
        for item in items:
            try:
                networks.append(ipaddress.ip_network(item))
            except ValueError:
                names.add(_plain_name(item))
        return cls(frozenset(names), tuple(networks))

    def holds(self, address: str) -> bool:
        """Whether load may go to this address, as the resolver writes it."""
        try:
            found = _unmapped(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        return any(found in network for network in (*OWN_NETWORKS, *self.networks))

    def why_not(self, host: str, resolve: Resolve = resolve) -> str | None:
        """Why load may not go to this host, with the remedy; None when it may.

        A host that cannot be resolved cannot be loaded either: that it is unreachable is said
        elsewhere, and None here.
        """
        if _plain_name(host) in self.names:
            return None
        try:
            addresses = list(dict.fromkeys(resolve(host)))
        except (OSError, UnicodeError):
            return None
        refused = [address for address in addresses if not self.holds(address)]
        if not refused:
            return None
        is_name = refused[0] != host
        which = f"{host} resolves to {refused[0]}, which" if is_name else f"{host}"
        return (
            f"{which} is neither of this machine nor of a private network: if you may load it, "
            f"say so with --allow-target {host}"
        )

    def require(self, urls: Iterable[str], resolve: Resolve = resolve) -> None:
        """Raises BadConfiguration for the first target that may not be loaded or is unclear."""
        try:
            hosts = dict.fromkeys(filter(None, map(host_of, urls)))
        except ValueError as error:
            raise BadConfiguration(f"not an allowed target: {error}") from None
        for host in hosts:
            if (reason := self.why_not(host, resolve)) is not None:
                raise BadConfiguration(f"not an allowed target: {reason}")


def allowed_targets(text: str) -> list[str]:
    """`a.example,203.0.113.5,203.0.113.0/24` -> its items. Raises ArgumentTypeError."""
    items = [item for item in (piece.strip() for piece in text.split(",")) if item]
    if not items:
        raise ArgumentTypeError("no host given: write --allow-target HOST")
    return [_checked(item) for item in items]


def host_of(target: str) -> str | None:
    """Of a URL, or of the `host:port` that clients of other protocols take; None without any.

    Raises ValueError, with the remedy, for what a client may read otherwise than this does, and so
    load another host than the one that was checked: a backslash before an '@' ends the host for
    some parsers and belongs to the user's name for others.
    """
    is_url = "://" in target or target.startswith("//") or _IS_HTTP.match(target)
    try:
        parts = urlsplit(target if is_url else f"//{target}")
        host = parts.hostname
    except ValueError:
        raise ValueError(f"{_shown(target)} is no URL: {_REMEDY}") from None
    if _AMBIGUOUS.search(target) or " " in parts.netloc or target != target.strip():
        raise ValueError(
            f"{_shown(target)} has a backslash, a blank or a control character, which clients read "
            f"differently: {_REMEDY}"
        )
    if host is None and is_url and parts.scheme in ("", "http", "https"):
        raise ValueError(f"{_shown(target)} names no host: {_REMEDY}")
    return host


def _shown(target: str) -> str:
    """Without what may be a password."""
    return repr(target.rpartition("@")[2])


def _checked(item: str) -> str:
    literal = item[1:-1] if item.startswith("[") and item.endswith("]") else item
    try:
        network = ipaddress.ip_network(literal)
    except ValueError:
        pass
    else:
        if network.prefixlen < MIN_PREFIX[network.version]:
            raise ArgumentTypeError(
                f"{item!r} allows too much: name a network of /{MIN_PREFIX[network.version]} or "
                "smaller, or the hosts one by one"
            )
        return str(network)
    if not _is_name(item):
        # Not repeated whole: what stands before an '@' is a password.
        shown = item.rpartition("@")[2]
        raise ArgumentTypeError(
            f"{shown!r} is not a host: write a name, an address or a network, such as "
            "shop.example, 203.0.113.5 or 203.0.113.0/24, without scheme, port or path"
        )
    return _plain_name(item)


def _is_name(text: str) -> bool:
    """What can stand in a URL as a host name; any script, no wildcards."""
    labels = text.rstrip(".").split(".")
    return bool(text.rstrip(".")) and all(
        label and all(c.isalnum() or c in "-_" for c in label) for label in labels
    )


def _plain_name(host: str) -> str:
    return host.lower().rstrip(".")


def _unmapped(address: IPAddress) -> IPAddress:
    """`::ffff:203.0.113.5` connects to 203.0.113.5."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
