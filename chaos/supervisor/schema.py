"""The supervisor's wire models: what its HTTP API takes and gives."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from chaos.supervisor.node import Node, NodeState
from chaos.supervisor.spec import NODE_NAME, Option

MAX_NODES = 20
"""As `--cluster-size` of the harness; beyond it one machine measures its scheduler."""


class NodeRequest(BaseModel):
    """One node to start. Without a port it gets a free one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    roles: Annotated[tuple[str, ...], Field(min_length=1)] = ("app",)
    port: Annotated[int, Field(ge=0, le=65_535)] = 0

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        if not NODE_NAME.fullmatch(value):
            raise ValueError("use 1 to 63 lower-case letters, digits and dashes, such as node-1")
        return value


class ClusterRequest(BaseModel):
    """Body of `POST /v1/cluster`.

    `data_dir` is kept (each node has its own folder in it), without it data is temporary;
    likewise `log_dir`. `settings` are node settings by their field names, for all nodes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: Annotated[tuple[NodeRequest, ...], Field(min_length=1, max_length=MAX_NODES)]
    data_dir: str | None = None
    log_dir: str | None = None
    settings: dict[str, Option] = Field(default_factory=dict)
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0

    @field_validator("nodes")
    @classmethod
    def _are_distinct(cls, value: tuple[NodeRequest, ...]) -> tuple[NodeRequest, ...]:
        if len({node.name for node in value}) < len(value):
            raise ValueError("two nodes have the same name")
        ports = [node.port for node in value if node.port]
        if len(set(ports)) < len(ports):
            raise ValueError("two nodes have the same port")
        return value


class NodeView(BaseModel):
    """One node as it is now. `pid` is null while it is dead, `exit_code` while it lives."""

    name: str
    roles: tuple[str, ...]
    url: str
    state: NodeState
    pid: int | None
    exit_code: int | None
    started_at: int
    restarts: int
    log: str

    @classmethod
    def of(cls, node: Node) -> NodeView:
        return cls(
            name=node.spec.name,
            roles=node.spec.roles,
            url=node.url,
            state=node.state,
            pid=node.pid,
            exit_code=node.exit_code,
            started_at=node.started_at_us,
            restarts=node.restarts,
            log=node.spec.log_path,
        )


class NodeList(BaseModel):
    """`GET /v1/nodes`, in the order in which they were asked for; empty without a cluster."""

    nodes: list[NodeView]


class SupervisorView(BaseModel):
    """`GET /v1/supervisor`. `detached` means that no controller's end will end it."""

    pid: int
    zygote_pid: int
    started_at: int
    detached: bool
    data_dir: str | None
    log_dir: str | None


class SupervisorProblem(BaseModel):
    """RFC 9457 problem details, with the node it is about and the tail of that node's log."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    node: str = ""
    log_tail: str = ""
