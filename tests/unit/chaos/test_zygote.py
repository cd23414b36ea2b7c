"""The zygote is forked clean, and limits of the platform are named before anything is forked."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

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


def _python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )


def test_a_process_with_a_second_thread_does_not_fork_a_zygote() -> None:
    assert "must fork before any thread starts" in _python(_WITH_A_THREAD).stdout


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
