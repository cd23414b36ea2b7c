"""Benchmark 2b: wrk and tsung beside the Locust clients, where they are installed.

For information only: wrk knows no think time, so that it has more requests on the way at a time,
and both do other work than a Locust user. The same responder, as many connections or users, the
CPU of the tool's processes per request.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil

from tests.bench import client_cpu

_SECONDS = 10
_LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"user_id":"user_123","payload":{"page":3,"size":50}}'
"""
_TSUNG = """<?xml version="1.0"?>
<!DOCTYPE tsung SYSTEM "%(dtd)s">
<tsung loglevel="warning">
  <clients><client host="localhost" use_controller_vm="true" maxusers="3000"/></clients>
  <servers><server host="127.0.0.1" port="%(port)d" type="tcp"/></servers>
  <load duration="%(seconds)d" unit="second">
    <arrivalphase phase="1" duration="%(seconds)d" unit="second">
      <users maxnumber="%(users)d" arrivalrate="%(rate)d" unit="second"/>
    </arrivalphase>
  </load>
  <sessions>
    <session name="actions" probability="100" type="ts_http">
      <for from="1" to="100000" var="round">
        <request><http url="/v1/saas/actions/dashboard_view" method="POST" version="1.1"
          content_type="application/json"
          contents='{"user_id":"user_123","payload":{"page":3,"size":50}}'/></request>
        <thinktime value="0.1" random="true"/>
      </for>
    </session>
  </sessions>
</tsung>
"""
_DTDS = ("/usr/share/tsung/tsung-1.0.dtd", "/usr/local/share/tsung/tsung-1.0.dtd")


@dataclass(frozen=True, slots=True)
class Measured:
    """CPU per request in microseconds, and requests a second."""

    tool: str
    cpu_us: float
    rate: float


def measure() -> list[Measured]:
    """One entry for each tool that is on the PATH. Raises RuntimeError when one fails."""
    tools: dict[str, Callable[[str, int, Path], tuple[list[str], Callable[[str], int]]]] = {
        "wrk": _wrk,
        "tsung": _tsung,
    }
    found = [(name, path) for name in tools if (path := shutil.which(name))]
    results = []
    for name, path in found:
        cores = sorted(os.sched_getaffinity(0))
        with client_cpu.responder(cores) as port, tempfile.TemporaryDirectory() as folder:
            command, count = tools[name](path, port, Path(folder))
            before = _port_mappers()
            results.append(_run(name, ["taskset", "-c", str(cores[0]), *command], count))
            # Erlang's port mapper, which tsung starts, would outlive it.
            for mapper in _port_mappers() - before:
                with suppress(psutil.NoSuchProcess):
                    mapper.terminate()
    return results


def _port_mappers() -> set[psutil.Process]:
    return {one for one in psutil.process_iter(["name"]) if one.info["name"] == "epmd"}


def _run(tool: str, command: Sequence[str], count: Callable[[str], int]) -> Measured:
    before, start_s = _children_cpu_s(), perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_SECONDS + 60, stdin=subprocess.DEVNULL
    )
    elapsed_s, cpu_s = perf_counter() - start_s, _children_cpu_s() - before
    if done.returncode != 0:
        raise RuntimeError(f"{tool} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    requests = count(done.stdout)
    if requests == 0:
        raise RuntimeError(f"{tool} counted no requests:\n{done.stdout[-2000:]}")
    return Measured(tool, cpu_s / requests * 1e6, requests / elapsed_s)


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _wrk(path: str, port: int, folder: Path) -> tuple[list[str], Callable[[str], int]]:
    script = folder / "post.lua"
    script.write_text(_LUA)
    url = f"http://127.0.0.1:{port}/v1/saas/actions/dashboard_view"
    load = ("-t1", f"-c{client_cpu.USERS}", f"-d{_SECONDS}s")
    return [path, *load, "-s", str(script), url], wrk_requests


def _tsung(path: str, port: int, folder: Path) -> tuple[list[str], Callable[[str], int]]:
    dtd = next((each for each in _DTDS if Path(each).exists()), _DTDS[0])
    configuration = folder / "tsung.xml"
    values = {"dtd": dtd, "port": port, "seconds": _SECONDS, "users": client_cpu.USERS}
    configuration.write_text(_TSUNG % {**values, "rate": client_cpu.USERS})

    def count(_: str) -> int:
        logs = list(folder.rglob("tsung.log"))
        return sum(tsung_requests(log.read_text()) for log in logs)

    return [path, "-f", str(configuration), "-l", str(folder / "log"), "start"], count


def wrk_requests(output: str) -> int:
    """What wrk says that it completed, 0 if it does not say; failures do not count."""
    total = re.search(r"^\s*(\d+) requests in ", output, re.MULTILINE)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return (int(total[1]) if total else 0) - (int(bad[1]) if bad else 0)


def tsung_requests(log: str) -> int:
    """The sum of the 10-second counts of requests in a tsung.log."""
    return sum(int(each) for each in re.findall(r"^stats: request (\d+) ", log, re.MULTILINE))
