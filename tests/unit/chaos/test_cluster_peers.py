"""Each node of a cluster is told the others' addresses (D12), unless its user has said them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from chaos.supervisor.cluster import _reserve
from chaos.supervisor.errors import PortBusy
from deploy.local import LocalCluster
from tests.unit.chaos.process import STUB


def told(cluster: LocalCluster) -> dict[str, str]:
    """Name of the node -> the peers that it was started with, as its log says."""
    lines = {
        node.name: [
            line for line in Path(node.log).read_text().splitlines() if line.startswith("peers=")
        ]
        for node in cluster.nodes
    }
    return {name: found[-1].removeprefix("peers=") for name, found in lines.items()}


def test_each_node_is_given_the_others_and_not_itself(tmp_path: Path) -> None:
    with LocalCluster.start(size=3, log_dir=tmp_path, command=STUB) as cluster:
        urls = list(cluster.urls)
        expected = {
            node.name: str([url for url in urls if url != node.url]) for node in cluster.nodes
        }
        assert told(cluster) == expected
        cluster.kill("node-2")
        cluster.restart("node-2")
        assert told(cluster) == expected, "the same after a restart, since ports stay"


def test_a_lone_node_is_given_none(tmp_path: Path) -> None:
    with LocalCluster.start(size=1, log_dir=tmp_path, command=STUB) as cluster:
        assert told(cluster) == {"node-1": "None"}


def test_peers_of_the_clusters_settings_go_first(tmp_path: Path) -> None:
    mine = ["http://10.0.0.9:8001"]
    with LocalCluster.start(
        size=2, log_dir=tmp_path, settings={"peers": mine}, command=STUB
    ) as cluster:
        assert told(cluster) == {"node-1": str(mine), "node-2": str(mine)}


def test_peers_of_the_environment_go_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOUNDATION_PEERS", "http://10.0.0.9:8001")
    with LocalCluster.start(size=2, log_dir=tmp_path, command=STUB) as cluster:
        assert told(cluster) == {"node-1": "None", "node-2": "None"}


def test_ports_are_reserved_all_or_none() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free = probe.getsockname()[1]
        with pytest.raises(PortBusy):
            _reserve([free, taken.getsockname()[1]])
        [again] = _reserve([free])
        again.close()
