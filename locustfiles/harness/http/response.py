"""The response as a locustfile sees it: FastHttpUser's, without what costs time.

Nothing is decoded, parsed or built before it is asked for. With `catch_response=True` it is also
the context manager that decides, at the end of its block, how the request counts. It must not
know how a request is sent: it hands its verdict to whoever made it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from email.message import Message
from types import TracebackType
from typing import Any

import orjson
from locust.exception import (
    CatchResponseError,
    InterruptTaskSet,
    LocustError,
    RescheduleTask,
    RescheduleTaskImmediately,
    ResponseError,
    StopTest,
    StopUser,
)

from locustfiles.harness.http.header import ResponseHeaders

_NEEDS_CATCH = (
    "success() and failure() need a request made with catch_response=True and its with-block: "
    "with self.client.get(..., catch_response=True) as response: ..."
)

_CONTROL_FLOW = (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)

_UNMARKED = object()


class BadStatus(ResponseError):
    """The response's status is 400 or more. Stable text, so that Locust groups it by name."""

    def __init__(self, status: int, name: str) -> None:
        super().__init__(status, name)
        self.status = status
        self.name = name

    def __str__(self) -> str:
        return f"{self.status} from {self.name}"

    def __repr__(self) -> str:
        return f"BadStatus: {self}"


class Response:
    """One response, or what stands for it when none came (`status_code` 0 and `error` set).

    `content` is decoded and empty when nothing came; `request_meta` holds the arguments of
    Locust's request event, which a with-block may change before it ends. `js` is what `rest()`
    makes of the content. `is_sampled`: its session yields a Sample of its own for it.
    """

    __slots__ = (
        "_encoding", "_entered", "_headers", "_history", "_mark", "_raw_head", "_report",
        "content", "error", "is_sampled", "js", "request_meta", "status_code", "url",
    )  # fmt: skip

    def __init__(
        self,
        url: str,
        request_meta: dict[str, Any],
        status_code: int,
        raw_head: bytes,
        content: bytes,
        error: Exception | None,
    ) -> None:
        self.url = url
        self.request_meta = request_meta
        self.status_code = status_code
        self.content = content
        self.error = error
        self.is_sampled = False
        self._raw_head = raw_head
        self._headers: ResponseHeaders | None = None
        self._report: Callable[[Response], None] | None = None
        self._entered = False
        self._mark: object = _UNMARKED

    def report_with(self, report: Callable[[Response], None]) -> None:
        """Leave the report to the with-block, which calls `report` once."""
        self._report = report

    @property
    def history(self) -> list[tuple[int, str]]:
        """Status and URL of each redirect that led here, oldest first."""
        found: list[tuple[int, str]] = getattr(self, "_history", [])
        return found

    @history.setter
    def history(self, hops: list[tuple[int, str]]) -> None:
        self._history = hops

    @property
    def encoding(self) -> str:
        """The charset that `text` decodes with: what was set, what Content-Type names, UTF-8."""
        own: str | None = getattr(self, "_encoding", None)
        if own is not None:
            return own
        header = Message()
        header["content-type"] = self.headers.get("content-type", "")
        return str(header.get_param("charset", "utf-8"))

    @encoding.setter
    def encoding(self, charset: str | None) -> None:
        self._encoding = charset

    @property
    def headers(self) -> ResponseHeaders:
        """Case-insensitive; empty when no response came."""
        if self._headers is None:
            self._headers = ResponseHeaders(self._raw_head)
        return self._headers

    @property
    def ok(self) -> bool:
        """Whether a response came and its status is below 400."""
        return 0 < self.status_code < 400

    @property
    def elapsed(self) -> timedelta:
        """From before the request was sent to its last byte."""
        return timedelta(milliseconds=self.request_meta["response_time"])

    @property
    def text(self) -> str:
        """The content in the charset of `encoding`, or UTF-8 where that cannot be; never raises."""
        try:
            return self.content.decode(self.encoding, errors="replace")
        except (LookupError, ValueError):
            # Some charsets raise whatever they are told of errors: idna, undefined.
            return self.content.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """The content as JSON. Raises ValueError (`json.JSONDecodeError`) when it is none."""
        return orjson.loads(self.content)

    def raise_for_status(self) -> None:
        """Raise what the request counts as a failure for, if it does."""
        failure = self.failure_cause()
        if failure is not None:
            raise failure

    def failure_cause(self) -> Exception | None:
        """The with-block's mark if it set one, else the transport's error or a bad status."""
        if self._mark is True:
            return None
        if isinstance(self._mark, Exception):
            return self._mark
        if self.error is not None:
            return self.error
        if self.status_code >= 400:
            meta = self.request_meta
            return BadStatus(self.status_code, f"{meta['request_type']} {meta['name']}")
        return None

    def success(self) -> None:
        """Count the request as a success, whatever its status. In the with-block only."""
        self._require_block()
        self._mark = True

    def failure(self, cause: Exception | str) -> None:
        """Count the request as a failure. A text becomes a CatchResponseError."""
        self._require_block()
        self._mark = cause if isinstance(cause, Exception) else CatchResponseError(cause)

    def _require_block(self) -> None:
        if not self._entered:
            raise LocustError(_NEEDS_CATCH)

    def __enter__(self) -> Response:
        # Without catch_response it has been counted: a block reads it, but cannot mark it.
        self._entered = self._report is not None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Report once. A ResponseError raised in the block is the failure and ends here.

        Any other exception goes on to Locust's task, and an ordinary one makes an unmarked request
        a failure first, where FastHttpUser would not count the request at all. Locust's own
        control flow (reschedule, interrupt, stop) and the user's end say nothing about it.
        """
        if not self._entered:
            return False
        swallow = False
        if self._mark is _UNMARKED and isinstance(error, Exception):
            swallow = isinstance(error, ResponseError)
            if not isinstance(error, _CONTROL_FLOW):
                self._mark = error
        report, self._report = self._report, None
        if report is not None:
            report(self)
        return swallow or error is None
