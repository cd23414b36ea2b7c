"""Where the web UI listens, and whose requests it takes.

Whoever reaches the web UI can start load. Other sites that are open in the same browser can send
requests to it, and a site whose name resolves to 127.0.0.1 (DNS rebinding) is even one with it in
the browser's eyes: what tells them apart is the name that the browser asked for. This module must
not know runs.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Response, make_response, request

from locustfiles.harness.failure import BadConfiguration

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


def require_free_port(host: str, port: int) -> None:
    """Raises BadConfiguration when the web UI could not listen there: Locust would only log it."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host or "0.0.0.0", port)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise BadConfiguration(
            f"the web UI cannot listen on {host}:{port} ({error.strerror}): choose another "
            "--web-host or --web-port, or run with --headless"
        ) from None


def refuse_other_sites(web_host: str) -> Callable[[], Response | None]:
    """For Flask's `before_request`. `web_host` is where the web UI listens; empty: everywhere.

    On the loopback alone nobody has a reason to ask for another name. Elsewhere we do not know
    by which names people come, and only hold a page's origin to the name that was asked for.
    What a proxy may claim (X-Forwarded-Host) is believed nowhere: a page can claim it too.
    """
    only = LOOPBACK_NAMES | {web_host} if _is_loopback(web_host) else None

    def refuse() -> Response | None:
        asked = request.headers.get("Host", "")
        if only is not None and _name(asked) not in only:
            return make_response(
                f"the web UI is for this machine: ask for 127.0.0.1 or localhost, not {asked!r}, "
                "or start Locust with another --web-host\n",
                403,
            )
        origin = request.headers.get("Origin")
        if request.method == "POST" and origin is not None and _netloc(origin) != asked.lower():
            return make_response(f"a page of {origin!r} may not do this\n", 403)
        return None

    return refuse


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str | None:
    """Of a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None
