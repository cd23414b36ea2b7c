"""A target that answers every path at once and remembers when which of them was asked for."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class CountingTarget:
    """`asked` holds (seconds since the epoch, path) of every request, as they came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[tuple[float, str]] = []

    def by_second(self, origin_us: int) -> Counter[int]:
        """Requests in each second of the run that begins then."""
        return Counter(int((at_s - origin_us / 1e6) // 1) for at_s, _ in self.asked)

    def of(self, pid: int) -> list[float]:
        """When that process asked."""
        return [at_s for at_s, path in self.asked if path.startswith(f"/{pid}/")]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def counting_target() -> Iterator[CountingTarget]:
    """Serves until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            target.asked.append((time.time(), self.path))
            self.wfile.write(ANSWER)

        def log_message(self, format: str, *args: object) -> None: ...

    server = _Server(("127.0.0.1", 0), Handler)
    target = CountingTarget(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield target
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
