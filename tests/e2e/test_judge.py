"""`judge()` at the end of an existing locustfile: it counts as Locust does, and gives a verdict."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.own_target import OwnTarget, own_target
from tests.e2e.scenario import HERE, Finished, Run, free_port, run, wait_until
from tests.e2e.web_session import WebSession

JUDGED = HERE / "judged.py"
CLIENTS = HERE / "clients.py"

THE_LINE = """
from locustfiles.harness import judge
from results.check import error_rate, latency
judge(checks=[error_rate(below=0.9), latency(quantile=0.99, below_ms=5000)])
"""

A_SHAPE = """
from locust import LoadTestShape
class Stages(LoadTestShape):
    def tick(self):
        run_time_s = self.get_run_time()
        return None if run_time_s > 3 else (2 if run_time_s < 1 else 4, 4)
"""

USERS = ("-u", "4", "-r", "4")

KINDS = {
    "GET /": {},
    "GET /status/404": {"http_4xx"},
    "GET /item/{id}": {},
    "GET marked": {"check"},
    "GET forgiven": {},
    "GET slow block": {},
    "GET /status/500": {"http_5xx"},
    "GET nobody": {"refused"},
}


@pytest.fixture(scope="module")
def target() -> Iterator[OwnTarget]:
    with own_target() as started:
        yield started


def stock(tmp_path: Path, more: str = "") -> Path:
    """The stock locustfile and the one line, in a folder of its own."""
    path = tmp_path / "my shop.py"
    path.write_text((HERE / "stock.py").read_text() + more + THE_LINE)
    return path


def counts_of_locust(path: Path) -> dict[str, tuple[int, int]]:
    """Requests and failures by name, from Locust's own `--json-file`."""
    found = {}
    for entry in json.loads(path.with_suffix(".json").read_text()):
        name = f"{entry['method']} {entry['name']}"
        found[name] = (entry["num_requests"], entry["num_failures"])
    return found


def counts_of_verdict(done: Finished) -> dict[str, tuple[int, int]]:
    endpoints = done.window("run")["endpoints"]
    return {name: (e["requests"], sum(e["errors"].values())) for name, e in endpoints.items()}


def assert_counts_are_locusts(done: Finished, own: Path) -> None:
    theirs = counts_of_locust(own)
    assert set(theirs) == set(KINDS), "the control: every kind of request was sent"
    assert sum(count for count, _ in theirs.values()) > 50, "the control: there was load"
    assert counts_of_verdict(done) == theirs
    for name, e in done.window("run")["endpoints"].items():
        assert set(e["errors"]) == set(KINDS[name]), name
        status = name.removeprefix("GET /status/")
        if status != name:
            assert e["errors_by_status"] == {status: e["requests"]}


def assert_judged(done: Finished, code: int = 0, verdict: str = "PASS") -> None:
    """As expected, or void for the one thing that a busy machine may do to it: a loop that lags."""
    found = {finding["code"] for finding in done.verdict["generator"]["findings"]}
    if found and found <= {"generator_lag", "processor_starved", "unwatched"}:
        code, verdict = 3, "INCONCLUSIVE"
    assert done.verdict["verdict"] == verdict, done.verdict["reasons"]
    assert done.exit_code in (code, -1), done.stdout + done.stderr


ONE, TWO = (), ("--processes", "2")
LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("processes", "shape"),
    [
        pytest.param(ONE, "", id="one-options"),
        pytest.param(TWO, A_SHAPE, id="two-shape"),
        pytest.param(ONE, A_SHAPE, id="one-shape", marks=LONG),
        pytest.param(TWO, "", id="two-options", marks=LONG),
    ],
)
def test_the_counts_are_those_of_locust_itself(
    tmp_path: Path, target: OwnTarget, processes: tuple[str, ...], shape: str
) -> None:
    own = tmp_path / "own"
    until = () if shape else (*USERS, "-t", "3")
    options = (*until, *processes, "--host", target.url, "--json-file", str(own))
    done = run(tmp_path / "runs", *options, locustfile=stock(tmp_path, shape))
    assert_judged(done)
    assert_counts_are_locusts(done, own)
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert (manifest["scenario"], manifest["tier"]) == ("my_shop", "own")
    assert manifest["users"] == ["Browser", "Fast"]
    assert not manifest["ad_hoc"]
    assert done.timeline("header")[0]["unplanned"]
    assert done.timeline("plan") == []


