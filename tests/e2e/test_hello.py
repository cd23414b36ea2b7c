"""Only workers whose load would be the master's take part, and all of them begin at one instant."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.e2e.fleet import OTHER_LOCUST, Fleet, assert_carried_out
from tests.e2e.scenario import HERE, TIMEOUT_S, Finished, Run, wait_until

PAIRED = HERE / "paired"
REFUSED = 4

PLAIN = """
from locust import User, events, task

@events.init_command_line_parser.add_listener
def add_options(parser, **_):
    for flag in ("--run-id", "--results-dir"):
        parser.add_argument(flag)

class PairedUser(User):
    @task
    def idle(self):
        pass
"""


LONG_ENOUGH = {"SECONDS": "10"}
"""For a worker to start in mid-run, on a busy machine."""


def copy_with(folder: Path, name: str, **changes: str) -> Path:
    """A machine's own copy of the scenario; `changes` append to its files."""
    copy = folder / name / "files"
    shutil.copytree(PAIRED, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for stem, text in changes.items():
        path = next(copy.glob(f"{stem}.*"))
        path.write_text(path.read_text() + text)
    return copy / "paired.py"


def ended(run: Run) -> bool:
    return run.process.poll() is not None


def test_workers_that_differ_are_refused_and_the_others_run_the_load(tmp_path: Path) -> None:
    plain = tmp_path / "plain.py"
    plain.write_text(PLAIN)
    with Fleet(tmp_path, copy_with(tmp_path, "m"), LONG_ENOUGH) as fleet:
        master = fleet.master("--seed", "7", workers=2, environment={"HELLO_GRACE_S": "1"})
        refused = {
            "locustfile": fleet.worker(
                "w1", locustfile=copy_with(tmp_path, "c1", paired="\nOTHER = 1\n")
            ),
            "options": fleet.worker(
                *("w2", "--seed", "8", "--flavour", "sweet", "--door-key", "hidden")
            ),
            "Locust": fleet.worker("w3", wrapper=(sys.executable, "-c", OTHER_LOCUST)),
        }
        stranger = fleet.worker("w4", locustfile=plain)
        for run in (*refused.values(), stranger):
            run.process.wait(TIMEOUT_S)
        assert {name: run.process.returncode for name, run in refused.items()} == dict.fromkeys(
            refused, REFUSED
        ), [run.errors() for run in refused.values()]
        said = {name: run.errors() for name, run in refused.items()}
        assert "locustfile paired.py differs: " in said["locustfile"]
        assert "copy the master's file to the worker" in said["locustfile"]
        assert "--seed is 8 at the worker, 7 at the master" in said["options"]
        assert '--flavour is "sweet" at the worker, "plain" at the master' in said["options"]
        assert "--door-key is a secret, and another one at the master" in said["options"]
        assert "Locust is 2.46.0 at the worker, 2.47.0 at the master" in said["Locust"]
        assert "hidden" not in "".join(said.values()) + master.errors()
        assert "has not said hello within 1 s" in master.errors()
        assert not ended(master), "none of them counts: " + master.errors()
        assert "run run:" not in master.output()

        good = [fleet.worker("w5"), fleet.worker("w6", "--seed", "7")]
        wait_until(lambda: master.seconds_recorded() >= 2, "no load: " + master.errors())
        late = fleet.worker("w7", locustfile=copy_with(tmp_path, "c7", pace="\nOTHER = 1\n"))
        done = master.finish()
        assert_carried_out(done)
        assert [run.finish().exit_code for run in good] == [0, 0]
        assert late.finish().exit_code == REFUSED
        assert "the locustfile's module pace.py differs" in late.errors()
    (note,) = (one for one in done.timeline("annotation") if one["label"] == "worker_refused")
    assert "pace.py differs" in note["text"]
    assert note["text"] in done.verdict["reasons"]
    # Twenty users on each, their first requests spread from half a second before second 0 on.
    assert set(first_requests(done).values()) == {-1}, first_requests(done)
    assert len(first_requests(done)) == 2


def first_requests(done: Finished) -> dict[str, int]:
    """The second in which each worker sent its first."""
    first: dict[str, int] = {}
    for line in done.timeline("second"):
        if any(endpoint["started"] for endpoint in line["endpoints"].values()):
            second = line["second"]
            first[line["source"]] = min(first.get(line["source"], second), second)
    return first


def test_a_trace_that_differs_is_found_though_the_locustfiles_are_equal(tmp_path: Path) -> None:
    with Fleet(tmp_path, copy_with(tmp_path, "m")) as fleet:
        master = fleet.master(workers=1)
        other = copy_with(tmp_path, "c1")
        (other.parent / "load.csv").write_text("users,seconds\n41,5\n")
        worker = fleet.worker("w1", locustfile=other)
        assert worker.finish().exit_code == REFUSED
        assert "the planned load differs" in worker.errors()
        assert not ended(master)


def test_a_worker_that_is_not_ready_is_left_out_and_joins_when_it_is(tmp_path: Path) -> None:
    with Fleet(tmp_path, PAIRED / "paired.py") as fleet:
        master = fleet.master(workers=2, environment={"READY_TIMEOUT_S": "1"})
        workers = [fleet.worker("w1"), fleet.worker("w2", environment={"DEAF_S": "3"})]
        done = master.finish()
        assert_carried_out(done)
        assert [run.finish().exit_code for run in workers] == [0, 0]
    (note,) = (one for one in done.timeline("annotation") if one["label"] == "worker_left_out")
    assert "was not ready: others send its share" in note["text"]
    assert note["text"] in done.verdict["reasons"], "told, and no doubt"
    begun = sorted(first_requests(done).values())
    assert len(begun) == 2, "it joined"
    assert begun[0] == -1 and begun[1] > 0, "the other one did not wait for it"


def test_a_run_without_any_ready_worker_does_not_begin(tmp_path: Path) -> None:
    with Fleet(tmp_path, PAIRED / "paired.py") as fleet:
        master = fleet.master(workers=1, environment={"READY_TIMEOUT_S": "1"})
        fleet.worker("w1", environment={"DEAF_S": "60"})
        done = master.finish()
        assert done.exit_code == 3, done.stdout + done.stderr
        assert "no worker was ready within 1 s" in done.stderr
