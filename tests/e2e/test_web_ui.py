"""Runs that the web UI starts: several in one process, of which the worst decides."""

from __future__ import annotations

from pathlib import Path

import httpx
import psutil

from tests.e2e.scenario import HERE, Run, free_port, wait_until


def test_of_several_runs_the_worst_counts_and_each_worker_stays(tmp_path: Path) -> None:
    port = free_port()
    with Run(
        *(tmp_path / "runs", "--web-port", str(port), "--processes", "2"),
        locustfile=HERE / "odd.py",
        headless=False,
    ) as run:
        start = f"http://127.0.0.1:{port}/swarm"
        wait_until(lambda: run.errors().count("reported as ready") == 2, "no workers")
        wait_until(lambda: answers(start), "no web UI")
        master = psutil.Process(run.process.pid)
        listening = {c.laddr.ip for c in master.net_connections("inet") if c.status == "LISTEN"}
        assert listening == {"127.0.0.1"}

        wait_until(lambda: "verdict:" in run.output(), "the first run was not judged")
        assert "verdict: PASS" in run.output(), run.output() + run.errors()
        # A worker is ready for the next run a stop timeout after it said that it has stopped.
        wait_until(lambda: run.errors().count("reported as ready") == 4, "no workers")

        httpx.post(start, data={"user_count": 1, "spawn_rate": 1})
        second = run.folder.with_name("run-2") / "timeline.jsonl"
        wait_until(lambda: second.exists() and '"second"' in second.read_text(), "no second run")
        second.unlink()
        wait_until(lambda: "no verdict could be computed" in run.errors(), "the second is judged")
        run.interrupt()
        done = run.finish()
    assert done.exit_code == 3, done.stdout + done.stderr
    assert "was lost" not in (done.folder / "timeline.jsonl").read_text()


def answers(url: str) -> bool:
    """Start a run; False while nobody listens."""
    try:
        return httpx.post(url, data={"user_count": 1, "spawn_rate": 1}).status_code == 200
    except httpx.TransportError:
        return False
