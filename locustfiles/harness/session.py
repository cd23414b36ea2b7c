"""LeanHttpSession: what a locustfile calls, from a method and a URL to a counted response.

It has the calling forms of Locust's FastHttpSession at half its cost or less (design D4). Per user
and origin it keeps one idle connection. Each request fires Locust's request event once and then
yields one `Sample`; transport failures are reported on the response and never raised. It follows
no redirects, keeps no cookies and asks for no compression; the headers of a locustfile can.

Life cycle: made with its user; connections open on demand; `close` when the user ends.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson
from locust.event import EventHook
from locust.exception import StopTest

from locustfiles.harness.body import ContentError, ContentTooLarge, decode
from locustfiles.harness.clock import wall_us
from locustfiles.harness.connection import Connection, Limits, Reply
from locustfiles.harness.connector import connect
from locustfiles.harness.header import (
    HeaderBlock,
    ResponseHeaders,
    compile_headers,
    emulated_us,
    lower_head,
)
from locustfiles.harness.origin import (
    Origin,
    Params,
    basic_auth,
    parse_origin,
    request_target,
    split_absolute,
)
from locustfiles.harness.resolver import Resolver
from locustfiles.harness.response import Response
from locustfiles.harness.tls import insecure_context, verifying_context
from locustfiles.harness.transport_error import (
    ConnectionClosed,
    ConnectionReset,
    MalformedResponse,
    NeverSent,
    ResponseTooLarge,
    TransportError,
)
from results.sample import Outcome, Sample

Headers = Mapping[str, str | bytes] | HeaderBlock
Data = bytes | str | Mapping[str, object] | Sequence[tuple[str, object]]
SampleSink = Callable[[Sample], None]

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_MAX_ROUTES = 1024
"""Origins that a session remembers; beyond, it starts anew rather than grow without end."""


class Settings(NamedTuple):
    """How a session behaves; times in seconds. `ssl_context` overrides `insecure`."""

    timeout_s: float = 30.0
    connect_timeout_s: float = 10.0
    insecure: bool = False
    default_headers: Headers | None = None
    ssl_context: Callable[[], ssl.SSLContext] | None = None
    limits: Limits = Limits()


class _Route(NamedTuple):
    """An origin, the header lines that are the same for all requests to it, and their names."""

    origin: Origin
    prefix: str
    names: frozenset[str]


class _Facts(NamedTuple):
    """What a sample needs and Locust's event does not have."""

    node: str
    start_s: float
    end_s: float
    intended_us: int | None
    write_id: bytes | None
    reply: Reply
    lower_head: bytes


_NO_REPLY = Reply(0, b"", b"", 0)


