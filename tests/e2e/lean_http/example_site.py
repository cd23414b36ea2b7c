"""The site that the examples visit: a real server that keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

LINES = b"".join(b"line %d\n" % number for number in range(20))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ExampleServer

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def _handle(self) -> None:
        body = self._body()
        path = urlsplit(self.path).path
        self.server.asked[f"{self.command} {path}"] += 1
        page = getattr(self, f"page_{path.split('/')[1].replace('-', '_')}", None)
        if page is None:
            self._answer(b"home")
        else:
            page(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _handle

    def _answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def page_json(self, body: bytes) -> None:
        self._answer(b'{"answer": 42}', Content_Type="application/json")

    def page_json_error(self, body: bytes) -> None:
        self._answer(b'{"error": "from the API"}', Content_Type="application/json")

    def page_post(self, body: bytes) -> None:
        reply = {"data": json.loads(body)}
        self._answer(json.dumps(reply).encode(), Content_Type="application/json")

    def page_echo(self, body: bytes) -> None:
        self._answer(body)

    def page_files(self, body: bytes) -> None:
        kind = self.headers.get("Content-Type", "")
        sent = b'name="file"' in body and (b"\r\n\r\n1,2\r\n" in body or b"\r\n\r\nx\r\n" in body)
        whole = kind.startswith("multipart/form-data") and sent
        self._answer(b"", 200 if whole else 400)

    def page_tenant(self, body: bytes) -> None:
        known = self.headers.get("X-Tenant") == "a" and self.headers.get("X-Request") == "1"
        self._answer(b"", 200 if known else 403)

    def page_auth(self, body: bytes) -> None:
        self._answer(b"", 200 if self.headers.get("Authorization") else 401)

    def page_empty(self, body: bytes) -> None:
        self._answer(b"")

    def page_status(self, body: bytes) -> None:
        self._answer(b"", int(self.path.rpartition("/")[2]))

    def page_redirect(self, body: bytes) -> None:
        self._answer(b"", 302, Location="/redirected")

    def page_loop(self, body: bytes) -> None:
        self._answer(b"", 307, Location="/loop")

    def page_login(self, body: bytes) -> None:
        known = body == b"user=me&password=secret"
        self._answer(b"", 303 if known else 403, Location="/account", Set_Cookie="sid=1; Path=/")

    def page_account(self, body: bytes) -> None:
        self._answer(b"", 200 if self.headers.get("Cookie") == "sid=1" else 401)

    def page_logout(self, body: bytes) -> None:
        self._answer(b"", 200, Set_Cookie="sid=; Path=/; Max-Age=0")

    def page_lines(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(LINES), 50):
            part = LINES[start : start + 50]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def page_hang(self, body: bytes) -> None:
        self.server.over.wait(1)
        self.close_connection = True

    def page_close(self, body: bytes) -> None:
        self.close_connection = True

    def page_garbage(self, body: bytes) -> None:
        self.wfile.write(b"\x00\x01\x02 nothing of HTTP\r\n\r\n")
        self.close_connection = True

    def page_truncated(self, body: bytes) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
        self.close_connection = True


class ExampleServer(ThreadingHTTPServer):
    """`asked` counts requests by method and path."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what some examples do."""

    def close(self) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()
        self._thread.join(10)
