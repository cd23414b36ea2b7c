"""Pruning: what each limit excludes, and that nothing else is ever deleted."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.bundle.prune import remove, sweep, to_prune
from results.bundle.run_list import ListedRun, State, list_runs, listed
from results.errors import RunFolderError
from results.run_folder import RunFolder
from results.run_lock import RunLock
from tests.unit.results.made_run import NOON, made_run

DAY_S = 86_400.0
NOW_S = NOON.timestamp()
LATER_S = time.time() + 3600


def run(name: str, *, days: float, size_bytes: int = 100, state: State = State.JUDGED) -> ListedRun:
    began_us = round((NOW_S - days * DAY_S) * 1e6)
    return ListedRun(RunFolder(Path("/absent") / name), state, began_us, 0.0, size_bytes)


FIVE = [run(f"r{n}", days=n) for n in range(5)]


@pytest.mark.parametrize(
    ("limits", "names"),
    [
        ({"keep": 2}, "r2 r3 r4"),
        ({"keep": 0}, "r0 r1 r2 r3 r4"),
        ({"keep": 5}, ""),
        ({"max_size_bytes": 250}, "r2 r3 r4"),
        ({"max_size_bytes": 0}, "r0 r1 r2 r3 r4"),
        ({"max_size_bytes": 500}, ""),
        ({"older_than_s": 2.5 * DAY_S}, "r3 r4"),
        ({"keep": 4, "older_than_s": 1.5 * DAY_S}, "r2 r3 r4"),
        ({}, ""),
    ],
)
def test_what_any_limit_excludes_goes(limits: Mapping[str, float], names: str) -> None:
    doomed = to_prune(FIVE, now_s=NOW_S, **limits)  # type: ignore[arg-type]
    assert " ".join(one.run_id for one in doomed) == names


def test_a_run_that_may_go_on_or_is_not_ours_stays_and_counts() -> None:
    runs = [
        run("a", days=0, state=State.RUNNING),
        run("b", days=1),
        replace(run("c", days=2), is_ours=False),
        run("d", days=3),
    ]
    assert [one.run_id for one in to_prune(runs, keep=2, now_s=NOW_S)] == ["d"]
    assert [one.run_id for one in to_prune(runs, keep=0, now_s=NOW_S)] == ["b", "d"]
    assert [one.run_id for one in to_prune(runs, max_size_bytes=100, now_s=NOW_S)] == ["b", "d"]


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 1000)), max_size=20),
    st.integers(0, 20),
    st.integers(0, 5000),
)
def test_what_stays_is_within_the_limits_and_is_the_newest(
    ages_and_sizes: list[tuple[int, int]], keep: int, max_size_bytes: int
) -> None:
    ages = sorted(age for age, _ in ages_and_sizes)
    sizes = [size for _, size in ages_and_sizes]
    runs = [
        run(f"r{n}", days=age, size_bytes=size)
        for n, (age, size) in enumerate(zip(ages, sizes, strict=True))
    ]
    doomed = to_prune(runs, keep=keep, max_size_bytes=max_size_bytes, now_s=NOW_S)
    stays = runs[: len(runs) - len(doomed)]
    assert [*stays, *doomed] == runs, "the oldest go"
    assert len(stays) <= keep and sum(one.size_bytes for one in stays) <= max_size_bytes
    if doomed:
        one_more = [*stays, doomed[0]]
        too_large = sum(one.size_bytes for one in one_more) > max_size_bytes
        assert too_large or len(one_more) > keep, "no more than must"


def test_a_run_is_deleted_with_all_that_is_in_it_and_no_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    folder = made_run(tmp_path / "runs")
    (folder.path / "link").symlink_to(outside)
    (folder.logs / "link").symlink_to(outside / "kept")
    os.mkfifo(folder.path / "pipe")
    remove(listed(folder, now_s=LATER_S), now_s=LATER_S)
    assert list((tmp_path / "runs").iterdir()) == []
    assert (outside / "kept").exists()


def test_a_link_to_a_run_is_never_deleted_nor_what_it_leads_to(tmp_path: Path) -> None:
    real = made_run(tmp_path / "archive")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked").symlink_to(real.path)
    runs = list_runs(tmp_path / "runs", now_s=LATER_S)
    assert [one.run_id for one in runs] == ["linked"]
    assert to_prune(runs, keep=0, now_s=LATER_S) == []
    with pytest.raises(RunFolderError, match="symbolic link"):
        remove(runs[0], now_s=LATER_S)
    assert real.timeline.exists()


def test_a_run_that_was_old_and_goes_on_is_left(tmp_path: Path) -> None:
    folder = made_run(tmp_path, is_killed=True)
    killed = listed(folder, now_s=LATER_S)
    assert to_prune([killed], keep=0, now_s=LATER_S) == [killed]
    with pytest.raises(RunFolderError, match="may still go on"):
        remove(killed, now_s=time.time())
    assert folder.timeline.exists()


@pytest.mark.parametrize("is_killed", [True, False], ids=["goes on", "its report is made"])
def test_a_run_whose_process_still_uses_it_is_left_however_long_it_was_silent(
    tmp_path: Path, is_killed: bool
) -> None:
    folder = made_run(tmp_path, is_killed=is_killed)
    dead = listed(folder, now_s=LATER_S)
    lock = RunLock.take(folder.path)
    assert to_prune(list_runs(tmp_path, now_s=LATER_S), keep=0, now_s=LATER_S) == []
    with pytest.raises(RunFolderError, match="is left: "):
        remove(dead, now_s=LATER_S)
    assert folder.timeline.exists()
    lock.release()
    assert to_prune(list_runs(tmp_path, now_s=LATER_S), keep=0, now_s=LATER_S) == [dead]


def test_a_deletion_that_was_cut_off_is_ended_by_the_next(tmp_path: Path) -> None:
    first = made_run(tmp_path)
    first.path.rename(tmp_path / ".run-1.pruned")
    second = made_run(tmp_path)
    assert [one.folder for one in list_runs(tmp_path, now_s=LATER_S)] == [second]
    remove(listed(second, now_s=LATER_S), now_s=LATER_S)
    assert list(tmp_path.iterdir()) == []
    made_run(tmp_path).path.rename(tmp_path / ".run-2.pruned")
    (tmp_path / ".link.pruned").symlink_to("/etc")
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".link.pruned"]
    assert Path("/etc").exists()
