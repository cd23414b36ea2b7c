"""Runs that the web UI starts: with the shape and without, several in one process, cut off anyhow.

Of several runs the worst decides, and all of them run against the same nodes. What a browser makes
of the pages is in test_browser.py.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from results.bundle.bundle import verify
from results.replay import replay
from results.run_folder import RunFolder
from results.verdict import as_document
from tests.e2e.scenario import Finished, Run, free_port, run, wait_until
from tests.e2e.test_interruption import all_gone
from tests.e2e.web_session import BESIDE, PAGES, WebSession, assert_passed, nodes_of

TOKEN = "a-client-token-that-nobody-may-see"


def most_users(done: Finished) -> int:
    counts: list[int] = [line["users"] for line in done.timeline("progress")]
    return max(counts)


def figures(done: Finished) -> set[str]:
    return {name for line in done.timeline("second") for name in line.get("figures", ())}


def observed(done: Finished, name: str) -> int:
    """How many observations of a figure there are."""
    return sum(line["figures"].get(name, [0])[0] for line in done.timeline("second"))


def test_runs_with_and_without_the_shape_follow_each_other_on_the_same_nodes(
    tmp_path: Path,
) -> None:
    with WebSession(tmp_path / "runs", environment={"FOUNDATION_CLIENT_TOKEN": TOKEN}) as ui:
        assert f"http://127.0.0.1:{ui.port}" in ui.output(), "the address is said"
        assert ui.verdict() is None
        listening = psutil.Process(ui.process.pid).net_connections("inet")
        assert {c.laddr.ip for c in listening if c.status == "LISTEN"} == {"127.0.0.1"}
        nodes = ui.node_processes()
        assert len(nodes) >= 2, "the control: supervisor and node are descendants"

        # Without the shape: two quick starts are one run, and its users can be edited.
        assert ui.start(2, user_classes="PlannedUser")["success"]
        assert ui.start(2, user_classes="PlannedUser")["success"]
        ui.wait_for_users(2)
        assert "shape" not in ui.ask("/swarm", user_count=5, spawn_rate=50)["message"], "an edit"
        ui.wait_for_users(5)
        refused = ui.ask("/swarm", shape_class="BesideShape")
        assert not refused["success"] and "ad-hoc run goes on" in refused["message"]
        assert ui.edit_class("PlannedUser", weight=7).status_code == 409
        said = ui.client.post("/foundation/notes", json={"text": "at /x?token=s3cret"})
        assert (said.status_code, said.json()["text"]) == (201, "at /x?token=***")
        ui.start(1)
        ui.wait_for_users(1)
        assert ui.stats()["state"] in {"running", "spawning"}
        ui.stop()
        assert ui.stats()["state"] == "stopped", "not what Locust remembers for 2 s"
        first = ui.judged(1)
        assert_passed(first)
        assert first.verdict["reasons"][-1].startswith("ad hoc: ")
        assert [window["name"] for window in first.verdict["windows"]] == ["run"]
        assert most_users(first) == 5
        notes = [line["text"] for line in first.timeline("annotation") if line["label"] == "note"]
        assert notes == ["at /x?token=***"]
        assert figures(first) >= {"planned began", "planned in None"}
        assert "beside began" not in figures(first), "the class that was not picked"
        assert not first.timeline("plan")
        assert first.timeline("end")[0]["reason"] == "completed"
        assert as_document(replay(first.folder / "timeline.jsonl")) == first.verdict

        # With it: nothing is edited; stopped in mid-ramp it is aborted.
        assert "BesideShape" in ui.start_shape()["message"]
        refused = ui.start(9)
        assert not refused["success"] and "shape is running" in refused["message"]
        wait_until(lambda: '"second"' in ui.latest_timeline().read_text(), "no load")
        ui.stop()
        second = ui.judged(2)
        assert second.verdict["verdict"] == "ABORTED"
        assert "stopped after" in second.verdict["reasons"][0]

        # Stopped at once, both ways: whatever began is judged, and the next start works.
        ui.start_shape()
        ui.stop()
        third = ui.judged(3)
        assert third.verdict["verdict"] == "ABORTED"
        # Ad hoc the classes may be others than declared, and a run time holds for all edits.
        assert ui.edit_class("BesideUser", fixed_count=1).status_code == 201
        assert ui.start(3, run_time="3s")["success"]
        refused = ui.start(-1)
        assert not refused["success"] and "user_count" in refused["message"]
        ui.start(2)
        fourth = ui.judged(4)
        assert fourth.verdict["verdict"] in {"PASS", "INCONCLUSIVE"}
        assert fourth.timeline("end")[0]["reason"] == "completed"
        assert observed(fourth, "beside began") == 1
        assert "fixed_count 1, declared is 3" in ui.start_shape()["message"]
        assert ui.edit_class("BesideUser", fixed_count=3).status_code == 201

        assert ui.start_shape()["success"]
        fifth = ui.judged(5)
        assert_passed(fifth)
        assert figures(fifth) >= {"planned in first", "beside began"}, "all classes again"

        for page in PAGES:
            answer = ui.client.get(page)
            assert answer.status_code == 200, page
            assert TOKEN not in answer.text, page
        assert ui.node_processes() == nodes
        runs = [ui.judged(5), first, second, third]
        assert len({tuple(nodes_of(done)) for done in runs}) == 1

        assert "Traceback" not in ui.errors()

        # A run that has no place for its results is not started; the next one is.
        (tmp_path / "runs" / "run-6").mkdir()
        refused = ui.start(2)
        assert not refused["success"] and "'run-6' is already in" in refused["message"]

        # Ctrl-C while an ad-hoc run goes on is no normal end.
        ui.start(4, user_classes="PlannedUser")
        ui.wait_for_users(4)
        family = ui.family()
        ui.interrupt(signal.SIGINT)
        done = ui.finish()
        assert done.exit_code == 5, done.stdout + done.stderr
        assert done.stdout.count("verdict: ABORTED") == 3
        wait_until(lambda: all_gone(family), "processes outlived the run")
    for path in (tmp_path / "runs").rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes(), path
    closed = [RunFolder(path.parent) for path in (tmp_path / "runs").rglob("verdict.json")]
    assert len(closed) == 6
    for folder in closed:
        found = verify(folder)
        assert found.holds and not found.notes, (folder.path, found.problems, found.notes)
        assert folder.report.exists()


def test_two_processes_run_the_shape_and_any_number_of_users(tmp_path: Path) -> None:
    with WebSession(tmp_path / "runs", "--processes", "2") as ui:
        master = psutil.Process(ui.process.pid)
        listening = {c.laddr.ip for c in master.net_connections("inet") if c.status == "LISTEN"}
        assert listening == {"127.0.0.1"}
        wait_until(lambda: ui.errors().count("reported as ready") == 2, "no workers")
        assert ui.start(6)["success"]
        ui.wait_for_users(6)
        ui.start(8)
        ui.wait_for_users(8)
        ui.stop()
        # The workers are not ready again yet; the next start waits for them.
        assert ui.start_shape()["success"], ui.errors()
        first, second = ui.judged(1), ui.judged(2)
        assert_passed(first)
        assert first.verdict["reasons"][-1].startswith("ad hoc: ")
        assert_passed(second)
        for done in (first, second):
            assert {line["source"] for line in done.timeline("second")} == {"worker-0", "worker-1"}
            assert not done.timeline("annotation")
        assert most_users(first) == 8

        # A stop that comes right after the start, before Locust's master would heed it.
        assert ui.start_shape()["success"]
        ui.stop()
        assert ui.judged(3).verdict["verdict"] == "ABORTED"

        # A run that cannot be judged is worse than two that passed.
        assert ui.start(2)["success"]
        ui.wait_for_users(2)
        ui.latest_timeline().unlink()
        ui.stop()
        wait_until(lambda: "no verdict could be computed" in ui.errors(), "the last is judged")
        family = ui.family()
        ui.interrupt(signal.SIGTERM)
        done = ui.finish()
        assert done.exit_code == 5, done.stdout + done.stderr
        wait_until(lambda: all_gone(family), "processes outlived the run")


def test_a_master_without_workers_says_so_and_starts_when_one_has_come(tmp_path: Path) -> None:
    port = str(free_port())
    with WebSession(tmp_path / "runs", "--master", "--master-bind-port", port) as ui:
        refused = ui.start(3)
        assert not refused["success"] and "--worker" in refused["message"]
        worker = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
        with Run(tmp_path / "worker", *worker, locustfile=BESIDE, headless=False) as started:
            wait_until(lambda: "is welcome" in ui.errors(), "no worker")
            assert ui.start(3)["success"]
            ui.wait_for_users(3)
            wait_until(lambda: "lag_p99_ms" in ui.latest_timeline().read_text(), "no health")
            ui.stop()
            done = ui.judged(1)
            assert_passed(done)
            ui.interrupt(signal.SIGINT)
            assert ui.finish().exit_code == done.verdict["exit_code"], ui.output() + ui.errors()
            assert started.finish().exit_code == 0, started.errors()


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"shape_class": "NoShape"}, "no shape 'NoShape'"),
        ({"host": "http://192.0.2.1:80"}, "--nodes"),
        ({"host": ""}, "leave the host as it is"),
        ({"shape_class": "Default", "user_count": "10000000", "spawn_rate": "1"}, "ulimit -n"),
        ({"shape_class": "Default", "user_count": "many", "spawn_rate": "1"}, "user_count"),
        ({"shape_class": "Default", "user_count": "9" * 5000, "spawn_rate": "1"}, "user_count"),
        ({"shape_class": "Default", "user_count": "-1", "spawn_rate": "1"}, "user_count"),
        ({"shape_class": "Default", "user_count": "1", "spawn_rate": "nan"}, "spawn_rate"),
        ({"shape_class": "Default"}, "user_count"),
        ({"stop_timeout": "x"}, "stop_timeout cannot be changed here"),
        ({"headless": "true", "results_dir": "/tmp"}, "headless, results_dir cannot"),
        ({"own_number": "many"}, "'many'"),
        ({"run_time": "soon"}, "a run time is"),
        ({"run_time": "-3"}, "a run time is"),
        ({"run_time": "9" * 30}, "a run time is"),
        ({"user_classes": "NoUser"}, "no user class NoUser"),
    ],
)
def test_what_cannot_work_is_refused_with_a_reason_and_starts_nothing(
    idle: WebSession, form: dict[str, str], says: str
) -> None:
    answer = idle.ask("/swarm", **form)
    assert not answer["success"]
    assert says in answer["message"]
    assert idle.stats()["state"] in {"ready", "stopped"}
    assert idle.verdict() is None


@pytest.mark.parametrize("path", ["/swarm", "/stop", "/foundation/notes"])
def test_only_a_post_of_the_same_site_starts_or_stops(idle: WebSession, path: str) -> None:
    assert idle.client.get(path).status_code == 405
    for origin in ("http://example.org", "null", "http://[", f"http://localhost:{idle.port}"):
        assert idle.client.post(path, headers={"Origin": origin}).status_code == 403, origin
    own = {"Origin": f"http://127.0.0.1:{idle.port}"}
    assert idle.client.post("/stop", headers=own).status_code == 200


@pytest.mark.parametrize("path", ["/swarm", "/stop", "/user", "/stats/reset", "/foundation/notes"])
def test_a_name_that_only_resolves_to_the_loopback_starts_nothing(
    idle: WebSession, path: str
) -> None:
    """DNS rebinding: the browser takes the page of example.org and this one for the same site."""
    for host in (f"example.org:{idle.port}", "127.0.0.1.example.org", "[::1", ""):
        site = {"Host": host, "Origin": f"http://{host}"}
        assert idle.client.post(path, headers=site).status_code == 403, host
        assert idle.client.get("/verdict", headers={"Host": host}).status_code == 403, host
    claimed = {"Origin": "http://example.org", "X-Forwarded-Host": "example.org"}
    assert idle.client.post(path, headers=claimed).status_code == 403


def test_a_note_outside_of_a_run_is_refused(idle: WebSession) -> None:
    answer = idle.client.post("/foundation/notes", json={"text": "x"})
    assert answer.status_code == 409
    assert "no run goes on" in answer.json()["message"]


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8089", "LOCALHOST"])
def test_the_loopbacks_own_names_are_served(idle: WebSession, host: str) -> None:
    own = {"Host": host, "Origin": f"http://{host}"}
    assert idle.client.post("/stop", headers=own).status_code == 200


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (b"", "JSON object"),
        (b"[" * 60_000, "JSON object"),
        (b"{" + b" " * 70_000 + b"}", "JSON object"),
        (b'{"user_class_name": "NoUser", "weight": 1}', "PlannedUser"),
        (b'{"user_class_name": ["PlannedUser"], "weight": 1}', "PlannedUser"),
        (b'{"user_class_name": "PlannedUser", "on_start": "x"}', "only weight"),
        (b'{"user_class_name": "PlannedUser", "weight": "many"}', "weight is"),
        (b'{"user_class_name": "PlannedUser", "weight": -1}', "weight is"),
        (b'{"user_class_name": "PlannedUser", "weight": 1.5}', "weight is"),
        (b'{"user_class_name": "PlannedUser", "fixed_count": true}', "fixed_count is"),
        (b'{"user_class_name": "PlannedUser", "weight": 0}', "needs a fixed_count"),
        (b'{"user_class_name": "PlannedUser", "tasks": []}', "at least one task"),
        (b'{"user_class_name": "PlannedUser", "tasks": ["other"]}', "at least one task"),
        (b'{"user_class_name": "PlannedUser", "host": "http://192.0.2.1"}', "--nodes"),
    ],
)
def test_an_edit_that_cannot_be_is_refused_and_the_next_start_says_so(
    idle: WebSession, edit: bytes, says: str
) -> None:
    """The form shows an edit whatever the answer: only a start can tell that it does not hold."""
    answer = idle.client.post("/user", content=edit)
    assert answer.status_code == 400
    assert says in answer.json()["message"]
    refused = idle.start_shape()
    assert not refused["success"] and "reload the page" in refused["message"]
    assert idle.client.get("/").status_code == 200
    # The control: the page was reloaded, and what is refused now is another thing.
    assert "no user class" in idle.start(1, user_classes="NoUser")["message"]


def test_the_shape_does_not_start_with_other_users_than_planned(idle: WebSession) -> None:
    assert idle.edit_class("PlannedUser", weight=7, fixed_count="2", host="").status_code == 201
    refused = idle.start_shape()
    assert not refused["success"]
    assert "PlannedUser has weight 7, declared is 1" in refused["message"]
    assert "PlannedUser has fixed_count 2, declared is 0" in refused["message"]
    assert idle.edit_class("PlannedUser", weight=1, fixed_count=0).status_code == 201
    refused = idle.ask("/swarm", shape_class="BesideShape", user_classes="PlannedUser")
    assert not refused["success"] and "tick BesideUser too" in refused["message"]


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebSession]:
    """With `--class-picker`, which is on in any case, and an option of the locustfile's own."""
    runs = tmp_path_factory.mktemp("idle") / "runs"
    with WebSession(runs, "--class-picker", environment={"BESIDE": "own_option"}) as ui:
        yield ui
        ui.interrupt(signal.SIGINT)
        done = ui.finish()
        assert done.exit_code == 3, "nothing was judged"
        assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_found_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        options = ("--web-port", str(taken.getsockname()[1]))
        done = run(tmp_path / "runs", *options, locustfile=BESIDE, headless=False)
    assert done.exit_code == 4, done.stdout + done.stderr
    assert "--web-port" in done.stderr
    assert not done.folder.exists()
