"""The supervisor over its API, with stub nodes: commands, states, and all nodes or none."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from deploy.client import NodeInfo, SupervisorClient
from deploy.errors import ClusterError
from deploy.launch import SupervisorProcess, launch
from deploy.local import LocalCluster
from tests.unit.chaos.process import MARKER_VARIABLE, STUB, marked, new_marker, until


@dataclass(frozen=True)
class Shared:
    """One supervisor for all tests of this module: its imports cost more than the tests do."""

    process: SupervisorProcess
    marker: str
    base: Path

    @property
    def client(self) -> SupervisorClient:
        return self.process.client

    def start(self, *nodes: dict[str, object], **more: object) -> dict[str, NodeInfo]:
        arguments: dict[str, object] = {
            "data_dir": None,
            "log_dir": None,
            "settings": {},
            "timeout_s": 30,
            **more,
        }
        started = self.client.start(nodes, **arguments)  # type: ignore[arg-type]
        return {node.name: node for node in started}

    def node(self, name: str) -> NodeInfo:
        return next(node for node in self.client.nodes() if node.name == name)

    def is_empty(self) -> bool:
        """Only supervisor and zygote live, and no temporary folder is there."""
        return len(marked(self.marker)) == 2 and not list(self.base.glob("foundation-cluster-*"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    marker, base = new_marker(), tmp_path_factory.mktemp("temporary files")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARKER_VARIABLE, marker)
        patch.setenv("TMPDIR", str(base))
        process = launch(log_dir=None, timeout_s=60, command=STUB)
    yield Shared(process, marker, base)
    assert process.end() == 0
    assert marked(marker) == []


@pytest.fixture
def supervisor(shared: Shared) -> Iterator[Shared]:
    """The supervisor without a cluster, before and after."""
    yield shared
    if shared.client.nodes():
        shared.client.take_down()
    assert shared.is_empty()


@pytest.fixture
def cluster(supervisor: Shared) -> Shared:
    """The supervisor with node-1 and node-2 running."""
    supervisor.start({"name": "node-1"}, {"name": "node-2"})
    return supervisor


def _named(number: int) -> dict[str, object]:
    return {"name": f"node-{number}"}


def _serves(url: str) -> bool:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_every_node_of_a_started_cluster_serves(cluster: Shared) -> None:
    nodes = cluster.client.nodes()
    assert [(node.name, node.state) for node in nodes] == [
        ("node-1", "running"),
        ("node-2", "running"),
    ]
    assert all(_serves(node.url) for node in nodes)


def test_a_killed_node_refuses_connections_at_once(cluster: Shared) -> None:
    node = cluster.client.command("node-1", "kill")
    assert (node.state, node.exit_code, node.pid) == ("killed", -signal.SIGKILL, None)
    address = urlsplit(node.url)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname or "", address.port or 0), timeout=5)
    assert _serves(cluster.node("node-2").url)


def test_a_restarted_node_keeps_port_and_name(cluster: Shared) -> None:
    before = cluster.node("node-1")
    cluster.client.command("node-1", "kill")
    after = cluster.client.command("node-1", "restart")
    assert (after.url, after.state, after.restarts) == (before.url, "running", 1)
    assert after.pid != before.pid
    assert _serves(after.url)


def test_a_running_node_is_stopped_in_order_before_its_restart(cluster: Shared) -> None:
    cluster.client.command("node-1", "restart")
    assert "SIGTERM received" in Path(cluster.node("node-1").log).read_text()


def test_a_terminated_node_exits_by_itself(cluster: Shared) -> None:
    node = cluster.client.command("node-2", "stop")
    assert (node.state, node.exit_code) == ("exited", 0)


def test_a_node_that_ignores_sigterm_is_killed(supervisor: Shared) -> None:
    supervisor.start({"name": "node-1", "roles": ["deaf"]})
    assert supervisor.client.command("node-1", "stop").state == "killed"


def test_a_paused_node_is_stopped_in_the_kernel_until_it_is_resumed(cluster: Shared) -> None:
    node = cluster.client.command("node-1", "pause")
    assert node.state == "paused"
    assert psutil.Process(node.pid).status() == psutil.STATUS_STOPPED
    assert cluster.client.command("node-1", "continue").state == "running"
    assert _serves(node.url)
    assert cluster.client.command("node-1", "continue").state == "running"


def test_a_paused_node_can_be_killed_and_terminated(cluster: Shared) -> None:
    cluster.client.command("node-1", "pause")
    cluster.client.command("node-2", "pause")
    assert cluster.client.command("node-1", "kill").state == "killed"
    assert cluster.client.command("node-2", "stop").state == "exited"


def test_a_node_that_somebody_else_killed_is_shown_as_killed(cluster: Shared) -> None:
    os.kill(cluster.node("node-1").pid or 0, signal.SIGKILL)
    assert until(lambda: cluster.node("node-1").state == "killed")
    assert cluster.node("node-1").exit_code == -signal.SIGKILL
    assert cluster.client.command("node-1", "restart").state == "running"


@pytest.mark.parametrize("word", ["kill", "pause", "stop", "continue"])
def test_a_command_that_cannot_take_effect_is_an_error(cluster: Shared, word: str) -> None:
    cluster.client.command("node-1", "kill")
    with pytest.raises(ClusterError, match="node-1 is killed") as caught:
        cluster.client.command("node-1", word)
    assert caught.value.code == "wrong_state"


def test_commands_from_many_sides_leave_every_node_in_a_true_state(cluster: Shared) -> None:
    """Kill, pause, continue, stop and restart at random from four threads; then all serve again."""
    seed = 20_261_120
    print("seed", seed)

    def torment(number: int) -> None:
        chance = random.Random(seed + number)
        for _ in range(25):
            name = chance.choice(["node-1", "node-2"])
            word = chance.choice(["kill", "pause", "continue", "stop", "restart"])
            try:
                cluster.client.command(name, word)
            except ClusterError as error:
                assert error.code in ("wrong_state", "node_start_failures"), error

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(torment, range(4)))
    for name in ("node-1", "node-2"):
        node = cluster.client.command(name, "restart")
        assert psutil.Process(node.pid).is_running()
        assert _serves(node.url)
    assert len(marked(cluster.marker)) == 4, "supervisor, zygote and the two nodes"


def test_an_unknown_node_is_an_error_that_lists_the_nodes(cluster: Shared) -> None:
    with pytest.raises(ClusterError, match="the nodes are node-1, node-2") as caught:
        cluster.client.command("node-3", "kill")
    assert caught.value.code == "unknown_node"


def test_a_second_cluster_is_refused_until_the_first_is_down(supervisor: Shared) -> None:
    supervisor.start({"name": "node-1"})
    with pytest.raises(ClusterError) as caught:
        supervisor.start({"name": "node-2"})
    assert caught.value.code == "cluster_exists"
    supervisor.client.take_down()
    assert supervisor.client.nodes() == ()
    supervisor.start({"name": "node-2"})
    assert [node.name for node in supervisor.client.nodes()] == ["node-2"]


@pytest.mark.parametrize(
    ("role", "code", "reason"),
    [
        ("crash", "node_start_failures", "node-2: RuntimeError: the disk is on fire"),
        ("leave", "node_start_failures", "node-2: ended with exit code 3 before it served"),
    ],
)
def test_one_node_that_fails_takes_all_down_with_its_log(
    supervisor: Shared, role: str, code: str, reason: str
) -> None:
    with pytest.raises(ClusterError) as caught:
        supervisor.start({"name": "node-1"}, {"name": "node-2", "roles": [role]})
    assert (caught.value.code, caught.value.args[0]) == (code, reason)
    assert f"node-2 starts with {role}" in caught.value.log_tail
    assert supervisor.is_empty()
    assert supervisor.start({"name": "node-1"})["node-1"].state == "running"


@pytest.mark.parametrize("role", ["hang", "sick"])
def test_one_node_that_never_gets_ready_takes_all_down_in_time(
    supervisor: Shared, role: str
) -> None:
    with pytest.raises(ClusterError, match=r"node-1 did not .* within 0.5 s") as caught:
        supervisor.start({"name": "node-1", "roles": [role]}, {"name": "node-2"}, timeout_s=0.5)
    assert caught.value.code == "timeout_starting_nodes"
    assert supervisor.is_empty()
    assert supervisor.start({"name": "node-1"})["node-1"].state == "running"


def test_every_node_that_timed_out_is_named(supervisor: Shared) -> None:
    nodes: list[dict[str, object]] = [
        {"name": f"node-{number}", "roles": ["hang"]} for number in (1, 2)
    ]
    with pytest.raises(ClusterError, match=r"node-1 did not .*node-2 did not"):
        supervisor.start(*nodes, timeout_s=0.5)


def test_a_bad_setting_is_refused_before_anything_is_forked(supervisor: Shared) -> None:
    with pytest.raises(ClusterError, match="node-1: nonsense is not a setting") as caught:
        supervisor.start({"name": "node-1"}, settings={"nonsense": 1})
    assert caught.value.code == "invalid_setting"


def test_an_unwritable_data_directory_is_refused(supervisor: Shared, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ClusterError, match="choose another directory") as caught:
        supervisor.start({"name": "node-1"}, data_dir=str(tmp_path / "file" / "data"))
    assert caught.value.code == "not_writable"


def test_a_data_directory_in_use_is_refused(supervisor: Shared, tmp_path: Path) -> None:
    supervisor.start({"name": "node-1"}, data_dir=str(tmp_path / "data"))
    with pytest.raises(ClusterError, match="in use by another cluster") as caught:
        LocalCluster.start(size=1, data_dir=tmp_path / "data", command=STUB)
    assert caught.value.code == "data_in_use"


def test_a_busy_port_is_refused_and_named(supervisor: Shared) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ClusterError, match=f"port {port} ") as caught:
            supervisor.start({"name": "node-1", "port": port})
    assert caught.value.code == "port_busy"


@pytest.mark.parametrize(
    "node",
    [
        {"name": "../escape"},
        {"name": ""},
        {"name": "Node"},
        {"name": "node-1", "port": 65_536},
        {"name": "node-1", "roles": []},
        {"name": "node-1", "unknown": 1},
        {"name": 1},
    ],
)
def test_a_node_that_makes_no_sense_is_refused(supervisor: Shared, node: dict[str, object]) -> None:
    with pytest.raises(ClusterError, match=r"nodes\.0") as caught:
        supervisor.start(node)
    assert caught.value.code == "invalid_input"


def test_two_nodes_of_one_name_and_too_many_nodes_are_refused(
    supervisor: Shared,
) -> None:
    with pytest.raises(ClusterError, match="the same name"):
        supervisor.start({"name": "node-1"}, {"name": "node-1"})
    with pytest.raises(ClusterError, match="at most 20"):
        supervisor.start(*map(_named, range(21)))


def test_kept_data_and_logs_stay_and_temporary_ones_go(supervisor: Shared, tmp_path: Path) -> None:
    log = supervisor.start({"name": "node-1"})["node-1"].log
    assert Path(log).is_relative_to(supervisor.base)
    supervisor.client.take_down()
    assert supervisor.is_empty()
    kept, logs = tmp_path / "kept data", tmp_path / "kept logs"
    supervisor.start({"name": "node-1"}, data_dir=str(kept), log_dir=str(logs))
    assert list(supervisor.base.glob("foundation-cluster-*")) == []
    supervisor.client.take_down()
    assert (kept / "node-1").is_dir()
    assert "node-1 starts" in (logs / "node-1.log").read_text()


def _request(
    supervisor: Shared,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes = b"",
) -> tuple[int, dict[str, object]]:
    address = urlsplit(supervisor.client.api_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "application/problem+json"
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.mark.parametrize("token", [None, "", "Bearer ", "Bearer wrong", "Basic {token}", "{token}"])
@pytest.mark.parametrize("path", ["/v1/supervisor/stop", "/v1/nowhere"])
def test_the_api_refuses_whoever_lacks_the_token(
    supervisor: Shared, token: str | None, path: str
) -> None:
    headers = {}
    if token is not None:
        headers["Authorization"] = token.format(token=supervisor.client.token)
    status, problem = _request(supervisor, "POST", path, headers)
    assert (status, problem["code"]) == (401, "unauthorized")
    assert supervisor.process.wait(0) is None


def test_the_api_refuses_what_is_too_large_or_malformed(supervisor: Shared) -> None:
    headers = {"Authorization": f"Bearer {supervisor.client.token}"}
    json_type = headers | {"Content-Type": "application/json"}
    start = ("POST", "/v1/cluster")
    assert _request(supervisor, *start, json_type, b" " * 70_000)[0] == 413
    assert _request(supervisor, *start, json_type, b"{")[0] == 422
    assert _request(supervisor, *start, json_type, b"[" * 50_000)[0] in (400, 422)
    assert _request(supervisor, *start, json_type, b"[]")[1]["code"] == "invalid_input"
    assert _request(supervisor, "GET", "/v1/nowhere", headers)[1]["code"] == "not_found"
    assert _request(supervisor, "PUT", "/v1/nodes", headers)[1]["code"] == "method_not_allowed"


def test_the_token_is_neither_on_a_command_line_nor_in_an_environment(
    cluster: Shared,
) -> None:
    token = cluster.client.token
    for process in marked(cluster.marker):
        assert token not in " ".join(process.cmdline())
        assert token not in process.environ().values()


def test_nodes_live_in_sessions_of_their_own(cluster: Shared) -> None:
    sessions = {os.getsid(node.pid or 0) for node in cluster.client.nodes()}
    assert sessions == {node.pid for node in cluster.client.nodes()}
    supervisor_pid = cluster.process.pid
    assert os.getsid(supervisor_pid) == supervisor_pid != os.getsid(0)


def test_a_node_inherits_no_descriptor_of_the_supervisor(cluster: Shared) -> None:
    """Standard streams and its own listening socket; a leaked pipe would keep things alive."""
    process = psutil.Process(cluster.node("node-2").pid)
    assert process.num_fds() <= 5
