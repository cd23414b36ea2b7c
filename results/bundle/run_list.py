"""The runs below a folder: what each was, how it ended, what it takes, and finding one by its name.

Read from manifest and verdict, which are small; timelines are not read but for their first bytes.
Folders may have been damaged or made by others: what cannot be read is told of the run, and stops
nothing. This module must not change anything.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from results.errors import RunFolderError
from results.field import LARGEST
from results.printable import printable
from results.regular_file import open_regular
from results.run_folder import RunFolder, read_json
from results.run_lock import is_locked
from results.verdict import Verdict

LATEST = "latest"
"""Stands for the run that began last."""

RUNNING_S = 60.0
"""A run without a verdict that wrote within this time may still go on, whatever its lock says: it
writes every second."""

_WRITTEN_ON = ("timeline.jsonl", "manifest.json", "ledger")
"""What a run writes while it goes on; a report may be made long after."""

_MARKS = ("timeline.jsonl", "manifest.json", "verdict.json", "digests.txt")
"""Any of these makes a folder look like a run's."""

_TIMELINE_BEGINS = b'{"kind":"header"'
_MOST_NAMED = 5

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LEAST_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_MOST_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


class State(StrEnum):
    """`killed`: no verdict was written, and nothing any more."""

    JUDGED = "judged"
    RUNNING = "running"
    KILLED = "killed"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class ListedRun:
    """`began_us` is microseconds since the epoch, in the years 1 to 9999: from the manifest, else
    of the oldest file.

    `changed_s` is when the run wrote last. `is_ours` says that the folder is a run's for sure,
    `is_held` that the process that owns the run still uses it; `problem` is why it is broken.
    """

    folder: RunFolder
    state: State
    began_us: int
    changed_s: float
    size_bytes: int
    scenario: str | None = None
    verdict: Verdict | None = None
    requests: int | None = None
    problem: str | None = None
    is_ours: bool = True
    is_held: bool = False

    @property
    def run_id(self) -> str:
        return self.folder.run_id

    @property
    def began_at(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self.began_us)

    @property
    def word(self) -> str:
        """The verdict, or why there is none."""
        return self.state.value if self.verdict is None else self.verdict.value


def list_runs(runs_dir: Path, *, now_s: float) -> list[ListedRun]:
    """The newest first. `now_s` is seconds since the epoch. Raises RunFolderError."""
    found = [listed(RunFolder(path), now_s=now_s) for path in _run_paths(runs_dir)]
    return sorted(found, key=lambda run: (run.began_us, run.run_id), reverse=True)


def _run_paths(runs_dir: Path) -> list[Path]:
    try:
        entries = [entry for entry in runs_dir.iterdir() if not entry.name.startswith(".")]
    except FileNotFoundError as error:
        raise RunFolderError(
            f"there is no folder {runs_dir}: no run was made here, or say with --dir where"
        ) from error
    except OSError as error:
        raise RunFolderError(f"cannot look through {runs_dir}: {error.strerror}") from error
    return [entry for entry in entries if looks_like_a_run(entry)]


def looks_like_a_run(path: Path) -> bool:
    try:
        return path.is_dir() and any(os.path.lexists(path / name) for name in _MARKS)
    except (OSError, ValueError):
        return False


def listed(folder: RunFolder, *, now_s: float) -> ListedRun:
    """One run, as far as it can be read."""
    size_bytes, oldest_s, changed_s = _extent(folder.path)
    problems: list[str] = []
    manifest = _document(folder.manifest, problems)
    verdict = _document(folder.verdict, problems)
    word = _word(verdict, problems)
    is_ours = _is_ours(folder, manifest)
    if not is_ours:
        problems.append("neither a timeline nor a manifest is a run's")
    is_held = is_locked(folder.path)
    state = State.JUDGED
    if problems:
        state = State.BROKEN
    elif word is None:
        is_young = now_s - changed_s < RUNNING_S
        state = State.RUNNING if is_held or is_young else State.KILLED
    began_us = _began_us(manifest)
    return ListedRun(
        folder,
        state,
        # A file may have any time.
        min(max(round(oldest_s * 1e6), _LEAST_US), _MOST_US) if began_us is None else began_us,
        changed_s,
        size_bytes,
        _scenario(manifest),
        word,
        _requests(verdict),
        problems[0] if problems else None,
        is_ours,
        is_held,
    )


