"""Runs one node: socket, loop, signals, a clean end.

Life cycle: bind (so that a taken port is an error before anything is opened) -> open the store ->
build the app -> serve, `ready` is called -> SIGTERM or SIGINT: stop accepting, cut emulated waits
and feeds, finish what is in flight, drain and checkpoint the store -> exit code.

`run` may be called in a forked child of a process that has imported this module but opened no
loop, thread or database (D7). It must not be called twice in one process.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from enum import IntEnum
from functools import partial
from typing import Any

import uvicorn
import uvloop
from structlog.typing import FilteringBoundLogger

from service import log as logs
from service.accept import Acceptor
from service.app import Node, build_app, open_node
from service.connection_limit import ConnectionLimits
from service.errors import ConfigurationError, FoundationError
from service.protocol import NodeProtocol
from service.settings import Settings

SWEEP_INTERVAL_S = 0.5
STORE_CLOSE_DEADLINE_S = 2.0
LARGEST_BLOCK_BYTES = 2**24
_RESERVED_FILES = 64
"""File descriptors that a node needs besides its connections."""


class NodeExit(IntEnum):
    """Exit codes of a node process."""

    CLEAN = 0
    FAILED = 1
    CONFIGURATION = 4
    BIND = 6
    STORAGE = 7


def run(
    settings: Settings,
    *,
    listening: socket.socket | None = None,
    ready: Callable[[str], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; returns a `NodeExit`.

    `listening` is a bound socket to serve on instead of `settings.host` and `settings.port`.
    `ready` is called once, in the loop, with the advertised URL when requests are answered.
    When the disk does not let the store close, the process ends here with `NodeExit.FAILED`.
    """
    log = logs.configure(settings)
    try:
        sock = listening or bind(settings)
    except OSError as error:
        log.error(
            "cannot bind",
            host=settings.host,
            port=settings.port,
            error=str(error),
            remedy="choose another --port, or 0 for a free one",
        )
        return NodeExit.BIND
    _raise_file_limit(settings, log)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_serve(settings, sock, ready, log))
        except ConfigurationError as error:
            log.error("cannot start", code=error.code, error=str(error))
            return NodeExit.CONFIGURATION
        except FoundationError as error:
            log.error("cannot start", code=error.code, error=str(error))
            return NodeExit.STORAGE
        except Exception:
            log.exception("the node failed")
            return NodeExit.FAILED
        finally:
            sock.close()