class LeanHttpSession:
    """See the module's docstring.

    `base_url` may hold a path and user:password. `sample_sink` takes each Sample and must not
    block; `reconnect_sink` takes the origin's URL whenever a kept connection turned out to be
    closed; `reconnects` counts the same. `request_name` is what `rename_request` sets.
    """

    def __init__(
        self,
        base_url: str | None,
        request_event: EventHook,
        *,
        resolver: Resolver,
        settings: Settings = Settings(),  # noqa: B008 (immutable)
        context: Callable[[], dict[str, Any]] | None = None,
        sample_sink: SampleSink | None = None,
        reconnect_sink: Callable[[str], None] | None = None,
    ) -> None:
        self.request_name: str | None = None
        self.reconnects = 0
        self._idle: dict[str, Connection] = {}
        self._routes: dict[str, _Route] = {}
        self._event: Any = request_event
        self._resolver = resolver
        self._settings = settings
        self._timeout_s = settings.timeout_s
        self._context = context
        self._sink = sample_sink
        self._reconnect_sink = reconnect_sink
        self._defaults = default_block(settings.default_headers)
        self._base: _Route | None = None
        self._base_path = ""
        if base_url is not None:
            authority, path = split_absolute(base_url)
            if "?" in path or "#" in path:
                raise ValueError(f"{base_url!r} has a query or fragment: leave it out of the host")
            self._base = self._route_to(authority)
            self._base_path = path.rstrip("/")

    # Calling forms

    def get(self, url: str, **kwargs: Any) -> Response:
        return self.request("GET", url, **kwargs)

    def post(self, url: str, data: Data | None = None, json: Any = None, **kwargs: Any) -> Response:
        return self.request("POST", url, data=data, json=json, **kwargs)

    def put(self, url: str, data: Data | None = None, **kwargs: Any) -> Response:
        return self.request("PUT", url, data=data, **kwargs)

    def patch(self, url: str, data: Data | None = None, **kwargs: Any) -> Response:
        return self.request("PATCH", url, data=data, **kwargs)

    def delete(self, url: str, **kwargs: Any) -> Response:
        return self.request("DELETE", url, **kwargs)

    def head(self, url: str, **kwargs: Any) -> Response:
        return self.request("HEAD", url, **kwargs)

    def options(self, url: str, **kwargs: Any) -> Response:
        return self.request("OPTIONS", url, **kwargs)

    @contextmanager
    def rename_request(self, name: str) -> Iterator[None]:
        """Count the requests of a with-block under `name`, unless they bring their own."""
        self.request_name = name
        try:
            yield
        finally:
            self.request_name = None

    def request(
        self,
        method: str,
        url: str,
        name: str | None = None,
        data: Data | None = None,
        catch_response: bool = False,
        *,
        headers: Headers | None = None,
        auth: tuple[str | bytes, str | bytes] | None = None,
        json: Any = None,
        params: Params | None = None,
        allow_redirects: bool = False,
        context: dict[str, Any] | None = None,
        timeout: float | None = None,
        write_id: bytes | None = None,
        intended_us: int | None = None,
    ) -> Response:
        """Send one request and return its response; count it now, or in a with-block.

        `url` is absolute or follows the base URL; `name` is the route template to count under;
        `timeout` (seconds) covers everything from connecting to the last byte; `write_id` and
        `intended_us` (microseconds since the epoch) go into the sample. Raises ValueError or
        TypeError for what cannot be sent, and StopTest for a path without a base URL; anything
        that happens on the way to the target or back is on the response.
        """
        if allow_redirects:
            raise ValueError("redirects are not followed: request the final URL instead")
        timeout_s = self._timeout_s if timeout is None else _checked_timeout(timeout)
        route, target = self._resolve(url, params)
        payload = self._compose(method, route, target, data, json, headers, auth)
        origin = route.origin
        if self._context is not None:
            context = {**self._context(), **(context or {})}
        full_url = f"{origin.url}{target}"
        meta: dict[str, Any] = {
            "request_type": method,
            "name": name or self.request_name or url,
            "context": {} if context is None else context,
            "exception": None,
            "start_time": time.time(),
            "url": full_url,
        }
        reply, error, answered = _NO_REPLY, None, False
        start_s = perf_counter()
        try:
            reply = self._exchange(origin, payload, method == "HEAD", timeout_s, start_s)
            answered = True
        except TransportError as problem:
            answered = True
            # Without its frames: they hold the response, which will hold the error.
            error = problem.with_traceback(None)
        finally:
            end_s = perf_counter()
            if not answered:
                facts = _Facts(origin.url, start_s, end_s, intended_us, write_id, reply, b"")
                self._yield(meta, facts, Outcome.CANCELLED)
        head = lower_head(reply.head)
        facts = _Facts(origin.url, start_s, end_s, intended_us, write_id, reply, head)
        content = reply.body
        if b"\r\ncontent-encoding:" in head:
            content, error = self._decoded(reply, origin)
        meta["response_time"] = (end_s - start_s) * 1000
        meta["response_length"] = len(content)
        response = Response(full_url, meta, reply.status, reply.head, content, error)
        if catch_response:
            response.report_with(partial(self._report, facts))
        else:
            self._report(facts, response)
        return response

    # From arguments to bytes

    def _resolve(self, url: str, params: Params | None) -> tuple[_Route, str]:
        if url.startswith("http") and "://" in url[:8]:
            authority, path = split_absolute(url)
            return self._routes.get(authority) or self._route_to(authority), request_target(
                path, params
            )
        if self._base is None:
            raise StopTest(
                f"no host for {url!r}: set --host, the user's host attribute, or use absolute URLs"
            )
        return self._base, request_target(self._base_path + url, params)

    def _route_to(self, authority: str) -> _Route:
        origin = parse_origin(authority)
        if len(self._routes) >= _MAX_ROUTES:
            self._routes.clear()
        route = self._routes[authority] = _route(origin, self._defaults)
        return route

    def _compose(
        self,
        method: str,
        route: _Route,
        target: str,
        data: Data | None,
        json: Any,
        headers: Headers | None,
        auth: tuple[str | bytes, str | bytes] | None,
    ) -> bytes:
        """The request as it goes over the wire."""
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
        if body or method in _WITH_BODY:
            extra = f"{extra}Content-Length: {len(body)}\r\n"
        return f"{method} {target} HTTP/1.1\r\n{prefix}{extra}\r\n".encode("latin-1") + body

    def _with_headers(
        self,
        route: _Route,
        headers: Headers | None,
        auth: tuple[str | bytes, str | bytes] | None,
    ) -> tuple[str, HeaderBlock]:
        """A request's own headers, and the prefix without those that they replace."""
        if headers is None:
            block = HeaderBlock()
        else:
            block = headers if isinstance(headers, HeaderBlock) else compile_headers(headers)
        if auth is not None:
            text = f"{block.text}Authorization: {basic_auth(*auth)}\r\n"
            block = HeaderBlock(text, block.names | {"authorization"})
        if block.names.isdisjoint(route.names):
            return route.prefix, block
        return _without(route.prefix, block.names), block

    # Sending

    def _exchange(
        self, origin: Origin, payload: bytes, bodiless: bool, timeout_s: float, start_s: float
    ) -> Reply:
        """One exchange on the kept connection, or on a fresh one.

        A kept connection that ends before the first byte of a response is replaced once, with the
        same bytes and so the same ids. If the replacement cannot even be opened, the first failure
        is the one to report: that attempt may have taken effect, and "refused" would deny it.
        """
        deadline = start_s + timeout_s
        connection = self._idle.pop(origin.url, None)
        if connection is not None and connection.closed:
            self._count_reconnect(origin)
            connection = None
        if connection is None:
            connection = self._open(origin, deadline)
        kept = connection.exchanges > 0
        try:
            reply = connection.exchange(payload, bodiless, timeout_s, deadline)
        except (ConnectionClosed, ConnectionReset) as error:
            if not kept or not connection.untouched:
                raise
            self._count_reconnect(origin)
            try:
                connection = self._open(origin, deadline)
            except NeverSent:
                raise error from None
            reply = connection.exchange(payload, bodiless, timeout_s, deadline)
        if (
            not connection.closed
            and self._idle.setdefault(origin.url, connection) is not connection
        ):
            connection.close()
        return reply

    def _open(self, origin: Origin, deadline: float) -> Connection:
        settings = self._settings
        now = perf_counter()
        connect_deadline = min(deadline, now + settings.connect_timeout_s)
        try:
            addresses = self._resolver.addresses(origin, max(connect_deadline - now, 0.0))
            context = self._ssl_context() if origin.scheme == "https" else None
            sock, tls = connect(origin, addresses, context, connect_deadline)
        except NeverSent:
            self._resolver.forget(origin)
            raise
        return Connection(origin, sock, tls, settings.limits)

    def _ssl_context(self) -> ssl.SSLContext:
        settings = self._settings
        if settings.ssl_context is not None:
            return settings.ssl_context()
        return insecure_context() if settings.insecure else verifying_context()

    def _count_reconnect(self, origin: Origin) -> None:
        self.reconnects += 1
        if self._reconnect_sink is not None:
            self._reconnect_sink(origin.url)

    # Counting

    def _decoded(self, reply: Reply, origin: Origin) -> tuple[bytes, TransportError | None]:
        encodings = ResponseHeaders(reply.head).get("content-encoding", "")
        try:
            return decode(encodings, reply.body, self._settings.limits.body_bytes), None
        except ContentTooLarge as problem:
            return b"", ResponseTooLarge(origin.label, f"sent too much: {problem}")
        except ContentError as problem:
            return b"", MalformedResponse(origin.label, f"sent a broken response: {problem}")

    def _report(self, facts: _Facts, response: Response) -> None:
        """Locust's event, then the sample, even if a listener ends the user."""
        meta = response.request_meta
        cause = meta["exception"] = response.failure_cause()
        try:
            self._event.fire(response=response, **meta)
        finally:
            if self._sink is not None:
                self._yield(meta, facts, Outcome.OK if cause is None else _failure(response))

    def _yield(self, meta: dict[str, Any], facts: _Facts, outcome: Outcome) -> None:
        """Locust is not told of a cancelled request: its outcome is unknown, not a failure."""
        if self._sink is None:
            return
        node, start_s, end_s, intended_us, write_id, reply, head = facts
        self._sink(
            Sample(
                f"{meta['request_type']} {meta['name']}",
                intended_us,
                wall_us(start_s),
                wall_us(end_s),
                outcome,
                reply.status,
                reply.bytes_received,
                emulated_us(head),
                write_id,
                node,
            )
        )

    def close(self) -> None:
        """Close the idle connections. Requests made later open new ones."""
        while self._idle:
            self._idle.popitem()[1].close()

    def __del__(self) -> None:
        # The event loop holds an idle connection's watcher, so that nobody else would close it.
        self.close()


