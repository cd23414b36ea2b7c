"""The real work behind each kind of job (P1-10, D9): small, bounded, safe to do twice.

`email_delivery` renders a mail and hashes it, `report_generation` aggregates the last user actions,
`analytics_aggregation` counts the last minute's events, `backup_creation` writes a backup of the
newest events beside the database and fsyncs it, `data_cleanup` removes old backups. A few
milliseconds of CPU at most; files are touched and mails rendered in a thread, never on the loop. A
backup is named by its job, so that a second attempt replaces the first.
"""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any, Final, assert_never
from uuid import UUID

from service.errors import BackupsUnusable, StorageError
from service.events.store import EventQuery, EventStore
from service.schema import Event
from service.schema_jobs import JobKind
from service.workloads.jobs_thread import in_thread

READ_EVENTS: Final = 200
"""What a report, an aggregation and a backup read: two statements of the readers."""

WINDOW_US: Final = 60_000_000
MAX_TEXT_CHARS: Final = 4_000
MAX_SUBJECT_CHARS: Final = 200
MAX_ADDRESS_CHARS: Final = 254
"""RFC 5321's path of 256 less its brackets. The standard library's header parser takes quadratic
time, 14 s for an address field of 4,000 characters, so both fields are short."""

MAX_BACKUP_BYTES: Final = 256 * 2**10
MAX_BACKUPS: Final = 20
KEPT_BACKUPS: Final = 3
ABANDONED_AFTER_S: Final = 3_600
_BACKUP = re.compile(r"[0-9a-f-]{36}\.jsonl")
_PARTIAL = re.compile(r"[0-9a-f-]{36}\.partial")
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*"
)
_SHORTAGES: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""What passes, or what the node's own `disk` and `writer` tell of as well: a job waits for it."""


Result = dict[str, Any]


class JobWork:
    """The work of one node's jobs over its store; backups go to `folder`."""

    def __init__(
        self, store: EventStore, folder: Path, node: str, clock_us: Callable[[], int]
    ) -> None:
        self._store = store
        self._folder = folder
        self._node = node
        self._clock_us = clock_us

    async def do(self, kind: JobKind, job_id: bytes, payload: Result) -> Result:
        """One attempt. Raises as the store's query, StorageError when the disk is short,
        BackupsUnusable, ValueError for a bad address."""
        match kind:
            case "email_delivery":
                return await in_thread(partial(deliver_email, self._node, job_id, payload))
            case "report_generation":
                return report(await self._newest("user_action"))
            case "analytics_aggregation":
                since = max(0, self._clock_us() - WINDOW_US)
                return aggregate(await self._newest(None, since))
            case "backup_creation":
                events = await self._newest(None)
                return await _on_disk(partial(back_up, self._folder, job_id, events))
            case "data_cleanup":
                now_s = self._clock_us() / 1e6
                return await _on_disk(partial(clean_up, self._folder, now_s))
            case _:
                assert_never(kind)

    async def _newest(self, type: str | None, created_after: int | None = None) -> Sequence[Event]:
        page = await self._store.query(
            EventQuery(
                type=type,
                created_after=created_after,
                order_by="-created_at",
                limit=READ_EVENTS,
            )
        )
        return page.events


async def _on_disk(work: Callable[[], Result]) -> Result:
    """Run `work` in a thread. Raises StorageError for a shortage, else BackupsUnusable."""
    try:
        return await in_thread(work)
    except OSError as error:
        if error.errno in _SHORTAGES:
            raise StorageError(
                f"backups cannot be kept: {error.strerror}: make room in the data directory"
            ) from None
        raise BackupsUnusable(
            f"backups cannot be kept: {error.strerror}: let `backups` in the data directory be a"
            " folder that the node may write"
        ) from None


