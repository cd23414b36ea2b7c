"""The hosts of a service that is not Foundation: which they are, and whether they answer.

They come from Locust's `--host`, else from the user classes. Any HTTP answer counts as reachable, a
404 or a 401 too: what a service says is the load's business. Hosts of clients of other protocols
are listed, so that they can be held to what is allowed, and asked nothing. This module must not
send load.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from locust import FastHttpUser, HttpUser, User
from requests.utils import get_environ_proxies

from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.http import LeanHttpUser
from locustfiles.harness.http.origin import Origin, parse_origin, request_target, split_absolute
from locustfiles.harness.http.tls import insecure_context, verifying_context

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class ServiceHost:
    """`url` as the users take it. `user` is one of the classes that load it."""

    url: str
    user: type[User]

    @property
    def shown(self) -> str:
        """Without a password, which is on no page and in no file."""
        if "@" not in self.url:
            return self.url
        start, mark, rest = self.url.partition("://")
        netloc, slash, path = (rest if mark else start).partition("/")
        shown = f"{netloc.rpartition('@')[2]}{slash}{path}"
        return f"{start}{mark}{shown}" if mark else shown


def hosts_of(users: Iterable[type[User]], given: str | None) -> tuple[ServiceHost, ...]:
    """One for each host of these classes; `given` (Locust's --host) is every class's.

    Of the classes that share a host a LeanHttpUser speaks for it, whose demands are known best.
    """
    found: dict[str, ServiceHost] = {}
    for user in sorted(users, key=lambda one: not issubclass(one, LeanHttpUser)):
        host = given or user.host
        if host:
            found.setdefault(host, ServiceHost(host, user))
    return tuple(found.values())


def without_host(users: Iterable[type[User]], given: str | None) -> list[str]:
    """Names of the classes whose client needs a host and has none."""
    return sorted(
        user.__name__
        for user in users
        if issubclass(user, LeanHttpUser) and not (given or user.host)
    )


def service_url(text: str) -> str:
    """`http://host:port/base` as users take it. Raises ValueError with the remedy."""
    if "@" in text.split("://", 1)[-1].partition("/")[0]:
        # Not repeated here: what stands before it is a password.
        raise ValueError(
            "the URL of a service holds no user or password: leave out what is before the '@', and "
            "let the locustfile send it (`auth=`, a header), read from its environment"
        )
    try:
        url = urlsplit(text)
        port_is_valid = url.port is None or url.port > 0
    except ValueError:
        port_is_valid = False
    is_clean = text.isprintable() and " " not in text
    if not port_is_valid or url.scheme not in ("http", "https") or not url.hostname or not is_clean:
        raise ValueError(f"{text!r} is not the URL of a service: write it as http://host:port")
    if url.query or url.fragment:
        shown = text.partition("?")[0].partition("#")[0]
        raise ValueError(f"{shown!r} is followed by more than a path: leave out '?' and '#'")
    return text.rstrip("/")


def require_answers(hosts: Iterable[ServiceHost]) -> None:
    """Ask each for its page once. Raises BadConfiguration for one that does not speak HTTP."""
    for host in hosts:
        if _speaks_http(host):
            _ask(host)


def _speaks_http(host: ServiceHost) -> bool:
    """Whether its users will ask this very host, in HTTP, without a proxy between them."""
    user = host.user
    if not host.url.lower().startswith(("http://", "https://")):
        return False
    if issubclass(user, LeanHttpUser):
        return True
    if issubclass(user, FastHttpUser):
        return not user.proxy_host
    # A proxy of the environment would answer in the target's place.
    return issubclass(user, HttpUser) and not get_environ_proxies(host.url)


def _ask(host: ServiceHost) -> None:
    """Only the head is waited for: the page may be an endless stream."""
    url = host.shown
    try:
        base, path = split_absolute(host.url)
        origin = parse_origin(base)
    except ValueError:
        raise BadConfiguration(f"{url} is not a URL that can be asked: correct --host") from None
    connection = _connection(origin, host.user)
    headers = {"Authorization": origin.authorization} if origin.authorization else {}
    try:
        connection.request("GET", request_target(path), headers=headers)
        connection.getresponse()
    except TimeoutError:
        raise BadConfiguration(
            f"{url} did not answer within {TIMEOUT_S:g} s: is the service up, and is the way to it "
            "open?"
        ) from None
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason or str(error)
        raise BadConfiguration(
            f"{url} failed the TLS handshake ({why}): correct its certificate, or set "
            "`insecure = True` on the user class to accept any"
        ) from None
    except ConnectionError as error:
        raise BadConfiguration(
            f"{url} cannot be reached ({error.strerror or error}): start the service, or correct "
            "--host"
        ) from None
    except HTTPException:
        raise BadConfiguration(
            f"{url} answers, but not in HTTP: correct --host, or start the service there"
        ) from None
    except OSError as error:
        raise BadConfiguration(
            f"{url} cannot be reached ({error.strerror or error}): start the service, or correct "
            "--host"
        ) from None
    finally:
        connection.close()


def _connection(origin: Origin, user: type[User]) -> HTTPConnection:
    if origin.scheme == "http":
        return HTTPConnection(origin.host, origin.port, timeout=TIMEOUT_S)
    return HTTPSConnection(origin.host, origin.port, timeout=TIMEOUT_S, context=_context_of(user))


def _context_of(user: type[User]) -> ssl.SSLContext:
    """As strict as the class's own; other clients set up in `on_start` what they verify against."""
    if issubclass(user, LeanHttpUser):
        factory = user.ssl_context_factory
        if factory is not None:
            return factory()
        return insecure_context() if user.insecure else verifying_context()
    return insecure_context()
