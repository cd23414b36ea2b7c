"""From the arguments of a call to the bytes of a request.

What is the same for all requests to an origin is formatted once; what a locustfile passes is
checked, since a line break in a header would forge another request. This module must not send
anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast
from urllib.parse import urlencode

import orjson
from locust.exception import StopTest

from locustfiles.harness.http.header import HeaderBlock, compile_headers, lines_without
from locustfiles.harness.http.origin import (
    Origin,
    Params,
    basic_auth,
    parse_origin,
    request_target,
    split_absolute,
)
from locustfiles.harness.http.upload import Source, Upload, is_source

Headers = Mapping[str, str | bytes] | HeaderBlock
Data = (
    bytes
    | bytearray
    | memoryview
    | str
    | Mapping[str, object]
    | Sequence[tuple[str, object]]
    | Source
    | Upload
)
Auth = tuple[str | bytes, str | bytes]

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_MAX_ROUTES = 1024
"""Origins that are remembered; beyond, it starts anew rather than grow without end."""


class Route(NamedTuple):
    """An origin, the header lines that are the same for all requests to it, and their names."""

    origin: Origin
    prefix: str
    names: frozenset[str]


class Composer:
    """Requests relative to `base_url` (which may hold a path and user:password), or absolute.

    Raises ValueError for a base URL that makes no sense.
    """

    def __init__(self, base_url: str | None, default_headers: Headers | None) -> None:
        self._routes: dict[str, Route] = {}
        self._defaults = _default_block(default_headers)
        self._base: Route | None = None
        self._base_path = ""
        if base_url is not None:
            authority, path = split_absolute(base_url)
            if "?" in path or "#" in path:
                raise ValueError(f"{base_url!r} has a query or fragment: leave it out of the host")
            self._base = self._route_to(authority)
            self._base_path = path.rstrip("/")

    def resolve(self, url: str, params: Params | None) -> tuple[Route, str]:
        """Where `url` goes, and its request target. Raises ValueError, and StopTest for a path
        when there is no base URL.
        """
        if not url.startswith("/") and url.partition("://")[0].isalpha() and "://" in url:
            authority, path = split_absolute(url)
            route = self._routes.get(authority) or self._route_to(authority)
            return route, request_target(path, params)
        if self._base is None:
            raise StopTest(
                f"no host for {url!r}: set --host, the user's host attribute, or use absolute URLs"
            )
        return self._base, request_target(self._base_path + url, params)

    def _route_to(self, authority: str) -> Route:
        origin = parse_origin(authority)
        if len(self._routes) >= _MAX_ROUTES:
            self._routes.clear()
        route = self._routes[authority] = _route(origin, self._defaults)
        return route

    def compose(
        self,
        method: str,
        route: Route,
        target: str,
        data: Data | None,
        json: Any,
        headers: Headers | None,
        auth: Auth | None,
    ) -> bytes | Upload:
        """The request as it goes over the wire, or what will give it piece by piece."""
        if method not in _METHODS and not (method.isascii() and method.isalpha()):
            raise ValueError(f"{method!r} is not a method that a request can have")
        prefix, extra = route.prefix, ""
        names: frozenset[str] = frozenset()
        if headers is not None or auth is not None:
            prefix, block = self._with_headers(route, headers, auth)
            extra, names = block.text, block.names
        body, content_type = _encode_body(data, json)
        if (
            content_type
            and "content-type" not in names
            and "content-type" not in self._defaults.names
        ):
            extra = f"{extra}Content-Type: {content_type}\r\n"
        if isinstance(body, Upload):
            extra = f"{extra}{body.framing}"
            head = f"{method} {target} HTTP/1.1\r\n{prefix}{extra}\r\n"
            return body.start(head.encode("latin-1"))
        if body or method in _WITH_BODY:
            extra = f"{extra}Content-Length: {len(body)}\r\n"
        return f"{method} {target} HTTP/1.1\r\n{prefix}{extra}\r\n".encode("latin-1") + body

    def _with_headers(
        self,
        route: Route,
        headers: Headers | None,
        auth: Auth | None,
    ) -> tuple[str, HeaderBlock]:
        """A request's own headers, and the prefix without those that they replace."""
        if headers is None:
            block = HeaderBlock()
        else:
            block = headers if isinstance(headers, HeaderBlock) else compile_headers(headers)
        if auth is not None:
            block = block.plus("Authorization", basic_auth(*auth))
        if block.names.isdisjoint(route.names):
            return route.prefix, block
        return lines_without(route.prefix, block.names), block

    def without_secrets(self, route: Route, names: frozenset[str]) -> Route:
        """`route` for a request that another origin asked for: no default header of `names`."""
        return _route(replace(route.origin, authorization=None), self._defaults.without(names))


def _default_block(headers: Headers | None) -> HeaderBlock:
    """The headers that every request carries, unless it brings its own."""
    own = headers if isinstance(headers, HeaderBlock) else compile_headers(headers or {})
    general = {"User-Agent": "foundation-load", "Accept": "*/*"}
    block = compile_headers({k: v for k, v in general.items() if k.lower() not in own.names})
    return HeaderBlock(block.text + own.text, block.names | own.names)


def _route(origin: Origin, defaults: HeaderBlock) -> Route:
    own = {}
    if "host" not in defaults.names:
        own["Host"] = origin.authority
    if origin.authorization is not None and "authorization" not in defaults.names:
        own["Authorization"] = origin.authorization
    block = compile_headers(own)
    return Route(origin, block.text + defaults.text, block.names | defaults.names)


def _encode_body(data: Data | None, json: Any) -> tuple[bytes | Upload, str | None]:
    """The body and the Content-Type that it asks for; `json` counts only without `data`."""
    if data:
        if isinstance(data, bytes):
            return data, None
        if isinstance(data, str):
            return data.encode("utf-8"), None
        if isinstance(data, bytearray | memoryview):
            return bytes(data), None
        if isinstance(data, Upload):
            return data, None
        if is_source(data):
            return Upload(cast(Source, data)), None
        form = cast("Mapping[str, object]", data)
        return urlencode(form, doseq=True).encode("ascii"), "application/x-www-form-urlencoded"
    if json is not None:
        return orjson.dumps(json), "application/json"
    return b"", None