def deliver_email(node: str, job_id: bytes, payload: Result) -> Result:
    """Render the mail as it would go to an SMTP server; its digest stands for the delivery.

    Raises ValueError for what is not one address.
    """
    mail = EmailMessage(policy=SMTP)
    mail["Message-ID"] = f"<{UUID(bytes=job_id)}@{node}>"
    mail["From"] = f"jobs@{node}"
    mail["To"] = to = _address(payload.get("to", "customer@example.org"))
    mail["Subject"] = _text(payload, "subject", "Your report is ready", MAX_SUBJECT_CHARS)
    mail.set_content(_text(payload, "body", "Sign in to read it.\n" * 20, MAX_TEXT_CHARS))
    raw = mail.as_bytes()
    return {"to": to, "size_bytes": len(raw), "sha256": sha256(raw).hexdigest()}


def _address(given: object) -> str:
    if isinstance(given, str) and len(given) <= MAX_ADDRESS_CHARS and _ADDRESS.fullmatch(given):
        return given
    raise ValueError(
        f"to: one address such as ada@example.org, in ASCII, at most {MAX_ADDRESS_CHARS} characters"
    )


def _text(payload: Result, name: str, default: str, most_chars: int) -> str:
    value = payload.get(name)
    return value[:most_chars] if isinstance(value, str) and value else default


def report(events: Sequence[Event]) -> Result:
    """Count and mean processing time by action. Anybody can post such events, with any data."""
    times: dict[str, list[int]] = {}
    for event in events:
        action, took = event.data.get("action"), event.data.get("processing_time_ms")
        if isinstance(action, str) and type(took) is int:
            times.setdefault(action[:100], []).append(took)
    return {
        "actions": {
            action: {"samples": len(found), "mean_ms": round(fmean(found), 1), "max_ms": max(found)}
            for action, found in sorted(times.items())
        }
    }


def aggregate(events: Sequence[Event]) -> Result:
    """Events of the window by type, at most READ_EVENTS of them."""
    return {
        "events": len(events),
        "types": dict(sorted(Counter(event.type for event in events).items())),
        "newest_seq": events[0].seq if events else None,
    }


def back_up(folder: Path, job_id: bytes, events: Sequence[Event]) -> Result:
    """Write the newest events, oldest first, whole or not at all; at most MAX_BACKUP_BYTES."""
    folder.mkdir(exist_ok=True)
    lines: list[bytes] = []
    size_bytes = 0
    for event in events:
        line = event.model_dump_json().encode() + b"\n"
        size_bytes += len(line)
        if size_bytes > MAX_BACKUP_BYTES:
            break
        lines.append(line)
    content = b"".join(reversed(lines))
    name = str(UUID(bytes=job_id))
    unfinished = folder / f"{name}.partial"
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(folder / f"{name}.jsonl")
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    _sync(folder)
    _remove_old(folder, MAX_BACKUPS)
    return {
        "events": len(lines),
        "size_bytes": len(content),
        "sha256": sha256(content).hexdigest(),
    }


def clean_up(folder: Path, now_s: float) -> Result:
    """Remove all backups but the newest, and what a killed node left half written."""
    if not folder.is_dir():
        return {"removed": 0, "kept": 0}
    removed = 0
    for path in folder.iterdir():
        if _PARTIAL.fullmatch(path.name) and now_s - _written_s(path) > ABANDONED_AFTER_S:
            path.unlink(missing_ok=True)
            removed += 1
    removed += _remove_old(folder, KEPT_BACKUPS)
    return {"removed": removed, "kept": len(_backups(folder))}


def _remove_old(folder: Path, kept: int) -> int:
    """Remove all backups but the `kept` newest; how many that were."""
    old = _backups(folder)[kept:]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _backups(folder: Path) -> list[Path]:
    """The newest first; other files are not ours."""
    found = [path for path in folder.iterdir() if _BACKUP.fullmatch(path.name)]
    return sorted(found, key=lambda path: (_written_s(path), path.name), reverse=True)


def _written_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # another job has removed it just now


def _sync(folder: Path) -> None:
    """The renaming itself is on disk after this."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
