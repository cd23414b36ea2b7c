"""Real nodes in the embedded cluster: what they store survives, what they share is shared."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import ClusterError
from deploy.local import LocalCluster
from tests.unit.chaos.process import MARKER_VARIABLE, marked, new_marker


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    marker = new_marker()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARKER_VARIABLE, marker)
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary files")))
        with LocalCluster.start(
            size=2,
            roles=("gateway,app", "app"),
            log_dir=tmp_path_factory.mktemp("run") / "logs",
            emulated_latency=0.0,
        ) as running:
            yield running
    assert marked(marker) == []


def _call(
    method: str, url: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_nodes_know_their_names_and_roles(cluster: LocalCluster) -> None:
    for node, name, roles in zip(
        cluster.nodes, ("node-1", "node-2"), (["gateway", "app"], ["app"]), strict=True
    ):
        status, health = _call("GET", node.url + "/health")
        assert (status, health["node"], health["roles"]) == (200, name, roles)


def test_what_a_node_acknowledged_is_there_after_kill_and_restart(cluster: LocalCluster) -> None:
    url = cluster.nodes[1].url
    status, receipt = _call("POST", url + "/v1/events", {"type": "kept", "data": {"value": 1}})
    assert status == 201
    cluster.kill("node-2")
    with pytest.raises(urllib.error.URLError):
        _call("GET", url + "/health")
    assert cluster.restart("node-2").url == url
    status, event = _call("GET", f"{url}/v1/events/{receipt['id']}")
    assert (status, event["data"]) == (200, {"value": 1})


def test_each_node_has_a_database_of_its_own(cluster: LocalCluster) -> None:
    _, receipt = _call("POST", cluster.nodes[0].url + "/v1/events", {"type": "mine"})
    assert _call("GET", f"{cluster.nodes[1].url}/v1/events/{receipt['id']}")[0] == 404


def test_a_session_of_one_node_is_valid_on_the_other(cluster: LocalCluster) -> None:
    first, second = (url + "/v1/saas/actions/" for url in cluster.urls)
    status, login = _call("POST", first + "login", {"id": str(uuid.uuid4()), "user_id": "ada"})
    assert status in (200, 201) and login["session"]
    view = {"id": str(uuid.uuid4()), "user_id": "ada"}
    status, _ = _call("POST", second + "dashboard_view", view, {"X-Session": login["session"]})
    assert status in (200, 201)
    view = {"id": str(uuid.uuid4()), "user_id": "ada"}
    status, _ = _call("POST", second + "dashboard_view", view, {"X-Session": "x" + "y" * 40})
    assert status == 401, "positive control: a session that nobody signed"


def test_a_node_writes_its_log_into_the_folder_of_the_run(cluster: LocalCluster) -> None:
    for node in cluster.nodes:
        assert Path(node.log).name == f"{node.name}.log"
        assert "serving" in Path(node.log).read_text()


def test_kept_data_is_served_by_the_next_cluster(tmp_path: Path) -> None:
    data = tmp_path / "kept data"
    with LocalCluster.start(size=1, data_dir=data) as first:
        _, receipt = _call("POST", first.urls[0] + "/v1/events", {"type": "kept"})
    with LocalCluster.start(size=1, data_dir=data) as second:
        assert _call("GET", f"{second.urls[0]}/v1/events/{receipt['id']}")[0] == 200


def test_a_setting_that_belongs_to_one_node_is_refused_for_all() -> None:
    with pytest.raises(ClusterError, match="host, port: set for each node") as caught:
        LocalCluster.start(size=1, settings={"port": 1, "host": "0.0.0.0"})
    assert caught.value.code == "invalid_setting"


def test_a_node_that_cannot_open_its_database_takes_the_cluster_down(tmp_path: Path) -> None:
    """One of two is sick; the error quotes its log, and the other does not live on."""
    with LocalCluster.start(size=2, data_dir=tmp_path / "data"):
        pass
    for file in (tmp_path / "data" / "node-2").iterdir():
        if file.is_file():
            file.write_bytes(b"this is not a database" * 500)
    with pytest.raises(ClusterError, match="node-2") as caught:
        LocalCluster.start(size=2, data_dir=tmp_path / "data")
    assert caught.value.code == "node_start_failures"
    assert caught.value.log_tail
