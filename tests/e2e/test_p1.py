"""P1 by its real command line: verdict, files, one process and two, given nodes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.e2e.scenario import HERE, ROOT, SMALL, Finished, free_port, run, wait_until
from tests.e2e.soundness import P1_SPEED, assert_found, assert_sound

PHASES = ["phase:steady#1", "phase:burst", "phase:peak", "phase:steady#2"]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A small P1 on one process, of which several tests read the results."""
    done = run(tmp_path_factory.mktemp("small") / "runs", *SMALL)
    assert_sound(done, may_miss=P1_SPEED)
    return done


def test_a_small_p1_passes_and_leaves_its_files(small: Finished) -> None:
    done, verdict = small, small.verdict
    # Of phases this short only the peak can be held to its share of started requests.
    each_phase = [f"error_rate@{phase}" for phase in PHASES]
    assert {check["id"] for check in verdict["checks"]} == {
        *("error_rate", "requests", "jobs_completed_sum_above", "jobs_failed_sum_at_most"),
        "analytics_events_sum_above",
        *("achieved", *each_phase, "achieved@phase:peak"),
        *("lost", "altered", "duplicated", "phantom"),
    }
    assert [w["name"] for w in verdict["windows"]] == ["run", *PHASES, "phase:steady"]
    total = done.window("run")["total"]
    assert total["errors"] == {}
    assert total["requests"] > 50_000 / 30 * 0.1
    assert total["requests"] > sum(
        endpoint["requests"]
        for name, endpoint in done.window("run")["endpoints"].items()
        if "saas" in name
    ), "jobs and analytics are outside of the plan"
    assert done.window("run")["endpoints"]["POST /v1/gateway/saas/actions/{action}"]["requests"]
    # The node states what it emulated, so the excess is far below the response time.
    assert total["excess_ms"]["p50"] < total["raw_ms"]["p50"]
    assert verdict["audit"]["totals"].keys() <= {"present", "redelivered"}
    assert verdict["audit"]["compared"] > total["requests"] / 2, "contents, too"
    assert sorted(path.name for path in done.folder.iterdir()) == [
        *("csv", "digests.txt", "junit.xml", "ledger", "logs", "manifest.json", "report.html"),
        *("timeline.jsonl", "verdict.json"),
    ]
    logs = {path.name for path in (done.folder / "logs").iterdir()}
    assert logs >= {f"node-{n}.log" for n in range(1, 6)}
    assert f"verdict: {verdict['verdict']}" in done.stdout
    assert str(done.folder) in done.stdout


def test_the_plan_is_the_same_on_one_process_and_on_two(tmp_path: Path, small: Finished) -> None:
    one = small
    two = run(tmp_path / "two", *SMALL, "--processes", "2")
    assert_sound(two, may_miss=P1_SPEED)
    (planned_by_one,), (planned_by_two,) = one.timeline("plan"), two.timeline("plan")
    assert planned_by_one == planned_by_two
    assert {line["source"] for line in two.timeline("second")} == {"worker-0", "worker-1"}
    by_one, by_two = handed_over(one), handed_over(two)
    seconds = by_one.keys() & by_two.keys()
    assert len(seconds) >= 4, "of ten; a busy machine may miss some"
    assert [by_one[second] for second in seconds] == [by_two[second] for second in seconds]
    # Upwards the users that run are those of the plan, if late on a busy machine; downwards they
    # end their request first.
    peak = max(planned_by_one["users"])
    assert peak / 2 < max(line["users"] for line in one.timeline("progress")) <= peak
    assert peak / 2 < max(line["users"] for line in two.timeline("progress")) <= peak


def handed_over(done: Finished) -> dict[int, int]:
    """Users that the shape handed over, by second of the profile.

    Taken late in the second, when its tick is through; a line that came too late counts for none.
    The seconds after the profile, in which users drain, may differ in number.
    """
    (plan,) = done.timeline("plan")
    return {
        int(line["t_s"]): line["planned"]
        for line in done.timeline("progress")
        if 0 <= line["t_s"] < plan["duration_s"] and line["t_s"] % 1 > 0.7
    }


