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
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from results.errors import RunFolderError
from results.printable import printable
from results.redaction import redacted
from results.regular_file import open_regular

LONGEST_RUN_ID = 100

_RUN_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")

MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
"""A verdict of 40 windows with 500 endpoints each has 20 MB."""

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


def read_json(path: Path) -> object:
    """A document. Raises RunFolderError when it is no regular file, no JSON or far too long, or
    has a field twice."""
    try:
        document: object = json.loads(_content(path), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"cannot read {path} as JSON: {printable(str(error))}") from error
    return document


def read_text(path: Path) -> str:
    """In UTF-8. Raises RunFolderError when it is no regular file, no text or far too long."""
    try:
        return _content(path).decode()
    except ValueError as error:
        raise RunFolderError(f"cannot read {path} as text: {printable(str(error))}") from error


def _content(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            data = file.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise RunFolderError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"longer than {MAX_DOCUMENT_BYTES:,} bytes")
    return data


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # One reader would see the first, another the last.
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the field {twice[:100]!r} is there twice")
    return found


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
