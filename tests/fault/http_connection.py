"""One keep-alive HTTP connection for tests: fast enough to load a node, honest about outcomes.

`exchange` either returns an answer or raises `NoAnswer`: then the outcome is unknown, and the
connection is closed.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

EXCHANGE_TIMEOUT_S = 30.0


class NoAnswer(Exception):
    """No complete answer arrived: refused, reset, cut or timed out."""


class HttpConnection:
    """Connects when it has to; one exchange at a time."""

    def __init__(self, port: int) -> None:
        self.retry_after_s: int | None = None
        """What the last answer's Retry-After said."""
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(
        self, method: str, path: str, body: bytes = b"", content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """Status and body, parsed when it is JSON. Raises NoAnswer."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(EXCHANGE_TIMEOUT_S):
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                reader, writer = self._streams
                writer.write(head.encode() + body)
                answer = (await reader.readuntil(b"\r\n\r\n")).lower()
                at = answer.index(b"content-length: ") + 16
                content = await reader.readexactly(int(answer[at : answer.index(b"\r", at)]))
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            raise NoAnswer(f"{method} {path}: {error!r}") from error
        except BaseException:
            self.close()
            raise
        if b"\r\nconnection: close" in answer:
            self.close()
        _, given, rest = answer.partition(b"\r\nretry-after: ")
        self.retry_after_s = int(rest[: rest.index(b"\r")]) if given else None
        is_json = b"json" in answer[answer.index(b"content-type: ") :].partition(b"\r")[0]
        return int(answer[9:12]), orjson.loads(content) if is_json else content.decode()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
