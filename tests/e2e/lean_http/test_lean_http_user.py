"""LeanHttpUser under Locust's runner, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from tests.e2e.lean_http.scripted import GUARD_S, Peer, ScriptedServer, answer

Serve = Callable[..., ScriptedServer]


def site(peer: Peer) -> None:
    """/hold never answers, everything else echoes the request."""
    while request := peer.read_request():
        if b" /hold " in request:
            peer.hold()
        peer.send(answer(request))


def run(scenario: str, url: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.lean_http.user_scenarios", scenario, url],
        capture_output=True,
        text=True,
        timeout=2 * GUARD_S,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_locusts_statistics_and_the_samples_agree(serve: Serve) -> None:
    server = serve(site)
    found = run("run", server.url)
    assert found["failures"] == 0
    assert found["requests"] == found["ok"] >= 100
    assert server.connections == 10


def test_users_stopped_in_mid_request_are_cancelled_and_not_failed(serve: Serve) -> None:
    found = run("stop", serve(site).url)
    assert found["outcomes"] == ["cancelled"] * 8
    assert (found["requests"], found["failures"], found["left_idle"]) == (0, 0, 0)


def test_users_that_end_leave_no_connection_open(serve: Serve) -> None:
    assert run("release", serve(site).url) == {"before": 5, "after": 0}


def test_first_requests_are_spread_over_the_second(serve: Serve) -> None:
    """A hundred seeded users, against the same users without a spread (the positive control)."""
    found = run("spread", serve(site).url)
    assert found["spread_s"] > 0.5
    assert found["together_s"] < found["spread_s"]


def test_class_attributes_reach_the_session(serve: Serve) -> None:
    server = serve(site)
    found = run("settings", server.url)
    assert found["tenant"] and found["is_abstract"]
    assert found["late"] == f"DeadlineExceeded: {server.label} did not answer within 0.2 s"
    assert (
        found["contexts"] == [{"user": "one"}, {"user": "one", "more": 1}] + [{"user": "one"}] * 2
    )
    assert found["names"] == ["/echo", "/hold", "/grouped", "/own"]


def test_marks_without_a_block_are_refused(serve: Serve) -> None:
    found = run("marks", serve(site).url)
    assert set(found) == {"success", "failure", "in_block", "early"}
    assert all("catch_response=True" in error for error in found.values())


def test_a_listener_that_ends_the_user_does_not_cost_the_sample(serve: Serve) -> None:
    assert run("listener", serve(site).url) == {"samples": 3}


def test_a_generator_without_descriptors_blames_itself(serve: Serve) -> None:
    server = serve(site)
    found = run("descriptors", server.url)
    assert found["outcome"] == "local"
    assert found["by_name"] == ["local", "local"]
    assert found["starved"] == (
        f"GeneratorExhausted: {server.label} not tried: no file descriptors left, raise `ulimit -n`"
    )


def test_a_timeout_of_the_locustfile_leaves_a_cancelled_sample(serve: Serve) -> None:
    assert run("own_timeout", serve(site).url) == {
        "outcomes": ["ok", "cancelled", "ok"],
        "kept": [],
        "status": 200,
    }


def test_attributes_that_are_not_supported_are_refused_with_the_remedy(serve: Serve) -> None:
    found = run("attributes", serve(site).url)
    assert "max_retries is set: a retry hides" in found["max_retries=1"]
    assert "client_pool is set: connections belong to one user" in found["client_pool=<ob"]
    assert "proxies are not supported" in found["proxy_host='127"]
    assert "proxies are not supported" in found["proxy_port=3128"]
    assert "max_redirects must be at least 0" in found["max_redirects=-"]
    assert "concurrency at least 1" in found["concurrency=0"]
    assert "cookies = True" in found["jar"]
    accepted = {name for name, text in found.items() if text == "200"}
    assert accepted == {"insecure=True", "max_redirects=0", "cookies=False"}


def test_the_base_url_can_be_changed(serve: Serve) -> None:
    server = serve(site)
    assert run("elsewhere", server.url) == {
        "base_url": f"{server.url}/api",
        "line": "GET /api/x HTTP/1.1",
    }
