"""A target whose paths say how it answers a write; it remembers each that it was asked."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATUSES = {"created": 201, "missing": 404, "busy": 429, "late": 408, "broken": 500}
RESET, HANG = "reset", "hang"
WAYS = (*STATUSES, RESET, HANG)

_LINGER_NOT = struct.pack("ii", 1, 0)


class DecidingTarget:
    """`asked` holds (client, way, id) of every write, from `POST /client/way/id`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[tuple[str, str, str]] = []
        self.released = threading.Event()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def deciding_target() -> Iterator[DecidingTarget]:
    """Serves until the block ends, and lets go of what hangs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(200)

        def do_POST(self) -> None:
            _, client, way, id = self.path.split("/")
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            target.asked.append((client, way, id))
            if way in STATUSES:
                self._answer(STATUSES[way])
                return
            if way == HANG:
                target.released.wait(60)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self.close_connection = True

        def _answer(self, status: int) -> None:
            self.wfile.write(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\nok" % status)

        def log_message(self, format: str, *args: object) -> None: ...

    server = _Server(("127.0.0.1", 0), Handler)
    target = DecidingTarget(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield target
    finally:
        target.released.set()
        server.shutdown()
        thread.join(5)
        server.server_close()