@pytest.mark.long
def test_the_counts_are_those_of_locust_itself_with_workers_of_their_own(
    tmp_path: Path, target: OwnTarget
) -> None:
    own = tmp_path / "own"
    with Fleet(tmp_path / "fleet", stock(tmp_path)) as fleet:
        (tmp_path / "fleet").mkdir()
        options = (*USERS, "-t", "3", "--host", target.url, "--json-file", str(own))
        master = fleet.master(*options, workers=2)
        workers = [fleet.worker("a"), fleet.worker("b")]
        done = master.finish()
        assert [worker.finish().exit_code for worker in workers] == [0, 0]
    assert_judged(done)
    assert_counts_are_locusts(done, own)
    assert {line["source"] for line in done.timeline("second")} == {"worker-0", "worker-1"}


def test_the_counts_are_those_of_locust_itself_in_the_web_ui(
    tmp_path: Path, target: OwnTarget
) -> None:
    with WebSession(
        tmp_path / "runs", "--host", target.url, locustfile=stock(tmp_path, A_SHAPE)
    ) as ui:
        assert "Stages" in ui.client.get("/").text
        assert ui.start(2)["success"]
        refused = ui.ask("/swarm", user_count=1, spawn_rate=1, host="http://203.0.113.5")
        assert not refused["success"] and "--host" in refused["message"]
        ui.wait_for_users(2)
        assert ui.start(4)["success"], "an edit"
        ui.wait_for_users(4)
        ui.stop()
        assert_same_as_in_the_ui(ui, ui.judged(1))
        assert ui.start_shape()["success"], "a plain start runs the file's own shape"
        ui.wait_for_users(2)
        refused = ui.start(3)
        assert not refused["success"] and "shape is running" in refused["message"]
        assert_same_as_in_the_ui(ui, ui.judged(2))


def assert_same_as_in_the_ui(ui: WebSession, done: Finished) -> None:
    assert_judged(done)
    rows = [row for row in ui.stats()["stats"] if row["name"] != "Aggregated"]
    theirs = {f"{r['method']} {r['name']}": (r["num_requests"], r["num_failures"]) for r in rows}
    assert counts_of_verdict(done) == theirs
    assert theirs["GET /"][0] > 5, "the control: there was load"


def test_the_web_ui_of_a_file_without_shape_and_host_takes_none_from_the_form(
    tmp_path: Path, target: OwnTarget
) -> None:
    with WebSession(tmp_path / "runs", locustfile=JUDGED, environment={"JUDGED": ""}) as ui:
        assert ui.client.get("/").status_code == 200
        refused = ui.start(1, host=target.url)
        assert not refused["success"] and "--host" in refused["message"]
    assert target.requests["/never"] == 0


def test_a_users_clients_of_other_protocols_count_and_a_lean_user_counts_once(
    tmp_path: Path, target: OwnTarget
) -> None:
    own = tmp_path / "own"
    options = ("-u", "2", "-r", "2", "-t", "3", "--json-file", str(own))
    done = run(tmp_path / "runs", *options, locustfile=CLIENTS, environment={"TARGET": target.url})
    assert_judged(done)
    counts = counts_of_verdict(done)
    assert counts == counts_of_locust(own)
    assert set(counts) == {"grpc /shop.Shop/Buy", "grpc /shop.Shop/Pay", "GET /lean"}
    assert counts["GET /lean"][0] == target.requests["/lean"]
    endpoints = done.window("run")["endpoints"]
    assert set(endpoints["grpc /shop.Shop/Pay"]["errors"]) == {"timeout"}
    assert endpoints["grpc /shop.Shop/Buy"]["raw_ms"]["p50"] == pytest.approx(7, rel=0.02)


