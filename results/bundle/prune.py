"""Deletes old runs, down to a stated number, size or age (D17).

What goes is decided by a pure function. Only what is a run's folder for sure is deleted, never a
run that may go on, and no link is followed. A folder is renamed before it is deleted, so that no
half of a run is left under its name. This module must not ask or print.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from results.bundle.run_list import ListedRun, State, listed
from results.errors import RunFolderError
from results.run_folder import LONGEST_RUN_ID

PRUNED = ".pruned"
"""How the name of a folder ends that is being deleted; it begins with a dot."""


def to_prune(
    runs: Sequence[ListedRun],
    *,
    keep: int | None = None,
    max_size_bytes: int | None = None,
    older_than_s: float | None = None,
    now_s: float,
) -> list[ListedRun]:
    """What goes, of runs that begin with the newest: each run that any of the limits excludes.

    `keep` is how many of the newest stay, `max_size_bytes` what those that stay may take together.
    Runs that may not be deleted count like others.
    """
    doomed = []
    total_bytes = 0
    for n, run in enumerate(runs):
        total_bytes += run.size_bytes
        if (
            (keep is not None and n >= keep)
            or (max_size_bytes is not None and total_bytes > max_size_bytes)
            or (older_than_s is not None and now_s - run.began_us / 1e6 > older_than_s)
        ):
            doomed.append(run)
    return [run for run in doomed if why_not(run) is None]


def why_not(run: ListedRun) -> str | None:
    """Why a run is never deleted; None: it may be."""
    if run.state is State.RUNNING:
        return "it may still go on"
    if run.is_held:
        return "the process that made it still uses it"
    if run.folder.path.is_symlink():
        return "it is a symbolic link"
    if not run.is_ours:
        return "it is no run's folder for sure"
    if len(run.run_id) > LONGEST_RUN_ID:
        return "its name is no run's"
    return None


def remove(run: ListedRun, *, now_s: float) -> None:
    """Delete the run's folder. Raises RunFolderError; a run that goes on meanwhile is left."""
    path = run.folder.path
    if (why := why_not(listed(run.folder, now_s=now_s))) is not None:
        raise RunFolderError(f"{path} is left: {why}")
    doomed = path.with_name(f".{path.name}{PRUNED}")
    try:
        if doomed.is_dir() and not doomed.is_symlink():
            shutil.rmtree(doomed)
        path.rename(doomed)
        shutil.rmtree(doomed)
    except OSError as error:
        raise RunFolderError(
            f"cannot delete {error.filename or path}: {error.strerror}: see who may write there"
        ) from error


def sweep(runs_dir: Path) -> None:
    """Delete what a deletion that was cut off has left. Raises RunFolderError."""
    for path in runs_dir.glob(f".*{PRUNED}"):
        if path.is_dir() and not path.is_symlink():
            try:
                shutil.rmtree(path)
            except OSError as error:
                raise RunFolderError(f"cannot delete {path}: {error.strerror}") from error
