"""The cookies of one user, kept as browsers do, by the standard library's rules (http.cookiejar).

Made only when a target sets the first cookie or a locustfile asks for the jar: without cookies a
request pays two comparisons. A target may set any number of cookies of any size, and each would go
out with every later request, so both are bounded. This module must not send anything.
"""

from __future__ import annotations

from email.message import Message
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.request import Request

from locustfiles.harness.http.header import ResponseHeaders

MAX_COOKIES = 180
MAX_COOKIE_BYTES = 4_096
"""As browsers: RFC 6265, section 6.1, asks for 4,096 bytes a cookie and 50 a domain at least."""


class _BoundedPolicy(DefaultCookiePolicy):
    """Refuses what is too large, and new cookies once there are enough."""

    jar: CookieJar

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        size_bytes = len(cookie.name) + len(cookie.value or "")
        if size_bytes > MAX_COOKIE_BYTES or len(self.jar) >= MAX_COOKIES:
            return False
        return super().set_ok(cookie, request)


class _Head:
    """A response as http.cookiejar reads it."""

    def __init__(self, values: list[str]) -> None:
        self._message = Message()
        for value in values:
            self._message["Set-Cookie"] = value

    def info(self) -> Message:
        return self._message


class Cookies:
    """`jar` is the CookieJar, which a locustfile may read, fill and clear."""

    __slots__ = ("jar",)

    def __init__(self) -> None:
        policy = _BoundedPolicy()
        self.jar = policy.jar = CookieJar(policy)

    def header(self, url: str) -> str | None:
        """The value of the Cookie header for a request to `url`, None when there is none."""
        request = Request(url)
        self.jar.add_cookie_header(request)
        return request.get_header("Cookie")

    def take(self, url: str, raw_head: bytes) -> None:
        """Keep what the response to a request for `url` sets. What makes no sense is left out."""
        values = ResponseHeaders(raw_head).get_all("set-cookie")
        head: Any = _Head(values[:MAX_COOKIES])
        self.jar.extract_cookies(head, Request(url))
