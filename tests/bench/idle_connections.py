"""A process that holds idle connections to a server: `python -m tests.bench.idle_connections`.

Each has had one request answered, so that it is kept alive, and then stays silent. Prints one line
when all are open, and holds them until it is ended.
"""

from __future__ import annotations

import argparse
import resource
import signal
import socket

from tests.bench.load import get

_TIMEOUT_S = 20.0
_OTHER_FILES = 32


def main() -> None:
    parser = argparse.ArgumentParser(description="Holds idle connections until it is ended.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (options.connections + _OTHER_FILES, hard))
    held = [_idle(options.port) for _ in range(options.connections)]
    print(len(held), flush=True)
    signal.pause()


def _idle(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), _TIMEOUT_S)
    sock.sendall(get("/health"))
    answer = sock.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:100]
    return sock


if __name__ == "__main__":
    main()
