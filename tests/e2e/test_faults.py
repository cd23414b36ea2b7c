"""A fault that a locustfile causes and tells of: its windows, its detection, its recovery."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from results.replay import replay
from results.verdict import as_document
from tests.e2e.scenario import HERE, ROOT, run

FAULTY = HERE / "faulty.py"


@pytest.fixture
def target() -> Iterator[dict[str, str]]:
    """A process that answers at once; its URL and number, for the locustfile."""
    command = [sys.executable, "-m", "tests.e2e.freezing_target", "0", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        yield {"TARGET": process.stdout.readline().strip(), "TARGET_PID": str(process.pid)}
        # A run that was cut off leaves it frozen.
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        process.communicate("", timeout=30)


@pytest.mark.parametrize(
    "processes",
    [pytest.param((), id="one"), pytest.param(("--processes", "2"), marks=pytest.mark.long)],
)
def test_a_frozen_target_is_seen_and_its_recovery_too(
    tmp_path: Path, target: dict[str, str], processes: tuple[str, ...]
) -> None:
    done = run(tmp_path / "runs", *processes, locustfile=FAULTY, environment=target)
    said = done.stdout + done.stderr
    (fault,) = done.verdict["faults"]
    began_s, healed_s = fault["began_s"], fault["healed_s"]
    assert (fault["id"], fault["kind"], fault["node"]) == ("freeze-1", "freeze", target["TARGET"])
    assert 1.5 < healed_s - began_s < 4
    assert fault["windows"] == ["fault:freeze-1", "recovery:freeze-1"]
    assert 0 <= fault["detect_s"] <= 2, said
    assert 0 <= fault["recover_s"] <= 3, said
    assert fault["requests_lost"] > 50, "of 100 a second"

    windows = {window["name"]: window for window in done.verdict["windows"]}
    assert windows["baseline"]["intervals_s"] == [[0.0, began_s]]
    assert windows["fault:freeze-1"]["intervals_s"] == [[began_s, healed_s]]
    assert windows["recovery:freeze-1"]["intervals_s"] == [[healed_s, 10.0]]
    assert windows["fault:freeze-1"]["rate_per_s"] < windows["baseline"]["rate_per_s"] / 2
    assert "freeze-1 (freeze)" in done.stdout

    statuses = {check["id"]: check["status"] for check in done.verdict["checks"]}
    assert statuses["raw_p50@baseline"] != "FAIL", said
    assert statuses["recovery"] != "FAIL", said
    (note,) = (line for line in done.timeline("annotation") if line["label"] == "note")
    assert note["text"] == "freezing http://***@host"
    text = (done.folder / "timeline.jsonl").read_text() + (done.folder / "verdict.json").read_text()
    assert "s3cret" not in text and "GET /a/page?token=***" in text
    assert as_document(replay(done.folder / "timeline.jsonl")) == done.verdict


@pytest.mark.long
@pytest.mark.parametrize("processes", [(), ("--processes", "2")], ids=["one", "two"])
def test_a_fault_that_heals_after_the_load_is_waited_for_on_any_number_of_processes(
    tmp_path: Path, processes: tuple[str, ...]
) -> None:
    done = run(tmp_path / "runs", *processes, locustfile=HERE / "healing.py")
    (fault,) = done.verdict["faults"]
    assert fault["healed_s"] > 3.5, "seconds after the last write"
    assert done.verdict["verdict"] == "PASS", done.stdout + done.stderr
    assert "Traceback" not in done.stderr
