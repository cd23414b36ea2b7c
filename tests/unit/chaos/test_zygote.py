"""The zygote is forked clean, and limits of the platform are named before anything is forked."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.supervisor.errors import Unavailable
from chaos.supervisor.ownership import raise_descriptor_limit, require_pidfd
from chaos.supervisor.spec import NodeSpec

_WITH_A_THREAD = """
import threading
from chaos.supervisor.zygote import fork_zygote
from chaos.supervisor.errors import Unavailable
gate = threading.Event()
threading.Thread(target=gate.wait, args=(60,)).start()
try:
    fork_zygote(None)
except Unavailable as error:
    print(error)
finally:
    gate.set()
"""

_WITH_FEW_DESCRIPTORS = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
from chaos.supervisor.ownership import raise_descriptor_limit
raise_descriptor_limit()
"""


_WITHOUT_A_CALL = """
import errno, importlib, json, os, socket, sys, time
import psutil
from chaos.supervisor.spec import NodeSpec
from chaos.supervisor.zygote import fork_zygote

class Sleeper:
    def run(self, spec, ready):
        ready("http://127.0.0.1:1")
        time.sleep(600)

module, name, folder = sys.argv[1:]
module = importlib.import_module(module)
call, calls = getattr(module, name), []

def fail_once(*args):
    calls.append(args)
    if len(calls) == 1:
        raise OSError(errno.EMFILE, "too many open files")
    return call(*args)

setattr(module, name, fail_once)
zygote = fork_zygote(Sleeper())
setattr(module, name, call)
zygote.socket.settimeout(30)
spec = NodeSpec("node-1", ("app",), 1, folder, folder + "/log", {})
for serial in (1, 2):
    reader, ready = os.pipe()
    command = json.dumps({"serial": serial, "spec": spec.as_fields()}).encode()
    socket.send_fds(zygote.socket, [command], [ready])
    answer, handles, _, _ = socket.recv_fds(zygote.socket, 65_536, 1)
    os.close(ready)
    news = json.loads(answer)
    children = [child.pid for child in psutil.Process(zygote.pid).children()]
    print(json.dumps([news["event"], children == [news["pid"]] if "pid" in news else children]))
zygote.socket.close()
os.waitpid(zygote.pid, 0)
"""


def _python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60
    )


def test_a_process_with_a_second_thread_does_not_fork_a_zygote() -> None:
    assert "must fork before any thread starts" in _python(_WITH_A_THREAD).stdout


@pytest.mark.parametrize("call", [("os", "pidfd_open"), ("socket", "send_fds")])
def test_a_node_that_cannot_be_handed_over_is_ended_and_refused(
    call: tuple[str, str], tmp_path: Path
) -> None:
    """No child is left of the first fork, dead or alive; the second is the only one."""
    run = _python(_WITHOUT_A_CALL, *call, str(tmp_path))
    assert run.stderr == ""
    assert run.stdout.splitlines() == ['["refused", []]', '["forked", true]']


def test_the_supervisor_s_imports_start_no_thread_and_open_no_file() -> None:
    run = _python(
        "import os, threading\n"
        "before = set(os.listdir('/proc/self/fd'))\n"
        "import chaos.supervisor.__main__, chaos.supervisor.foundation\n"
        "after = set(os.listdir('/proc/self/fd'))\n"
        "print(threading.active_count(), len(os.listdir('/proc/self/task')), after - before)"
    )
    assert run.stdout.split() == ["1", "1", "set()"], run.stderr


def test_too_few_descriptors_are_an_error_with_the_remedy() -> None:
    run = _python(_WITH_FEW_DESCRIPTORS)
    assert "needs 1,024 file descriptors, the limit is 200: run `ulimit -Hn 1024`" in run.stderr


def test_the_descriptor_limit_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        assert raise_descriptor_limit(least=64) >= soft
        with pytest.raises(Unavailable):
            if hard == resource.RLIM_INFINITY:
                raise Unavailable("an infinite limit is never too low")
            raise_descriptor_limit(least=hard + 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_this_platform_has_pidfds() -> None:
    require_pidfd()


def test_a_spec_survives_its_journey_as_json() -> None:
    spec = NodeSpec("node-1", ("app", "jobs"), 8001, "/d a/ta", "/log", {"emulated_latency": 0.5})
    assert NodeSpec.of(json.loads(json.dumps(spec.as_fields()))) == spec
