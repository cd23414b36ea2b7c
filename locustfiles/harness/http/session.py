"""LeanHttpSession: what a locustfile calls, from a method and a URL to a counted response.

It has the calling forms of Locust's FastHttpSession at half its cost or less (design D4). Per user
and origin it keeps one idle connection. Each request fires Locust's request event once and then
yields one `Sample`; transport failures are reported on the response and never raised. It follows
no redirects, keeps no cookies and asks for no compression; the headers of a locustfile can.

Life cycle: made with its user; connections open on demand; `close` when the user ends.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

from locust.event import EventHook

from locustfiles.harness.http.body import ContentError, ContentTooLarge, decode
from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.http.compose import Auth, Composer, Data, Headers
from locustfiles.harness.http.connection import Reply
from locustfiles.harness.http.header import ResponseHeaders, emulated_us, lower_head
from locustfiles.harness.http.keepalive import KeptConnections, Settings
from locustfiles.harness.http.origin import Origin, Params
from locustfiles.harness.http.resolver import Resolver
from locustfiles.harness.http.response import Response
from locustfiles.harness.http.transport_error import (
    MalformedResponse,
    ResponseTooLarge,
    TransportError,
)
from results.sample import Outcome, Sample

SampleSink = Callable[[Sample], None]


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
        self.connections = KeptConnections(resolver, settings, reconnect_sink)
        self._exchange = self.connections.exchange
        self._composer = Composer(base_url, settings.default_headers)
        self._event: Any = request_event
        self._timeout_s = settings.timeout_s
        self._body_limit = settings.limits.body_bytes
        self._context = context
        self._sink = sample_sink

    @property
    def reconnects(self) -> int:
        """Kept connections that turned out to be closed when they were needed."""
        return self.connections.reconnects

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

    def connect(self, url: str) -> None:
        """Open a connection to where `url` goes, ahead of its first request, as browsers do.

        It is no request and counts as none. A failure is left to the first request.
        """
        route, _ = self._composer.resolve(url, None)
        self.connections.open_ahead(route.origin, self._timeout_s)

    def request(
        self,
        method: str,
        url: str,
        name: str | None = None,
        data: Data | None = None,
        catch_response: bool = False,
        *,
        headers: Headers | None = None,
        auth: Auth | None = None,
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
        composer = self._composer
        route, target = composer.resolve(url, params)
        payload = composer.compose(method, route, target, data, json, headers, auth)
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
        self.connections.close()


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
