"""What the operating system says of this process: processor, memory, descriptors.

Read once a second in every process of a run, so each reading must be cheap: 12 us together on
Linux 6.2 or newer. What a platform does not tell is left out rather than guessed. This module must
not know the run, nor wait for anything.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from results.health import CPU_PERCENT, CPU_WAIT_PERCENT, FDS_LIMIT, MEMORY_BYTES, OPEN_FDS

SCHEDSTAT = Path("/proc/thread-self/schedstat")
"""Time on a processor and time runnable but waiting for one, both in ns, and slices (kernel:
Documentation/scheduler/sched-stats.rst). Of this thread alone: the one that runs the loop."""

DESCRIPTORS = Path("/proc/self/fd")

LISTING_EVERY = 5
"""Before Linux 6.2 the descriptors must be listed, which takes 0.5 us each (1.2 ms for the 2,200 of
P1, 10 ms for 20,000): only every so many readings, which is 0.02 and 0.2 % of a core."""


class ProcessFigures:
    """Made in the process and by the thread that it tells of; `read` by that thread too."""

    def __init__(
        self, *, schedstat: Path = SCHEDSTAT, descriptors: Path = DESCRIPTORS, page_bytes: int = 0
    ) -> None:
        self._schedstat = schedstat
        self._descriptors = descriptors
        self._page_bytes = page_bytes or resource.getpagesize()
        self._readings = 0
        self._at_s = time.perf_counter()
        self._cpu_s = time.process_time()
        self._waited_ns = self._read_waited_ns()

    def read(self) -> dict[str, float]:
        """Of the time since the reading before: processor; as they are now: all the rest."""
        at_s, cpu_s, waited_ns = time.perf_counter(), time.process_time(), self._read_waited_ns()
        took_s = max(at_s - self._at_s, 1e-6)
        found = {CPU_PERCENT: round(100 * (cpu_s - self._cpu_s) / took_s, 2)}
        if waited_ns is not None and self._waited_ns is not None:
            # The kernel adds a wait when it ends, so a second can be charged for the one before.
            share = (waited_ns - self._waited_ns) / 1e9 / took_s
            found[CPU_WAIT_PERCENT] = round(100 * min(max(share, 0.0), 1.0), 2)
        self._at_s, self._cpu_s, self._waited_ns = at_s, cpu_s, waited_ns
        found |= self._open_descriptors()
        found |= self._memory()
        self._readings += 1
        return found

    def _read_waited_ns(self) -> int | None:
        """None where the kernel does not count: a thread that reads this has run."""
        try:
            ran, waited, *_ = map(int, self._schedstat.read_bytes().split())
        except (OSError, ValueError):
            return None
        return waited if ran > 0 else None

    def _open_descriptors(self) -> Mapping[str, float]:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        found: dict[str, float] = {}
        with suppress(OSError):
            # Since Linux 6.2 this is how many there are; before it is 0.
            count = self._descriptors.stat().st_size
            if not count and self._readings % LISTING_EVERY == 0:
                # Listing opens one itself.
                count = len(os.listdir(self._descriptors)) - 1
            if count > 0:
                found[OPEN_FDS] = count
                if limit != resource.RLIM_INFINITY:
                    found[FDS_LIMIT] = limit
        return found

    def _memory(self) -> Mapping[str, float]:
        try:
            resident_pages = int(Path("/proc/self/statm").read_bytes().split()[1])
        except (OSError, ValueError, IndexError):
            return {}
        return {MEMORY_BYTES: resident_pages * self._page_bytes}
