"""A run's folder is locked while its process lives, and nothing in it tells of that."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

from results.run_lock import RunLock, is_locked

HOLDS = """
import sys, time
from pathlib import Path
from results.run_lock import RunLock
lock = RunLock.take(Path(sys.argv[1]))
assert lock.is_held
print("held", flush=True)
time.sleep(60)
"""


def test_a_folder_is_locked_until_it_is_released(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    lock = RunLock.take(tmp_path)
    assert lock.is_held and is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []
    lock.release()
    lock.release()
    assert not lock.is_held and not is_locked(tmp_path)


def test_a_lock_that_nobody_refers_to_is_none(tmp_path: Path) -> None:
    RunLock.take(tmp_path)
    assert not is_locked(tmp_path)


def test_two_who_ask_do_not_take_each_other_for_the_owner(tmp_path: Path) -> None:
    number = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_SH)
        assert not is_locked(tmp_path)
    finally:
        os.close(number)


def test_a_lock_ends_with_the_process_that_holds_it_and_its_children_do_not_keep_it(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        assert is_locked(tmp_path)
    finally:
        owner.kill()
        owner.wait(timeout=30)
        assert owner.stdout is not None
        owner.stdout.close()
    assert not is_locked(tmp_path)
    lock = RunLock.take(tmp_path)
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        lock.release()
        assert not is_locked(tmp_path)
    finally:
        child.kill()
        child.wait(timeout=30)


def test_what_is_no_folder_or_is_held_by_another_is_not_locked_and_no_error(
    tmp_path: Path,
) -> None:
    assert not is_locked(tmp_path / "absent")
    assert not is_locked(Path("a\0b"))
    assert not RunLock.take(tmp_path / "absent").is_held
    (tmp_path / "file").touch()
    assert not RunLock.take(tmp_path / "file").is_held
    first = RunLock.take(tmp_path)
    before_s = time.monotonic()
    assert not RunLock.take(tmp_path).is_held
    assert time.monotonic() > before_s, "it waited for the one who asks"
    first.release()
