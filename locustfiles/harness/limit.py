"""The process's limit of file descriptors: raised as far as allowed, refused when too low.

Each connection of a user is a descriptor; a run that reaches the limit would report the
generator's failure as the target's. Locust itself only warns.
"""

from __future__ import annotations

import logging
import resource

from locustfiles.harness.failure import BadConfiguration

logger = logging.getLogger(__name__)

RESERVE = 200
"""Descriptors of the process itself: libraries, sockets of the runner, log files."""


def raise_descriptor_limit() -> int:
    """Lift the soft limit to the hard one; returns the limit that is in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def needed_descriptors(peak_users: int, connections_per_user: int, processes: int) -> int:
    """Of one process that carries its share of the users, rounded up."""
    share = -(-peak_users // max(processes, 1))
    return share * connections_per_user + RESERVE


def require_descriptors(needed: int, limit: int) -> None:
    """Raises BadConfiguration with the remedy when `limit` is below `needed`."""
    if 0 <= limit < needed:
        raise BadConfiguration(
            f"this load needs {needed:,} file descriptors, the limit is {limit:,}: run "
            f"`ulimit -n {needed}` first (as root where the hard limit is lower), lower "
            f"--load-scale, or spread the load with --processes"
        )


def check_descriptors(
    *,
    peak_users: int,
    connections_per_user: int,
    processes: int,
    is_required: bool,
    warns: bool,
) -> None:
    """Raise this process's limit, then hold it to its share of the users if `is_required`.

    A worker that was started by hand does not know how many others share the users, so with
    `warns` it only says that it could not carry them alone. Raises BadConfiguration.
    """
    limit = raise_descriptor_limit()
    needed = needed_descriptors(peak_users, connections_per_user, processes)
    if is_required:
        require_descriptors(needed, limit)
    elif warns and 0 <= limit < needed:
        logger.warning(
            "this worker may open %d files; with all users to itself it would need %d: start "
            "enough workers, or raise the limit with `ulimit -n`",
            limit,
            needed,
        )
