"""A client of the supervisor's HTTP API, for Locust processes and the command line alike.

Only the standard library's blocking HTTP: cooperative under gevent's monkey patching, plain
without it, and cheap to import. This module must not reach asyncio, the service or FastAPI.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from deploy.errors import ClusterError

_CALL_TIMEOUT_S = 20.0
"""Above what a stop may take: 5 s for SIGTERM and 5 s for SIGKILL."""

_RESTART_TIMEOUT_S = 45.0
_START_MARGIN_S = 15.0
"""Above the cluster's own start timeout: the supervisor still has to tear down and to answer."""


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """One node. `state` is starting, running, paused, exited or killed; `pid` is None while it is
    dead, `exit_code` (negative: the signal that ended it) while it lives."""

    name: str
    url: str
    roles: tuple[str, ...]
    pid: int | None
    state: str = "running"
    exit_code: int | None = None
    started_at: int = 0
    restarts: int = 0
    log: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> NodeInfo:
        known = {name: fields[name] for name in cls.__slots__}
        return cls(**{**known, "roles": tuple(known["roles"])})


@dataclass(frozen=True, slots=True)
class SupervisorInfo:
    """The supervisor itself; folders are None while no cluster is up."""

    pid: int
    zygote_pid: int
    started_at: int
    detached: bool
    data_dir: str | None
    log_dir: str | None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> SupervisorInfo:
        return cls(**{name: fields[name] for name in cls.__slots__})


class SupervisorClient:
    """Calls the supervisor at `api_url`; a new connection for each call, every call bounded.

    Every method raises ClusterError: with the supervisor's code and remedy, or
    `supervisor_gone` when nobody, or somebody else, answers there.
    """

    def __init__(self, api_url: str, token: str) -> None:
        self.api_url = api_url
        self._address = urlsplit(api_url)
        self.token = token
        self._headers = {"Authorization": f"Bearer {token}"}

    def supervisor(self) -> SupervisorInfo:
        return SupervisorInfo.of(self._call("GET", "/v1/supervisor"))

    def nodes(self) -> tuple[NodeInfo, ...]:
        return _nodes(self._call("GET", "/v1/nodes"))

    def start(
        self,
        nodes: Sequence[Mapping[str, Any]],
        *,
        data_dir: str | None,
        log_dir: str | None,
        settings: Mapping[str, Any],
        timeout_s: float,
    ) -> tuple[NodeInfo, ...]:
        """All of `nodes` healthy within `timeout_s`, or none left."""
        request = {
            "nodes": list(nodes),
            "data_dir": data_dir,
            "log_dir": log_dir,
            "settings": dict(settings),
            "timeout_s": timeout_s,
        }
        return _nodes(self._call("POST", "/v1/cluster", request, timeout_s + _START_MARGIN_S))

    def command(self, name: str, word: str) -> NodeInfo:
        """`word` is kill, stop, pause, continue or restart."""
        timeout_s = _RESTART_TIMEOUT_S if word == "restart" else _CALL_TIMEOUT_S
        path = f"/v1/nodes/{quote(name, safe='')}/{word}"
        return NodeInfo.of(self._call("POST", path, timeout_s=timeout_s))

    def take_down(self) -> None:
        """Ends the nodes; the supervisor stays."""
        self._call("DELETE", "/v1/cluster")

    def detach(self) -> None:
        """The supervisor no longer ends with its controller."""
        self._call("POST", "/v1/supervisor/detach")

    def stop(self) -> None:
        """Asks the supervisor to end everything and itself; does not wait for it."""
        self._call("POST", "/v1/supervisor/stop")

    def _call(
        self, method: str, path: str, body: object = None, timeout_s: float = _CALL_TIMEOUT_S
    ) -> Any:
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=timeout_s
        )
        try:
            payload = None if body is None else json.dumps(body)
            headers = self._headers | ({} if body is None else {"Content-Type": "application/json"})
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            status, text = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ClusterError(
                f"the supervisor at {self.api_url} does not answer ({error or type(error).__name__}"
                "): it has ended, or was ended; start the cluster anew",
                code="supervisor_gone",
            ) from error
        finally:
            connection.close()
        return _content(status, text, self.api_url)


def _content(status: int, text: bytes, api_url: str) -> Any:
    try:
        content = json.loads(text) if text else None
    except ValueError:
        content = None
    if 200 <= status < 300:
        return content
    problem = content if isinstance(content, dict) else {}
    if status == 401 or "code" not in problem:
        raise ClusterError(
            f"something else than our supervisor answers at {api_url} (status {status}): "
            "start the cluster anew",
            code="supervisor_gone",
        )
    raise ClusterError(
        str(problem.get("detail")), code=problem["code"], log_tail=problem.get("log_tail", "")
    )


def _nodes(content: Mapping[str, Any]) -> tuple[NodeInfo, ...]:
    return tuple(NodeInfo.of(fields) for fields in content["nodes"])
