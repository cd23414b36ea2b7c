"""A target that does four things at once, each in 20 ms: beyond four users its latency grows.

python -m tests.e2e.limited_target

200 answers a second at most, whatever the load: n users without a think time wait n / 200 s.
Prints its URL, serves until its standard input ends.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

AT_ONCE = 4
WORK_S = 0.02
HEALTH = {"status": "up", "node": "limited", "roles": ["app"], "components": {}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    workers: ClassVar = threading.Semaphore(AT_ONCE)

    def do_GET(self) -> None:
        if self.path == "/work":
            with self.workers:
                time.sleep(WORK_S)
        body = json.dumps(HEALTH).encode()
        # One write: header and body in two would meet delayed acknowledgements.
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the test reads standard output."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def main() -> None:
    server = Server(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
