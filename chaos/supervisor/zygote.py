"""The zygote: a process that has imported the node, stays clean, and forks nodes on command.

Why: importing a node's libraries takes a second or more, forking takes milliseconds (D7). But a
fork copies only the calling thread, and an event loop or an open database does not survive it. So
the supervisor forks the zygote before it opens anything, and the zygote never opens anything: no
loop, no thread, no database, one blocking loop on a socket.

Life cycle: `fork_zygote` (in the supervisor, single-threaded) -> the child serves messages ->
end of file on the socket, or the supervisor's death -> it kills its nodes and exits.

Messages are JSON over a SOCK_SEQPACKET pair, so that each arrives whole:

    to the zygote    {"serial", "spec"} and the write end of the node's ready pipe
    from it          {"serial", "event": "forked", "pid"} and a pidfd
                     {"serial", "event": "refused", "error"}     the kernel did not fork
                     {"serial", "event": "exited", "code"}       negative: ended by that signal

The node writes one JSON line to its ready pipe: {"url"} once it serves, or {"error"}.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import traceback
from dataclasses import dataclass

from chaos.supervisor.errors import Unavailable
from chaos.supervisor.ownership import die_with_parent
from chaos.supervisor.spec import NodeSpec, Program

MESSAGE_BYTES = 65_536
"""The largest message; a node's spec is well below 4 KiB."""

_TERMINAL_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CRASHED = 70
"""Exit code of a node that raised: EX_SOFTWARE of sysexits.h."""


@dataclass(frozen=True, slots=True)
class Zygote:
    """The supervisor's hold on the zygote: its pid and the supervisor's end of the socket."""

    pid: int
    socket: socket.socket


def fork_zygote(program: Program) -> Zygote:
    """Forks the zygote of the calling process, which must have one thread and no loop.

    Raises Unavailable when a thread is already running: a fork could then copy a held lock.
    """
    if threading.active_count() != 1 or len(os.listdir("/proc/self/task")) != 1:
        raise Unavailable(
            "the supervisor must fork before any thread starts: an imported module started one"
        )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    supervisor_pid = os.getpid()
    # What was imported is never garbage: frozen, the collector does not touch its pages, and
    # they stay shared between all nodes.
    gc.collect()
    gc.freeze()
    pid = os.fork()
    if pid:
        theirs.close()
        return Zygote(pid, ours)
    code = 1
    try:
        ours.close()
        die_with_parent(supervisor_pid)
        _Forker(theirs, program).serve()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


@dataclass(frozen=True, slots=True)
class _Forked:
    serial: int
    pid: int


class _Forker:
    """The zygote's loop: forks on command, reaps, reports."""

    def __init__(self, link: socket.socket, program: Program) -> None:
        self._link = link
        self._program = program
        self._nodes: dict[int, _Forked] = {}
        self._poll = select.poll()

    def serve(self) -> None:
        """Returns when the supervisor's end of the socket is closed; no node lives on."""
        for number in _TERMINAL_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self._poll.register(self._link, select.POLLIN)
        while True:
            # No timeout: the kernel wakes us when the supervisor closes, and kills us when it dies.
            for handle, _ in self._poll.poll():
                if handle != self._link.fileno():
                    self._reap(handle)
                elif not self._obey():
                    for pidfd in list(self._nodes):
                        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    for pidfd in list(self._nodes):
                        os.waitpid(self._nodes[pidfd].pid, 0)
                    return

    def _obey(self) -> bool:
        message, handles, _, _ = socket.recv_fds(self._link, MESSAGE_BYTES, 1)
        if not message:
            return False
        command = json.loads(message)
        ready = handles[0]
        try:
            self._fork(command["serial"], NodeSpec.of(command["spec"]), ready)
        except OSError as error:
            self._report(command["serial"], "refused", error=f"fork: {error.strerror}")
        finally:
            os.close(ready)
        return True

    def _fork(self, serial: int, spec: NodeSpec, ready: int) -> None:
        zygote_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(spec, ready, zygote_pid)
        # Nobody else reaps our children, so the pid is still this node, even if it has ended.
        with contextlib.ExitStack() as undo:
            undo.callback(os.waitpid, pid, 0)
            undo.callback(os.kill, pid, signal.SIGKILL)
            pidfd = os.pidfd_open(pid)
            undo.callback(os.close, pidfd)
            message = json.dumps({"serial": serial, "event": "forked", "pid": pid}).encode()
            socket.send_fds(self._link, [message], [pidfd])
            # The supervisor holds it now; before that, nobody would ever end it.
            undo.pop_all()
        self._nodes[pidfd] = _Forked(serial, pid)
        self._poll.register(pidfd, select.POLLIN)

    def _become(self, spec: NodeSpec, ready: int, zygote_pid: int) -> None:
        """In the child: never returns."""
        code = _CRASHED
        try:
            die_with_parent(zygote_pid)
            # Its own session: Ctrl-C in a terminal is for the controller, not for the nodes.
            os.setsid()
            for number in _TERMINAL_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            self._link.close()
            for pidfd in self._nodes:
                os.close(pidfd)
            code = run_node(self._program, spec, ready)
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)

    def _reap(self, pidfd: int) -> None:
        forked = self._nodes.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(forked.pid, 0)
        self._report(forked.serial, "exited", code=os.waitstatus_to_exitcode(status))

    def _report(self, serial: int, event: str, **facts: str | int) -> None:
        self._link.send(json.dumps({"serial": serial, "event": event, **facts}).encode())


def run_node(program: Program, spec: NodeSpec, ready: int) -> int:
    """Runs `program` with its output in the node's log; tells `ready`, a file descriptor, how it
    went. Returns the exit code."""
    pipe = os.fdopen(ready, "w", encoding="utf-8")

    def tell(**news: str) -> None:
        if not pipe.closed:
            # The supervisor may have given up waiting; that is its business.
            with contextlib.suppress(OSError):
                print(json.dumps(news), file=pipe, flush=True)
                pipe.close()

    try:
        _redirect_output(spec.log_path)
        return program.run(spec, lambda url: tell(url=url))
    except SystemExit as exit_:
        if isinstance(exit_.code, int):
            return exit_.code
        tell(error=str(exit_.code or "exited before it served"))
        return 1 if exit_.code else 0
    except Exception as error:
        traceback.print_exc()  # into the log, before the supervisor quotes it
        tell(error=f"{type(error).__name__}: {error}")
        return _CRASHED
    finally:
        with contextlib.suppress(OSError):
            pipe.close()


def _redirect_output(log_path: str) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(null)
    os.close(log)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
