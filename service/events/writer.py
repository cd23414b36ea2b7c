"""The only writer of a node's database: a bounded queue in front of group commits (design D1).

Life: `start` → any number of `submit` → `close`, which refuses new writes, stores what is queued
and ends the task. In between, over and over: take what has queued up, plan it (plan.py), write it
in one transaction, and only then answer (G1). While a commit waits for the disk the next group
gathers, so the slower the disk, the larger the groups.

A request is one event or one batch. It is answered through a future: a request whose client has
gone is stored all the same. Nothing else may write to the database or checkpoint its log.
"""

from __future__ import annotations

import asyncio
import logging
from binascii import unhexlify
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from service.errors import (
    FoundationError,
    Overloaded,
    PayloadTooLarge,
    ShuttingDown,
    StorageError,
)
from service.events.database import Database, RowRefused
from service.events.plan import Known, Log, Plan, plan_group, streams_of
from service.events.statement import Inserts, Lookups, probe, stream_versions
from service.events.store import Stored, Write, WriterObserver

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """Bounds of the writer.

    `queue_*` bound what is accepted and not yet answered; beyond, requests get Overloaded.
    `group_*` bound one transaction; a larger batch is a transaction by itself.
    The write-ahead log is folded into the database when it passes `checkpoint_bytes`: larger means
    fewer checkpoints and a slower start after a crash, which has to read the log again.
    """

    queue_events: int = 20_000
    queue_bytes: int = 64 * 2**20
    group_events: int = 4_096
    group_bytes: int = 8 * 2**20
    checkpoint_bytes: int = 16 * 2**20
    streams_cached: int = 10_000
    idle_after_s: float = 2.0
    probe_every_s: float = 1.0
    close_timeout_s: float = 4.0


@dataclass(slots=True, eq=False)
class Request:
    """One event or one batch on its way to disk."""

    writes: Sequence[Write]
    size_bytes: int
    answer: asyncio.Future[list[Stored]]