def bind(settings: Settings) -> socket.socket:
    """A socket bound to the settings' address. Raises OSError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if settings.reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((settings.host.strip("[]"), settings.port))
    except OSError:
        sock.close()
        raise
    return sock


def advertised_url(settings: Settings, sock: socket.socket) -> str:
    """What others reach this node by: as set, or the address that the socket is bound to."""
    if settings.advertised_url is not None:
        return settings.advertised_url
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _raise_file_limit(settings: Settings, log: FilteringBoundLogger) -> None:
    needed = settings.max_connections + _RESERVED_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed:
        return
    target = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    if target < needed:
        log.warning(
            "fewer file descriptors than connections",
            limit=target,
            needed=needed,
            remedy=f"run `ulimit -Hn {needed}` or lower FOUNDATION_MAX_CONNECTIONS",
        )


async def _serve(
    settings: Settings,
    sock: socket.socket,
    ready: Callable[[str], None] | None,
    log: FilteringBoundLogger,
) -> int:
    url = advertised_url(settings, sock)
    node = await open_node(settings, url, log)
    try:
        server = NodeServer(node, settings, log)
        _tune_memory()
        await server.serve_node(sock, partial(_announce, ready, url, log))
    finally:
        await _close(node, log)
    log.info("stopped")
    return NodeExit.CLEAN


def _tune_memory() -> None:
    """Once, when everything that lives as long as the process is there."""
    # What is alive now stays so: the collector need not walk it again. Requests leave few cycles,
    # so that it need not look at every 700 objects either (6 % of the CPU).
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    # glibc gives memory back above a threshold that grows with the largest block ever freed.
    # Without this a batch of 1,000 events returns its pages and faults them in again each time
    # (11.8 against 9.1 us an event).
    bytes(LARGEST_BLOCK_BYTES)


async def _close(node: Node, log: FilteringBoundLogger) -> None:
    """Close the store within its deadline, or end the process.

    A thread that is stuck in a call to the disk cannot be cancelled, and neither the loop nor the
    interpreter would end before it does. Nothing that it still holds was acknowledged.
    """
    closing = asyncio.create_task(node.close())
    done, _ = await asyncio.wait({closing}, timeout=STORE_CLOSE_DEADLINE_S)
    if not done:
        log.error("the disk does not answer: ending without a checkpoint")
        os._exit(NodeExit.FAILED)
    closing.result()


def _announce(ready: Callable[[str], None] | None, url: str, log: FilteringBoundLogger) -> None:
    log.info("serving", url=url)
    if ready is not None:
        ready(url)


class NodeServer(uvicorn.Server):
    """uvicorn's server with our protocol, our signals and an immediate end of long waits."""

    def __init__(self, node: Node, settings: Settings, log: FilteringBoundLogger) -> None:
        protocol: Any = partial(
            NodeProtocol,
            limits=connection_limits(settings),
            held=node.held,
            refused=node.refused,
        )
        super().__init__(
            uvicorn.Config(
                build_app(node),
                http=protocol,
                ws="none",
                loop="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._node = node
        self._settings = settings
        self._log = log
        self._ending = asyncio.Event()
        self._ready: Callable[[], None] = lambda: None
        node.count_connections(lambda: len(self.server_state.connections))

    async def serve_node(self, sock: socket.socket, ready: Callable[[], None]) -> None:
        """Serve on `sock` until a signal; in-flight requests get `shutdown_deadline_s`."""
        self._ready = ready
        self._acceptor = Acceptor(sock, self._make_protocol)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        try:
            await self.serve(sockets=[sock])
        finally:
            self._acceptor.stop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _make_protocol(self) -> asyncio.Protocol:
        """As uvicorn makes one for a connection."""
        make: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn would re-raise the signal at the end; a drained node exits 0 instead."""
        yield

    def _end(self) -> None:
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        """Tick once a second for the Date header, sweep twice; both end at once on a signal."""
        loop = asyncio.get_running_loop()
        await self.on_tick(0)
        self._acceptor.start()
        self._ready()
        ticks = 0
        while not self.should_exit:
            due_s = loop.time() + SWEEP_INTERVAL_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due_s):
                    await self._ending.wait()
            now_s = loop.time()
            if not self.should_exit:
                self._node.meter.lagged(max(0.0, now_s - due_s))
            for connection in list(self.server_state.connections):
                connection.sweep(now_s)  # type: ignore[union-attr]
            ticks += 1
            await self.on_tick(10 if ticks % 2 == 0 else 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._log.info("stopping", connections=len(self.server_state.connections))
        self._acceptor.stop()
        self._node.begin_shutdown()
        self.config.timeout_graceful_shutdown = self._settings.shutdown_deadline_s  # type: ignore[assignment]
        await super().shutdown(sockets)


def connection_limits(settings: Settings) -> ConnectionLimits:
    return ConnectionLimits(
        max_header_bytes=settings.max_header_bytes,
        max_body_bytes=settings.max_body_bytes,
        max_large_body_bytes=settings.max_batch_body_bytes,
        large_bodies=frozenset({b"/v1/events/batch"}),
        header_deadline_s=settings.header_deadline_s,
        body_deadline_s=settings.body_deadline_s,
        keep_alive_s=settings.keep_alive_s,
        max_connections=settings.max_connections,
        max_held_bytes=settings.max_held_bytes,
        max_requests=settings.max_requests,
    )
