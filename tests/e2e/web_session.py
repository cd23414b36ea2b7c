"""A locustfile with Locust's web UI on a free port, and what a browser would ask of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.e2e.scenario import HERE, Finished, Run, free_port, wait_until

BESIDE = HERE / "beside.py"
"""Users of two classes, one with a fixed count of 3, and a shape of 5 s."""

NO_SHAPE = {"shape_class": "Default"}

PAGES = (
    *("/", "/verdict", "/tasks", "/stats/requests", "/exceptions", "/logs", "/stats/report"),
    *("/stats/requests/csv", "/stats/failures/csv", "/exceptions/csv", "/worker-count"),
)


class WebSession(Run):
    """Runs until it is interrupted. Run n is in the folder `run`, `run-2`, `run-3` …"""

    def __init__(
        self,
        results_dir: Path,
        *options: str,
        locustfile: Path = BESIDE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        super().__init__(
            results_dir,
            *("--web-port", str(self.port), *options),
            locustfile=locustfile,
            environment=environment,
            headless=False,
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60.0)

    def __enter__(self) -> WebSession:
        super().__enter__()
        wait_until(self._answers, "no web UI")
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()
        super().__exit__(*error)

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.output() + self.errors()
        try:
            return self.client.get("/verdict").status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, path: str, **form: object) -> dict[str, Any]:
        """POST a form as the UI does; its answer."""
        answer = self.client.post(path, data=form)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def start(self, users: int, rate: float = 50, **form: object) -> dict[str, Any]:
        """An ad-hoc run, or an edit of the one that goes on."""
        form = {"shape_class": "Default", **form}
        return self.ask("/swarm", user_count=users, spawn_rate=rate, **form)

    def start_shape(self) -> dict[str, Any]:
        """What a plain Start sends."""
        return self.ask("/swarm")

    def edit_class(self, name: str, **edit: object) -> httpx.Response:
        """What the class picker sends."""
        return self.client.post("/user", json={"user_class_name": name, **edit})

    def stop(self) -> None:
        assert self.ask("/stop")["success"]

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get("/stats/requests").json()
        return found

    def verdict(self) -> dict[str, Any] | None:
        """Of the last run, as the UI serves it."""
        found: dict[str, Any] | None = self.client.get("/verdict").json()
        return found

    def judged(self, number: int) -> Finished:
        """Run `number` (from 1), once it is judged."""
        name = "run" if number == 1 else f"run-{number}"
        wait_until(lambda: self._is_judged(name), f"{name} was not judged: {self.errors()}")
        return Finished(-1, self.output(), self.errors(), self.folder.with_name(name))

    def _is_judged(self, name: str) -> bool:
        verdict = self.verdict()
        return verdict is not None and verdict["run_id"] == name

    def wait_for_users(self, users: int) -> None:
        """Until the timeline of the run that goes on has seen as many."""

        def seen() -> bool:
            lines = self.latest_timeline().read_text().splitlines()
            found = [json.loads(line) for line in lines if '"kind":"progress"' in line]
            return bool(found) and found[-1]["users"] == users

        wait_until(seen, f"never {users} users: {self.errors()}")

    def latest_timeline(self) -> Path:
        folders = [p for p in self.folder.parent.glob("run*") if (p / "timeline.jsonl").exists()]
        return max(folders, key=lambda p: (len(p.name), p.name)) / "timeline.jsonl"

    def node_processes(self) -> set[tuple[int, float]]:
        """The embedded cluster's: id and start of each."""
        found = set()
        for child in psutil.Process(self.process.pid).children(recursive=True):
            # Those that make a run's report come and go.
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                command = " ".join(child.cmdline())
                is_ours = "locust" in command or "results.bundle.attendant" in command
                if command and not is_ours:
                    found.add((child.pid, child.create_time()))
        return found


def nodes_of(done: Finished) -> list[str]:
    manifest = json.loads((done.folder / "manifest.json").read_text())
    found: list[str] = manifest["options"]["nodes"]
    return found


def assert_passed(done: Finished) -> None:
    """PASS, or void for the one thing that a busy machine may do to it: a loop that lags."""
    found = {finding["code"] for finding in done.verdict["generator"]["findings"]}
    tolerated = {"generator_lag", "processor_starved", "unwatched"}
    expected = "INCONCLUSIVE" if found and found <= tolerated else "PASS"
    assert done.verdict["verdict"] == expected, done.verdict["reasons"]
