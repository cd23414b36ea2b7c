"""Where a request goes: URLs taken apart into an origin and a request target.

Pure and strict: a URL that cannot be sent as it stands is quoted or refused here, before anything
is counted as a request. This module must not resolve names or open anything.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}

_TARGET_SAFE = "/?:@!$&'()*+,;=~%[]-._"
"""Characters of a request target that stay as they are (RFC 3986, plus existing escapes)."""

Params = Mapping[str, object] | Sequence[tuple[str, object]] | str | bytes


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port, and the texts made from them.

    `host` has no brackets. `authority` is what a Host header says, `url` names the origin in
    samples, `label` is host:port for messages, with the port even where it is the default.
    """

    scheme: str
    host: str
    port: int
    authority: str
    url: str
    label: str
    authorization: str | None = None


def basic_auth(user: str | bytes, password: str | bytes) -> str:
    """Value of an Authorization header (RFC 7617), from text or bytes."""
    pair = b":".join(
        part.encode("utf-8") if isinstance(part, str) else part for part in (user, password)
    )
    return "Basic " + b64encode(pair).decode("ascii")


def parse_origin(url: str) -> Origin:
    """The origin of an absolute URL; user and password become its Authorization.

    Raises ValueError with the remedy for another scheme, no host, or a bad port.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is not a URL ({error}): write http://host:port") from None
    if scheme not in DEFAULT_PORTS or not host or port == 0:
        raise ValueError(f"{url!r} is not an HTTP URL: write http://host:port or https://host:port")
    try:
        name = host if ":" in host or host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"{url!r} has a host name that cannot be encoded") from None
    if not name.isprintable() or " " in name:
        raise ValueError(f"{url!r} has a host name with spaces or control characters")
    literal = f"[{name}]" if ":" in name else name
    authority = literal if port in (None, DEFAULT_PORTS[scheme]) else f"{literal}:{port}"
    number = port or DEFAULT_PORTS[scheme]
    authorization = None
    if parts.username is not None and parts.password is not None:
        authorization = basic_auth(unquote(parts.username), unquote(parts.password))
    return Origin(
        scheme=scheme,
        host=name,
        port=number,
        authority=authority,
        url=f"{scheme}://{authority}",
        label=f"{literal}:{number}",
        authorization=authorization,
    )


def split_absolute(url: str) -> tuple[str, str]:
    """`http://host:1/a?b` -> (`http://host:1`, `/a?b`); the second may be empty."""
    start = url.find("://") + 3
    end = url.find("/", start)
    if end < 0:
        end = len(url)
    for mark in "?#":
        at = url.find(mark, start, end)
        if at >= 0:
            end = at
    return url[:end], url[end:]


def request_target(path: str, params: Params | None = None) -> str:
    """Path and query as they go into the request line: fragment cut off, unsafe characters quoted.

    `params` is appended as a query. What is already percent-encoded stays as it is.
    """
    if "#" in path:
        path = path[: path.index("#")]
    if params:
        query = params if isinstance(params, str | bytes) else urlencode(params, doseq=True)
        text = query.decode("latin-1") if isinstance(query, bytes) else query
        path = f"{path}{'&' if '?' in path else '?'}{text}"
    if not path.startswith("/"):
        path = "/" + path
    if path.isascii() and path.isprintable() and " " not in path:
        return path
    return quote(path, safe=_TARGET_SAFE)
