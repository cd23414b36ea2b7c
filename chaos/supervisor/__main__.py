"""`python -m chaos.supervisor`: wires the supervisor together and runs it.

Life cycle: import the node -> fork the zygote (one thread, no loop) -> run the API on a free
loopback port -> print the handshake, one JSON line, on standard output -> serve until `Lifetime`
says why to end -> end the nodes, remove temporary folders, let the zygote go.

The handshake is {"api_url", "token", "pid"}, or {"code", "error"} if there is nothing to talk to.
The token is never on a command line, where every user of the machine could read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path

import structlog
import uvicorn
from starlette.types import ASGIApp

from chaos.supervisor.api import make_app
from chaos.supervisor.cluster import Cluster
from chaos.supervisor.folder import sweep
from chaos.supervisor.lifetime import Ending, Lifetime
from chaos.supervisor.link import ZygoteLink
from chaos.supervisor.ownership import raise_descriptor_limit, require_pidfd
from chaos.supervisor.reservation import LOOPBACK
from chaos.supervisor.spec import Program
from chaos.supervisor.zygote import Zygote, fork_zygote
from service.errors import FoundationError

_ZYGOTE_TIMEOUT_S = 5.0


def main(load_program: Callable[[], Program]) -> int:
    """Runs a supervisor of `load_program()`, which imports what is to be forked.

    Returns the exit code: 0 after an orderly end, 1 otherwise.
    """
    controller_pid = os.getppid()
    try:
        require_pidfd()
        raise_descriptor_limit()
        program = load_program()
        zygote = fork_zygote(program)
    except (FoundationError, ImportError) as error:
        _hand_over({"code": getattr(error, "code", "import_failed"), "error": str(error)})
        return 1
    _configure_log()
    return asyncio.run(_supervise(zygote, program, controller_pid))


async def _supervise(zygote: Zygote, program: Program, controller_pid: int) -> int:
    loop = asyncio.get_running_loop()
    log = structlog.get_logger().bind(supervisor=os.getpid())
    lifetime = Lifetime(loop)
    try:
        lifetime.watch_controller(sys.stdin.fileno(), controller_pid)
    except ValueError as error:
        _hand_over({"code": "no_controller", "error": str(error)})
        lifetime.end(Ending(str(error), orderly=False))
    base = Path(tempfile.gettempdir())
    for folder in await asyncio.to_thread(sweep, base):
        log.info("removed the folder of a dead supervisor", folder=str(folder))
    link = ZygoteLink(zygote, loop)
    cluster = Cluster(link, program, log, temporary_base=base)
    watcher = asyncio.create_task(_watch(link, lifetime))
    token = secrets.token_urlsafe(32)
    app = make_app(
        cluster,
        lifetime,
        token=token,
        zygote_pid=zygote.pid,
        started_at_us=time.time_ns() // 1000,
    )
    try:
        async with _serving(app, lifetime) as api_url:
            if not lifetime.ended.done():
                _hand_over({"api_url": api_url, "token": token, "pid": os.getpid()})
            ending = await lifetime.ended
            log.info("ending", reason=ending.reason)
            await cluster.close()
    finally:
        watcher.cancel()
        link.close()
        await asyncio.to_thread(_await_zygote, zygote.pid)
    return 0 if ending.orderly else 1


async def _watch(link: ZygoteLink, lifetime: Lifetime) -> None:
    await link.lost.wait()
    lifetime.end(Ending("the zygote is gone, and with it every node", orderly=False))


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: `Lifetime` decides when to end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@contextlib.asynccontextmanager
async def _serving(app: ASGIApp, lifetime: Lifetime) -> AsyncGenerator[str, None]:
    """Serves `app` on a free loopback port; yields its URL. `lifetime` ends if the server does."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        ending = Ending("the API's server ended", orderly=False)
        task.add_done_callback(lambda _: lifetime.end(ending))
        try:
            yield f"http://{LOOPBACK}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


def _hand_over(handshake: dict[str, str | int]) -> None:
    """Prints the handshake; standard output is closed then, so that nothing can follow it."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(handshake), flush=True)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _await_zygote(pid: int) -> None:
    """It exits by itself once its socket is closed; if it does not, it is killed."""
    deadline = time.perf_counter() + _ZYGOTE_TIMEOUT_S
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.perf_counter() > deadline:
            os.kill(pid, signal.SIGKILL)  # our child and not yet reaped: the pid is still its own
            os.waitpid(pid, 0)
            return
        time.sleep(0.005)


def _configure_log() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


def _foundation() -> Program:
    from chaos.supervisor.foundation import FoundationProgram

    return FoundationProgram()


if __name__ == "__main__":
    sys.exit(main(_foundation))
