"""A TCP server that does exactly what a test says, byte by byte, and the client's remote control.

Real sockets and threads; every wait has a limit. A script is a function of the connection.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

GUARD_S = 30.0
"""After this a test hangs, and fails; nothing is measured with it."""


def answer(body: bytes = b"ok", *headers: str, status: str = "200 OK") -> bytes:
    """A complete response with a Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, number: int, stop: threading.Event) -> None:
        self.sock = sock
        self.number = number
        self._stop = stop
        self._buffer = b""

    def read_request(self) -> bytes:
        """The next whole request; empty when the client closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._receive():
                return b""
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
            elif line == b"transfer-encoding: chunked":
                return head + b"\r\n\r\n" + self._read_chunks(len(head) + 4)
        while len(rest) < length:
            if not self._receive():
                return b""
            rest = self._buffer.partition(b"\r\n\r\n")[2]
        self._buffer = rest[length:]
        return head + b"\r\n\r\n" + rest[:length]

    def _read_chunks(self, start: int) -> bytes:
        """The joined chunks of the body that begins at `start`; empty when the client closed."""
        parts = []
        while True:
            while (end := self._buffer.find(b"\r\n", start)) < 0:
                if not self._receive():
                    return b""
            size = int(self._buffer[start:end], 16)
            start = end + 2
            while len(self._buffer) < start + size + 2:
                if not self._receive():
                    return b""
            parts.append(self._buffer[start : start + size])
            assert self._buffer[start + size : start + size + 2] == b"\r\n", "a chunk's end"
            start += size + 2
            if size == 0:
                self._buffer = self._buffer[start:]
                return b"".join(parts)

    def _receive(self) -> bool:
        data = self.sock.recv(65_536)
        self._buffer += data
        return bool(data)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: bytes, interval_s: float) -> None:
        """One byte at a time until the client has had enough."""
        for index in range(len(data)):
            self.sock.sendall(data[index : index + 1])
            if self._stop.wait(interval_s):
                return

    def serve(self, *responses: bytes) -> None:
        """Answer each request with the next response, then with the last one again."""
        index = 0
        while self.read_request():
            self.send(responses[min(index, len(responses) - 1)])
            index += 1

    def serve_once(self) -> None:
        """Answer one request and hang up without a word."""
        self.read_request()
        self.send(answer())

    def hold(self) -> None:
        """Say nothing until the client goes away."""
        while self._receive():
            pass

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def reset(self) -> None:
        """Close so that the client gets a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Script = Callable[[Peer], None]


class ScriptedServer:
    """Listens on a free port until closed; each connection runs `script` in a thread.

    `requests` are those that scripts read through `received`; `connections` counts accepts.
    """

    def __init__(
        self,
        script: Script,
        *,
        family: socket.AddressFamily = socket.AF_INET,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._script = script
        self._context = context
        self._stop = threading.Event()
        self._socks: list[socket.socket] = []
        self._listener = socket.socket(family)
        self._listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self._listener.listen(64)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def label(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http{'s' if self._context else ''}://{self.label}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            sock.settimeout(GUARD_S)
            self._socks.append(sock)
            arguments = (sock, self.connections)
            threading.Thread(target=self._run, args=arguments, daemon=True).start()

    def _run(self, sock: socket.socket, number: int) -> None:
        # A client that hangs up on a hostile server is what many tests want.
        with contextlib.suppress(OSError):
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._socks.append(sock)
            peer = Peer(sock, number, self._stop)
            try:
                self._script(peer)
            finally:
                peer.close()

    def close(self) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._socks:
            with contextlib.suppress(OSError):
                sock.close()
        self._thread.join(GUARD_S)


class Client:
    """The driver process, as methods."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.lean_http.driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def _call(self, **command: Any) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps(command).encode() + b"\n")
        stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            assert selector.select(GUARD_S), f"the client did not answer: {command}"
        result: dict[str, Any] = json.loads(stdout.readline())
        assert "driver_failed" not in result, result
        return result

    def new(self, base_url: str | None = None, **options: Any) -> None:
        """Start over with a fresh session."""
        self._call(do="new", base_url=base_url, **options)

    def request(
        self, method: str, url: str, *, block: dict[str, Any] | None = None, **arguments: Any
    ) -> dict[str, Any]:
        return self._call(
            do="request", block=block, arguments={"method": method, "url": url, **arguments}
        )

    def call(
        self, method: str, *positional: Any, nodes: list[str], token: str | None = None, **kw: Any
    ) -> dict[str, Any]:
        """A method of the Foundation client: its result, or what it raised."""
        return self._call(
            do="call", method=method, positional=positional, nodes=nodes, token=token, arguments=kw
        )

    def connect(self, url: str) -> None:
        """Open a connection ahead of the first request."""
        self._call(do="connect", url=url)

    def stream(
        self, method: str, url: str, *steps: Any, block: bool | None = None, **arguments: Any
    ) -> dict[str, Any]:
        """A streamed request and what each step gave; `block` as request's catch_response."""
        return self._call(**self._stream(method, url, steps, block, arguments))

    def spawn_stream(
        self, method: str, url: str, *steps: Any, block: bool | None = None, **arguments: Any
    ) -> None:
        command = self._stream(method, url, steps, block, arguments)
        self._call(**{**command, "do": "spawn_stream"})

    def _stream(
        self, method: str, url: str, steps: Any, block: bool | None, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        steps = [step if isinstance(step, list) else [step] for step in steps]
        arguments = {"method": method, "url": url, **arguments}
        return {"do": "stream", "arguments": arguments, "steps": steps, "block": block}

    def lines(self, url: str, most: int, **arguments: Any) -> dict[str, Any]:
        return self._call(do="lines", arguments={"url": url, **arguments}, most=most)

    def spawn_lines(self, url: str, most: int, **arguments: Any) -> None:
        self._call(do="spawn_lines", arguments={"url": url, **arguments}, most=most)

    def counts(self) -> dict[str, int]:
        return self._call(do="counts")

    def cookies(self, *, clear: bool = False) -> dict[str, str]:
        found: dict[str, str] = self._call(do="cookies", clear=clear)["cookies"]
        return found

    def spawn(self, method: str, url: str, **arguments: Any) -> None:
        self._call(do="spawn", arguments={"method": method, "url": url, **arguments})

    def kill(self) -> dict[str, Any]:
        return self._call(do="kill")

    def join(self) -> dict[str, Any]:
        return self._call(do="join")

    def state(self) -> dict[str, Any]:
        """Events, samples, reconnects, idle connections of the session so far."""
        return self._call(do="state")

    def outcomes(self) -> list[str]:
        return [sample["outcome"] for sample in self.state()["samples"]]

    def close_session(self) -> None:
        self._call(do="close")

    def end(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=10)
        self._process.stdout.close()
