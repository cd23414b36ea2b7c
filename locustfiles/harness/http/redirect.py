"""Redirects, followed as FastHttpUser follows them: one request of the locustfile, counted once.

301, 302 and 303 go on with GET (HEAD stays HEAD) and without the body; 307 and 308 send the same
again, which needs a body that can be started over. What a locustfile gives to its target
(credentials, cookies, a Host header) is not sent to another origin. The deadline is that of the
first request. This module must not know what is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from locustfiles.harness.http.compose import Auth, Composer, Data, Headers, Route
from locustfiles.harness.http.connection import Reply
from locustfiles.harness.http.header import (
    HeaderBlock,
    ResponseHeaders,
    compile_headers,
    emulated_us,
    lower_head,
)
from locustfiles.harness.http.origin import Origin
from locustfiles.harness.http.transport_error import TransportError
from locustfiles.harness.http.upload import Upload

FOLLOWED = frozenset({301, 302, 303, 307, 308})
_CHANGE_TO_GET = frozenset({301, 302, 303})
_OF_THE_BODY = frozenset({"content-type", "content-encoding", "content-language"})
_OF_THE_ORIGIN = frozenset({"authorization", "proxy-authorization", "cookie", "host"})
_COOKIE = frozenset({"cookie"})


class RedirectFailed(TransportError):
    """The target redirected too often, to where HTTP does not lead, or with a body that is gone."""


class Call(NamedTuple):
    """What to send where; `payload` is what was sent for it."""

    method: str
    route: Route
    target: str
    data: Data | None
    json: Any
    headers: Headers | None
    auth: Auth | None
    payload: bytes | Upload

    @property
    def url(self) -> str:
        return f"{self.route.origin.url}{self.target}"


Exchange = Callable[[Origin, bytes | Upload, bool], Reply]


class Chain:
    """One request's redirects. `call` and `reply` are the latest, `history` the (status, URL) of
    those before it; the others are sums over the history.
    """

    __slots__ = ("bytes_before", "call", "emulated_before_us", "history", "reply")

    def __init__(self, call: Call, reply: Reply) -> None:
        self.call = call
        self.reply = reply
        self.history: list[tuple[int, str]] = []
        self.bytes_before = 0
        self.emulated_before_us = 0

    def follow(
        self,
        composer: Composer,
        exchange: Exchange,
        limit: int,
        take_cookies: Callable[[str, bytes], None],
        with_cookies: Callable[[Route, str, Headers | None], Headers | None],
    ) -> None:
        """Until a response that leads no further. Raises TransportError; `reply` is the last."""
        while limit > 0 and self.reply.status in FOLLOWED:
            locations = ResponseHeaders(self.reply.head).get_all("location")
            if not locations:
                return
            label = self.call.route.origin.label
            if len(self.history) >= limit:
                raise RedirectFailed(label, f"redirected more than {limit} times")
            take_cookies(self.call.url, self.reply.head)
            reply = self.reply
            self.history.append((reply.status, self.call.url))
            self.bytes_before += reply.bytes_received
            self.emulated_before_us += emulated_us(lower_head(reply.head))
            call = _next(self.call, reply.status, locations[0], composer)
            headers = with_cookies(call.route, call.target, call.headers)
            if not isinstance(call.payload, Upload) or call.data is None:
                payload = composer.compose(
                    call.method, call.route, call.target, call.data, call.json, headers, call.auth
                )
            elif call.payload.rewind():
                payload = composer.compose(
                    call.method, call.route, call.target, call.payload, None, headers, call.auth
                )
            else:
                raise RedirectFailed(label, "asks for the body again, which cannot be sent twice")
            self.call = call._replace(payload=payload)
            self.reply = exchange(call.route.origin, payload, call.method == "HEAD")


def _next(call: Call, status: int, location: str, composer: Composer) -> Call:
    """The call that a redirect asks for. Raises RedirectFailed."""
    origin = call.route.origin
    try:
        # Bytes beyond ASCII are quoted where the target is made; a fragment stays with the user.
        url = urljoin(call.url, location.encode("latin-1").decode("utf-8", "replace"))
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise ValueError(url)
        # The redirecting server has no credentials to give.
        authority = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        route, target = composer.resolve(
            f"{authority}{path if path[:1] == '/' else '/' + path}", None
        )
    except ValueError:
        raise RedirectFailed(origin.label, "redirected to what is not an HTTP URL") from None
    headers = compiled(call.headers).without(_COOKIE)
    method, data, json, auth = call.method, call.data, call.json, call.auth
    if status in _CHANGE_TO_GET:
        method = "HEAD" if method == "HEAD" else "GET"
        data = json = None
        headers = headers.without(_OF_THE_BODY)
    if route.origin.url == origin.url:
        route = call.route
    else:
        auth = None
        headers = headers.without(_OF_THE_ORIGIN)
        route = composer.without_secrets(route, _OF_THE_ORIGIN)
    return Call(method, route, target, data, json, headers, auth, call.payload)


def compiled(headers: Headers | None) -> HeaderBlock:
    if headers is None:
        return HeaderBlock()
    return headers if isinstance(headers, HeaderBlock) else compile_headers(headers)
