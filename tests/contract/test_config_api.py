"""`/v1/config` over HTTP (A-4): answers, refusals, both lanes alike, the feed, a bad file."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uuid_utils

from service.content import CONFIG_CHANGED, config_stream
from service.events.intake import workload_write
from service.events.sqlite import SqliteEventStore
from service.schema import Event, Problem
from service.schema_config import ConfigChange, ConfigEntry, ConfigUpdatable, ConfigValues
from service.server import NodeExit
from tests.e2e.node_process import NodeProcess, environment, running

GUARD_S = 20.0
JSON = {"content-type": "application/json"}
FILE = """
updatable = ["features/*", "dev/*", "many/**"]
[values.dev]
debug_mode = true
[values.features]
dark_mode = false
[values]
fixed = [1, {a = "b"}]
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("configured")
    (folder / "config.toml").write_text(FILE)
    with running(folder / "data", config_file=folder / "config.toml", max_feeds=3) as process:
        yield process


@contextmanager
def client_of(node: NodeProcess) -> Iterator[httpx.Client]:
    """A client of a node that may still be reading its configuration back: nothing is refused."""
    with httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False) as client:
        assert client.get("/v1/config").status_code == 200
        yield client


@pytest.fixture(scope="module")
def http(node: NodeProcess) -> Iterator[httpx.Client]:
    with client_of(node) as client:
        yield client


def new_id() -> str:
    return str(uuid_utils.uuid7())


def put(http: httpx.Client, path: str, value: Any, **more: Any) -> httpx.Response:
    return http.put(f"/v1/config/{path}", json={"id": new_id(), "value": value, **more})


def changed(http: httpx.Client, path: str, value: Any, **more: Any) -> ConfigChange:
    response = put(http, path, value, **more)
    assert response.status_code == 200, response.text
    return ConfigChange.model_validate_json(response.content)


def problem(response: httpx.Response, status: int, code: str) -> str:
    found = Problem.model_validate_json(response.content)
    assert (response.status_code, found.code) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers.get("x-correlation-id") == found.correlation_id
    return found.detail


def test_the_file_s_defaults_are_served(http: httpx.Client) -> None:
    values = ConfigValues.model_validate_json(http.get("/v1/config?prefix=fix").content)
    [entry] = values.values
    assert entry.model_dump() == {
        "path": "fixed",
        "value": [1, {"a": "b"}],
        "version": 0,
        "changed_at": None,
        "updatable": False,
    }
    assert http.get("/v1/config/fixed").json() == entry.model_dump()


def test_a_change_is_seen_by_every_read(http: httpx.Client) -> None:
    before = ConfigValues.model_validate_json(http.get("/v1/config").content)
    change = changed(http, "dev/debug_mode", {"level": [1, None]}, expected_version=0)
    assert (change.version, change.duplicate, change.value) == (1, False, {"level": [1, None]})
    entry = ConfigEntry.model_validate_json(http.get("/v1/config/dev/debug_mode").content)
    assert (entry.version, entry.changed_at) == (1, change.changed_at)
    assert (entry.value, entry.updatable) == (change.value, True)
    after = ConfigValues.model_validate_json(http.get("/v1/config").content)
    assert after.version == change.seq > before.version
    assert [one.path for one in after.values] == sorted(one.path for one in after.values)
    assert entry in after.values
    page = http.get("/v1/events?stream=$config/dev/debug_mode").json()
    assert [(one["type"], one["seq"]) for one in page["events"]] == [("config_changed", change.seq)]


def test_every_answer_has_the_request_s_correlation_id(http: httpx.Client) -> None:
    headers = {"x-correlation-id": "mine"}
    body = {"id": new_id(), "value": 1}
    for response in (
        http.get("/v1/config/fixed", headers=headers),
        http.get("/v1/config", headers=headers),
        http.put("/v1/config/many/correlated", json=body, headers=headers),
    ):
        assert response.headers["x-correlation-id"] == "mine"
    assert http.get(f"/v1/events/{body['id']}").json()["correlation_id"] == "mine"


