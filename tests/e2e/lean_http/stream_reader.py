"""What a test does with a streamed response, step by step. Runs in the client process."""

from __future__ import annotations

import gc
from itertools import islice
from typing import Any

import gevent

from locustfiles.harness.http.streamed import StreamedResponse


class Reader:
    def __init__(self, response: StreamedResponse) -> None:
        self._response = response

    def take(self, step: str, *arguments: Any) -> Any:
        result = getattr(self, step)(*arguments)
        return result.decode("latin-1") if isinstance(result, bytes) else result

    def read(self, size: int | None = None) -> bytes:
        return self._response.read(size)

    def size(self) -> int:
        """The number of bytes of the rest."""
        return len(self._response.read())

    def content(self) -> bytes:
        return self._response.content

    def text(self) -> str:
        return self._response.text

    def pieces(self, size: int) -> list[str]:
        return [
            piece if isinstance(piece, str) else repr(piece)
            for piece in self._response.iter_content(size)
        ]

    def lines(self, most: int) -> list[str]:
        return list(islice(self._response.iter_lines(), most))

    def received(self) -> int:
        """What was taken from the socket so far, whether read or not."""
        connection = self._response.stream._connection
        assert connection is not None
        return connection.bytes_received

    def close(self) -> None:
        self._response.close()

    def fail(self, message: str) -> None:
        self._response.failure(message)

    def sleep(self, seconds: float) -> None:
        gevent.sleep(seconds)

    def elapsed_ms(self) -> float:
        return self._response.elapsed.total_seconds() * 1000

    def collect(self) -> None:
        gc.collect()

    def two_readers(self) -> list[str]:
        """What the first of two that read at once got, and what the second raised."""
        first = gevent.spawn(self._response.read, 1)
        gevent.sleep(0.05)
        try:
            self._response.read(1)
        except AssertionError as error:
            return [first.get(timeout=10).decode(), type(error).__name__]
        return []

    def throw(self) -> None:
        raise gevent.GreenletExit
