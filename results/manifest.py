"""The facts of a run that its figures cannot be read without: who, where, with which versions.

Gathered once, in the process that owns the run, before the load. This module must not write files
or know options: the caller adds what it resolved.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

GIT_TIMEOUT_S = 5.0

PACKAGES = ("foundation-load", "locust", "gevent", "httptools", "hdrhistogram")


def manifest(
    *,
    run_id: str,
    scenario: str,
    tier: str,
    started_at: datetime,
    options: dict[str, object],
    seed: int | None,
    source_dir: Path,
) -> dict[str, object]:
    """The document of `manifest.json`, before redaction. `options` are the resolved ones."""
    return {
        "run_id": run_id,
        "scenario": scenario,
        "tier": tier,
        "started_at": started_at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "options": options,
        "seed": seed,
        "versions": versions(),
        "host": host_facts(),
        "git": git_revision(source_dir),
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def host_facts() -> dict[str, object]:
    """What latency depends on: processors, memory, kernel, limits and how busy the host was."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "usable_processors": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "open_files_soft": soft,
        "open_files_hard": hard,
        "load_average": list(os.getloadavg()),
    }


def git_revision(source_dir: Path) -> dict[str, object] | None:
    """Commit and whether files differ from it; None outside of a checkout or without git."""
    commit = _git(source_dir, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(source_dir, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "modified": None if changes is None else bool(changes)}


def _git(source_dir: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(source_dir), *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
