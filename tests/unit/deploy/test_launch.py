"""A supervisor that does not come up is one clear error, and leaves no process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.errors import ClusterError
from deploy.launch import launch
from deploy.local import LocalCluster
from tests.unit.chaos.process import MARKER_VARIABLE, STUB, marked, new_marker, until


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    marker = new_marker()
    monkeypatch.setenv(MARKER_VARIABLE, marker)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert until(lambda: marked(marker) == [])
    assert len(os.listdir("/proc/self/fd")) == before, "no descriptor leaks"


def _python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


def test_a_silent_supervisor_is_given_up_after_the_timeout() -> None:
    with pytest.raises(ClusterError, match=r"did not report within 0.3 s") as caught:
        launch(log_dir=None, timeout_s=0.3, command=_python("import time; time.sleep(60)"))
    assert caught.value.code == "timeout_starting_supervisor"


def test_a_supervisor_that_ends_early_is_reported_with_its_last_words() -> None:
    with pytest.raises(ClusterError, match="exit code 3 before it reported") as caught:
        launch(
            log_dir=None,
            timeout_s=30,
            command=_python("import sys; print('no such module', file=sys.stderr); sys.exit(3)"),
        )
    assert caught.value.code == "supervisor_failed"
    assert caught.value.log_tail == "no such module"


@pytest.mark.parametrize("said", ["no json", "{", "{}"])
def test_a_handshake_that_makes_no_sense_is_an_error(said: str) -> None:
    with pytest.raises(ClusterError) as caught:
        launch(log_dir=None, timeout_s=30, command=_python(f"print({said!r})"))
    assert caught.value.code == "supervisor_failed"


def test_a_supervisor_that_says_why_it_cannot_work_is_quoted() -> None:
    said = '{"code": "unavailable", "error": "the kernel refuses pidfds"}'
    with pytest.raises(ClusterError, match="the kernel refuses pidfds") as caught:
        launch(log_dir=None, timeout_s=30, command=_python(f"print({said!r})"))
    assert caught.value.code == "unavailable"


def test_too_few_descriptors_are_said_before_anything_is_forked() -> None:
    program = (
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))\n"
        f"sys.argv = [{STUB[-1]!r}]\n"
        f"runpy.run_path({STUB[-1]!r}, run_name='__main__')"
    )
    with pytest.raises(ClusterError, match="the limit is 200: run `ulimit") as caught:
        launch(log_dir=None, timeout_s=60, command=_python(program))
    assert caught.value.code == "unavailable"


def test_a_command_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ClusterError, match="cannot start the supervisor"):
        launch(log_dir=None, timeout_s=5, command=("./no such python",))


def test_a_log_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ClusterError, match="choose another directory") as caught:
        launch(log_dir=tmp_path / "file" / "logs", timeout_s=5, command=STUB)
    assert caught.value.code == "not_writable"


def test_more_roles_than_nodes_are_refused() -> None:
    with pytest.raises(ClusterError, match="3 roles for 2 nodes"):
        LocalCluster.start(size=2, roles=("app", "app", "jobs"), command=STUB)


@pytest.mark.parametrize("size", [0, 21])
def test_a_size_out_of_range_is_refused(size: int) -> None:
    with pytest.raises(ClusterError, match="nodes"):
        LocalCluster.start(size=size, command=STUB)


def test_commands_after_the_end_say_that_the_supervisor_is_gone() -> None:
    cluster = LocalCluster.start(size=1, command=STUB)
    cluster.stop()
    cluster.stop()
    with pytest.raises(ClusterError, match="start the cluster anew") as caught:
        cluster.kill("node-1")
    assert caught.value.code == "supervisor_gone"


def test_roles_are_given_as_words_lists_or_comma_separated() -> None:
    with LocalCluster.start(
        size=4, roles=("gateway,app", ("app", "jobs"), "jobs"), command=STUB
    ) as cluster:
        assert [node.roles for node in cluster.nodes] == [
            ("gateway", "app"),
            ("app", "jobs"),
            ("jobs",),
            ("app",),
        ]


def test_ports_follow_the_first_one() -> None:
    with LocalCluster.start(size=1, command=STUB) as cluster:
        free = int(cluster.urls[0].rpartition(":")[2])
    with LocalCluster.start(size=1, first_port=free, command=STUB) as cluster:
        assert cluster.urls == (f"http://127.0.0.1:{free}",)
