"""Runs a module for another process, and does not outlive it.

`python -P -m results.bundle.attendant PID MODULE ARGUMENTS…`: PID is the process that starts this
one. The kernel kills this one when that one dies, however it dies, and the load that may be running
goes first. This module must not know what it runs.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Of prctl(2)."""

LOWEST_PRIORITY = 19


def main() -> None:
    """Run the module as `python -m` does."""
    master, module, *arguments = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        sys.exit(f"error: prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(master):
        sys.exit("error: the process that wanted this is gone")
    os.nice(LOWEST_PRIORITY)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
