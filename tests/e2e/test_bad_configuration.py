"""What is wrong with a run is said before any load, with exit code 4 and the remedy."""

from __future__ import annotations

import json
import resource
import socket
import sys
from pathlib import Path

import pytest

from tests.e2e.scenario import HERE, SMALL, free_port, run


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--time-scale", "0"), "--time-scale"),
        (("--time-scale", "nan"), "--time-scale"),
        (("--load-scale", "-1"), "--load-scale"),
        (("--cluster-size", "many"), "--cluster-size"),
        (("--cluster-size", "21"), "from 1 to 20"),
        (("--seed", "1.5"), "--seed"),
        (("--nodes", "ftp://127.0.0.1:1"), "http://host:port"),
        (("--nodes", "http://127.0.0.1:70000"), "http://host:port"),
        (("--nodes", "http://a:1,http://a:1"), "twice"),
        (("--nodes", "http://a:1/v1"), "leave out"),
        (("--run-id", "../escape"), "--run-id"),
        (("--time-scal", "0.2x"), "--time-scale"),
        (("--no-such-option",), "unrecognized arguments"),
        (("--host", "localhost:8000"), "argument --host: 'localhost:8000' is not a node's URL"),
        (("--time-scale", "1e-9"), "--time-scale"),
        (("--nodes", "http://user:hidden@127.0.0.1:1"), "FOUNDATION_CLIENT_TOKEN"),
    ],
)
def test_a_bad_option_ends_with_exit_code_4_and_names_itself(
    tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    done = run(tmp_path / "runs", *options)
    assert done.exit_code == 4, done.stdout + done.stderr
    assert says in done.stderr
    assert "hidden" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.folder.exists()


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        ("unknown_window", "'phase:burst'"),
        ("duplicate_checks", "two checks have the id"),
        ("undeclared_user", "StrayUser"),
        ("undeclared_shape", "declares the shape PhasedShape"),
        ("long_plan", "Plan at most about 10.6 days"),
    ],
)
def test_a_scenario_that_contradicts_itself_is_found_before_the_load(
    tmp_path: Path, odd: str, says: str
) -> None:
    done = run(tmp_path / "runs", locustfile=HERE / "odd.py", environment={"ODD": odd})
    assert done.exit_code == 4, done.stdout + done.stderr
    assert says in done.stderr
    assert not done.folder.exists()


def test_users_that_are_not_the_declared_ones_are_found_before_the_load(tmp_path: Path) -> None:
    users = '[{"user_class_name": "SaasUser", "weight": 5}]'
    done = run(tmp_path / "runs", *SMALL, "--config-users", users)
    assert done.exit_code == 4, done.stdout + done.stderr
    assert "SaasUser has weight 5, declared is 49" in done.stderr
    assert "--config-users" in done.stderr


def test_an_unreachable_node_is_found_before_the_load(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = run(tmp_path / "runs", *SMALL, "--nodes", url)
    assert done.exit_code == 4, done.stdout + done.stderr
    assert url in done.stderr
    assert "refused" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_no_node_is_found_before_the_load(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        # It accepts and never answers.
        done = run(tmp_path / "runs", *SMALL, "--nodes", url)
    assert done.exit_code == 4, done.stdout + done.stderr
    assert "did not answer within" in done.stderr


def test_too_few_file_descriptors_are_found_before_the_load(tmp_path: Path) -> None:
    done = run(tmp_path / "runs", wrapper=(sys.executable, "-c", LIMITED))
    assert done.exit_code == 4, done.stdout + done.stderr
    assert "ulimit -n" in done.stderr
    assert "4,618" in done.stderr, "2,200 users and 9 beside them, two nodes, a reserve of 200"


def test_the_master_finds_too_few_file_descriptors_for_its_own_workers(tmp_path: Path) -> None:
    limited = (sys.executable, "-c", LIMITED)
    done = run(tmp_path / "runs", "--processes", "2", wrapper=limited)
    assert done.exit_code == 4, done.stdout + done.stderr
    assert "needs 2,410 file descriptors" in done.stderr, "1,105 users on two nodes, and 200"
    assert not done.folder.exists()


LIMITED = (
    "import os, resource, sys;"
    "resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024));"
    "os.execv(sys.argv[1], sys.argv[1:])"
)


def test_a_soft_limit_below_the_hard_one_is_raised(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    soft = LIMITED.replace("(1024, 1024)", f"(256, {hard})")
    done = run(
        tmp_path / "runs",
        locustfile=HERE / "silent.py",
        wrapper=(sys.executable, "-c", soft),
    )
    assert done.exit_code == 3, done.stdout + done.stderr
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert manifest["host"]["open_files_soft"] == hard


def test_a_run_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "runs" / "run").mkdir(parents=True)
    done = run(tmp_path / "runs", *SMALL)
    assert done.exit_code == 4, done.stdout + done.stderr
    assert "--run-id" in done.stderr


def test_a_bad_setting_in_the_environment_stops_the_cluster_and_is_named(tmp_path: Path) -> None:
    done = run(tmp_path / "runs", *SMALL, environment={"FOUNDATION_EMULATED_LATENCY": "-1"})
    assert done.exit_code == 4, done.stdout + done.stderr
    assert "FOUNDATION_EMULATED_LATENCY" in done.stderr


def test_options_come_from_the_environment_and_locusts_configuration_file_too(
    tmp_path: Path,
) -> None:
    config = tmp_path / "locust.conf"
    config.write_text("time-scale = 0.25\nseed = 7\n")
    environment = {"FOUNDATION_TIME_SCALE": "0.5", "FOUNDATION_LOAD_SCALE": "2"}
    done = run(
        *(tmp_path / "runs", "--config", str(config)),
        locustfile=HERE / "silent.py",
        environment=environment,
    )
    assert done.exit_code == 3, done.stdout + done.stderr
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert manifest["options"]["time_scale"] == 0.5, "the environment outranks the file"
    assert manifest["options"]["load_scale"] == 2
    assert manifest["seed"] == 7
