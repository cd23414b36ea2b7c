"""What a peer's address may look like: scheme, host and port, nothing else. Pure.

Requests carry the node's token, so an address that is not exactly what its operator meant (a path,
a password, the node itself) is refused before anything is sent to it. This module must not resolve
names or import anything of the service: settings.py checks with it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

MAX_PEERS: Final = 50

_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]{0,252})")
_PORTS: Final = {"http": 80, "https": 443}
_ANY: Final = frozenset({"0.0.0.0", "::"})


def peer_url(text: str) -> str:
    """`text` as `scheme://host:port`, lower-case. Raises ValueError with the remedy."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _refused(text) from None
    host = parts.hostname or ""
    if parts.scheme not in _PORTS or not _is_host(host) or _has_more(text, parts):
        raise _refused(text)
    if port == 0:
        raise ValueError(f"{_shown(text)}: port 0 is no address: give the port that it serves on")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}:{port or _PORTS[parts.scheme]}"


def peer_urls(texts: Sequence[str]) -> tuple[str, ...]:
    """All of them, in the order given. Raises ValueError for a bad, a second or a 51st one."""
    if len(texts) > MAX_PEERS:
        raise ValueError(f"a node has at most {MAX_PEERS} peers, not {len(texts)}")
    urls = tuple(peer_url(text) for text in texts)
    for index, url in enumerate(urls):
        if url in urls[:index]:
            raise ValueError(f"{url} is named twice: name each other node once")
    return urls


def is_own(url: str, *, advertised_url: str | None, host: str, port: int) -> bool:
    """Whether `url`, as `peer_url` gave it, leads to the node that has these settings."""
    if advertised_url is not None and _canonical(advertised_url) == url:
        return True
    parts = urlsplit(url)
    if port == 0 or parts.port != port:
        return False
    theirs, ours = parts.hostname or "", host.strip("[]").lower()
    return theirs == ours or (_is_loopback(theirs) and (ours in _ANY or _is_loopback(ours)))


def _canonical(url: str) -> str:
    try:
        return peer_url(url)
    except ValueError:
        return url


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_host(host: str) -> bool:
    if ":" not in host:
        return _HOST.fullmatch(host) is not None
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _has_more(text: str, parts: SplitResult) -> bool:
    """Whether there is anything beside scheme, host and port, also if it is empty (`?`, `#`)."""
    extra = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    unfit = not text.isascii() or any(c in text for c in "?#\\ \t\r\n") or text.endswith(":")
    return bool(extra) or unfit


def _refused(text: str) -> ValueError:
    return ValueError(
        f"{_shown(text)}: use scheme, host and port alone, such as http://10.0.0.5:8001"
    )


def _shown(text: str) -> str:
    """What may be printed of it: a password in front of the host is not."""
    return repr(text.rpartition("@")[2][:100])
