"""The cluster's client fits into a Locust process: light, and cooperative under gevent."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.unit.chaos.process import ROOT, STUB

_FORBIDDEN = ["asyncio", "aiosqlite", "sqlalchemy", "fastapi", "starlette", "uvicorn", "service"]

_UNDER_GEVENT = """
import gevent.monkey
gevent.monkey.patch_all()
import json, sys
import gevent
from deploy.local import LocalCluster

ticks = 0
def tick():
    global ticks
    while True:
        gevent.sleep(0.01)
        ticks += 1
ticker = gevent.spawn(tick)

with LocalCluster.start(size=2, command=json.loads(sys.argv[1])) as cluster:
    started = ticks
    killed = cluster.kill("node-1").state
    back = cluster.restart("node-1").state
print(json.dumps([killed, back, started > 0, ticks > started]))
"""


def _python(*arguments: str) -> str:
    run = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=100, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("module", ["deploy.local", "deploy.cli"])
def test_the_client_reaches_neither_asyncio_nor_the_service(module: str) -> None:
    loaded = _python("-c", f"import sys, {module}; print(*sys.modules)").split()
    assert not [name for name in _FORBIDDEN if name in loaded]


def test_the_check_for_forbidden_imports_sees_them() -> None:
    """Positive control."""
    loaded = _python("-c", "import sys, chaos.supervisor.__main__; print(*sys.modules)").split()
    assert {"asyncio", "fastapi", "service"} <= set(loaded)


def test_a_cluster_works_under_gevent_without_blocking_other_greenlets() -> None:
    assert json.loads(_python("-c", _UNDER_GEVENT, json.dumps(STUB))) == [
        "killed",
        "running",
        True,
        True,
    ]


def test_help_works_and_names_the_commands() -> None:
    text = _python("-c", "import sys, deploy.cli; sys.argv[1:] = ['--help']; deploy.cli.main()")
    assert "cluster" in text and "node" in text
