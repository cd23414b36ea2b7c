"""The facts that every absolute figure needs beside it: which machine, which versions, how busy."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from time import perf_counter
from typing import Self

import psutil

from tests.bench.process import ROOT


def facts() -> dict[str, str]:
    """As of now: take it before the first benchmark, so that the load average is the machine's."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "CPU": _cpu_model(),
        "cores": f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}",
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "load average": f"{load} (1, 5, 15 min, at the start)",
        "date": datetime.now(UTC).isoformat(" ", "seconds"),
        "revision": _revision(),
    }


@dataclass(frozen=True, slots=True)
class CpuClock:
    """A moment in CPU seconds: the whole machine's busy time, and ours with all ended children."""

    wall_s: float
    busy_s: float
    own_s: float

    @classmethod
    def now(cls) -> Self:
        times = psutil.cpu_times()
        usages = (getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN))
        return cls(
            perf_counter(),
            sum(times) - times.idle - times.iowait - times.guest - times.guest_nice,
            sum(usage.ru_utime + usage.ru_stime for usage in usages),
        )

    def foreign_cores(self) -> float:
        """Cores that others used on average since this moment; no child may be alive now.

        A few hundredths are the kernel's own, which writes for everybody.
        """
        now = CpuClock.now()
        foreign_s = (now.busy_s - self.busy_s) - (now.own_s - self.own_s)
        return max(0.0, foreign_s / (now.wall_s - self.wall_s))


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _revision() -> str:
    """The commit, with a plus sign when files differ from it; unknown outside a checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            cwd=ROOT, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return described.stdout.strip()