@pytest.mark.parametrize(
    ("clients", "verdict"), [("untimed", 3), pytest.param("no_latency", 0, marks=LONG)]
)
def test_requests_without_a_time_void_a_check_of_latency_alone(
    tmp_path: Path, target: OwnTarget, clients: str, verdict: int
) -> None:
    done = run(
        tmp_path / "runs",
        *("-u", "1", "-r", "1", "-t", "2", "Grpc"),
        locustfile=CLIENTS,
        environment={"TARGET": target.url, "CLIENTS": clients},
    )
    assert_judged(done, verdict, "INCONCLUSIVE" if verdict else "PASS")
    told = any("no response time" in reason for reason in done.verdict["reasons"])
    assert told is (clients == "untimed")


def judged(results_dir: Path, what: str, *options: str, **environment: str) -> Finished:
    return run(
        results_dir,
        *options,
        locustfile=JUDGED,
        environment={"JUDGED": what, **environment},
    )


@pytest.mark.parametrize(
    ("processes", "number", "run_time", "code"),
    [
        (ONE, signal.SIGINT, ("-t", "60"), 5),
        (TWO, signal.SIGINT, (), 0),
        pytest.param(ONE, signal.SIGTERM, (), 5, marks=LONG),
        pytest.param(TWO, signal.SIGTERM, ("-t", "60"), 5, marks=LONG),
        pytest.param(ONE, signal.SIGINT, (), 0, marks=LONG),
        pytest.param(ONE, signal.SIGTERM, ("-t", "60"), 5, marks=LONG),
        pytest.param(TWO, signal.SIGINT, ("-t", "60"), 5, marks=LONG),
        pytest.param(TWO, signal.SIGTERM, (), 5, marks=LONG),
    ],
)
def test_whoever_gave_no_end_decides_by_ctrl_c_and_every_other_interrupt_aborts(
    tmp_path: Path,
    target: OwnTarget,
    number: signal.Signals,
    run_time: tuple[str, ...],
    code: int,
    processes: tuple[str, ...],
) -> None:
    options = (*run_time, *processes, "-u", "2", "-r", "2", "--host", target.url)
    with Run(tmp_path / "runs", *options, locustfile=JUDGED) as started:
        wait_until(lambda: started.seconds_recorded() >= 4, "no load: " + started.errors())
        if processes and number == signal.SIGINT:
            # As a terminal does: every process of the group.
            for process in started.family():
                process.send_signal(number)
        else:
            started.interrupt(number)
        done = started.finish()
    assert_judged(done, code, "ABORTED" if code else "PASS")
    assert done.stdout.count("verdict: ") == 1
    assert done.window("run")["total"]["requests"] > 10


SLOW = """
import gevent
from locust import User, events, task

@events.test_stopping.add_listener
def say(environment, **_):
    print("stopping a", type(environment.runner).__name__, flush=True)

class Slow(User):
    @task
    def take_long(self):
        gevent.sleep(2)
        for _ in range(10):
            self.environment.events.request.fire(
                request_type="own", name="slow", response_time=2000, response_length=0,
                exception=None, context={},
            )
"""
"""Ten requests in each task that is left to end."""


def slow(tmp_path: Path) -> Path:
    path = tmp_path / "slow.py"
    path.write_text(SLOW + THE_LINE)
    return path


def test_a_worker_that_the_master_has_already_stopped_leaves_by_ctrl_c_without_a_loss(
    tmp_path: Path,
) -> None:
    """A terminal tells all processes at once: the master's message may come before the signal."""
    with Run(tmp_path / "runs", *TWO, "-u", "2", "-r", "2", locustfile=slow(tmp_path)) as started:
        wait_until(lambda: started.seconds_recorded() >= 2, "no load: " + started.errors())
        workers = started.family()[:-1]
        started.interrupt(signal.SIGINT)
        wait_until(lambda: started.output().count("stopping a WorkerRunner") >= 2, "no stop")
        for worker in workers:
            worker.send_signal(signal.SIGINT)
        done = started.finish()
    assert_judged(done)
    assert done.window("run")["total"]["requests"] % 10 == 0
    assert done.window("run")["total"]["requests"] >= 20, "the tasks in progress came to their end"


