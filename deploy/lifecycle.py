"""What `foundation cluster up`, `status` and `down` do, without their words and tables.

A cluster that was started by hand is found again through its state file (deploy.state).
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from pathlib import Path

from deploy.client import NodeInfo, SupervisorInfo
from deploy.errors import ClusterError
from deploy.local import LocalCluster
from deploy.state import ClusterState, already_up, read, remove, write

_DOWN_TIMEOUT_S = 20.0


def up(path: Path, start: Callable[[], LocalCluster]) -> tuple[LocalCluster, ClusterState]:
    """Starts a cluster with `start` and writes its state to `path`.

    A stale state file is replaced. Raises ClusterError, `already_up` among others; nothing runs
    then.
    """
    before = read(path)
    if before is not None:
        if _answers(before):
            raise already_up(path)
        remove(path, before)
    cluster = start()
    state = ClusterState(cluster.client.api_url, cluster.client.token, cluster.supervisor_pid)
    try:
        write(path, state)
    except BaseException:
        cluster.stop()
        raise
    return cluster, state


def status(path: Path) -> tuple[SupervisorInfo, tuple[NodeInfo, ...]]:
    """The supervisor and its nodes. Raises ClusterError, `not_up` among others."""
    state = _found(path)
    try:
        client = state.client()
        return client.supervisor(), client.nodes()
    except ClusterError as error:
        raise _stale(path, state, error) from error


def down(path: Path) -> None:
    """Ends the cluster and returns when its supervisor is gone.

    Raises ClusterError: `not_up`, or `supervisor_failed` when it does not end in 20 s.
    """
    state = _found(path)
    client = state.client()
    try:
        # The pid is the supervisor's for certain, since it has just answered; the handle stays so.
        handle = os.pidfd_open(client.supervisor().pid)
    except ClusterError as error:
        raise _stale(path, state, error) from error
    except ProcessLookupError:
        remove(path, state)
        return
    try:
        client.stop()
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if not poll.poll(_DOWN_TIMEOUT_S * 1000):
            raise ClusterError(
                f"the supervisor (pid {state.supervisor_pid}) did not end within "
                f"{_DOWN_TIMEOUT_S:g} s: `kill -9 {state.supervisor_pid}` ends it and its nodes",
                code="supervisor_failed",
            )
    finally:
        os.close(handle)
    remove(path, state)


def _answers(state: ClusterState) -> bool:
    try:
        state.client().supervisor()
    except ClusterError as error:
        if error.code == "supervisor_gone":
            return False
        raise
    return True


def _found(path: Path) -> ClusterState:
    state = read(path)
    if state is None:
        raise ClusterError(
            f"no cluster is up (there is no {path}): `foundation cluster up` starts one",
            code="not_up",
        )
    return state


def _stale(path: Path, state: ClusterState, error: ClusterError) -> ClusterError:
    """The error to raise for `error`; a supervisor that is gone takes its state file with it."""
    if error.code != "supervisor_gone":
        return error
    remove(path, state)
    return ClusterError(
        f"no cluster is up: its supervisor (pid {state.supervisor_pid}) is gone, and its nodes "
        f"with it; the stale state file {path} was removed",
        code="not_up",
    )