def test_a_retry_gets_its_original_and_other_content_is_a_conflict(http: httpx.Client) -> None:
    id_ = new_id()
    first = changed(http, "many/retry", "one", id=id_, expected_version=0)
    changed(http, "many/retry", "two")
    again = changed(http, "many/retry", "one", id=id_, expected_version=0)
    assert again == first.model_copy(update={"duplicate": True})
    assert http.get("/v1/config/many/retry").json()["value"] == "two"
    problem(put(http, "many/retry", "other", id=id_), 409, "id_conflict")


def test_a_stale_version_is_a_conflict(http: httpx.Client) -> None:
    changed(http, "many/stale", 1, expected_version=0)
    detail = problem(put(http, "many/stale", 2, expected_version=0), 409, "version_conflict")
    assert "many/stale is at version 1, not 0" in detail


def test_the_allowlist_and_the_paths_on_it_are_told(http: httpx.Client) -> None:
    found = ConfigUpdatable.model_validate_json(http.get("/v1/config/updatable").content)
    assert found.patterns == ["features/*", "dev/*", "many/**"]
    assert {"dev/debug_mode", "features/dark_mode"} <= set(found.paths)
    assert "fixed" not in found.paths
    assert "updatable is features/*" in problem(put(http, "fixed", 1), 403, "not_updatable")


def test_what_is_not_there_is_not_found(http: httpx.Client) -> None:
    problem(http.get("/v1/config/features/none"), 404, "config_not_found")


@pytest.mark.parametrize("path", ["", "/", "a//b", "a%00b", "%2e%2e", "a%20b", "%C3%A9", "feed/"])
def test_a_bad_path_is_refused_by_reads_and_changes(http: httpx.Client, path: str) -> None:
    for method in ("GET", "PUT"):
        body = orjson.dumps({"id": new_id(), "value": 1}) if method == "PUT" else b""
        response = http.request(method, f"/v1/config/{path}", content=body, headers=JSON)
        problem(response, 422, "invalid_input")


@pytest.mark.parametrize("path", ["updatable", "feed"])
def test_reserved_words_cannot_be_given_a_value(http: httpx.Client, path: str) -> None:
    assert "reserved" in problem(put(http, path, 1), 422, "invalid_input")


def test_a_percent_encoded_path_is_the_same_path(http: httpx.Client) -> None:
    plain = http.get("/v1/config/features/dark_mode")
    for path in ("features%2Fdark_mode", "%66eatures/dark%5Fmode"):
        encoded = http.get(f"/v1/config/{path}")
        assert (encoded.status_code, encoded.content) == (200, plain.content)
    assert changed(http, "many%2Fencoded", 1).path == "many/encoded"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_json"),
        (b"{", 400, "malformed_json"),
        (b"null", 422, "invalid_input"),
        (b"[]", 422, "invalid_input"),
        (b'{"id":"%s"}', 422, "invalid_input"),
        (b'{"value":1}', 422, "invalid_input"),
        (b'{"id":"x","value":1}', 422, "invalid_input"),
        (b'{"id":"%s","value":1,"more":1}', 422, "invalid_input"),
        (b'{"id":"%s","value":1,"expected_version":-1}', 422, "invalid_input"),
        (b'{"id":"%s","value":1,"expected_version":"0"}', 422, "invalid_input"),
        (b'{"id":"%s","value":1,"expected_version":1.0}', 422, "invalid_input"),
        (b'{"id":"%s","value":1,"expected_version":9223372036854775808}', 422, "invalid_input"),
        (b'{"id":"%s","value":NaN}', 400, "malformed_json"),
        (b'{"id":"%s","value":1e999}', 400, "malformed_json"),
        (b'{"id":"%s","value":9223372036854775808}', 400, "malformed_json"),
        (b'{"id":"%s","value":"\\ud800"}', 400, "malformed_json"),
        (b'{"id":"%s","value":' + b"[" * 63 + b"]" * 63 + b"}", 400, "malformed_json"),
        (b'{"id":"%s","value":' + b"[" * 9_000 + b"]" * 9_000 + b"}", 400, "malformed_json"),
        (b'{"id":"%s","value":"' + b"x" * 65_535 + b'"}', 413, "payload_too_large"),
        (b'{"id":"%s","value":"' + b"x" * 2**20 + b'"}', 413, "payload_too_large"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_bad_change_is_a_problem_and_changes_nothing(
    http: httpx.Client, body: bytes, status: int, code: str
) -> None:
    before = http.get("/v1/config/features/dark_mode").content
    content = body.replace(b"%s", new_id().encode())
    response = http.put("/v1/config/features/dark_mode", content=content, headers=JSON)
    problem(response, status, code)
    assert http.get("/v1/config/features/dark_mode").content == before


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**63), 2**63 - 1, 1.25e-300, "", "é\x00\u2028\U0001f600", [], {"": [{}]}],
)
def test_every_json_value_is_given_back(http: httpx.Client, value: Any) -> None:
    assert changed(http, "many/types", value).value == value
    assert http.get("/v1/config/many/types").json()["value"] == value


