"""The supervisor's end of the zygote's socket: asks for forks, hears of exits (asyncio).

A `Child` exists from the moment the fork is asked for, so that whoever tears down a start that
was cut short still has something to wait for and to kill.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from typing import Any

from chaos.supervisor.errors import ForkerLost, NodeStartFailure
from chaos.supervisor.spec import NodeSpec
from chaos.supervisor.zygote import MESSAGE_BYTES, Zygote

_FORK_TIMEOUT_S = 10.0


class Child:
    """One process that the zygote forked, or is about to.

    `forked` resolves to its pid, `exited` to its exit code (negative: the signal that ended it).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.forked: asyncio.Future[int] = loop.create_future()
        self.exited: asyncio.Future[int] = loop.create_future()
        self._pidfd: int | None = None

    @property
    def alive(self) -> bool:
        return self._pidfd is not None

    @property
    def pid(self) -> int | None:
        """Its pid while it lives; afterwards the number may be somebody else's."""
        return self.forked.result() if self.alive else None

    def send(self, number: signal.Signals) -> bool:
        """Sends a signal. Returns whether there was still a process to receive it."""
        if self._pidfd is None:
            return False
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return False
        return True

    async def end(self, timeout_s: float, number: signal.Signals = signal.SIGKILL) -> bool:
        """Sends `number` and waits. Returns whether it is gone.

        A paused process cannot handle a signal, so it is continued after any but SIGKILL.
        """
        with contextlib.suppress(TimeoutError, NodeStartFailure, ForkerLost):
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(self.forked)
                self.send(number)
                if number != signal.SIGKILL:
                    self.send(signal.SIGCONT)
                await asyncio.shield(self.exited)
        return self.exited.done()

    async def gone(self, timeout_s: float) -> bool:
        """Waits for it to end by itself. Returns whether it did."""
        await asyncio.wait([self.exited], timeout=timeout_s)
        return self.exited.done()

    def on_forked(self, pid: int, pidfd: int) -> None:
        self._pidfd = pidfd
        self.forked.set_result(pid)

    def on_exited(self, code: int) -> None:
        self.close()
        self.exited.set_result(code)

    def on_failed(self, error: Exception) -> None:
        self.close()
        for future in (self.forked, self.exited):
            if not future.done():
                future.set_exception(error)
                future.exception()  # read once, or asyncio reports it as never retrieved

    def close(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


class ZygoteLink:
    """Speaks to the zygote. `lost` is set once it is gone; no child lives then."""

    def __init__(self, zygote: Zygote, loop: asyncio.AbstractEventLoop) -> None:
        self._zygote = zygote
        self._loop = loop
        self._children: dict[int, Child] = {}
        self._serial = 0
        self.lost = asyncio.Event()
        zygote.socket.setblocking(False)
        loop.add_reader(zygote.socket, self._hear)

    @property
    def zygote_pid(self) -> int:
        return self._zygote.pid

    def fork(self, spec: NodeSpec, ready: int) -> Child:
        """Asks for a node; `ready` is the write end of its ready pipe, copied. Does not wait.

        Raises ForkerLost when the zygote cannot be asked.
        """
        self._serial += 1
        command = {"serial": self._serial, "spec": spec.as_fields()}
        child = Child(self._loop)
        try:
            socket.send_fds(self._zygote.socket, [json.dumps(command).encode()], [ready])
        except OSError as error:
            raise ForkerLost(
                f"the zygote does not answer ({error.strerror}): start the cluster anew"
            ) from error
        self._children[self._serial] = child
        self._loop.call_later(_FORK_TIMEOUT_S, self._expire, child)
        return child

    def close(self) -> None:
        """Closes the socket, upon which the zygote kills what still lives and exits."""
        self._loop.remove_reader(self._zygote.socket)
        self._zygote.socket.close()
        for child in self._children.values():
            child.close()

    def _expire(self, child: Child) -> None:
        if not child.forked.done() and not self.lost.is_set():
            self._lose()

    def _hear(self) -> None:
        try:
            message, handles, _, _ = socket.recv_fds(self._zygote.socket, MESSAGE_BYTES, 1)
        except BlockingIOError:
            return
        except OSError:
            message, handles = b"", []
        if message:
            self._take(json.loads(message), handles)
        else:
            self._lose()

    def _take(self, news: dict[str, Any], handles: list[int]) -> None:
        child = self._children[news["serial"]]
        match news["event"]:
            case "forked":
                child.on_forked(news["pid"], handles[0])
            case "exited":
                del self._children[news["serial"]]
                child.on_exited(news["code"])
            case "refused":
                del self._children[news["serial"]]
                child.on_failed(NodeStartFailure(f"the node was not forked: {news['error']}"))

    def _lose(self) -> None:
        self._loop.remove_reader(self._zygote.socket)
        self.lost.set()
        for child in self._children.values():
            child.send(signal.SIGKILL)  # the kernel does it already; a second means costs nothing
            child.on_failed(ForkerLost("the zygote is gone, and with it every node"))
        self._children.clear()
