"""When the supervisor has to end: nobody may leave it behind (D7).

It ends when its controller's pipe (standard input) closes, when its controller dies, on a signal,
on request, or when the zygote is gone. The pipe alone would do, but a controller that forked
workers leaves copies of it behind; hence the controller's pidfd as well.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the supervisor ends. `orderly` decides its exit code: 0, or 1."""

    reason: str
    orderly: bool = True


class Lifetime:
    """Resolves `ended` once, with the first reason. Made and used on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pipe: int | None = None
        self._controller: int | None = None
        self.ended: asyncio.Future[Ending] = loop.create_future()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.end, Ending(signal.Signals(number).name))

    @property
    def detached(self) -> bool:
        return self._pipe is None

    def end(self, ending: Ending) -> None:
        if not self.ended.done():
            self.ended.set_result(ending)

    def watch_controller(self, pipe: int, controller_pid: int) -> None:
        """Ends when `pipe`, a file descriptor, closes or the process `controller_pid` is gone.

        Raises ValueError when `pipe` is nothing that could close, such as a file.
        """
        try:
            self._loop.add_reader(pipe, self._drain, pipe)
        except PermissionError:
            raise ValueError(
                "standard input must be a pipe that the controller holds open: "
                "start the supervisor with `foundation cluster up`"
            ) from None
        self._pipe = pipe
        try:
            self._controller = os.pidfd_open(controller_pid)
        except ProcessLookupError:
            self.end(Ending("the controller is gone"))
            return
        self._loop.add_reader(self._controller, self.end, Ending("the controller is gone"))

    def detach(self) -> None:
        """From now on only a signal, a request or the zygote's end ends the supervisor."""
        for handle in (self._pipe, self._controller):
            if handle is not None:
                self._loop.remove_reader(handle)
        if self._controller is not None:
            os.close(self._controller)
        self._pipe = self._controller = None

    def _drain(self, pipe: int) -> None:
        # What the controller writes means nothing; only the end of the file does.
        try:
            alive = bool(os.read(pipe, 4_096))
        except BlockingIOError:
            return
        except OSError:
            alive = False
        if not alive:
            self._loop.remove_reader(pipe)
            self.end(Ending("the controller's pipe closed"))