class Writer:
    """See the module. `committed(last_seq)` is called after each commit, before the answers."""

    def __init__(
        self,
        database: Database,
        *,
        origin: str,
        incarnation: int,
        last_seq: int,
        wal_path: Path,
        limits: WriterLimits,
        observer: WriterObserver | None,
        committed: Callable[[int], None],
        clock_us: Callable[[], int],
    ) -> None:
        self.last_seq = last_seq
        self.queued_events = 0
        self.queued_bytes = 0
        self.failure: str | None = None
        self._database = database
        self._wal_path = wal_path
        self._limits = limits
        self._observer = observer
        self._committed = committed
        self._clock_us = clock_us
        self._inserts = Inserts.compiled(origin, incarnation)
        self._lookups = Lookups.compiled()
        self._stream_versions = stream_versions()
        self._versions: OrderedDict[str, int] = OrderedDict()
        self._requests: deque[Request] = deque()
        self._wake = asyncio.Event()
        self._urgent = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_due_s = 0.0
        self._closing = False
        self._broken: str | None = None
        self._tidy = True
        self._next_checkpoint_bytes = limits.checkpoint_bytes
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the writer's task; call once, on the loop that will submit."""
        assert self._task is None
        self._task = asyncio.create_task(self._run(), name="event-writer")

    def submit(
        self, writes: Sequence[Write], patience_s: float = 0.0
    ) -> asyncio.Future[list[Stored]]:
        """Queue one request; the future resolves when it is on disk, or was refused whole.

        With `patience_s` it may wait so long for others to share its commit; one that has none
        takes all that are queued along. Raises Overloaded, ShuttingDown or PayloadTooLarge before
        anything is queued.
        """
        if self._broken is not None:
            raise StorageError(self._broken)
        if self._closing or self._task is None:
            raise ShuttingDown("the node is shutting down: send the event to another node")
        events, size_bytes = len(writes), sum([write.size_bytes for write in writes])
        limits = self._limits
        if events > limits.queue_events or size_bytes > limits.queue_bytes:
            raise PayloadTooLarge(
                f"a batch of {events} events and {size_bytes} bytes exceeds the node's queue "
                f"({limits.queue_events} events, {limits.queue_bytes} bytes): send smaller batches"
            )
        if (
            self.queued_events + events > limits.queue_events
            or self.queued_bytes + size_bytes > limits.queue_bytes
        ):
            raise Overloaded(
                f"{self.queued_events} events ({self.queued_bytes} bytes) wait to be stored: "
                "retry with the same id after the time in Retry-After"
            )
        answer: asyncio.Future[list[Stored]] = asyncio.get_running_loop().create_future()
        self._requests.append(Request(writes, size_bytes, answer))
        self.queued_events += events
        self.queued_bytes += size_bytes
        if patience_s <= 0:
            self._ring()
        else:
            self._set_alarm(answer.get_loop(), patience_s)
        return answer

    def _ring(self) -> None:
        """Somebody's patience is over: the queue is to be stored now."""
        self._cancel_alarm()
        self._urgent = True
        self._wake.set()

    def _set_alarm(self, loop: asyncio.AbstractEventLoop, patience_s: float) -> None:
        due_s = loop.time() + patience_s
        if self._alarm is not None:
            if self._alarm_due_s <= due_s:
                return
            self._alarm.cancel()
        self._alarm_due_s = due_s
        self._alarm = loop.call_at(due_s, self._ring)

    def _cancel_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def wal_bytes(self) -> int:
        """Size of the write-ahead log's file."""
        try:
            return self._wal_path.stat().st_size
        except OSError:
            return 0

    async def close(self) -> None:
        """Refuse new writes, store what is queued, end the task. Harmless when repeated."""
        self._closing = True
        self._wake.set()
        if self._task is None:
            return
        _, running = await asyncio.wait({self._task}, timeout=self._limits.close_timeout_s)
        if running:
            self._task.cancel()
            await asyncio.wait(running, timeout=1.0)
            self._refuse_all(StorageError("the disk did not answer before the node had to stop"))

    async def _run(self) -> None:
        try:
            while await self._work_waits():
                await self._store(self._take())
                await self._checkpoint_if_large()
        except Exception as error:
            # The edge of the task: nothing may wait for an answer that cannot come.
            _log.exception("the event writer ended")
            self._broken = (
                f"the event writer ended by a fault of its own, {error!r}: restart the node"
            )
            self.failure = self._broken
            self._refuse_all(StorageError(self._broken))

    async def _work_waits(self) -> bool:
        """True when requests are queued and due, False when the writer is to end."""
        while not (self._requests and (self._urgent or self._closing)):
            if self._closing:
                return False
            self._wake.clear()
            wait_s = None
            if self.failure is not None:
                wait_s = self._limits.probe_every_s
            elif not self._tidy:
                wait_s = self._limits.idle_after_s
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                await self._keep_house()
        return True

    def _take(self) -> list[Request]:
        """The next group: at least one request, then as many as fit its bounds."""
        group: list[Request] = []
        events = size_bytes = 0
        while self._requests:
            request = self._requests[0]
            events += len(request.writes)
            size_bytes += request.size_bytes
            full = events > self._limits.group_events or size_bytes > self._limits.group_bytes
            if group and full:
                break
            group.append(self._requests.popleft())
        if not self._requests:
            self._urgent = False
            self._cancel_alarm()
        return group

    async def _store(self, group: list[Request]) -> None:
        """Store one group and answer every request in it, whatever happens."""
        self._tidy = False
        try:
            await self._attempt(group, look_up=False)
        except FoundationError as error:
            self._fail(group, error)
        finally:
            # Only a writer that was ended in mid-commit leaves a request open here.
            for request in group:
                _answer(request, StorageError("the node stopped before the disk had answered"))
            self.queued_events -= sum([len(request.writes) for request in group])
            self.queued_bytes -= sum([request.size_bytes for request in group])

    async def _attempt(self, group: list[Request], *, look_up: bool) -> None:
        """Plan and write; when the plan did not hold, once more knowing which ids are taken."""
        requests = [request.writes for request in group]
        versions = await self._current_versions(requests)
        taken = await self._taken(requests) if look_up else None
        log = Log(self.last_seq, self._clock_us())
        plan = plan_group(requests, log, versions, taken)
        refusal: RowRefused | None = None
        if plan is not None:
            try:
                await self._finish(group, plan)
                return
            except RowRefused as error:
                refusal = error
        if not look_up:
            await self._attempt(group, look_up=True)
        elif len(group) > 1:
            # Some request holds what SQLite cannot take: each alone, so that only that one fails.
            for request in group:
                try:
                    await self._attempt([request], look_up=True)
                except RowRefused as error:
                    _answer(request, error)
        else:
            assert refusal is not None
            raise refusal

    async def _finish(self, group: list[Request], plan: Plan) -> None:
        """The order of these two lines is guarantee G1."""
        await self._commit(plan)
        self._acknowledge(group, plan)

    async def _commit(self, plan: Plan) -> None:
        if not plan.rows:
            return
        commit_s = await self._database.transact(self._inserts.statements(plan.rows))
        self.last_seq = plan.last_seq
        self._remember(plan.versions)
        self.failure = None
        if self._observer is not None:
            self._observer.committed(len(plan.rows), commit_s)
        self._committed(plan.last_seq)

    def _acknowledge(self, group: list[Request], plan: Plan) -> None:
        for request, outcome in zip(group, plan.outcomes, strict=True):
            _answer(request, outcome)

    def _fail(self, group: list[Request], error: FoundationError) -> None:
        """Nothing of the group is on disk; the database was rolled back."""
        if isinstance(error, StorageError):
            if self.failure is None:
                _log.error("storing events failed: %s", error)
            self.failure = str(error)
            if self._observer is not None:
                self._observer.failed()
        for request in group:
            _answer(request, error)

    def _refuse_all(self, error: FoundationError) -> None:
        while self._requests:
            _answer(self._requests.popleft(), error)
        self.queued_events = self.queued_bytes = 0

    async def _current_versions(self, requests: list[Sequence[Write]]) -> dict[str, int]:
        """The version of every stream that the group appends to; 0 for a new one."""
        streams = streams_of(requests)
        if not streams:
            return {}
        versions = {name: self._versions[name] for name in streams if name in self._versions}
        unknown = [name for name in streams if name not in versions]
        if unknown:
            names = orjson.dumps(unknown).decode()
            [(found,)] = await self._database.fetch(self._stream_versions, (names,))
            assert isinstance(found, str)
            for name, version in zip(unknown, orjson.loads(found), strict=True):
                versions[name] = version or 0
        return versions

    def _remember(self, versions: dict[str, int]) -> None:
        for name, version in versions.items():
            self._versions[name] = version
            self._versions.move_to_end(name)
        while len(self._versions) > self._limits.streams_cached:
            self._versions.popitem(last=False)

    async def _taken(self, requests: list[Sequence[Write]]) -> dict[bytes, Known]:
        """Those of the group's ids that are on disk."""
        ids = list({write.id: None for writes in requests for write in writes})
        taken: dict[bytes, Known] = {}
        for sql, parameters in self._lookups.statements(ids):
            [(found,)] = await self._database.fetch(sql, parameters)
            assert isinstance(found, str)
            for hex_id, seq, created_at, correlation_id, version, hash_, _ in orjson.loads(found):
                taken[unhexlify(hex_id)] = Known(
                    seq, created_at, correlation_id, version, unhexlify(hash_)
                )
        return taken

    async def _checkpoint_if_large(self) -> None:
        """Fold the log into the database; readers of an older state leave a rest for later.

        The file keeps its size until SQLite starts the log anew and cuts it (journal_size_limit),
        so after an incomplete checkpoint the next is due a quarter later, not at once.
        """
        wal_bytes = self.wal_bytes()
        limit = self._limits.checkpoint_bytes
        if wal_bytes < self._next_checkpoint_bytes:
            if wal_bytes < limit:
                self._next_checkpoint_bytes = limit
            return
        await self._checkpoint()
        self._next_checkpoint_bytes = wal_bytes + limit // 4

    async def _checkpoint(self) -> None:
        try:
            await self._database.fetch("PRAGMA wal_checkpoint(PASSIVE)")
        except StorageError as error:
            # Nothing is lost: the log holds it. The next commit shows whether the disk is well.
            _log.warning("a checkpoint failed: %s", error)

    async def _keep_house(self) -> None:
        """When idle: after a failure see whether the disk is well again, else give back memory."""
        try:
            if self.failure is not None:
                await self._database.transact([probe()])
                self.failure = None
                return
            self._tidy = True
            await self._checkpoint()
            await self._database.fetch("PRAGMA shrink_memory")
        except StorageError as error:
            self.failure = str(error)


def _answer(request: Request, outcome: list[Stored] | FoundationError) -> None:
    if request.answer.done():  # its client has gone
        return
    if isinstance(outcome, FoundationError):
        request.answer.set_exception(outcome)
    else:
        request.answer.set_result(outcome)
