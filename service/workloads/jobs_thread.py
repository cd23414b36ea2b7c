"""Runs a job's work in a thread that nobody waits for when the node ends.

A thread that is stuck in a call to the disk cannot be cancelled. Those of an executor are waited
for by the loop and by the interpreter, so one backup that hangs would keep the process for minutes;
a daemon thread dies with it, and its job is unfinished on disk. A thread for each call: jobs are
few, and no more run at once than there are workers. This module knows nothing of jobs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` returns or raises. Whoever is cancelled leaves it running, its result unread."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(tell: Callable[[], None]) -> None:
        if not done.done():
            tell()

    def run() -> None:
        tell: Callable[[], None]
        try:
            tell = partial(done.set_result, work())
        except Exception as error:
            # The edge of the thread: the task that waits raises it.
            tell = partial(done.set_exception, error)
        with suppress(RuntimeError):  # the loop has ended, and with it whoever waited
            loop.call_soon_threadsafe(settle, tell)

    threading.Thread(target=run, name="job-work", daemon=True).start()
    return await done