def default_block(headers: Headers | None) -> HeaderBlock:
    """The headers that every request carries, unless it brings its own."""
    own = headers if isinstance(headers, HeaderBlock) else compile_headers(headers or {})
    general = {"User-Agent": "foundation-load", "Accept": "*/*"}
    block = compile_headers({k: v for k, v in general.items() if k.lower() not in own.names})
    return HeaderBlock(block.text + own.text, block.names | own.names)


def _route(origin: Origin, defaults: HeaderBlock) -> _Route:
    own = {}
    if "host" not in defaults.names:
        own["Host"] = origin.authority
    if origin.authorization is not None and "authorization" not in defaults.names:
        own["Authorization"] = origin.authorization
    block = compile_headers(own)
    return _Route(origin, block.text + defaults.text, block.names | defaults.names)


def _without(prefix: str, names: frozenset[str]) -> str:
    """`prefix` less the lines of `names`."""
    lines = prefix.split("\r\n")
    return "\r\n".join(line for line in lines if line.partition(":")[0].lower() not in names)


def _encode_body(data: Data | None, json: Any) -> tuple[bytes, str | None]:
    """The body and the Content-Type that it asks for; `json` counts only without `data`."""
    if data:
        if isinstance(data, bytes):
            return data, None
        if isinstance(data, str):
            return data.encode("utf-8"), None
        return urlencode(data, doseq=True).encode("ascii"), "application/x-www-form-urlencoded"
    if json is not None:
        return orjson.dumps(json), "application/json"
    return b"", None


def _checked_timeout(timeout: float) -> float:
    if not 0 < timeout < math.inf:
        raise ValueError(f"a timeout of {timeout!r} s makes no sense: it must be above 0")
    return timeout


def _failure(response: Response) -> Outcome:
    """How a failed request counts. One that the locustfile marked keeps the kind it had anyway."""
    if isinstance(response.error, TransportError):
        return response.error.outcome
    if response.status_code >= 500:
        return Outcome.HTTP_5XX
    if response.status_code >= 400:
        return Outcome.HTTP_4XX
    return Outcome.CHECK
