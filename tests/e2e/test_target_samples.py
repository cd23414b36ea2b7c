"""The target on the timeline (X-29): samples move with the load and never decide about a run."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from tests.e2e.node_process import running
from tests.e2e.scenario import HERE, Finished, Run, free_port, run, wait_until
from tests.e2e.soundness import assert_sound

NODE_VALUES = {"up", "cpu_percent", "memory_bytes", "queue_events", "queue_bytes", "wal_bytes"}
GUARD_S = 30.0
MOSTLY = 0.7
"""A scrape that takes longer than its timeout is a 0; a busy machine may cost a few."""
SAMPLED = HERE / "sampled.py"


def samples(
    done: Finished, node: str, start_s: float = -10.0, end_s: float = 1e9
) -> list[dict[str, float]]:
    """What the timeline has of a node between two moments."""
    return [
        line["values"]
        for line in done.timeline("target")
        if line["node"] == node and start_s <= line["t_s"] < end_s
    ]


def mean(values: list[dict[str, float]], name: str) -> float:
    return fmean(one[name] for one in values if name in one)


def test_every_node_is_sampled_each_second_and_its_values_move_with_the_load(
    tmp_path: Path,
) -> None:
    done = run(tmp_path / "runs", "--processes", "2", locustfile=SAMPLED)
    assert_sound(done)
    assert {line["node"] for line in done.timeline("target")} == {"node-1", "node-2"}
    seconds = done.timeline("progress")[-1]["t_s"]
    for node in ("node-1", "node-2"):
        found = samples(done, node)
        # Once a second, by the master alone; a busy machine may cost a few.
        assert 0.5 * seconds <= len(found) <= seconds + 3, (node, len(found))
        assert mean(found, "up") > MOSTLY
        assert {name for one in found for name in one} >= NODE_VALUES
    quiet, busy = samples(done, "node-1", 1, 4), samples(done, "node-1", 5, 8)
    for name in ("cpu_percent", "wal_bytes", "memory_bytes"):
        assert mean(busy, name) > mean(quiet, name), name
    assert mean(busy, "cpu_percent") > 2 * mean(samples(done, "node-2"), "cpu_percent")
    assert mean(busy, "commit_ms") > 0
    assert not any("commit_ms" in one for one in samples(done, "node-2", 1)), "it wrote nothing"
    # What the sampler sends is no load.
    names = {name for line in done.timeline("second") for name in line["endpoints"]}
    assert names == {"POST /v1/events"}
    judged = done.verdict["target"]["phase:burst"]
    assert judged["node-1"]["cpu_percent"]["mean"] > judged["node-2"]["cpu_percent"]["mean"]


class Page(BaseHTTPRequestHandler):
    """`/metrics` is a page for as long as the server wants; then it answers nothing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Any = self.server
        path = self.path.partition("?")[0]
        if server.pages <= 0:
            self.close_connection = True
            server.release.wait(GUARD_S)
            return
        server.pages -= 1
        body = b"# TYPE tasks gauge\ntasks 7\n"
        if path == "/page":
            body = b"<html><p>7 tasks</p></html>"
        self.send_response(404 if path == "/nothing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@contextlib.contextmanager
def service_of_the_users_own(pages: int) -> Iterator[str]:
    """Its URL. It hangs after that many pages, the check before the load being one of them."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.daemon_threads = True
    server.pages, server.release = pages, threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.release.set()
        server.shutdown()
        thread.join(GUARD_S)
        server.server_close()


def test_what_dies_or_hangs_costs_its_own_samples_and_nothing_else(tmp_path: Path) -> None:
    with (
        running(tmp_path / "app", name="app-1", roles="app") as app,
        running(tmp_path / "idle", name="idle-1", roles="idle") as idle,
        service_of_the_users_own(pages=4) as service,
        Run(
            tmp_path / "runs",
            *("--nodes", f"{app.url},{idle.url}", "--target-metrics", service),
            locustfile=SAMPLED,
        ) as started,
    ):
        wait_until(lambda: started.seconds_recorded() >= 3, "no load")
        idle.stop(signal.SIGKILL)
        done = started.finish()
    assert_sound(done)
    ups = {
        node: [one["up"] for one in samples(done, node)]
        for node in ("app-1", "idle-1", service.removeprefix("http://"))
    }
    assert fmean(ups.pop("app-1")) > MOSTLY
    for node, up in ups.items():
        alive = len(up) - up[::-1].index(1.0)
        assert 2 <= alive < len(up), f"{node} was there, and then was not"
        assert fmean(up[:alive]) > MOSTLY
        assert done.stderr.count(f"{node} could not be read") == 1, done.stderr
    assert samples(done, "idle-1")[-1] == {"up": 0.0}
    assert {"up": 1.0, "tasks": 7.0} in samples(done, service.removeprefix("http://"))


@pytest.mark.parametrize(
    ("path", "says"), [("/nothing", "answered 404"), ("/page", "no Prometheus text")]
)
def test_an_endpoint_without_metrics_is_found_before_the_load(
    tmp_path: Path, path: str, says: str
) -> None:
    with service_of_the_users_own(pages=1) as service:
        done = run(tmp_path / "runs", "--target-metrics", f"{service}{path}?key=hidden")
    assert done.exit_code == 4, done.stdout + done.stderr
    assert says in done.stderr
    assert "--target-metrics" in done.stderr
    assert "hidden" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not (done.folder / "timeline.jsonl").exists()


def test_an_endpoint_that_nobody_serves_is_found_before_the_load(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/metrics"
    environment = {"FOUNDATION_TARGET_METRICS": url}
    done = run(tmp_path / "runs", environment=environment)
    assert done.exit_code == 4, done.stdout + done.stderr
    assert url in done.stderr
    assert "refused" in done.stderr


def test_an_endpoint_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path / "runs", "--target-metrics", "http://user:hidden@a:1/metrics")
    assert done.exit_code == 4, done.stdout + done.stderr
    assert "--target-metrics" in done.stderr
    assert "hidden" not in done.stderr
