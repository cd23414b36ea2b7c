"""The kernel's means for owning processes: parent-death signals, pidfds, descriptor limits.

Why: a fault tool must not leave anything behind, not even when it is killed itself. A node holds
`PR_SET_PDEATHSIG`, so the kernel ends it with its parent; a signal goes through a pidfd, which
names one process for ever, where a pid could by then be somebody else's. Linux only (D16).
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal

from chaos.supervisor.errors import Unavailable

_PR_SET_PDEATHSIG = 1

LEAST_DESCRIPTORS = 1024
"""For each process: a node holds a connection per client, its database, its readers and logs."""


def die_with_parent(parent_pid: int) -> None:
    """Has the kernel SIGKILL this process as soon as `parent_pid`, its parent, is dead.

    Call it first thing in a forked child. The parent may have died before the call took effect,
    in which case no signal comes any more; hence the comparison, after it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent_pid:
        os._exit(1)


def require_pidfd() -> None:
    """Raises Unavailable where the kernel or Python lacks pidfds (Linux 5.3, Python 3.9)."""
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        raise Unavailable("this Python has no pidfd support: use Python 3.11 or newer on Linux")
    try:
        handle = os.pidfd_open(os.getpid())
        try:
            signal.pidfd_send_signal(handle, 0)
        finally:
            os.close(handle)
    except OSError as error:
        raise Unavailable(
            f"the kernel refuses pidfds ({error.strerror}): the supervisor needs Linux 5.3 or newer"
            " and a sandbox that allows pidfd_open and pidfd_send_signal"
        ) from error


def raise_descriptor_limit(least: int = LEAST_DESCRIPTORS) -> int:
    """Raises the soft limit to the hard one, for this process and all forked from it.

    Returns the limit. Raises Unavailable when the hard limit is below `least`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    infinite = resource.RLIM_INFINITY
    if hard != infinite and hard < least:
        raise Unavailable(
            f"a node needs {least:,} file descriptors, the limit is {hard:,}: "
            f"run `ulimit -Hn {least}` as root, or raise the limit of the service or container"
        )
    if soft != hard and soft != infinite:
        # A million is plenty; some libraries walk the whole range, however large it is.
        soft = max(soft, 1_048_576 if hard == infinite else min(hard, 1_048_576))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