def _extent(path: Path) -> tuple[int, float, float]:
    """Bytes of all files, and when the oldest was written, and the newest of those that a run
    writes on. Links are not followed."""
    size_bytes, times, of_run = 0, [], [0.0]
    for here, _, names in os.walk(path):
        for name in names:
            # Gone since it was listed, as parts of files are.
            with suppress(OSError):
                place = os.path.join(here, name)
                seen = os.lstat(place)
                size_bytes += seen.st_size
                times.append(seen.st_mtime)
                if os.path.relpath(place, path).split(os.sep)[0] in _WRITTEN_ON:
                    of_run.append(seen.st_mtime)
    return size_bytes, min(times, default=0.0), max(of_run)


def _document(path: Path, problems: list[str]) -> Mapping[str, object]:
    """Empty when there is none."""
    if not os.path.lexists(path):
        return {}
    try:
        document = read_json(path)
    except RunFolderError as error:
        problems.append(str(error))
        return {}
    if not isinstance(document, dict):
        problems.append(f"{path.name} holds no JSON object")
        return {}
    return document


def _word(verdict: Mapping[str, object], problems: list[str]) -> Verdict | None:
    if not verdict:
        return None
    word = verdict.get("verdict")
    if isinstance(word, str) and word in set(Verdict):
        return Verdict(word)
    problems.append(f"verdict.json: unknown verdict {printable(repr(word), 40)}")
    return None


def _scenario(manifest: Mapping[str, object]) -> str | None:
    scenario = manifest.get("scenario")
    return scenario if isinstance(scenario, str) else None


def _began_us(manifest: Mapping[str, object]) -> int | None:
    text = manifest.get("started_at")
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if moment is None or moment.tzinfo is None:
        return None
    began_us = (moment - _EPOCH) // _MICROSECOND
    # In the years 1 and 9999 its zone may move it out of what there is.
    return began_us if _LEAST_US <= began_us <= _MOST_US else None


def _requests(verdict: Mapping[str, object]) -> int | None:
    windows = verdict.get("windows")
    first = windows[0] if isinstance(windows, list) and windows else None
    total = first.get("total") if isinstance(first, dict) else None
    count = total.get("requests") if isinstance(total, dict) else None
    return count if type(count) is int and 0 <= count <= LARGEST else None


def _is_ours(folder: RunFolder, manifest: Mapping[str, object]) -> bool:
    if "run_id" in manifest:
        return True
    try:
        with open_regular(folder.timeline) as file:
            return file.read(len(_TIMELINE_BEGINS)) == _TIMELINE_BEGINS
    except OSError:
        return False


def find_run(runs_dir: Path, text: str, *, now_s: float) -> RunFolder:
    """A run by its id, a beginning of it that no other has, `latest`, or its folder's path.

    Raises RunFolderError that names what is near.
    """
    if "/" in text or text in (".", ".."):
        return _at(text)
    if not text or not text.isprintable():
        raise RunFolderError(f"{printable(text)!r} is no run's name")
    if text == LATEST:
        runs = list_runs(runs_dir, now_s=now_s)
        if not runs:
            raise RunFolderError(f"there is no run in {runs_dir}: make one, or say --dir")
        return runs[0].folder
    if looks_like_a_run(runs_dir / text):
        return RunFolder(runs_dir / text)
    if looks_like_a_run(Path(text)):
        return RunFolder(Path(text))
    names = sorted(path.name for path in _run_paths(runs_dir))
    return RunFolder(runs_dir / _only_one(text, names, runs_dir))


def _at(text: str) -> RunFolder:
    path = Path(text)
    if looks_like_a_run(path):
        return RunFolder(path)
    try:
        what = "no run's folder" if path.exists() else "not there"
    except OSError as error:
        what = f"not there ({error.strerror})"
    raise RunFolderError(
        f"{printable(text)} is {what}: name a run, or the folder that holds its timeline.jsonl"
    )


def _only_one(text: str, names: Sequence[str], runs_dir: Path) -> str:
    begun = [name for name in names if name.startswith(text)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        shown = ", ".join(map(printable, begun[:_MOST_NAMED]))
        more = f" and {len(begun) - _MOST_NAMED} more" if len(begun) > _MOST_NAMED else ""
        raise RunFolderError(f"{text!r} begins {len(begun)} runs: {shown}{more}: say more of it")
    near = difflib.get_close_matches(text, names, n=1, cutoff=0.5)
    near = near or [name for name in names if text in name][-1:]
    hint = f"did you mean {printable(near[0])}?" if near else "`foundation results list` has them"
    raise RunFolderError(f"there is no run {printable(text)!r} in {runs_dir}: {hint}")
