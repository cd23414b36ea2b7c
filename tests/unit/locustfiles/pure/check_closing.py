"""What follows a verdict: a report by another process, and a seal, whatever goes wrong."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import psutil
import pytest

from locustfiles.harness.closing import Closing
from results.bundle.bundle import is_sealed, verify
from results.run_folder import RunFolder
from results.run_lock import RunLock, is_locked
from tests.unit.results.made_run import made_run

ROOT = Path(__file__).parents[4]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture(params=[False, True], ids=["headless", "web UI"])
def in_background(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def closing(
    monkeypatch: pytest.MonkeyPatch,
    said: list[str],
    *,
    seeded: str,
    in_background: bool = False,
    timeout_s: float = 30.0,
) -> Closing:
    monkeypatch.setenv("SEEDED", seeded)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    module = "tests.unit.locustfiles.pure.seeded_report"
    return Closing(
        in_background=in_background, say=said.append, report_module=module, timeout_s=timeout_s
    )


def reporter(folder: RunFolder) -> psutil.Process:
    """The process that makes the report, once it has begun."""
    path = folder.path / "pid"
    for _ in _polls():
        if path.exists() and path.read_text():
            return psutil.Process(int(path.read_text()))
    raise AssertionError("the process never began")


def _polls() -> Iterator[None]:
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        yield
        gevent.sleep(0.01)


def test_a_run_gets_its_report_and_is_sealed_with_it_and_its_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], in_background: bool
) -> None:
    parts = closing(monkeypatch, said, seeded="works", in_background=in_background)
    folder = made_run(tmp_path, is_sealed=False)
    closed = parts.begin(folder, RunLock.take(folder.path))
    parts.finish()
    assert folder.report.read_text() == "seeded"
    assert not is_locked(folder.path)
    assert "logs/node-1.log" in folder.digests.read_text()
    found = verify(folder)
    assert found.holds and not found.notes
    lines = [
        f"report: {folder.report}",
        f"verify: foundation results verify {folder.path}",
    ]
    assert closed.lines() == lines
    assert said == (lines if in_background else [])


def test_beside_a_web_ui_a_run_is_sealed_before_its_nodes_end_and_its_logs_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    parts = closing(monkeypatch, said, seeded="works", in_background=True)
    folder = made_run(tmp_path, is_sealed=False)
    parts.begin(folder, RunLock.take(folder.path))
    assert any(is_sealed(folder) for _ in _polls())
    assert "logs/" not in folder.digests.read_text()
    with (folder.logs / "node-1.log").open("a") as log:
        log.write("ended\n")
    assert len(verify(folder).notes) == 1 and verify(folder).holds
    assert is_locked(folder.path), "its nodes go on"
    parts.finish()
    assert not is_locked(folder.path)
    assert not verify(folder).notes and verify(folder).holds


def test_a_report_that_fails_is_one_line_with_the_remedy_and_the_run_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], in_background: bool
) -> None:
    parts = closing(monkeypatch, said, seeded="fails", in_background=in_background)
    folder = made_run(tmp_path, is_sealed=False)
    closed = parts.begin(folder, RunLock.take(folder.path))
    parts.finish()
    assert closed.lines()[0] == (
        r"no report (no report: \x1b[2J the disk is full): try `foundation results report "
        f"{folder.path}`"
    )
    assert verify(folder).holds


def test_a_report_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    parts = closing(monkeypatch, said, seeded="hangs", timeout_s=1.0)
    folder = made_run(tmp_path, is_sealed=False)
    closed = parts.begin(folder, RunLock.take(folder.path))
    process = reporter(folder)
    assert is_locked(folder.path), "nobody deletes it meanwhile"
    parts.finish()
    assert not is_locked(folder.path)
    assert "it took more than 1 s" in closed.lines()[0]
    assert not process.is_running()
    assert verify(folder).holds


def test_an_interrupt_ends_the_waiting_and_the_process_and_the_run_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], in_background: bool
) -> None:
    parts = closing(monkeypatch, said, seeded="hangs", in_background=in_background)
    folder = made_run(tmp_path, is_sealed=False)
    closed = parts.begin(folder, RunLock.take(folder.path))
    process = reporter(folder)
    gevent.spawn(gevent.kill, gevent.getcurrent(), KeyboardInterrupt)
    parts.finish()
    assert not process.is_running()
    assert "it was killed" in closed.lines()[0]
    assert verify(folder).holds


def test_a_second_call_ends_the_waiting_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    parts = closing(monkeypatch, said, seeded="hangs")
    folder = made_run(tmp_path, is_sealed=False)
    parts.begin(folder, RunLock.take(folder.path))
    process = reporter(folder)
    first = gevent.spawn(parts.finish)
    gevent.sleep(0)
    parts.finish()
    first.join(30)
    assert first.successful() and not process.is_running()
    assert verify(folder).holds


def test_the_process_gives_way_to_load_and_leaves_with_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    parts = closing(monkeypatch, said, seeded="hangs")
    folder = made_run(tmp_path, is_sealed=False)
    child = os.fork()
    if child == 0:
        gevent.reinit()
        parts.begin(folder, RunLock.take(folder.path))
        gevent.sleep(60)
        os._exit(1)
    process = reporter(folder)
    assert process.nice() == 19
    assert os.getsid(process.pid) == process.pid, "Ctrl-C in a terminal does not reach it"
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert any(
        not process.is_running() or process.status() == psutil.STATUS_ZOMBIE for _ in _polls()
    )
    assert not is_sealed(folder)
    assert not list(folder.path.glob(".*"))


def test_runs_that_end_one_after_the_other_are_all_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], in_background: bool
) -> None:
    parts = closing(monkeypatch, said, seeded="works", in_background=in_background)
    folders = [made_run(tmp_path, f"run-{n}", is_sealed=False) for n in range(3)]
    for folder in folders:
        parts.begin(folder, RunLock.take(folder.path))
    parts.finish()
    parts.finish()
    assert all(verify(folder).holds and folder.report.exists() for folder in folders)


def test_a_run_that_cannot_be_sealed_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], in_background: bool
) -> None:
    parts = closing(monkeypatch, said, seeded="works", in_background=in_background)
    folder = made_run(tmp_path, is_sealed=False)
    (folder.path / "link").symlink_to("/etc/passwd")
    closed = parts.begin(folder, RunLock.take(folder.path))
    parts.finish()
    assert closed.lines()[-1].startswith("not sealed, so it cannot be verified: ")
    assert "link is a symbolic link: remove it" in closed.lines()[-1]