def test_the_deepest_and_the_largest_value_are_given_back(http: httpx.Client) -> None:
    deep: Any = 1
    for _ in range(62):
        deep = [deep]
    large = "x" * 65_534
    for value in (deep, large):
        changed(http, "many/limits", value)
        assert http.get("/v1/config/many/limits").json()["value"] == value
        assert http.get("/v1/config?prefix=many/limits").json()["values"][0]["value"] == value


def test_another_media_type_or_method_is_refused(http: httpx.Client) -> None:
    response = http.put("/v1/config/dev/x", content=b"{}", headers={"content-type": "text/plain"})
    problem(response, 415, "unsupported_media_type")
    problem(http.delete("/v1/config/dev/x"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    "query", ["prefx=a", "prefix=a&prefix=b", "prefix=a%20b", "prefix=" + "a" * 181, "after=1"]
)
def test_a_bad_query_of_the_list_is_refused(http: httpx.Client, query: str) -> None:
    problem(http.get(f"/v1/config?{query}"), 422, "invalid_input")


def frames(http: httpx.Client, path: str, count: int, **headers: str) -> list[tuple[int, Event]]:
    found: list[tuple[int, Event]] = []
    with http.stream("GET", path, headers=headers) as response:
        assert response.headers["content-type"] == "text/event-stream"
        number = -1
        for line in response.iter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                found.append((number, Event.model_validate_json(line[6:])))
                if len(found) == count:
                    break
    return found


def test_the_feed_has_the_changes_alone_and_goes_live(
    http: httpx.Client, node: NodeProcess
) -> None:
    first = changed(http, "many/feed", 1)
    http.post("/v1/events", json={"type": "config_changed"})
    second = changed(http, "many/feed", 2)
    body = {"id": new_id(), "value": 3}
    late = threading.Timer(0.2, httpx.put, (f"{node.url}/v1/config/many/feed",), {"json": body})
    late.start()
    found = frames(http, f"/v1/config/feed?after={first.seq - 1}", 3)
    late.join()
    assert [(event.data["value"], event.stream_version) for _, event in found] == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]
    assert [number for number, _ in found][:2] == [first.seq, second.seq]
    assert all(number == event.seq for number, event in found)


def test_a_subscriber_that_reconnects_misses_nothing(http: httpx.Client, node: NodeProcess) -> None:
    """It is cut off again and again at any place while changes go on."""
    start = changed(http, "many/resume", "start").seq
    stop = threading.Event()
    made: list[int] = []

    def write() -> None:
        with httpx.Client(base_url=node.url, timeout=GUARD_S, trust_env=False) as client:
            while not stop.is_set():
                made.append(changed(client, f"many/resume{len(made) % 5}", len(made)).seq)

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    try:
        for round_ in range(12):
            last = str(seen[-1] if seen else start)
            # Last-Event-ID goes before `after`, which an EventSource repeats from its URL.
            got = frames(http, "/v1/config/feed?after=0", 1 + round_ * 7, **{"last-event-id": last})
            seen += [number for number, _ in got]
    finally:
        stop.set()
        writer.join()
    assert len(seen) > 400 and seen == made[: len(seen)]


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=1&after=2", "prefix=a"])
def test_a_bad_query_of_the_feed_is_refused(http: httpx.Client, query: str) -> None:
    problem(http.get(f"/v1/config/feed?{query}"), 422, "invalid_input")


