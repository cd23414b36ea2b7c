"""A run's folder: its name, its files, and writing them whole.

`results/runs/<run_id>/` holds everything that a run leaves. A folder belongs to one run for ever:
an existing one is never written over. Documents are written beside their place and renamed into
it, so that a reader sees the old one or the new one and never half. Secrets are redacted before
they reach a disk. This module must not know what the documents mean.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from results.errors import RunFolderError

LONGEST_RUN_ID = 100

_RUN_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SECRET_WORDS = (
    "token|secret|passw|passphrase|credential|authorization|api[-_]?key|private[-_]?key|cookie"
)
_SECRET = re.compile(_SECRET_WORDS, re.IGNORECASE)
_SECRET_IN_QUERY = re.compile(rf"([?&][^=&#]*(?:{_SECRET_WORDS})[^=&#]*=)[^&#]*", re.IGNORECASE)
_DEEPEST = 20

REDACTED = "***"

PART = ".part"
"""How the name of a file ends that is being written; it begins with a dot."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run. `create_run` makes the folder, `open_run` finds it again."""

    path: Path

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def timeline(self) -> Path:
        return self.path / "timeline.jsonl"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.json"

    @property
    def verdict(self) -> Path:
        return self.path / "verdict.json"

    @property
    def ledger(self) -> Path:
        """The folder of the writes and of what the audit read."""
        return self.path / "ledger"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def junit(self) -> Path:
        return self.path / "junit.xml"

    @property
    def csv(self) -> Path:
        """The folder of the tables."""
        return self.path / "csv"

    @property
    def digests(self) -> Path:
        return self.path / "digests.txt"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def write_manifest(self, manifest: Mapping[str, object]) -> None:
        """Redacts secrets first. Raises RunFolderError when it cannot be written."""
        write_json(self.manifest, redacted(manifest))

    def write_verdict(self, document: Mapping[str, object]) -> None:
        write_json(self.verdict, document)

    def write_junit(self, text: str) -> None:
        write_text(self.junit, text)


def new_run_id(scenario: str, *, now: datetime, suffix: str) -> str:
    """`20260131T120000Z-p1_saas-4f2a`: sorts by time. `suffix` is random, the caller's choice.

    Characters of `scenario` that a run id may not have become `-`.
    """
    assert now.tzinfo is not None, "labels are UTC"
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", scenario).strip("-._") or "run"
    return validated_run_id(f"{stamp}-{name[:60]}-{suffix}")


def validated_run_id(run_id: str) -> str:
    """The id itself. Raises RunFolderError when it could not be a folder's plain name."""
    if len(run_id) > LONGEST_RUN_ID or ".." in run_id or not _RUN_ID.fullmatch(run_id):
        raise RunFolderError(
            f"run id {run_id[: LONGEST_RUN_ID + 1]!r}: use 1 to {LONGEST_RUN_ID} letters, digits, "
            "'-', '_' or single dots, with a letter or digit at both ends"
        )
    return run_id


def create_run(runs_dir: Path, run_id: str) -> RunFolder:
    """Makes the folder and its parents. Raises RunFolderError when it exists or cannot be made."""
    path = runs_dir / validated_run_id(run_id)
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        path.mkdir()
        (path / "logs").mkdir()
    except FileExistsError as error:
        if not runs_dir.is_dir():
            raise RunFolderError(f"{runs_dir} is not a folder: use another results dir") from error
        raise RunFolderError(
            f"the run {run_id!r} is already in {runs_dir}: a run is never written over, "
            "use another --run-id or none"
        ) from error
    except OSError as error:
        raise RunFolderError(
            f"cannot make {path}: {error.strerror}: use a writable --results-dir"
        ) from error
    return RunFolder(path)


def open_run(runs_dir: Path, run_id: str) -> RunFolder:
    """An existing run. Raises RunFolderError when it has no timeline."""
    folder = RunFolder(runs_dir / validated_run_id(run_id))
    if not folder.timeline.is_file():
        raise RunFolderError(f"{folder.path} holds no timeline.jsonl: is the run id right?")
    return folder


def write_json(path: Path, document: Mapping[str, object]) -> None:
    """As `write_text` does. NaN and infinity raise ValueError."""
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """As `write_bytes` does, in UTF-8; what has no place in that is escaped."""
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    """Atomic: written beside it, synced, renamed. Raises RunFolderError; leaves no part behind."""
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise RunFolderError(f"cannot write {path}: {error.strerror}") from error


def redacted(document: Mapping[str, object]) -> dict[str, object]:
    """A copy in JSON's types: values under secret names, in URLs too, and passwords become `***`.

    Values of other types become their text.
    """
    return {
        str(name): REDACTED if _SECRET.search(str(name)) and value else _plain(value, 1)
        for name, value in document.items()
    }


def _plain(value: object, depth: int) -> object:
    if depth > _DEEPEST:
        return "…"
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, Mapping):
        return {
            str(name): REDACTED if _SECRET.search(str(name)) and inner else _plain(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_plain(item, depth + 1) for item in items]
    text = _SECRET_IN_QUERY.sub(rf"\g<1>{REDACTED}", str(value))
    if "://" in text and "@" in text:
        return ",".join(_url_without_password(part) for part in text.split(","))
    return text


def _url_without_password(text: str) -> str:
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        # Not a URL after all, and it might be most of one with a password in it.
        return REDACTED
    if "@" not in parts.netloc:
        return text
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{REDACTED}@{host}"))
