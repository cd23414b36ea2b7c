"""A service that is not Foundation: plain HTTP, a status and a body by path, requests counted.

It runs in threads of the test's own process, which is free of gevent.
"""

from __future__ import annotations

import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DEAD_FOR_S = 60.0
"""Longer than any run waits for an answer."""


@dataclass(slots=True)
class OwnTarget:
    """`requests` counts by path; `authorized` those that came with an Authorization header.

    Once it is `dead` it takes requests and answers none.
    """

    url: str = ""
    requests: Counter[str] = field(default_factory=Counter)
    authorized: Counter[str] = field(default_factory=Counter)
    dead: threading.Event = field(default_factory=threading.Event)
    buried: threading.Event = field(default_factory=threading.Event)


@contextmanager
def own_target(status: int = 200, context: ssl.SSLContext | None = None) -> Iterator[OwnTarget]:
    """`/status/404` answers 404, `/to/URL` redirects there, `/metrics` is Prometheus text.

    Every other path answers `status`. `context` makes it speak TLS.
    """
    target = OwnTarget()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with lock:
                target.requests[self.path] += 1
                target.authorized[self.path] += "authorization" in self.headers
            if target.dead.is_set():
                target.buried.wait(DEAD_FOR_S)
                return
            if self.path.startswith("/to/"):
                self.answer(302, b"", location=self.path.removeprefix("/to/"))
            elif self.path.startswith("/status/"):
                self.answer(int(self.path.rpartition("/")[2]), b"as asked")
            elif self.path == "/metrics":
                self.answer(200, b"process_cpu_seconds_total 1\nprocess_start_time_seconds 1\n")
            else:
                self.answer(status, b"hello")

        def answer(self, code: int, body: bytes, location: str = "") -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients may go at any time."""

    with Server(("127.0.0.1", 0), Handler) as server:
        target.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_address[1]}"
        if context is not None:
            # The handshake is its thread's, so that one that fails holds up nobody.
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield target
        finally:
            target.buried.set()
            server.shutdown()
            thread.join()
