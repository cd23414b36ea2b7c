"""The hello of a worker: only one whose load would be the master's joins.

A worker says what decides its load (fingerprint.py); the master compares it with its own and
answers with the differences. Life cycle:

1. the master's `Welcome` is made at init. From then on Locust sees only welcomed workers: others
   are not counted (--expect-workers), get no users and no messages;
2. a worker's `say_hello` at init: repeats its hello until the answer is there. Refused, it ends
   with exit code 4 before any load, and the master goes on without it;
3. one that connected and never said hello, as a worker without this suite, is named and told to
   quit.

A worker that joins in mid-run comes the same way. This module must not compare by itself, nor know
runs or users.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.event import AsyncResult
from locust import __version__
from locust.env import Environment
from locust.rpc import Message
from locust.runners import MasterRunner, WorkerNodes, WorkerRunner

from locustfiles.harness.distribution.difference import differences
from locustfiles.harness.distribution.fingerprint import Fingerprint
from locustfiles.harness.distribution.master_loss import (
    PROBE_AFTER_S,
    Door,
    MasterGoneError,
    knock,
)
from locustfiles.harness.failure import BadConfiguration

HELLO = "foundation_hello"
"""Worker to master: its fingerprint."""
WELCOME = "foundation_welcome"
"""Master to worker: {"differences": […], none when it is welcome, "master": its id, "is_connected":
False for a worker that Locust does not know, since the master was started anew in between}."""

REFUSED = "worker_refused"
"""Label on the timeline, when a run goes on."""

REPEAT_S = 1.0
"""A hello that came before the master listened is lost: it is said again."""

HELLO_TIMEOUT_S = 60.0
"""For the master to answer. It listens from its init on, after the locustfile's own listeners of
init, which may load data."""

HELLO_GRACE_S = 30.0
"""For a worker that has connected to say hello: its own listeners of init come first."""

OTHER_SUITE = (
    "what it says cannot be read, so its suite is another version: install the master's suite on "
    "the worker"
)

logger = logging.getLogger(__name__)


class WelcomedNodes(WorkerNodes):
    """Locust's list of workers, as if the others had never connected.

    One that is refused and quits is none of Locust's business either: its master shuts down when
    the last worker that it knows quits. They are reachable by their id alone, since Locust looks up
    the worker that it has just added.
    """

    def __init__(self, nodes: WorkerNodes, is_welcome: Callable[[str], bool]) -> None:
        super().__init__()
        self._is_welcome = is_welcome
        for client_id in nodes:
            self[client_id] = nodes[client_id]

    def __iter__(self) -> Iterator[str]:
        return iter([one for one in super().__iter__() if self._is_welcome(one)])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def is_connected(self, client_id: str) -> bool:
        """Welcome or not."""
        return client_id in self._worker_nodes

    def __contains__(self, client_id: object) -> bool:
        return client_id in self._worker_nodes and self._is_welcome(str(client_id))

    def strangers(self) -> list[str]:
        """Connected, and not welcome."""
        return [one for one in super().__iter__() if not self._is_welcome(one)]


class Welcome:
    """The master's side. `own` is its fingerprint; `note` takes what was logged of a refusal."""

    def __init__(
        self,
        environment: Environment,
        runner: MasterRunner,
        own: Fingerprint,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._runner = runner
        self._own = own
        self._note = note
        self._welcomed: set[str] = set()
        self._left_out: set[str] = set()
        self._told: set[str] = set()
        self.master = secrets.token_hex(8)
        """By which a worker tells this master from one that is started anew on its port."""
        self._nodes = WelcomedNodes(runner.clients, self.is_welcome)
        runner.clients = self._nodes
        runner.register_message(HELLO, self._on_hello)
        events: Any = environment.events
        events.worker_connect.add_listener(self._on_connect)
        events.quitting.add_listener(self._on_quitting)
        for client_id in self._nodes.strangers():
            self._on_connect(client_id)

    def is_welcome(self, client_id: str) -> bool:
        """Whether that worker may have users, leases and epochs."""
        return client_id in self._welcomed and client_id not in self._left_out

    def leave_out(self, client_id: str) -> None:
        """It is welcome no longer, until `admit`."""
        self._left_out.add(client_id)

    def admit(self, client_id: str) -> None:
        """A worker that was left out takes part again."""
        self._left_out.discard(client_id)

    def _on_hello(self, environment: Environment, msg: Message, **_: Any) -> None:
        client_id = msg.node_id
        try:
            found = differences(Fingerprint.from_wire(msg.data), self._own)
        except ValueError:
            found = [OTHER_SUITE]
        is_connected = self._nodes.is_connected(client_id)
        if found:
            self._refuse(client_id, found)
        elif client_id not in self._welcomed:
            self._welcomed.add(client_id)
            logger.info("worker %s is welcome, %d in all", client_id, len(self._nodes))
        answer = {"differences": found, "master": self.master, "is_connected": is_connected}
        self._runner.send_message(WELCOME, answer, client_id)

    def _refuse(self, client_id: str, found: list[str]) -> None:
        self._welcomed.discard(client_id)
        self._tell(client_id, f"worker {client_id} was refused: {'; '.join(found)}")

    def _tell(self, client_id: str, text: str) -> None:
        if client_id not in self._told:
            self._told.add(client_id)
            logger.error(text)
            self._note(text)

    def _on_connect(self, client_id: str, **_: Any) -> None:
        if client_id not in self._welcomed:
            gevent.spawn_later(HELLO_GRACE_S, self._end_stranger, client_id)

    def _end_stranger(self, client_id: str) -> None:
        if client_id in self._welcomed or client_id not in self._nodes.strangers():
            return
        self._nodes.pop(client_id, None)
        self._tell(
            client_id,
            f"worker {client_id} has not said hello within {HELLO_GRACE_S:.0f} s, so it gets no "
            "users: start it with the same suite and locustfile as the master",
        )
        self._runner.send_message("quit", client_id=client_id)

    def _on_quitting(self, **_: Any) -> None:
        """Locust tells those that it knows; the others would wait for ever."""
        for client_id in self._nodes.strangers():
            self._runner.send_message("quit", client_id=client_id)


def say_hello(runner: WorkerRunner, own: Fingerprint) -> str:
    """In a worker's init. Returns the master's id. Raises BadConfiguration when it is refused, or
    nobody answers, MasterGoneError when there is no master any more."""
    answer: AsyncResult = AsyncResult()

    def on_welcome(environment: Environment, msg: Message, **_: Any) -> None:
        if msg.data["differences"] or msg.data["is_connected"]:
            answer.set(msg.data)
        else:
            # As at first: Locust's master gets to know it, and the next hello counts.
            ready = Message("client_ready", __version__, runner.client_id)  # type: ignore[no-untyped-call]
            runner.client.send(ready)

    runner.register_message(WELCOME, on_welcome)
    wire = own.as_wire()
    for said in range(1, round(HELLO_TIMEOUT_S / REPEAT_S) + 1):
        runner.send_message(HELLO, wire)
        if answer.wait(REPEAT_S) is not None:
            break
        if said * REPEAT_S >= PROBE_AFTER_S:
            _require_master(runner)
    else:
        raise BadConfiguration(
            f"the master at {runner.master_host}:{runner.master_port} did not answer the hello "
            f"within {HELLO_TIMEOUT_S:.0f} s: start it with the same suite and locustfile"
        )
    welcome = answer.get()
    if found := welcome["differences"]:
        listed = "".join(f"\n  - {difference}" for difference in found)
        raise BadConfiguration(
            f"the master at {runner.master_host}:{runner.master_port} refused this worker, whose "
            f"load would not be the master's:{listed}"
        )
    return str(welcome["master"])


def _require_master(runner: WorkerRunner) -> None:
    if knock(runner.master_host, runner.master_port) is Door.GONE:
        raise MasterGoneError(
            f"the master at {runner.master_host}:{runner.master_port} is gone: its port refuses, "
            "before it let this worker in"
        )
