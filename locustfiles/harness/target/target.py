"""The nodes that a run loads: given ones, checked to answer, or an embedded cluster.

The embedded cluster is started once, in the master or the only process; workers are told the
addresses. This module must not send load.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from deploy.local import ClusterError, LocalCluster
from locustfiles.harness.failure import BadConfiguration

HEALTH_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Node:
    """One node under load. `roles` is empty where the node declares none."""

    name: str
    url: str
    roles: tuple[str, ...]


@dataclass(slots=True)
class Target:
    """The nodes under load and, if this process owns it, the cluster that they form."""

    nodes: tuple[Node, ...]
    cluster: LocalCluster | None = None

    def close(self) -> None:
        """End the embedded cluster; nothing for nodes that were given."""
        if self.cluster is not None:
            self.cluster.stop()
            self.cluster = None


def client_token() -> str | None:
    """The clients' token of the nodes, from FOUNDATION_CLIENT_TOKEN; each worker reads its own."""
    return os.environ.get("FOUNDATION_CLIENT_TOKEN") or None


def with_role(nodes: Sequence[Node], role: str) -> tuple[Node, ...]:
    """The nodes that have `role`; all of them when none declares it, as with a lone node."""
    return tuple(node for node in nodes if role in node.roles) or tuple(nodes)


def reach(urls: Sequence[str], token: str | None) -> Target:
    """Ask each node for its health. Raises BadConfiguration for one that does not answer."""
    return Target(tuple(_ask(url, token) for url in urls))


def _ask(url: str, token: str | None) -> Node:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with requests.Session() as session:
            # Like the load itself: past any HTTP_PROXY, and without passwords of ~/.netrc.
            session.trust_env = False
            answer = session.get(f"{url}/health", headers=headers, timeout=HEALTH_TIMEOUT_S)
    except requests.Timeout:
        raise BadConfiguration(
            f"{url} did not answer within {HEALTH_TIMEOUT_S:g} s: is the node up, and is the "
            "way to it open?"
        ) from None
    except requests.RequestException as error:
        raise BadConfiguration(
            f"{url} cannot be reached ({_plain(error)}): start the node, or correct --nodes"
        ) from None
    if answer.status_code == 401:
        raise BadConfiguration(
            f"{url} wants a token: set FOUNDATION_CLIENT_TOKEN to the nodes' client token"
        )
    if answer.status_code != 200:
        raise BadConfiguration(
            f"{url}/health answered {answer.status_code}: the node is not fit for load"
        )
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        health = answer.json()
        return Node(name=str(health["node"]), url=url, roles=tuple(map(str, health["roles"])))
    raise BadConfiguration(
        f"{url}/health is not a Foundation node's answer: point --nodes at Foundation nodes"
    )


def _plain(error: requests.RequestException) -> str:
    """The innermost reason, such as `Connection refused`, without pool and object addresses."""
    reason: BaseException = error
    while reason.__context__ is not None:
        reason = reason.__context__
    return getattr(reason, "strerror", None) or str(reason)


def start_cluster(*, size: int, roles: Sequence[Sequence[str]], log_dir: Path) -> Target:
    """Start the embedded cluster. Raises BadConfiguration with what the supervisor said."""
    try:
        cluster = LocalCluster.start(size=size, roles=roles, log_dir=log_dir)
    except ClusterError as error:
        raise BadConfiguration(f"the embedded cluster did not start: {error}") from None
    nodes = tuple(Node(info.name, info.url, tuple(info.roles)) for info in cluster.nodes)
    return Target(nodes, cluster)
