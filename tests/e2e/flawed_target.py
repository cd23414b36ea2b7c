"""A target that speaks the nodes' language and fails one action in fifty with a 500.

python -m tests.e2e.flawed_target [failing|stuck]

Prints its URL, serves until its standard input ends. With `failing` every second job fails, with
`stuck` none is ever over; actions are then all answered.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EVERY = 50
FLAW = sys.argv[1] if len(sys.argv) > 1 else ""

HEALTH = {"status": "up", "node": "flawed", "roles": ["app"], "components": {}}
REPLY = {"seq": 1, "node": "flawed", "processing_time_ms": 1, "duplicate": False, "result": {}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    numbers = itertools.count(1)

    def do_GET(self) -> None:
        if self.path.startswith("/v1/jobs/"):
            job_id = self.path.split("/")[3].partition("?")[0]
            state = {"failing": "failed", "stuck": "queued"}.get(FLAW, "completed")
            if FLAW == "failing" and next(self.numbers) % 2:
                state = "completed"
            self._answer(200, {"id": job_id, "kind": "email_delivery", "state": state})
        else:
            self._answer(200, HEALTH)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/jobs":
            self._answer(202, {"id": asked["id"], "kind": asked["kind"], "state": "queued"})
        elif self.path == "/v1/analytics/passes":
            self._answer(201, {"processed": 1, "lag_events": 0, "lag_s": 0.0})
        elif not FLAW and next(self.numbers) % EVERY == 0:
            self._answer(500, {"code": "internal", "status": 500})
        else:
            action = self.path.rpartition("/")[2]
            self._answer(201, {**REPLY, "id": asked["id"], "action": action})

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the test reads standard output."""


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
