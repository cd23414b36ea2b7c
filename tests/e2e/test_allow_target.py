"""No load beyond this machine and private networks, unless `--allow-target` names the host (D17).

No network is touched: 203.0.113.5 is refused before anything is sent, and what is allowed is the
loopback, of a process that does not count it as its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.fleet import Fleet
from tests.e2e.own_target import OwnTarget, own_target
from tests.e2e.scenario import HERE, P1, ROOT, Finished, run
from tests.e2e.test_judge import assert_judged

OWN = ROOT / "locustfiles" / "own_service.py"
ABROAD = "http://203.0.113.5"

NOTHING_IS_OWN = (
    *(sys.executable, "-c"),
    "import runpy, sys, locust;"
    "import locustfiles.harness.target.allowed_target as one; one.OWN_NETWORKS = ();"
    "sys.argv = sys.argv[3:];"
    "runpy.run_module('locust.__main__', run_name='__main__', alter_sys=True)",
)
"""A wrapper: to this process even the loopback is somebody else's."""

ELSEWHERE = (
    *(sys.executable, "-c"),
    "import runpy, sys, locust, socket, gevent.socket;"
    "real = socket.getaddrinfo;"
    "moved = lambda host, *a, **k: real('203.0.113.5' if host == 'localhost' else host, *a, **k);"
    "socket.getaddrinfo = gevent.socket.getaddrinfo = moved;"
    "sys.argv = sys.argv[3:];"
    "runpy.run_module('locust.__main__', run_name='__main__', alter_sys=True)",
)
"""A wrapper: to this process localhost resolves to an address abroad."""


@pytest.fixture
def target() -> Iterator[OwnTarget]:
    with own_target() as started:
        yield started


def assert_refused(done: Finished, host: str = "203.0.113.5") -> None:
    assert done.exit_code == 4, done.stdout + done.stderr
    assert "not an allowed target" in done.stderr
    assert f"--allow-target {host}" in done.stderr
    assert not (done.folder / "timeline.jsonl").exists()


@pytest.mark.parametrize(
    ("locustfile", "options"),
    [
        (OWN, ("--host", ABROAD)),
        (P1, ("--nodes", f"http://127.0.0.1:1,{ABROAD}:8001")),
        (P1, ("--target-metrics", f"{ABROAD}/metrics")),
        (HERE / "judged.py", ("-t", "1", "--host", ABROAD)),
    ],
    ids=["host", "nodes", "metrics", "judged"],
)
def test_a_target_abroad_is_refused_before_anything_is_sent(
    tmp_path: Path, locustfile: Path, options: tuple[str, ...]
) -> None:
    assert_refused(run(tmp_path / "runs", *options, locustfile=locustfile))


def test_the_host_of_a_class_is_held_to_it_too_beside_the_web_ui(tmp_path: Path) -> None:
    done = run(
        tmp_path / "runs",
        locustfile=HERE / "clients.py",
        environment={"TARGET": ABROAD},
        headless=False,
    )
    assert_refused(done)


def test_a_target_abroad_is_loaded_once_it_is_allowed(tmp_path: Path, target: OwnTarget) -> None:
    options = ("--time-scale", "0.05", "--host", target.url)
    done = run(tmp_path / "runs", *options, locustfile=OWN, wrapper=NOTHING_IS_OWN)
    assert_refused(done, "127.0.0.1")
    assert not target.requests
    allowed = {"FOUNDATION_ALLOW_TARGET": "shop.example,127.0.0.1"}
    done = run(
        *(tmp_path / "good", *options),
        locustfile=OWN,
        wrapper=NOTHING_IS_OWN,
        environment=allowed,
    )
    assert_judged(done)
    assert target.requests["/"] > 10


def test_a_bad_host_to_allow_is_named(tmp_path: Path) -> None:
    done = run(tmp_path / "runs", "--allow-target", "http://a.example", locustfile=OWN)
    assert done.exit_code == 4
    assert "--allow-target" in done.stderr and "is not a host" in done.stderr


@pytest.mark.long
def test_a_worker_that_resolves_the_target_otherwise_refuses_to_load_it(
    tmp_path: Path, target: OwnTarget
) -> None:
    (tmp_path / "fleet").mkdir()
    url = target.url.replace("127.0.0.1", "localhost")
    with Fleet(tmp_path / "fleet", OWN) as fleet:
        master = fleet.master("--time-scale", "0.1", "--host", url, workers=2)
        good, moved = fleet.worker("good"), fleet.worker("moved", wrapper=ELSEWHERE)
        refused, done = moved.finish(), master.finish()
        assert good.finish().exit_code == 0
    assert refused.exit_code == 4, refused.stderr
    assert "localhost resolves to 203.0.113.5" in refused.stderr
    assert done.exit_code == 3, "the run says that it lost a worker"
    assert {line["source"] for line in done.timeline("second")} <= {"worker-0", "worker-1"}
    assert len({line["source"] for line in done.timeline("second")}) == 1


@pytest.mark.parametrize("way", [f"{ABROAD}:1/away", f"/to/{ABROAD}:1/away"])
def test_neither_a_url_nor_a_redirect_leads_a_lean_user_abroad(
    tmp_path: Path, target: OwnTarget, way: str
) -> None:
    options = ("-u", "1", "-t", "2", "--host", target.url)
    done = run(
        *(tmp_path / "runs", *options),
        locustfile=HERE / "wandering.py",
        environment={"WANDERS": way},
    )
    assert_judged(done, 1, "FAIL")
    assert "203.0.113.5:1 is not an allowed target" in done.stderr + done.stdout
    total = done.window("run")["total"]
    assert total["errors"] == {"other": total["requests"]}
