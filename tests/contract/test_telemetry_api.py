"""Telemetry and the development workload over HTTP (A-6, F1-5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uuid_utils
from prometheus_client.parser import text_string_to_metric_families

from service.schema import ComponentHealth, Health, Problem
from service.schema_telemetry import MAX_SAMPLES, SuiteReply, TelemetryPage, TelemetryReply
from tests.e2e.node_process import running
from tests.unit.service.telemetry.test_series import HOSTILE

GUARD_S = 20.0
SERIES = 300


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    data = tmp_path_factory.mktemp("telemetry") / "data"
    with (
        running(data, telemetry_series=SERIES, emulated_latency=0.5) as node,
        httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False) as client,
    ):
        yield client


def new_id() -> str:
    return str(uuid_utils.uuid7())


def post(http: httpx.Client, what: str, body: object) -> TelemetryReply:
    response = http.post(f"/v1/telemetry/{what}", json=body)
    assert response.status_code == 200, response.text
    return TelemetryReply.model_validate_json(response.content)


def page(http: httpx.Client, prefix: str = "") -> TelemetryPage:
    response = http.get("/v1/telemetry", params={"prefix": prefix})
    assert response.status_code == 200, response.text
    return TelemetryPage.model_validate_json(response.content)


def counters(http: httpx.Client, prefix: str) -> dict[tuple[str, str], float]:
    return {(one.path, json.dumps(one.tags)): one.value for one in page(http, prefix).counters}


def reply(accepted: int, overflowed: int = 0, duplicates: int = 0) -> TelemetryReply:
    return TelemetryReply(accepted=accepted, overflowed=overflowed, duplicates=duplicates)


def refused(response: httpx.Response, status: int, code: str) -> Problem:
    found = Problem.model_validate_json(response.content)
    assert (response.status_code, found.code) == (status, code), response.text
    return found


def test_f1_6_file_saves_add_up_to_fifty(http: httpx.Client) -> None:
    for _ in range(50):
        sample = {"path": "dev/file_saves", "tags": {"file_type": "elixir"}, "id": new_id()}
        assert post(http, "counters", sample) == reply(1)
    assert counters(http, "dev/file_saves") == {("dev/file_saves", '{"file_type": "elixir"}'): 50}


def test_gauges_and_measurements_are_shown_with_their_figures(http: httpx.Client) -> None:
    post(http, "gauges", [{"path": "shown/g", "value": 3}, {"path": "shown/g", "value": -0.5}])
    post(http, "measurements", {"path": "shown/m", "duration_ms": 10, "tags": {"a": "b"}})
    post(http, "measurements", {"path": "shown/m", "duration_ms": 30.5, "tags": {"a": "b"}})
    found = page(http, "shown/")
    assert [(one.path, one.value) for one in found.gauges] == [("shown/g", -0.5)]
    [measured] = found.measurements
    assert measured.model_dump() == {
        "path": "shown/m",
        "tags": {"a": "b"},
        "count": 2,
        "sum_ms": 40.5,
        "min_ms": 10,
        "max_ms": 30.5,
        "mean_ms": 20.25,
    }
    assert found.counters == []


def test_a_retry_is_not_counted_again(http: httpx.Client) -> None:
    sample = {"path": "retried/c", "value": 5, "id": new_id()}
    assert post(http, "counters", sample) == reply(1)
    assert post(http, "counters", sample) == reply(0, duplicates=1)
    assert post(http, "counters", [sample, sample, {"path": "retried/c"}]) == reply(1, duplicates=2)
    assert counters(http, "retried/") == {("retried/c", "{}"): 6}
    measured = {"path": "retried/m", "duration_ms": 1, "id": new_id()}
    post(http, "measurements", [measured, measured])
    assert [one.count for one in page(http, "retried/").measurements] == [1]


def test_retries_at_once_are_counted_once(http: httpx.Client) -> None:
    sample = {"path": "storm/c", "id": new_id()}
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: post(http, "counters", sample), range(64)))
    assert sum(one.accepted for one in replies) == 1
    assert counters(http, "storm/") == {("storm/c", "{}"): 1}


@pytest.mark.parametrize(
    ("what", "good", "bad"),
    [
        (
            "counters",
            {"path": "whole/counters", "id": "ID"},
            {"path": "whole/counters", "value": -1},
        ),
        ("gauges", {"path": "whole/gauges", "value": 1}, {"path": "whole//g", "value": 1}),
        (
            "measurements",
            {"path": "whole/measurements", "duration_ms": 1},
            {"path": "whole/measurements", "id": 1},
        ),
    ],
)
def test_an_array_with_one_bad_sample_is_not_taken_at_all(
    http: httpx.Client, what: str, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    if "id" in good:
        good = {**good, "id": new_id()}
    found = refused(http.post(f"/v1/telemetry/{what}", json=[good, bad]), 422, "invalid_input")
    assert found.detail.startswith("[1].")
    after = page(http, f"whole/{what}")
    assert (after.counters, after.gauges, after.measurements) == ([], [], [])
    if "id" in good:  # nor is its id taken for counted
        assert post(http, what, good) == reply(1)


def test_an_array_takes_a_thousand_samples_and_no_more(http: httpx.Client) -> None:
    sample = {"path": "many/c"}
    assert post(http, "counters", []) == reply(0)
    assert post(http, "counters", [sample] * MAX_SAMPLES) == reply(MAX_SAMPLES)
    response = http.post("/v1/telemetry/counters", json=[sample] * (MAX_SAMPLES + 1))
    assert "1000 samples" in refused(response, 413, "payload_too_large").detail
    assert counters(http, "many/") == {("many/c", "{}"): MAX_SAMPLES}


@pytest.mark.parametrize(("path", "tags"), HOSTILE)
def test_hostile_paths_and_tags_are_refused(
    http: httpx.Client, path: str, tags: dict[str, str]
) -> None:
    body = {"path": path, "tags": tags}
    for what, more in (
        ("counters", {}),
        ("gauges", {"value": 1}),
        ("measurements", {"duration_ms": 1}),
    ):
        refused(http.post(f"/v1/telemetry/{what}", json=body | more), 422, "invalid_input")
        refused(http.post(f"/v1/telemetry/{what}", json=[body | more]), 422, "invalid_input")


@pytest.mark.parametrize(
    "body",
    [
        b'{"path":"bad/v","value":"1"}',
        b'{"path":"bad/v","value":true}',
        b'{"path":"bad/v","value":null}',
        b'{"path":"bad/v","value":1e400}',
        b'{"path":"bad/v","value":9223372036854775808}',
        b'{"path":"bad/v","value":9007199254740994}',
        b'{"path":"bad/v","tags":{"a":1}}',
        b'{"path":"bad/v","tags":[["a","b"]]}',
        b'{"path":"bad/v","id":"x"}',
        b'{"path":"bad/v","other":1}',
        b'{"path":7}',
        b"{}",
        b"null",
        b'"bad/v"',
        b"[[]]",
        b'[{"path":"bad/v"},null]',
    ],
)
def test_samples_of_a_wrong_form_are_refused(http: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    refused(
        http.post("/v1/telemetry/counters", content=body, headers=headers), 422, "invalid_input"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b'{"path":"bad/v","value":NaN}',
        b'{"path":"bad/v","tags":{"a":"\\ud800"}}',
        b"[" * 100_000,
        b'{"path":' + b'{"a":' * 100 + b"1" + b"}" * 101,
    ],
)
def test_what_is_not_json_is_refused(http: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = http.post("/v1/telemetry/gauges", content=body, headers=headers)
    assert response.status_code in (400, 422), response.text
    assert page(http, "bad/").series == page(http).series


def test_another_media_type_is_refused(http: httpx.Client) -> None:
    response = http.post(
        "/v1/telemetry/counters", content=b"a=1", headers={"content-type": "text/plain"}
    )
    refused(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "other",
    [
        ("counters", {"path": "reused/c", "value": 2}),
        ("counters", {"path": "reused/c", "tags": {"a": "c"}}),
        ("counters", {"path": "reused/other", "tags": {"a": "b"}}),
        ("measurements", {"path": "reused/c", "tags": {"a": "b"}, "duration_ms": 1}),
    ],
)
def test_one_id_with_two_contents_is_a_conflict_that_counts_nothing(
    http: httpx.Client, other: tuple[str, dict[str, Any]]
) -> None:
    first = {"path": "reused/c", "tags": {"a": "b"}, "id": new_id()}
    assert post(http, "counters", first) == reply(1)
    assert post(http, "counters", {**first, "value": 1.0}) == reply(0, duplicates=1)
    before = page(http, "reused/")
    what, body = other
    fresh = {**body, "id": new_id()}
    again = {**body, "id": first["id"]}
    found = refused(http.post(f"/v1/telemetry/{what}", json=[fresh, again]), 409, "id_conflict")
    assert found.detail.startswith("[1].id")
    assert page(http, "reused/") == before
    assert post(http, what, fresh) == reply(1), "its id was not taken for counted"


def test_one_id_with_two_contents_in_one_array_is_a_conflict(http: httpx.Client) -> None:
    id = new_id()
    samples = [{"path": "twice/a", "id": id}, {"path": "twice/b", "id": id}]
    refused(http.post("/v1/telemetry/counters", json=samples), 409, "id_conflict")
    assert counters(http, "twice/") == {}


@pytest.mark.parametrize("path", ["api/requests", "background-jobs/completed", "analytics/lag/s"])
@pytest.mark.parametrize(
    ("what", "more"),
    [("counters", {}), ("gauges", {"value": 1}), ("measurements", {"duration_ms": 1})],
)
def test_what_the_node_tells_of_itself_cannot_be_forged(
    http: httpx.Client, what: str, more: dict[str, Any], path: str
) -> None:
    response = http.post(f"/v1/telemetry/{what}", json={"path": path, **more})
    assert "by the node itself" in refused(response, 422, "invalid_input").detail


def test_every_path_that_the_workloads_write_is_the_nodes_own(tmp_path: Path) -> None:
    with (
        running(tmp_path / "data", emulated_latency=0, roles="app,jobs,analytics") as node,
        httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False) as client,
    ):
        work: list[tuple[str, dict[str, Any]]] = [
            ("/v1/saas/actions/login", {"user_id": "user_1"}),
            ("/v1/dev/test-suite", {}),
            ("/v1/analytics/passes", {}),
            ("/v1/jobs", {"kind": "data_cleanup", "payload": {}}),
        ]
        for url, body in work:
            response = client.post(url, json={"id": new_id(), **body})
            assert response.is_success, response.text
        job = client.get(f"/v1/jobs/{response.json()['id']}", params={"wait_s": 10}).json()
        assert job["state"] == "completed", job
        found = page(client)
        written = {one.path for one in (*found.counters, *found.gauges)}
        written |= {one.path for one in found.measurements}
        assert {one.split("/")[0] for one in written} == {
            "api",
            "dev",
            "analytics",
            "background_jobs",
        }
        for path in written:
            refused(
                client.post("/v1/telemetry/counters", json={"path": path}), 422, "invalid_input"
            )


def test_p1_8_actions_and_their_speeds_are_shown(http: httpx.Client) -> None:
    action = {"id": new_id(), "user_id": "user_1"}
    assert http.post("/v1/saas/actions/logout", json=action).status_code == 201
    found = counters(http, "api/")
    assert found["api/requests", '{"action": "logout"}'] == 1
    speeds = {tags: value for (path, tags), value in found.items() if path == "api/processing"}
    assert (len(speeds), sum(speeds.values())) == (4, 1)


def test_an_unknown_or_long_parameter_is_refused(http: httpx.Client) -> None:
    refused(http.get("/v1/telemetry", params={"prefxi": "a"}), 422, "invalid_input")
    refused(http.get("/v1/telemetry", params={"prefix": "a" * 181}), 422, "invalid_input")


def test_the_test_suite_is_run_and_measured_once(http: httpx.Client) -> None:
    """F1-5: 45 real tests, no failure, 100 ms at the node's scale of emulated latency."""
    body = {"id": new_id()}
    first = http.post("/v1/dev/test-suite", json=body)
    again = http.post("/v1/dev/test-suite", json=body)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    found = SuiteReply.model_validate_json(first.content)
    assert (found.tests, found.failures) == (45, 0)
    parts = dict(part.split(";dur=") for part in first.headers["server-timing"].split(", "))
    assert found.duration_ms == pytest.approx(sum(map(float, parts.values())), abs=0.01)
    assert float(parts["emulated"]) > 0
    [measured] = page(http, "dev/test_suite").measurements
    assert measured.tags == {"failures": "0", "tests": "45"}
    assert measured.count == 1
    assert measured.sum_ms == pytest.approx(found.duration_ms, abs=0.01)


