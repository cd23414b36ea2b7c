"""The servers that a benchmark compares: one real node, and the two baselines under plain uvicorn.

Each runs in a process of its own, pinned to the server's core, on a data directory of its own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.baseline_plain import DATABASE_VARIABLE
from tests.bench.process import free_port, owned, server_core, tail, wait_until_it_listens
from tests.bench.row import BenchError

START_TIMEOUT_S = 30.0

DATABASE = "events.db"
"""Name of the database file in a data directory."""


@contextmanager
def node(data: Path) -> Iterator[int]:
    """A real node (`python -m service`) with its default settings; yields its port.

    Raises BenchError when it does not end with exit code 0 on SIGTERM.
    """
    port = free_port()
    command = (sys.executable, "-m", "service", "--port", str(port), "--data", str(data))
    with _logged(command, data, {}) as serving:
        wait_until_it_listens(port, serving, START_TIMEOUT_S)
        yield port
    if serving.returncode != 0:
        raise BenchError(f"the node ended with {serving.returncode}: {_log_tail(data)}")


@contextmanager
def uvicorn(module: str, data: Path) -> Iterator[int]:
    """`tests.bench.<module>:app` under an ordinary uvicorn (uvloop, httptools); yields its port."""
    port = free_port()
    command = (
        sys.executable, "-m", "uvicorn", "--factory", f"tests.bench.{module}:app",
        "--port", str(port), "--loop", "uvloop", "--http", "httptools",
        "--no-access-log", "--log-level", "warning", "--timeout-keep-alive", "75",
    )  # fmt: skip
    with _logged(command, data, {DATABASE_VARIABLE: str(data / DATABASE)}) as process:
        wait_until_it_listens(port, process, START_TIMEOUT_S)
        yield port


@contextmanager
def responder() -> Iterator[int]:
    """The static responder; yields its port."""
    port = free_port()
    command = (sys.executable, "-m", "tests.bench.responder", str(port))
    with owned(command, core=server_core()) as process:
        wait_until_it_listens(port, process, START_TIMEOUT_S)
        yield port


@contextmanager
def _logged(
    command: Sequence[str], data: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with (
        (data / "server.log").open("wb") as log,
        owned(
            command, core=server_core(), environment=environment, stdout=log, stderr=log
        ) as process,
    ):
        yield process


def _log_tail(data: Path) -> str:
    return tail((data / "server.log").read_text(errors="replace"))