def test_feeds_of_all_kinds_are_bounded_together(http: httpx.Client) -> None:
    with (
        http.stream("GET", "/v1/config/feed"),
        http.stream("GET", "/v1/events/feed"),
        http.stream("GET", "/v1/registry/any/feed"),
    ):
        for path in ("/v1/config/feed", "/v1/events/feed", "/v1/registry/any/feed"):
            response = http.get(path)
            assert "3 feeds are open" in problem(response, 503, "overloaded")
            assert response.headers["retry-after"]
    deadline_s = time.monotonic() + GUARD_S
    while time.monotonic() < deadline_s:
        with http.stream("GET", "/v1/config/feed") as response:
            if response.status_code == 200:
                return
    raise AssertionError("the feeds that ended still count")


def test_metrics_count_changes_refusals_and_paths(http: httpx.Client) -> None:
    def figure(name: str) -> float:
        text = http.get("/metrics").text
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    names = ("changes_total", "refused_total", "paths")
    before = [figure(f"foundation_config_{name}") for name in names]
    changed(http, "many/counted", 1)
    put(http, "fixed", 1)
    after = [figure(f"foundation_config_{name}") for name in names]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1]
    assert 'foundation_requests_total{route="GET /v1/config/{path}",status="200"}' in (
        http.get("/metrics").text
    )


def test_openapi_describes_what_the_routes_take(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    operation = document["paths"]["/v1/config/{path}"]["put"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/ConfigWrite"}
    assert {"200", "400", "403", "409", "413", "415", "422", "503"} <= set(operation["responses"])
    required = document["components"]["schemas"]["ConfigWrite"]["required"]
    assert sorted(required) == ["id", "value"]


def test_a_clean_restart_keeps_every_value(tmp_path: Path) -> None:
    with running(tmp_path / "data") as node, client_of(node) as http:
        for number in range(20):
            changed(http, "features/dark_mode", number)
        before = http.get("/v1/config").json()
        with http.stream("GET", "/v1/config/feed?after=0") as feed:
            lines = feed.iter_lines()
            assert sum(1 for _ in islice((one for one in lines if one[:4] == "id: "), 20)) == 20
            assert node.stop() == NodeExit.CLEAN, "a feed does not keep the node"
            assert not any(one.startswith("id: ") for one in lines), "and then it ends"
    with running(tmp_path / "data") as node, client_of(node) as http:
        assert http.get("/v1/config").json() == before
        assert changed(http, "features/dark_mode", 20).version == 21


async def store_a_change_of_another_form(data: Path) -> None:
    store = await SqliteEventStore.open(data / "events.db", node="node-1")
    await store.append(
        workload_write(
            id=uuid_utils.uuid7().bytes,
            type=CONFIG_CHANGED,
            data={"path": "features/dark_mode"},
            client={},
            correlation_id="c",
            created_at=1,
            stream=config_stream("features/dark_mode"),
        )
    )
    await store.close()


def test_changes_of_another_form_make_the_node_down_and_say_so_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    asyncio.run(store_a_change_of_another_form(data))
    with running(data) as node, httpx.Client(base_url=node.url, trust_env=False) as http:
        deadline_s = time.monotonic() + GUARD_S
        while (health := http.get("/health")).status_code == 200:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        component = health.json()["components"]["config"]
        assert component["status"] == "down"
        assert "start the version that wrote it" in component["detail"]
        assert http.get("/v1/registry/any").status_code == 200, "other parts serve"
        assert node.stop() == NodeExit.CLEAN
    assert node.log.count("recovery postponed") == 1


@pytest.mark.parametrize("content", ["[values]\nx = nan", None])
def test_a_node_does_not_start_with_a_bad_file(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "bad.toml"
    if content is not None:
        file.write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "service"],
        env=environment(port=0, data=tmp_path / "data", config_file=file, log_format="json"),
        capture_output=True,
        text=True,
        timeout=GUARD_S,
    )
    assert done.returncode == NodeExit.CONFIGURATION
    line = orjson.loads(done.stderr.splitlines()[-1])
    assert str(file) in line["error"] and "docs/configuration.md" in line["error"]
    assert not (tmp_path / "data").exists(), "nothing was opened"