@pytest.mark.parametrize("body", [{}, {"id": "x"}, {"id": None}, {"id": str(uuid4()), "n": 1}])
def test_a_test_suite_without_an_id_is_refused(http: httpx.Client, body: dict[str, Any]) -> None:
    refused(http.post("/v1/dev/test-suite", json=body), 422, "invalid_input")


def telemetry_health(http: httpx.Client) -> ComponentHealth:
    return Health.model_validate(http.get("/health").json()).components["telemetry"]


def test_the_series_are_bounded_and_the_page_stays_valid(http: httpx.Client) -> None:
    """Last, since it fills the node: totals stay right, the overflow is told and counted."""
    assert telemetry_health(http).status == "up"
    for start in range(0, 1_000, 500):
        samples = [
            {"path": f"flood/p{i % 20}", "tags": {"user": f"ü{i}"}}
            for i in range(start, start + 500)
        ]
        assert post(http, "counters", samples).accepted == 500
    found = page(http)
    assert found.series <= SERIES + 3
    assert found.overflowed > 0
    assert telemetry_health(http).status == "degraded"
    assert "FOUNDATION_TELEMETRY_SERIES" in telemetry_health(http).detail
    flooded = sum(one.value for one in found.counters if one.path.startswith("flood/"))
    overflown = sum(one.value for one in found.counters if one.path == "overflow")
    assert flooded + overflown == 1_000
    text = http.get("/metrics").text
    samples_of = {
        family.name: len(family.samples) for family in text_string_to_metric_families(text)
    }
    assert samples_of["foundation_flood_p0"] > 1
    assert len(samples_of) == len([line for line in text.splitlines() if line.startswith("# TYPE")])
