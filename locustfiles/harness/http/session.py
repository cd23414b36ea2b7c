"""LeanHttpSession: what a locustfile calls, from a method and a URL to a counted response.

It has the calling forms of Locust's FastHttpSession at half its cost or less (design D4). Per user
and origin it keeps idle connections. Each request, with the redirects that it leads to, fires
Locust's request event once and then yields one `Sample`; transport failures are reported on the
response and never raised. It asks for no compression; the headers of a locustfile can.

Life cycle: made with its user; connections open on demand; `close` when the user ends.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from http.cookiejar import CookieJar
from time import perf_counter
from typing import Any
from weakref import WeakSet

from locust.event import EventHook

from locustfiles.harness.http.body import ContentError, ContentTooLarge, decode
from locustfiles.harness.http.calls import Calls
from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.http.compose import Auth, Composer, Data, Headers, Route
from locustfiles.harness.http.connection import Reply
from locustfiles.harness.http.cookies import Cookies
from locustfiles.harness.http.header import ResponseHeaders, emulated_us, lower_head
from locustfiles.harness.http.keepalive import KeptConnections, Settings
from locustfiles.harness.http.multipart import Files, encode_multipart
from locustfiles.harness.http.origin import Origin, Params
from locustfiles.harness.http.redirect import FOLLOWED, Call, Chain, RedirectFailed, compiled
from locustfiles.harness.http.resolver import Resolver
from locustfiles.harness.http.response import Response
from locustfiles.harness.http.streamed import Stream, StreamedResponse
from locustfiles.harness.http.transport_error import (
    MalformedResponse,
    ResponseTooLarge,
    TransportError,
)
from locustfiles.harness.http.write import Write, check_write, write_of
from results.sample import Outcome, Sample

SampleSink = Callable[[Sample], None]


_Facts = tuple[str, float, float, int | None, Write, Reply, bytes, tuple[int, bool]]
"""What a sample needs and Locust's event does not have: the node, start and end in seconds, the
intended start, the writes, the reply, its head in lower case, and of what was sent before it: how
much the redirects declared as emulated, and whether there was anything. A plain tuple, since a
named one takes 0.25 us to make."""

_NO_WRITE: Write = (None, None)
_NO_REPLY = Reply(0, b"", b"", 0)
_FIRST = (0, False)


class LeanHttpSession(Calls):
    """See the module's docstring.

    `base_url` may hold a path and user:password. `sample_sink` takes each Sample and must not
    block; `reconnect_sink` takes the origin's URL whenever a kept connection turned out to be
    closed; `reconnects` counts the same. `request_name` is what `rename_request` sets.
    `intended_us` is the intended start of the next request that brings none of its own
    (microseconds since the epoch), which takes it away; None: it has none.
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
        self.intended_us: int | None = None
        self._base_url = base_url
        self._settings = settings
        self.connections = KeptConnections(resolver, settings, reconnect_sink)
        self._exchange = self.connections.exchange
        self._composer = Composer(base_url, settings.default_headers)
        self._event: Any = request_event
        self._timeout_s = settings.timeout_s
        self._body_limit = settings.limits.body_bytes
        self._context = context
        self._sink = sample_sink
        self._cookies: Cookies | None = None
        self._streams: WeakSet[StreamedResponse] | None = None

    @property
    def base_url(self) -> str | None:
        """What paths follow; setting it sends later requests elsewhere."""
        return self._base_url

    @base_url.setter
    def base_url(self, base_url: str | None) -> None:
        self._composer = Composer(base_url, self._settings.default_headers)
        self._base_url = base_url

    @property
    def cookiejar(self) -> CookieJar:
        """The user's cookies, to read, fill or clear. Raises ValueError where they are off."""
        if not self._settings.cookies:
            raise ValueError("this user keeps no cookies: set the class attribute cookies = True")
        if self._cookies is None:
            self._cookies = Cookies()
        return self._cookies.jar

    @property
    def reconnects(self) -> int:
        """Kept connections that turned out to be closed when they were needed."""
        return self.connections.reconnects

    def connect(self, url: str) -> None:
        """Open a connection to where `url` goes, ahead of its first request, as browsers do.

        It is no request and counts as none. A failure is left to the first request.
        """
        route, _ = self._composer.resolve(url, None)
        self.connections.open_ahead(route.origin, self._timeout_s)

    def request(  # type: ignore[override]  # the forms pass what they are given
        self,
        method: str,
        url: str,
        name: str | None = None,
        data: Data | None = None,
        catch_response: bool = False,
        stream: bool = False,
        headers: Headers | None = None,
        auth: Auth | None = None,
        json: Any = None,
        allow_redirects: bool = True,
        context: dict[str, Any] | None = None,
        *,
        params: Params | None = None,
        files: Files | None = None,
        timeout: float | None = None,
        write_id: bytes | None = None,
        digest: bytes | None = None,
        intended_us: int | None = None,
    ) -> Response:
        """Send one request and return its response; count it now, or in a with-block.

        `name` is what it is counted under, by default `url`; `timeout` covers everything from
        connecting to the last byte, in seconds, redirects included. With `stream` it returns a
        StreamedResponse once the head has come. `write_id`, `digest` and `intended_us` go into the
        sample; the first two may also stand in `context`, as other clients take them.
        Raises ValueError or TypeError for what cannot be sent, and StopTest for a path without a
        base URL; anything that happens on the way to the target or back is on the response.
        """
        timeout_s = self._timeout_s if timeout is None else _checked_timeout(timeout)
        # Methods are in upper case (RFC 9110, 9.1); a `head` would wait for a body.
        method = method.upper()
        composer = self._composer
        route, target = composer.resolve(url, params)
        if files:
            data, headers = _with_files(files, data, headers)
        sent_headers = headers
        if self._cookies is not None:
            sent_headers = self._with_cookies(route, target, headers)
        payload = composer.compose(method, route, target, data, json, sent_headers, auth)
        origin = route.origin
        if self._context is not None:
            context = {**self._context(), **(context or {})}
        write = _NO_WRITE
        if write_id is not None or digest is not None:
            write = check_write(write_id, digest)
        elif context:
            write = write_of(context) or _NO_WRITE
        full_url = f"{origin.url}{target}"
        meta: dict[str, Any] = {
            "request_type": method,
            "name": name or self.request_name or url,
            "context": {} if context is None else context,
            "exception": None,
            "start_time": time.time(),
            "url": full_url,
        }
        exchange, body = self._exchange, None
        if stream:
            body = Stream(self.connections)
            exchange = body.begin
        chain: Chain | None = None
        if intended_us is None:
            intended_us, self.intended_us = self.intended_us, None
        reply, error, answered, reconnects = _NO_REPLY, None, False, self.connections.reconnects
        start_s = perf_counter()
        try:
            reply = exchange(origin, payload, method == "HEAD", timeout_s, start_s)
            if reply.status > 300 and allow_redirects and reply.status in FOLLOWED:
                call = Call(method, route, target, data, json, headers, auth, payload)
                chain = Chain(call, reply)
                self._follow(chain, exchange, timeout_s, start_s)
            answered = True
        except TransportError as problem:
            answered = True
            # Without its frames: they hold the response, which will hold the error.
            error = problem.with_traceback(None)
            if chain is not None and not isinstance(error, RedirectFailed):
                chain.reply = _NO_REPLY
            if body is not None:
                body.close()
        finally:
            end_s = perf_counter()
            if not answered:
                ended: _Facts = (origin.url, start_s, end_s, intended_us, write, reply, b"", _FIRST)
                self._yield(meta, ended, Outcome.CANCELLED)
        final_url, emulated_before_us = full_url, 0
        if chain is not None:
            final_url, emulated_before_us = chain.call.url, chain.emulated_before_us
            reply = chain.reply
            reply = reply._replace(bytes_received=reply.bytes_received + chain.bytes_before)
        head = lower_head(reply.head)
        if b"\r\nset-cookie:" in head:
            self._take_cookies(final_url, reply.head)
        meta["response_time"] = (end_s - start_s) * 1000
        facts: _Facts = (
            origin.url,
            start_s,
            end_s,
            intended_us,
            write,
            reply,
            head,
            (emulated_before_us, chain is not None or self.connections.reconnects > reconnects),
        )
        if body is not None:
            response: Response = self._streamed(final_url, meta, facts, error, body, catch_response)
            if chain is not None:
                response.history = chain.history
        else:
            content = reply.body
            if error is None and b"\r\ncontent-encoding:" in head:
                content, error = self._decoded(reply, chain.call.route.origin if chain else origin)
            meta["response_length"] = len(content)
            response = Response(final_url, meta, reply.status, reply.head, content, error)
            if chain is not None:
                response.history = chain.history
            if catch_response:
                response.report_with(partial(self._report, facts))
            else:
                self._report(facts, response)
        return response

    # Redirects and cookies

    def _follow(
        self, chain: Chain, exchange: Callable[..., Reply], timeout_s: float, start_s: float
    ) -> None:
        chain.follow(
            self._composer,
            lambda origin, payload, bodiless: exchange(
                origin, payload, bodiless, timeout_s, start_s
            ),
            self._settings.max_redirects,
            self._take_cookies,
            self._with_cookies,
        )

    def _take_cookies(self, url: str, raw_head: bytes) -> None:
        if self._settings.cookies:
            if self._cookies is None:
                self._cookies = Cookies()
            self._cookies.take(url, raw_head)

    def _with_cookies(self, route: Route, target: str, headers: Headers | None) -> Headers | None:
        """`headers` and the user's cookies for the target, unless the locustfile sends its own."""
        if self._cookies is None or "cookie" in route.names:
            return headers
        value = self._cookies.header(f"{route.origin.url}{target}")
        if value is None:
            return headers
        block = compiled(headers)
        return block if "cookie" in block.names else block.plus("Cookie", value)

    # Streams

    def _streamed(
        self,
        url: str,
        meta: dict[str, Any],
        facts: _Facts,
        error: TransportError | None,
        body: Stream,
        caught: bool,
    ) -> StreamedResponse:
        meta["response_length"] = 0
        response = StreamedResponse(
            url,
            meta,
            facts[5],
            error,
            body,
            partial(self._report_stream, facts),
            caught=caught,
            body_limit=self._body_limit,
        )
        if self._streams is None:
            self._streams = WeakSet()
        self._streams.add(response)
        return response

    def _report_stream(self, facts: _Facts, response: StreamedResponse) -> None:
        """At the end of its body, whose time and bytes belong to the request."""
        stream, meta = response.stream, response.request_meta
        node, start_s, _, intended_us, write, reply, head, before = facts
        end_s = stream.ended_s
        size = max(reply.bytes_received, stream.bytes_received)
        reply = reply._replace(bytes_received=size)
        facts = (node, start_s, end_s, intended_us, write, reply, head, before)
        if stream.cancelled:
            self._yield(meta, facts, Outcome.CANCELLED)
            return
        meta["response_time"] = (end_s - start_s) * 1000
        meta["response_length"] = stream.size_bytes
        self._report(facts, response)

    # Counting

    def _decoded(self, reply: Reply, origin: Origin) -> tuple[bytes, TransportError | None]:
        encodings = ResponseHeaders(reply.head).get("content-encoding", "")
        try:
            return decode(encodings, reply.body, self._body_limit), None
        except ContentTooLarge as problem:
            return b"", ResponseTooLarge(origin.label, f"sent too much: {problem}")
        except ContentError as problem:
            return b"", MalformedResponse(origin.label, f"sent a broken response: {problem}")

    def _report(self, facts: _Facts, response: Response) -> None:
        """Locust's event, then the sample, even if a listener ends the user."""
        meta = response.request_meta
        cause = meta["exception"] = response.failure_cause()
        response.is_sampled = self._sink is not None
        try:
            self._event.fire(response=response, **meta)
        finally:
            if self._sink is not None:
                self._yield(meta, facts, Outcome.OK if cause is None else _failure(response))

    def _yield(self, meta: dict[str, Any], facts: _Facts, outcome: Outcome) -> None:
        """Locust is not told of a cancelled request: its outcome is unknown, not a failure."""
        if self._sink is None:
            return
        node, start_s, end_s, intended_us, write, reply, head, before = facts
        self._sink(
            Sample(
                f"{meta['request_type']} {meta['name']}",
                intended_us,
                wall_us(start_s),
                wall_us(end_s),
                outcome,
                reply.status,
                reply.bytes_received,
                emulated_us(head) + before[0],
                write[0],
                node,
                write[1],
                before[1],
            )
        )

    def close(self) -> None:
        """Close the idle connections and cancel open streams. Later requests open new ones."""
        for response in list(self._streams or ()):
            response.cancel()
        self.connections.close()


def _checked_timeout(timeout: float) -> float:
    if not 0 < timeout < math.inf:
        raise ValueError(f"a timeout of {timeout!r} s makes no sense: it must be above 0")
    return timeout


def _with_files(files: Files, data: Data | None, headers: Headers | None) -> tuple[bytes, Headers]:
    body, content_type = encode_multipart(files, data)
    block = compiled(headers).without(frozenset({"content-type"}))
    return body, block.plus("Content-Type", content_type)


def _failure(response: Response) -> Outcome:
    """How a failed request counts. One that the locustfile marked keeps the kind it had anyway."""
    if isinstance(response.error, TransportError):
        return response.error.outcome
    if response.status_code >= 500:
        return Outcome.HTTP_5XX
    if response.status_code >= 400:
        return Outcome.HTTP_4XX
    return Outcome.CHECK
