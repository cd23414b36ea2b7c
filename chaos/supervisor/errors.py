"""What the supervisor answers when it cannot do what it was asked.

They hang on the service's tree, so that one mapping makes problem+json of all of them. The codes
are stable; `node_start_failures` and `timeout_starting_nodes` are the names of row X-2.
"""

from __future__ import annotations

from service.errors import Conflict, Forbidden, FoundationError, InvalidInput, NotFound


class SupervisorError(FoundationError):
    """Root of the supervisor's own errors.

    `node` names the node it is about, or is empty; `log_tail` holds the last lines of its log.
    """

    code = "supervisor_error"

    def __init__(self, message: str, *, node: str = "", log_tail: str = "") -> None:
        super().__init__(message)
        self.node = node
        self.log_tail = log_tail


class NodeStartFailure(SupervisorError):
    """A node ended, or refused to start, before it served."""

    code = "node_start_failures"
    status = 500


class StartTimeout(SupervisorError):
    """A node lives, but did not become healthy in time."""

    code = "timeout_starting_nodes"
    status = 504


class ForkerLost(SupervisorError):
    """The zygote is gone, and with it every node."""

    code = "zygote_lost"
    status = 500


class Unavailable(SupervisorError):
    """The platform lacks what the supervisor needs (D16)."""

    code = "unavailable"
    status = 501


class InvalidNode(InvalidInput, SupervisorError):
    """A node's settings make no sense; nothing was forked."""

    code = "invalid_setting"


class NotWritable(InvalidInput, SupervisorError):
    code = "not_writable"


class UnknownNode(NotFound, SupervisorError):
    code = "unknown_node"


class NoCluster(NotFound, SupervisorError):
    code = "no_cluster"


class ClusterExists(Conflict, SupervisorError):
    code = "cluster_exists"


class WrongState(Conflict, SupervisorError):
    """The node is not in a state in which the command could take effect."""

    code = "wrong_state"


class PortBusy(Conflict, SupervisorError):
    code = "port_busy"


class DataInUse(Conflict, SupervisorError):
    """Another supervisor holds the data directory: two writers would corrupt it (D1)."""

    code = "data_in_use"


class Closing(Forbidden, SupervisorError):
    """The supervisor is ending; it starts nothing any more."""

    code = "closing"
    status = 503
