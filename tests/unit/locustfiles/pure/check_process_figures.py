"""What the operating system says of a process, and what is left out where it says nothing."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from locustfiles.harness.health.process_figures import LISTING_EVERY, ProcessFigures

COUNTS_WAITS = ProcessFigures().read().keys() >= {"cpu_wait_percent"}


def compute(wall_s: float) -> None:
    until_s = time.perf_counter() + wall_s
    while time.perf_counter() < until_s:
        pass


@contextmanager
def busy(processor: int, count: int) -> Iterator[None]:
    """Processes that compute on that processor."""
    code = f"import os\nos.sched_setaffinity(0, {{{processor}}})\nprint(1, flush=True)\n"
    loops = [
        subprocess.Popen([sys.executable, "-c", code + "while True: pass"], stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    try:
        for loop in loops:
            assert loop.stdout is not None and loop.stdout.readline()
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.communicate()


def test_a_line_has_every_figure_of_this_platform() -> None:
    values = ProcessFigures().read()
    assert values.keys() >= {"cpu_percent", "memory_bytes", "open_fds"}
    assert 1e6 < values["memory_bytes"] < 1e12
    assert values["memory_bytes"] % resource.getpagesize() == 0


def test_computing_is_cpu_and_sleeping_is_not() -> None:
    figures = ProcessFigures()
    compute(0.3)
    computed = figures.read()["cpu_percent"]
    time.sleep(0.3)
    slept = figures.read()["cpu_percent"]
    assert slept < 20 < computed, (slept, computed)


@pytest.mark.skipif(not COUNTS_WAITS, reason="the kernel does not count waits")
def test_a_process_that_others_keep_from_its_processor_waits() -> None:
    allowed = os.sched_getaffinity(0)
    processor = min(allowed)
    with busy(processor, 4):
        os.sched_setaffinity(0, {processor})
        try:
            figures = ProcessFigures()
            compute(1.0)
            values = figures.read()
        finally:
            os.sched_setaffinity(0, allowed)
    # With four others a fair share is a fifth.
    assert values["cpu_wait_percent"] > 50, values
    assert values["cpu_percent"] < 50, values
    assert values["cpu_percent"] + values["cpu_wait_percent"] <= 110, values


@pytest.mark.skipif(not COUNTS_WAITS, reason="the kernel does not count waits")
def test_a_process_that_sleeps_does_not_wait_for_a_processor() -> None:
    figures = ProcessFigures()
    time.sleep(0.3)
    assert figures.read()["cpu_wait_percent"] < 50


def test_the_wait_is_a_difference_within_0_and_100_percent(tmp_path: Path) -> None:
    schedstat = tmp_path / "schedstat"
    schedstat.write_text("5000000 7000000000 12\n")
    figures = ProcessFigures(schedstat=schedstat)
    assert figures.read()["cpu_wait_percent"] == 0, "what was before is not counted"
    schedstat.write_text("5000000 9000000000000 13\n")
    assert figures.read()["cpu_wait_percent"] == 100
    schedstat.write_text("5000000 0 13\n")
    assert figures.read()["cpu_wait_percent"] == 0


@pytest.mark.parametrize("text", ["", "0 0 1\n", "x y z\n", "5\n", None])
def test_without_a_count_of_waits_there_is_no_figure(tmp_path: Path, text: str | None) -> None:
    schedstat = tmp_path / "schedstat"
    if text is not None:
        schedstat.write_text(text)
    assert "cpu_wait_percent" not in ProcessFigures(schedstat=schedstat).read()


def test_open_descriptors_are_counted_with_their_limit() -> None:
    figures = ProcessFigures()
    before = figures.read()["open_fds"]
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
    try:
        values = figures.read()
    finally:
        for descriptor in opened:
            os.close(descriptor)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert values["open_fds"] - before == 50
    assert values.get("fds_limit", resource.RLIM_INFINITY) == soft


def test_a_kernel_without_the_count_is_asked_for_a_list_now_and_then(tmp_path: Path) -> None:
    # A folder of tmpfs or ext4 has a size of its own, so an old kernel's is played by a subclass.
    for n in range(7):
        (tmp_path / str(n)).touch()

    class Old(type(tmp_path)):  # type: ignore[misc]
        def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
            return os.stat_result((0,) * 10)

    figures = ProcessFigures(descriptors=Old(tmp_path))
    told = [figures.read().get("open_fds") for _ in range(2 * LISTING_EVERY)]
    assert told == ([6.0] + [None] * (LISTING_EVERY - 1)) * 2, "less the one of the listing"


def test_without_proc_nothing_is_guessed(tmp_path: Path) -> None:
    values = ProcessFigures(schedstat=tmp_path / "a", descriptors=tmp_path / "b").read()
    assert "open_fds" not in values
    assert "fds_limit" not in values
    assert "cpu_percent" in values


def test_reading_opens_nothing_that_stays_open() -> None:
    figures = ProcessFigures()
    first = figures.read()["open_fds"]
    for _ in range(20):
        with suppress(OSError):
            last = figures.read()["open_fds"]
    assert last == first
