"""Temporary folders end with their supervisor, kept ones belong to one at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.supervisor.errors import DataInUse, NotWritable
from chaos.supervisor.folder import DataLock, TemporaryFolder, make_folder, sweep

_LEAVES_A_FOLDER = """
import os, pathlib, sys
from chaos.supervisor.folder import TemporaryFolder
folder = TemporaryFolder(pathlib.Path(sys.argv[1]))
(folder.path / "data.db").write_text("rows")
print(folder.path, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_temporary_folder_is_private_and_leaves_nothing(tmp_path: Path) -> None:
    folder = TemporaryFolder(tmp_path)
    assert folder.path.stat().st_mode & 0o777 == 0o700
    (folder.path / "data.db").write_text("rows")
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_the_sweep_removes_what_a_killed_supervisor_left(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _LEAVES_A_FOLDER, str(tmp_path)], capture_output=True, timeout=60
    )
    left = Path(os.fsdecode(run.stdout.strip()))
    assert (left / "data.db").exists()
    assert sweep(tmp_path) == [left]
    assert list(tmp_path.iterdir()) == []


def test_the_sweep_leaves_a_living_supervisor_s_folder_alone(tmp_path: Path) -> None:
    folder = TemporaryFolder(tmp_path)
    assert sweep(tmp_path) == []
    assert folder.path.is_dir()
    folder.remove()


def test_the_sweep_does_not_follow_links_out_of_the_folder(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep")
    base = tmp_path / "base"
    base.mkdir()
    (base / "foundation-cluster-1").symlink_to(precious)
    (base / "foundation-cluster-1.lock").touch()
    (base / "foundation-cluster-2.lock").symlink_to(precious / "file")
    sweep(base)
    assert (precious / "file").read_text() == "keep"


def test_a_temporary_folder_says_where_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(NotWritable, match="choose another directory"):
        TemporaryFolder(tmp_path / "missing")


def test_a_data_directory_belongs_to_one_cluster_at_a_time(tmp_path: Path) -> None:
    first = DataLock(tmp_path / "data")
    with pytest.raises(DataInUse, match="in use by another cluster"):
        DataLock(tmp_path / "data")
    first.release()
    DataLock(tmp_path / "data").release()


def test_a_data_directory_below_a_file_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotWritable, match="Not a directory"):
        DataLock(tmp_path / "file" / "data")


def test_making_a_folder_leaves_no_probe_behind(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b c")
    assert list((tmp_path / "a" / "b c").iterdir()) == []
