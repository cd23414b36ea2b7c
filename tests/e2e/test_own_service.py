"""`locustfiles/own_service.py` loads any HTTP service by its plan, without a node of Foundation."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.e2e.fleet import Fleet
from tests.e2e.own_target import OwnTarget, own_target
from tests.e2e.scenario import ROOT, Finished, Run, free_port, run, wait_until
from tests.e2e.test_judge import assert_judged
from tests.e2e.web_session import WebSession

OWN = ROOT / "locustfiles" / "own_service.py"
SHORT = ("--time-scale", "0.1")
"""Six seconds: 10, 50 and 10 users for two seconds each."""

TOKEN = {"FOUNDATION_CLIENT_TOKEN": "a-token-of-the-nodes"}


@pytest.fixture
def target() -> Iterator[OwnTarget]:
    with own_target() as started:
        yield started


def assert_planned(done: Finished, target: OwnTarget) -> None:
    """The plan's users ran, and nothing but the page was asked for."""
    assert_judged(done)
    assert max(line["users"] for line in done.timeline("progress")) == 50
    phases = [window["name"] for window in done.verdict["windows"]]
    assert phases == ["run", *(f"phase:{p}" for p in ("steady#1", "burst", "steady#2", "steady"))]
    assert set(target.requests) <= {"/", "/metrics"}, "no endpoint of Foundation's"
    assert not +target.authorized, "the nodes' token is for the nodes alone"


def test_a_service_is_loaded_by_the_plan_from_two_processes(
    tmp_path: Path, target: OwnTarget
) -> None:
    options = (*SHORT, "--processes", "2", "--host", target.url)
    metrics = ("--target-metrics", target.url)
    done = run(tmp_path / "runs", *options, *metrics, locustfile=OWN, environment=TOKEN)
    assert_planned(done, target)
    # The page was asked for once before the load, to see whether anybody answers.
    assert done.window("run")["total"]["requests"] == target.requests["/"] - 1 > 50
    assert target.requests["/metrics"] > 3
    assert {line["values"]["up"] for line in done.timeline("target")} == {1.0}
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert (manifest["tier"], manifest["options"]["nodes"]) == ("own", [target.url])
    assert f"run run: {target.url}, results in" in done.stdout


@pytest.mark.long
def test_a_service_that_dies_just_before_the_end_fails_though_its_phases_were_good(
    tmp_path: Path, target: OwnTarget
) -> None:
    with Run(tmp_path / "runs", *SHORT, "--host", target.url, locustfile=OWN) as started:
        wait_until(lambda: started.seconds_recorded() >= 5, "the last phase never came")
        target.dead.set()
        done = started.finish()
    assert done.window("run")["total"]["errors"]["timeout"] >= 5
    errors = [check for check in done.verdict["checks"] if check["id"].startswith("error_rate")]
    failed = [check["window"] for check in errors if check["status"] == "FAIL"]
    assert len(errors) == 4
    assert failed == ["run"], "they ended after their phases"
    assert done.exit_code == 1, done.stdout + done.stderr


@pytest.mark.long
def test_a_service_is_loaded_by_the_plan_from_workers_of_their_own(
    tmp_path: Path, target: OwnTarget
) -> None:
    (tmp_path / "fleet").mkdir()
    with Fleet(tmp_path / "fleet", OWN) as fleet:
        master = fleet.master(*SHORT, "--host", target.url, workers=2)
        workers = [fleet.worker("a", environment=TOKEN), fleet.worker("b")]
        done = master.finish()
        assert [worker.finish().exit_code for worker in workers] == [0, 0]
    assert_planned(done, target)


@pytest.mark.long
def test_a_service_is_loaded_by_the_plan_from_the_web_ui(tmp_path: Path, target: OwnTarget) -> None:
    with WebSession(tmp_path / "runs", *SHORT, "--host", target.url, locustfile=OWN) as ui:
        assert target.url in ui.client.get("/").text
        assert ui.start_shape()["success"]
        assert_planned(ui.judged(1), target)
        assert ui.start(3)["success"], "any number of users, ad hoc"
        ui.wait_for_users(3)
        ui.stop()
        done = ui.judged(2)
        assert done.timeline("header")[0]["ad_hoc"]


def test_an_answer_of_any_status_is_reachable_and_left_to_the_checks(tmp_path: Path) -> None:
    with own_target(status=404) as target:
        done = run(tmp_path / "runs", "--time-scale", "0.05", "--host", target.url, locustfile=OWN)
    assert_judged(done, 1, "FAIL")
    assert done.window("run")["total"]["errors"].keys() == {"http_4xx"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "Guest has no host: name it with --host http://host:port"),
        (("--host", "http://me:hidden@127.0.0.1:1"), "before the '@'"),
        (("--host", "http://127.0.0.1:1?key=hidden"), "leave out '?'"),
        (("--host", f"http://127.0.0.1:{free_port()}"), "refused"),
        (("--nodes", "http://127.0.0.1:1"), "--host http://host:port"),
    ],
    ids=["none", "password", "query", "unreachable", "nodes"],
)
def test_a_target_that_cannot_be_loaded_is_found_before_the_load(
    tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    done = run(tmp_path / "runs", *options, locustfile=OWN)
    assert done.exit_code == 4, done.stdout + done.stderr
    assert says in done.stderr
    assert "hidden" not in done.stderr and "Traceback" not in done.stderr
    assert not (done.folder / "timeline.jsonl").exists()


def test_a_certificate_that_does_not_verify_is_found_before_the_load(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with own_target(context=context) as target:
        done = run(tmp_path / "runs", "--host", target.url, locustfile=OWN)
        assert done.exit_code == 4, done.stdout + done.stderr
        assert "failed the TLS handshake" in done.stderr and "insecure = True" in done.stderr
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        trusting = {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}
        options = ("--time-scale", "0.05", "--host", target.url)
        with Run(tmp_path / "good", *options, locustfile=OWN, environment=trusting) as started:
            assert_judged(started.finish())
