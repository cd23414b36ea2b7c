"""What spoils a run voids it: a full disk, silent workers, dead shipping. Stale messages do not."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from tests.e2e.results_command import results
from tests.e2e.scenario import HERE, Finished, Run, run, wait_until
from tests.e2e.soundness import assert_sound

TWO = ("--processes", "2")


def run_odd(tmp_path: Path, odd: str, *options: str) -> Finished:
    return run(tmp_path / "runs", *options, locustfile=HERE / "odd.py", environment={"ODD": odd})


def test_dead_shipping_in_a_worker_voids_the_run(tmp_path: Path) -> None:
    done = run_odd(tmp_path, "broken_shipping", *TWO)
    assert done.exit_code == 3, done.stdout + done.stderr
    assert any("recording or shipping" in reason for reason in done.verdict["reasons"])
    assert done.window("run")["total"]["requests"] > 0, "what was recorded is still shipped"


def test_a_worker_that_never_says_it_is_done_voids_the_run(tmp_path: Path) -> None:
    done = run_odd(tmp_path, "silent_worker", *TWO)
    assert done.exit_code == 3, done.stdout + done.stderr
    assert done.verdict["verdict"] == "INCONCLUSIVE"
    assert {line["source"] for line in done.timeline("second")} == {"worker-0", "worker-1"}
    (end,) = done.timeline("end")
    assert list(end["reports"]) == ["worker-1"], "what the worker said, not what arrived"
    assert "never said that it is done" in done.stderr


def test_messages_of_a_run_before_are_dropped(tmp_path: Path) -> None:
    done = run_odd(tmp_path, "stale_messages", *TWO)
    assert_sound(done)
    (end,) = done.timeline("end")
    assert set(end["reports"]) == {"worker-0", "worker-1"}
    began_us = int(done.stderr.partition("began_us=")[2].split()[0])
    (header,) = done.timeline("header")
    # The origin is set after everything slow, and Locust's master resets the shape's time after it.
    manifest = json.loads((done.folder / "manifest.json").read_text())
    started_us = datetime.fromisoformat(manifest["started_at"]).timestamp() * 1e6
    assert started_us <= header["origin_us"] <= began_us


def test_a_disk_that_fills_up_is_inconclusive_and_said_once(tmp_path: Path) -> None:
    done = run_odd(tmp_path, "full_disk")
    assert "the disk is full" in done.stdout, "the control"
    assert done.exit_code == 3, done.stdout + done.stderr
    assert "verdict: INCONCLUSIVE" in done.stdout
    assert done.verdict["verdict"] == "INCONCLUSIVE"
    assert done.stderr.count("No space left on device") == 1
    assert "Traceback" not in done.stderr
    said = results("show", str(done.folder))
    assert said.returncode == 0 and "the last that was recorded" in said.stdout


def test_an_interrupt_while_results_are_collected_is_aborted_with_a_verdict(
    tmp_path: Path,
) -> None:
    environment = {"ODD": "silent_worker"}
    with Run(
        tmp_path / "runs", *TWO, locustfile=HERE / "odd.py", environment=environment
    ) as started:
        wait_until(lambda: "Shape test stopping" in started.errors(), "the run never ended")
        started.interrupt()
        done = started.finish()
    assert done.exit_code == 5, done.stdout + done.stderr
    assert done.verdict["verdict"] == "ABORTED"
    assert "while results were collected" in done.verdict["reasons"][0]
    assert "Traceback" not in done.stderr
    assert "verdict: ABORTED" in done.stdout
