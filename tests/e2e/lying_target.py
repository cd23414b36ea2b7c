"""A target that speaks the nodes' language and lies about the writes that ask for it.

    python -m tests.e2e.lying_target LIE

LIE is one of `LIES`. An event with `"lie": true` in its data meets the lie, every other one is
stored and answered as by a node; `unreadable`, `restarts` and `mute` are about the audit itself.
Prints its URL, serves
until its standard input ends.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from service.events.intake import Intake, IntakeLimits

LIES = (
    "none",
    "drops",
    "twice",
    "alters",
    "refuses",
    "freezes",
    "late",
    "unreadable",
    "restarts",
    "mute",
)
STILL_S = 1.5
"""How long it stands still, or takes for an answer."""

RESTART_S = 2.0
MUTE_S = 60.0
"""Longer than an audit waits."""

NODE = "liar"
HEALTH = {"status": "up", "node": NODE, "roles": ["app"], "components": {}}


class Store:
    """What is stored: (seq, content hash) of each copy, by id."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.copies: dict[bytes, list[tuple[int, bytes]]] = {}
        self.seq = 0

    def add(self, id: bytes, content_hash: bytes) -> int:
        with self.lock:
            self.seq += 1
            self.copies.setdefault(id, []).append((self.seq, content_hash))
            return self.seq


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lie = sys.argv[1] if len(sys.argv) > 1 else "none"
    intake = Intake(IntakeLimits(), lambda: time.time_ns() // 1000)
    store = Store()
    still = threading.Lock()
    has_frozen = threading.Event()
    asked_first_s: float | None = None

    def do_GET(self) -> None:
        self._answer(200, HEALTH)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.still:
            pass
        if self.path == "/v1/events/audit":
            self._audit(json.loads(body)["ids"])
        else:
            self._event(body)

    def _event(self, body: bytes) -> None:
        write = self.intake.one(body)
        lie = self.lie if json.loads(body)["data"].get("lie") else "none"
        status, content = 201, write.content_hash
        if lie == "alters":
            content = content[::-1]
        if lie == "freezes" and not self.has_frozen.is_set():
            self.has_frozen.set()
            with self.still:
                time.sleep(STILL_S)
        if lie == "late":
            time.sleep(STILL_S)
        if lie == "refuses":
            status = 409
        seq = 1 if lie == "drops" else self.store.add(write.id, content)
        if lie == "twice":
            self.store.add(write.id, content)
        reply = {"id": str(UUID(bytes=write.id)), "seq": seq, "duplicate": False}
        self._answer(status, reply | {"stream_version": None, "created_at": write.created_at})

    def _audit(self, ids: list[str]) -> None:
        cls = type(self)
        cls.asked_first_s = cls.asked_first_s or time.monotonic()
        if self.lie == "mute":
            time.sleep(MUTE_S)
        if self.lie == "unreadable":
            self._answer(500, {"code": "internal", "status": 500})
            return
        if self.lie == "restarts" and time.monotonic() - cls.asked_first_s < RESTART_S:
            self._answer(503, {"code": "starting", "status": 503})
            return
        found, missing = [], []
        for text in ids:
            copies = self.store.copies.get(UUID(text).bytes, [])
            for seq, content in copies:
                entry = {"id": str(UUID(text)), "seq": seq, "content_hash": content.hex()}
                found.append(entry | {"origin": NODE})
            if not copies:
                missing.append(str(UUID(text)))
        self._answer(200, {"node": NODE, "found": found, "missing": missing})

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        # One write: header and body in two would meet delayed acknowledgements.
        self.wfile.write(
            b"HTTP/1.1 %d said\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (status, len(body), body)
        )

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the test reads standard output."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def main() -> None:
    if Handler.lie not in LIES:
        sys.exit(f"{Handler.lie!r} is none of {', '.join(LIES)}")
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
