"""A supervisor of stub nodes, run as a process: the real one with a smaller program to fork.

Each role of a node is a way to behave: `app` serves, `crash` raises before it serves, `leave`
exits with 3, `hang` never gets ready, `sick` answers /health with 503, `deaf` ignores SIGTERM.
Two are bugs that the search for orphans must find: `unbound` gives its parent-death signal up,
`escape` leaves a grandchild behind.
"""

from __future__ import annotations

import ctypes
import http.server
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from chaos.supervisor.__main__ import main
from chaos.supervisor.errors import InvalidNode
from chaos.supervisor.spec import NodeSpec

_PR_SET_PDEATHSIG = 1


class StubProgram:
    def check(self, spec: NodeSpec) -> None:
        if "nonsense" in spec.options:
            raise InvalidNode(f"{spec.name}: nonsense is not a setting", node=spec.name)

    def run(self, spec: NodeSpec, ready: Callable[[str], None]) -> int:
        print(f"{spec.name} starts with {','.join(spec.roles)}")
        print(f"peers={spec.options.get('peers')}")
        if "crash" in spec.roles:
            raise RuntimeError("the disk is on fire")
        if "leave" in spec.roles:
            return 3
        if "escape" in spec.roles:
            _escape(Path(spec.data_dir))
        if "unbound" in spec.roles:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0)
        if "hang" in spec.roles:
            time.sleep(600)
        signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in spec.roles else _exit)
        server = _Server(("127.0.0.1", spec.port), _Handler)
        server.healthy = "sick" not in spec.roles
        ready(f"http://127.0.0.1:{spec.port}")
        server.serve_forever()
        return 0


class _Server(http.server.HTTPServer):
    healthy = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.send_response(200 if self.server.healthy else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _exit(number: int, frame: object) -> None:
    print("SIGTERM received")
    raise SystemExit(0)


def _escape(folder: Path) -> None:
    """Forks twice, so that the grandchild belongs to init and holds no parent-death signal."""
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            (folder / "escaped.pid").write_text(str(os.getpid()))
            time.sleep(60)
        os._exit(0)
    os.wait()


if __name__ == "__main__":
    sys.exit(main(StubProgram))
