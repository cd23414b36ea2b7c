"""Runs the tests of a master and its workers in one process, in an interpreter of their own."""

from __future__ import annotations

from tests.unit.locustfiles.test_http_parts import HERE, run_in_child


def test_masters_and_workers_understand_each_other() -> None:
    done = run_in_child(str(HERE / "distributed"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
