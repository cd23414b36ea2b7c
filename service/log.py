"""Structured logs of a node: JSON lines on stderr, coloured text when that is a terminal.

Every line carries the node's name and the run's id. Bodies and secrets are never logged, control
characters are escaped so that a client cannot forge a line, and a level that is off costs one
attribute look-up. The standard library's loggers (uvicorn, asyncio) come out here as well.
A line that cannot be written is lost: it must not fail the request that it tells of (G11).
"""

from __future__ import annotations

import logging
import re
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from service.settings import Settings

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(settings: Settings) -> FilteringBoundLogger:
    """Set this process's logging up (once, at a process's edge) and return the node's logger."""
    level = _LEVELS[settings.log_level]
    plain = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if plain
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            escape_control,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Unfailing())),
        cache_logger_on_first_use=False,
    )
    log: FilteringBoundLogger = structlog.get_logger().bind(node=settings.name)
    if settings.run_id:
        log = log.bind(run_id=settings.run_id)
    root = logging.getLogger()
    root.handlers[:] = [_Forward(log)]
    root.setLevel(max(level, logging.WARNING))
    return log


class Sparing:
    """Lets one line in `interval_s` through, for what overload makes many of (G13)."""

    def __init__(self, interval_s: float = 1.0) -> None:
        self._interval_s = interval_s
        self._next_s = 0.0
        self._left_out = 0

    def pass_at(self, now_s: float) -> int | None:
        """How many were left out since the line before, if this one is written; else None."""
        if now_s < self._next_s:
            self._left_out += 1
            return None
        left_out, self._left_out = self._left_out, 0
        self._next_s = now_s + self._interval_s
        return left_out


class _Unfailing:
    """stderr without its errors: it may be a file on a full disk, or a pipe that was closed."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def escape_control(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Replace control characters and line separators in every text by their escapes."""
    for key, value in event.items():
        if isinstance(value, str) and key != "exception" and _CONTROL.search(value):
            event[key] = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", value)
    return event


class _Forward(logging.Handler):
    """Hands records of the standard library's loggers to structlog."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.log(
            record.levelno,
            record.getMessage(),
            logger=record.name,
            exc_info=record.exc_info or None,
        )