def test_given_nodes_are_loaded_instead_of_a_cluster(tmp_path: Path) -> None:
    with NodeByHand(tmp_path / "a", "app") as a, NodeByHand(tmp_path / "b", "app") as b:
        done = run(tmp_path / "runs", *SMALL, "--nodes", f"{a.url},{b.url}")
        assert_sound(done, may_miss=P1_SPEED)
        loaded = {node for line in done.timeline("second") for node in line["nodes"]}
        assert loaded == {a.url, b.url}
    assert list((done.folder / "logs").iterdir()) == []


def test_each_user_class_loads_the_nodes_of_its_role(small: Finished) -> None:
    done = small
    ended: dict[str, int] = {}
    for line in done.timeline("second"):
        for node, (requests, _) in line["nodes"].items():
            ended[node] = ended.get(node, 0) + requests
    endpoints = done.window("run")["endpoints"]
    of = {name: endpoint["requests"] for name, endpoint in endpoints.items()}
    gateway, app_1, app_2, jobs, analytics = sorted(ended, key=node_number(done))
    assert ended[gateway] == of["POST /v1/gateway/saas/actions/{action}"]
    assert ended[app_1] + ended[app_2] == of["POST /v1/saas/actions/{action}"]
    assert ended[jobs] == of["POST /v1/jobs"] + of["GET /v1/jobs/{id}"]
    assert ended[analytics] == of["POST /v1/analytics/passes"]


def node_number(done: Finished) -> Callable[[str], int]:
    """A node's place in the cluster, by its URL."""
    nodes: list[str] = json.loads((done.folder / "manifest.json").read_text())["options"]["nodes"]
    return nodes.index


def run_against_flawed_target(results_dir: Path, *flaw: str) -> Finished:
    target = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.flawed_target", *flaw],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with target:
        assert target.stdout is not None
        url = target.stdout.readline().strip()
        done = run(results_dir, *SMALL, "--host", url)
        target.communicate(timeout=10)
    return done


@pytest.mark.parametrize(
    ("flaw", "check"),
    [
        ("failing", "jobs_failed_sum_at_most"),
        pytest.param("stuck", "jobs_completed_sum_above", marks=pytest.mark.long),
    ],
)
def test_jobs_that_fail_or_never_end_are_a_fail(flaw: str, check: str, tmp_path: Path) -> None:
    done = run_against_flawed_target(tmp_path / "runs", flaw)
    assert_found(done, check)


def test_one_failed_request_in_fifty_is_a_fail(tmp_path: Path) -> None:
    done = run_against_flawed_target(tmp_path / "runs")
    assert_found(done, "error_rate")
    assert done.exit_code == 1, "a node's own errors stay a FAIL on a busy machine, too (D15)"
    actions = [e for name, e in done.window("run")["endpoints"].items() if "saas" in name]
    errors = sum(sum(endpoint["errors"].values()) for endpoint in actions)
    ended = sum(endpoint["requests"] for endpoint in actions)
    assert errors / ended == pytest.approx(1 / 50, rel=0.1)


def test_a_run_that_sends_nothing_is_inconclusive(tmp_path: Path) -> None:
    done = run(tmp_path / "runs", locustfile=HERE / "silent.py")
    assert done.exit_code == 3, done.stdout + done.stderr
    assert done.verdict["verdict"] == "INCONCLUSIVE"
    assert any("no request was sent" in reason for reason in done.verdict["reasons"])


class NodeByHand:
    """`python -m service` on a free port, as a user would start it."""

    def __init__(self, data: Path, role: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "service", "--port", self.url.rpartition(":")[2]]
        self._log = data.with_suffix(".log").open("w+")
        self._process = subprocess.Popen(
            [*command, "--data", str(data), "--role", role, "--name", data.name],
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        wait_until(self._serves, "the node never served")

    def _serves(self) -> bool:
        assert self._process.poll() is None, Path(self._log.name).read_text()
        try:
            return httpx.get(f"{self.url}/health").status_code == 200
        except httpx.TransportError:
            return False

    def __enter__(self) -> NodeByHand:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._log.close()
        assert self._process.returncode == 0


def test_the_scenario_guides_smallest_example_runs(tmp_path: Path) -> None:
    guide = (ROOT / "docs/scenario_guide.md").read_text()
    example = tmp_path / "smallest.py"
    example.write_text(guide.split("```python\n")[1].split("```")[0])
    done = run(tmp_path / "runs", locustfile=example)
    assert_sound(done, may_miss={"raw_p99@phase:steady"})
    assert done.window("phase:steady")["total"]["requests"] > 0
