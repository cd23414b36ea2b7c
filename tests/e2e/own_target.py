"""A service that is not Foundation: plain HTTP, a status and a body by path, requests counted.

It runs in threads of the test's own process, which is free of gevent.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class OwnTarget:
    """`requests` counts by path; `authorized` those that came with an Authorization header."""

    url: str = ""
    requests: Counter[str] = field(default_factory=Counter)
    authorized: Counter[str] = field(default_factory=Counter)


@contextmanager
def own_target(status: int = 200, host: str = "127.0.0.1") -> Iterator[OwnTarget]:
    """`/status/404` answers 404, `/to/URL` redirects there, `/metrics` is Prometheus text.

    Every other path answers `status`.
    """
    target = OwnTarget()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with lock:
                target.requests[self.path] += 1
                target.authorized[self.path] += "authorization" in self.headers
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

    with Server((host, 0), Handler) as server:
        target.url = f"http://{host}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield target
        finally:
            server.shutdown()
            thread.join()
