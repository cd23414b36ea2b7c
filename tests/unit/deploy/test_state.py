"""The state file: private, whole or absent, and never somebody else's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy import lifecycle
from deploy.errors import ClusterError
from deploy.state import ClusterState, default_path, read, remove, write

STATE = ClusterState("http://127.0.0.1:1", "a-token", 4_194_304)


def test_a_state_is_read_back_as_written_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "run time" / "cluster.json"
    write(path, STATE)
    assert read(path) == STATE
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["cluster.json"]


def test_a_state_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    write(path, STATE)
    with pytest.raises(ClusterError, match="already up") as caught:
        write(path, ClusterState("http://127.0.0.1:2", "another", 2))
    assert caught.value.code == "already_up"
    assert read(path) == STATE


def test_only_the_own_state_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    write(path, STATE)
    remove(path, ClusterState("http://127.0.0.1:2", "another", 2))
    assert path.exists()
    remove(path, STATE)
    assert read(path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"api_url": "x", "token": "y"}', "\x00"])
def test_a_file_that_is_no_state_is_an_error_with_the_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cluster.json"
    path.write_text(text)
    with pytest.raises(ClusterError, match="is not the state file of a cluster: remove it"):
        read(path)


def test_a_state_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ClusterError, match="name another with --state") as caught:
        write(tmp_path / "file" / "cluster.json", STATE)
    assert caught.value.code == "bad_state_file"


def test_a_state_file_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cluster.json"
    write(path, STATE)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    with pytest.raises(ClusterError, match="belongs to another user"):
        read(path)


def test_the_default_path_is_in_the_user_s_runtime_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_path() == tmp_path / "foundation" / "cluster.json"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    assert str(os.geteuid()) in default_path().parent.name


def test_down_and_status_say_that_nothing_is_up(tmp_path: Path) -> None:
    for command in (lifecycle.down, lifecycle.status):
        with pytest.raises(ClusterError, match="no cluster is up") as caught:
            command(tmp_path / "cluster.json")
        assert caught.value.code == "not_up"


def test_a_stale_state_file_is_named_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    for command in (lifecycle.down, lifecycle.status):
        write(path, STATE)
        with pytest.raises(ClusterError, match="stale state file") as caught:
            command(path)
        assert caught.value.code == "not_up"
        assert not path.exists()