@pytest.mark.parametrize(("given", "requests"), [(("--stop-timeout", "0"), 0), ((), 10)])
def test_a_stop_timeout_of_zero_is_taken_for_what_it_says(
    tmp_path: Path, given: tuple[str, ...], requests: int
) -> None:
    done = run(tmp_path / "runs", "-t", "1", *given, locustfile=slow(tmp_path))
    assert done.exit_code == (0 if requests else 3), done.stdout + done.stderr
    assert done.window("run")["total"]["requests"] == requests


def test_workers_that_do_not_come_in_time_are_a_bad_configuration_and_no_fail(
    tmp_path: Path,
) -> None:
    wait = ("--expect-workers-max-wait", "1")
    with Fleet(tmp_path, JUDGED) as fleet:
        done = fleet.master("-t", "1", *wait, workers=2).finish()
    assert done.exit_code == 4, done.stdout + done.stderr
    assert "0 of 2 workers were ready after 1 s" in done.stderr
    assert "--expect-workers-max-wait" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_a_shape_that_is_interrupted_is_aborted(tmp_path: Path, target: OwnTarget) -> None:
    endless = A_SHAPE.replace("None if run_time_s > 3 else ", "")
    options = ("--host", target.url)
    with Run(tmp_path / "runs", *options, locustfile=stock(tmp_path, endless)) as started:
        wait_until(lambda: started.seconds_recorded() >= 2, "no load: " + started.errors())
        started.interrupt(signal.SIGINT)
        done = started.finish()
    assert (done.exit_code, done.verdict["verdict"]) == (5, "ABORTED")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("phases", "needs phases"),
        ("planned_shape", "strap_in(Scenario(shape=Planned, …))"),
        ("no_checks", "error_rate(below=0.01)"),
        ("strapped", "other, judged are judged in one process"),
        ("twice", "first, judged are judged in one process"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_the_load(
    tmp_path: Path, target: OwnTarget, what: str, says: str
) -> None:
    target.requests.clear()
    done = judged(tmp_path / "runs", what, "-t", "1", "--host", target.url)
    assert done.exit_code == 4, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.folder.exists()
    assert not target.requests


def test_an_unreachable_host_is_found_before_the_load(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = judged(tmp_path / "runs", "", "-t", "1", "--host", url)
    assert done.exit_code == 4, done.stdout + done.stderr
    assert url in done.stderr and "refused" in done.stderr


def test_without_a_host_locust_says_so_and_nothing_is_proved(tmp_path: Path) -> None:
    done = judged(tmp_path / "runs", "", "-t", "5")
    assert done.exit_code == 3, done.stdout + done.stderr
    assert "You must specify the base host" in done.stderr
    assert any("no request was sent" in reason for reason in done.verdict["reasons"])


def test_the_verdicts_exit_code_takes_precedence_over_the_files_own(
    tmp_path: Path, target: OwnTarget
) -> None:
    options = ("-t", "2", "--host", target.url, "--exit-code-on-error", "0")
    done = judged(tmp_path / "runs", "exit_code", *options)
    assert_judged(done)
    assert "set the exit code 77" in done.stderr
    done = judged(tmp_path / "failing", "", *options, VISITED="/status/500")
    assert_judged(done, 1, "FAIL")
    assert "set the exit code" not in done.stderr


def test_options_of_the_files_own_stay_its_own(tmp_path: Path, target: OwnTarget) -> None:
    options = ("-t", "2", "--host", target.url, "--foundation-seed", "7")
    done = judged(tmp_path / "runs", "own_options", *options)
    assert_judged(done)
    assert "theirs: 'of the file' 5" in done.stdout
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert manifest["seed"] == 7
    assert manifest["options"]["time_scale"] == 1.0
