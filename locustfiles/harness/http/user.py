"""LeanHttpUser: a Locust user with the calling convention of FastHttpUser and half its cost (D4).

    class Visitor(LeanHttpUser):
        @task
        def front_page(self):
            self.client.get("/")

Differences from FastHttpUser are listed in docs/http_client.md. This module must not know the
scenarios or the recorder: a harness may set `environment.sample_sink`.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from typing import Any, ClassVar

import gevent
from locust import User
from locust.env import Environment
from locust.user.task import LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING
from locust.user.users import RestMixin

from locustfiles.harness.http.compose import Headers
from locustfiles.harness.http.connection import Limits
from locustfiles.harness.http.keepalive import Settings
from locustfiles.harness.http.resolver import Resolver
from locustfiles.harness.http.response import Response
from locustfiles.harness.http.session import LeanHttpSession

_REFUSED = {
    "max_retries": "a retry hides the failure that it follows: repeat it in the locustfile",
    "client_pool": "connections belong to one user, as a real client's do: leave it out",
    "proxy_host": "proxies are not supported, since they would be measured too: name them in host",
    "proxy_port": "proxies are not supported, since they would be measured too: name them in host",
}
"""Attributes of FastHttpUser that are not supported, and what to do instead."""


class LeanHttpUser(User, RestMixin[Response]):
    """A user with `self.client`, a `LeanHttpSession` on `host`, and FastHttpUser's `rest()`.

    Class attributes, all read when the user is made; times in seconds:
    `timeout_s` bounds a whole request, connecting included; `network_timeout` is FastHttpUser's
    name for it: when set, the smaller holds. `connection_timeout` bounds connecting alone.
    `insecure` accepts any certificate; `ssl_context_factory` replaces the TLS context and should
    return the same one each time. `start_spread_s`: see `on_start`. `max_redirects` bounds the
    redirects of one request, 0 follows none; `cookies` False keeps none; `concurrency` is how many
    idle connections are kept per origin.

    The rest of FastHttpUser's attributes are refused with a ValueError when they are set, since
    they would change what is measured: see `_REFUSED`.

    From the environment, when the harness set them: `sample_sink` (takes each `Sample`) and
    `reconnect_sink` (takes the origin of each kept connection that was found closed).
    """

    abstract = True

    timeout_s: float = 30.0
    connection_timeout: float = 10.0
    network_timeout: float | None = None
    insecure: bool = False
    default_headers: Headers | None = None
    ssl_context_factory: Callable[[], ssl.SSLContext] | None = None
    limits: Limits = Limits()
    start_spread_s: float = 1.0
    max_redirects: int = 30
    cookies: bool = True
    concurrency: int = 10

    max_retries: int = 0
    client_pool: object | None = None
    proxy_host: str | None = None
    proxy_port: int | None = None

    resolver: ClassVar[Resolver] = Resolver()
    """Shared by the users of a process, so that a name is looked up once."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.random = self.make_random()
        kind = type(self)
        _check_attributes(kind)
        self.client = LeanHttpSession(
            self.host,
            environment.events.request,
            resolver=self.resolver,
            settings=Settings(
                timeout_s=min(self.timeout_s, self.network_timeout or self.timeout_s),
                connect_timeout_s=self.connection_timeout,
                insecure=self.insecure,
                default_headers=self.default_headers,
                ssl_context=kind.ssl_context_factory,
                limits=self.limits,
                max_redirects=self.max_redirects,
                idle_connections=self.concurrency,
                cookies=self.cookies,
            ),
            # Locust's own returns an empty dict, which would be merged for nothing.
            context=None if kind.context is User.context else self.context,
            sample_sink=getattr(environment, "sample_sink", None),
            reconnect_sink=getattr(environment, "reconnect_sink", None),
        )

    def make_random(self) -> random.Random:
        """The user's source of randomness; override it to seed it."""
        return random.Random()

    def on_start(self) -> None:
        """Wait a random part of `start_spread_s`, so that users who start together do not
        send together (Locust starts a tick's users at once). A subclass that overrides it calls
        `super().on_start()` first.
        """
        if self.start_spread_s > 0:
            gevent.sleep(self.random.random() * self.start_spread_s)

    def stop(self, force: bool = False) -> bool:
        """Locust's stop, but a user that wakes up from its wait just now begins no request.

        Locust kills a waiting user in a later turn of the loop. Stopping blocks the loop for long
        enough that many waits are over by then, and each of those users would have a request cut
        off at once, of unknown outcome (seen: all users of a run).
        """
        if not force and self._state == LOCUST_STATE_WAITING:
            self._state = LOCUST_STATE_STOPPING
            self.group.killone(self.greenlet)
            return True
        return bool(super().stop(force))

    def start(self, group: Any) -> Any:
        """Locust's start; the connections are closed when the user's greenlet ends, however."""
        greenlet = super().start(group)
        greenlet.rawlink(lambda _: self.client.close())
        return greenlet


def _check_attributes(kind: type[LeanHttpUser]) -> None:
    """Raise ValueError, with the remedy, for what FastHttpUser has and this user has not."""
    for attribute, remedy in _REFUSED.items():
        if getattr(kind, attribute):
            raise ValueError(f"{kind.__name__}.{attribute} is set: {remedy}")
    if kind.max_redirects < 0 or kind.concurrency < 1:
        raise ValueError(
            f"{kind.__name__}: max_redirects must be at least 0 and concurrency at least 1"
        )
