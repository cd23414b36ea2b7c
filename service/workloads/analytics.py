"""The analytics consumer: reads the app nodes' logs on, a pass at a time (P1-11, oddity 18).

A pass, in order: each app node's feed is read from its cursor, the one that lags most first, up to
its share of the limit or its end -> one own event `analytics_pass` with the new cursors and totals
is on disk -> what is left of 100 ms for each event is waited as emulated latency -> the answer.
That event carries the client's id and the version of its stream, and the state is read back from
the newest one alone; so an event counts once, whatever is killed or sent again in between.

One pass at a time: while one runs, another id is answered 503 and the same id waits for it. A
pass goes on when its client leaves. Life cycle: made at start -> `recover` -> passes -> `close`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError
from structlog.typing import FilteringBoundLogger

from service import body as bodies
from service import correlation
from service.cluster.peers import Peer, Peers, PeerState
from service.content import ANALYTICS_PASS, ANALYTICS_STREAM, of_pass
from service.dispatch import Answer, FastRequest
from service.emulation import EmulatedLatency
from service.errors import (
    EventNotFound,
    FoundationError,
    IdConflict,
    NoUpstream,
    PassRunning,
    StorageError,
)
from service.events import intake
from service.events.own import newest_own
from service.events.store import EventStore
from service.schema import Event
from service.schema_analytics import AnalyticsRequest, AnalyticsTotals
from service.telemetry.series import Telemetry
from service.workloads.analytics_feed import Log
from service.workloads.analytics_pass import (
    Source,
    batch_size,
    greatest_lag_s,
    known_lag,
    prescribed_ms,
    row_of,
    share_out,
    why_not,
)
from service.workloads.analytics_state import Cursor, Progress, Tally, advanced
from service.workloads.saas import rest_of_a_retry_s

ROLE: Final = "app"
PASS_TYPE: Final = ANALYTICS_PASS
STREAM: Final = ANALYTICS_STREAM

_REQUEST = TypeAdapter(AnalyticsRequest)


@dataclass(frozen=True, slots=True)
class Done:
    """What a pass came to; milliseconds."""

    totals: dict[str, Any]
    duplicate: bool
    work_ms: float
    emulated_ms: float


@dataclass(frozen=True, slots=True)
class _Running:
    asked: AnalyticsRequest
    task: asyncio.Task[Done]


class Analytics:
    """`POST /v1/analytics/passes` of one node. `own` is its own log, if it is an app node."""

    def __init__(
        self,
        store: EventStore,
        peers: Peers,
        emulation: EmulatedLatency,
        telemetry: Telemetry,
        log: FilteringBoundLogger,
        *,
        own: Source | None,
        peer_log: Callable[[Peer], Log],
        clock_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._peers = peers
        self._emulation = emulation
        self._telemetry = telemetry
        self._log = log
        self._own = own
        self._peer_log = peer_log
        self._clock_us = clock_us
        self._progress: Progress | None = None
        self._version = 0
        self._latest = AnalyticsTotals(
            processed=0, nodes=[], processed_total=0, lag_events=0, lag_s=0.0, actions={}
        )
        self._recovering = asyncio.Lock()
        self._running: _Running | None = None

    @property
    def rewinds(self) -> int:
        """How often a log was found to be another one, since the first pass of all."""
        return 0 if self._progress is None else self._progress.rewinds

    async def recover(self) -> None:
        """Read the state back from the last pass. Raises what the store raises, StorageError."""
        async with self._recovering:
            if self._progress is not None:
                return
            event = await newest_own(self._store, PASS_TYPE)
            if self._progress is not None:
                return  # a pass was stored meanwhile, and is newer than what was just read
            if event is None:
                self._progress, self._version = Progress(), 0
                return
            try:
                progress = Progress.model_validate(event.data["progress"])
                self._latest = AnalyticsTotals.model_validate(event.data["totals"])
            except (KeyError, ValidationError) as error:
                raise StorageError(
                    f"the analytics pass at seq {event.seq} is of another version of the node: "
                    f"{error}"
                ) from None
            self._progress, self._version = progress, event.stream_version or 0

    async def run_pass(self, request: FastRequest) -> Answer:
        """201 with an AnalyticsPass, 200 for a retry.

        Raises PassRunning, NoUpstream, IdConflict, InvalidInput and as the store's append.
        """
        bodies.media_type(request.headers, bodies.JSON)
        asked = intake.decode(_REQUEST, await bodies.read(request.receive))
        correlation_id = request.correlation_id or correlation.make()
        task, joined = self._task_of(asked, correlation_id)
        # The pass goes on when this client leaves; a retry of its id finds it.
        done = await asyncio.shield(task)
        duplicate = joined or done.duplicate
        timing = b"work;dur=%.3f, emulated;dur=%.3f" % (done.work_ms, done.emulated_ms)
        return Answer(
            200 if duplicate else 201,
            orjson.dumps({"id": str(asked.id), **done.totals, "duplicate": duplicate}),
            correlation_id,
            ((b"server-timing", timing),),
        )

    async def totals(self) -> AnalyticsTotals:
        """As of the last pass, ages as of now. Raises as `recover`."""
        await self.recover()
        return self.latest()

    def latest(self) -> AnalyticsTotals:
        """`totals` of what is known without reading."""
        progress, now = self._progress or Progress(), self._clock_us()
        nodes = []
        for row in self._latest.nodes:
            cursor = progress.cursors.get(row.node or "")
            if cursor is not None and row.lag_events:
                row = row.model_copy(update={"lag_s": cursor.lag_s(now)})
            nodes.append(row)
        return self._latest.model_copy(update={"nodes": nodes, "lag_s": greatest_lag_s(nodes)})

    async def close(self) -> None:
        """Leaves a pass that is not on disk: it is as if it had never begun."""
        running = self._running
        if running is not None and not running.task.done():
            running.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, FoundationError):
                await running.task

    def _task_of(
        self, asked: AnalyticsRequest, correlation_id: str
    ) -> tuple[asyncio.Task[Done], bool]:
        """The task that does this pass, and whether it was there already."""
        running = self._running
        if running is None or running.task.done():
            task = asyncio.create_task(self._pass(asked, correlation_id), name="analytics-pass")
            # A pass that fails after its client has left must not complain on stderr.
            task.add_done_callback(lambda one: one.cancelled() or one.exception())
            self._running = _Running(asked, task)
            return task, False
        if running.asked == asked:
            return running.task, True
        if running.asked.id == asked.id:
            raise IdConflict("this id runs with another limit: use a new id")
        raise PassRunning("another pass runs: it ends within 6 s")

    async def _pass(self, asked: AnalyticsRequest, correlation_id: str) -> Done:
        started_s = perf_counter()
        await self.recover()
        before = await self._stored(asked)
        if before is not None:
            work_s = perf_counter() - started_s
            totals = before.data["totals"]
            rest_s = rest_of_a_retry_s(
                prescribed_ms(totals["processed"]), before.created_at, self._clock_us()
            )
            emulated_s = await self._emulation.wait(rest_s)
            return Done(totals, True, 1_000 * work_s, 1_000 * emulated_s)
        tallies, sources = await self._read_all(asked.limit)
        totals = await self._store_pass(asked, correlation_id, tallies, sources)
        self._emit(totals, tallies)
        work_s = perf_counter() - started_s
        rest_s = prescribed_ms(totals.processed) / 1_000 - work_s
        emulated_s = await self._emulation.wait(rest_s)
        return Done(totals.model_dump(), False, 1_000 * work_s, 1_000 * emulated_s)

    async def _stored(self, asked: AnalyticsRequest) -> Event | None:
        """The event of a pass that this is a retry of. Raises IdConflict."""
        try:
            event = await self._store.get(asked.id.bytes)
        except EventNotFound:
            return None
        if event.type != PASS_TYPE or event.stream != STREAM:
            raise IdConflict("the id is taken by another event: use a new id")
        if event.data["limit"] != asked.limit:
            raise IdConflict(f"the pass with this id had limit {event.data['limit']}: use a new id")
        return event

    async def _read_all(self, limit: int) -> tuple[dict[str, Tally], list[Source]]:
        """Read up to `limit` events in all. Raises NoUpstream when no node could be read."""
        assert self._progress is not None
        sources = await self._sources(self._progress)
        tallies = {
            source.name: Tally(self._progress.cursors.get(source.name) or Cursor(url=source.url))
            for source in sources
            if source.name is not None
        }
        for source in sources:
            if source.name is not None:
                tallies[source.name].cursor.url = source.url
                tallies[source.name].error = None if source.log else source.why
        named = [(s.log, tallies[s.name]) for s in sources if s.log is not None and s.name]
        named.sort(key=lambda one: known_lag(one[1].cursor), reverse=True)
        await share_out(named, limit)
        if not any(tally.was_read for tally in tallies.values()):
            whys = "; ".join(why_not(source, tallies) for source in sources[:3])
            raise NoUpstream(
                f"no app node can be read ({whys or 'there is none'}): start one, and name it in "
                "FOUNDATION_PEERS"
            )
        for source in sources:
            self._tell(source, tallies.get(source.name or ""))
        return tallies, sources

    def _tell(self, source: Source, tally: Tally | None) -> None:
        """Log what is out of the ordinary, and have a peer that failed asked for its health."""
        if tally is not None and tally.rewinds:
            self._log.warning("another log: read again from its start", node=source.name)
        why = source.why if tally is None else tally.error
        if why:
            self._log.info("log not read", node=source.name, url=source.url, why=why)
        if why and source.log is not None and source.peer is not None:
            self._peers.suspect(source.peer)

    async def _sources(self, progress: Progress) -> list[Source]:
        """The app nodes, and peers of which it is not known what they are."""
        await self._peers.ready()
        if not self._peers.with_role(ROLE):
            await self._peers.look_again()
        names = {cursor.url: name for name, cursor in progress.cursors.items()}
        sources = [] if self._own is None else [self._own]
        for peer in self._peers.all:
            # One that has not been seen since this node started may have been read before.
            name = peer.name or names.get(peer.address)
            if peer.name is None or ROLE in peer.roles:
                is_up = peer.state is PeerState.UP
                log = self._peer_log(peer) if is_up else None
                sources.append(Source(name, peer.address, log, peer.why, peer))
        return sources

    async def _store_pass(
        self,
        asked: AnalyticsRequest,
        correlation_id: str,
        tallies: dict[str, Tally],
        sources: list[Source],
    ) -> AnalyticsTotals:
        """Make the pass durable, then take it over. Raises as the store's append."""
        assert self._progress is not None
        progress = advanced(self._progress, tallies)
        now = self._clock_us()
        nodes = [row_of(source, tallies, now) for source in sources]
        totals = AnalyticsTotals(
            processed=sum(tally.processed for tally in tallies.values()),
            nodes=nodes,
            processed_total=progress.processed_total,
            lag_events=sum(node.lag_events for node in nodes),
            lag_s=greatest_lag_s(nodes),
            actions=progress.actions,
        )
        write = intake.workload_write(
            id=asked.id.bytes,
            type=PASS_TYPE,
            data={
                "limit": asked.limit,
                "totals": totals.model_dump(),
                # By way of JSON, since the keys of `counted` are integers.
                "progress": orjson.loads(progress.model_dump_json()),
            },
            client=of_pass(asked.limit),
            correlation_id=correlation_id,
            created_at=now,
            stream=STREAM,
            expected_version=self._version,
        )
        try:
            stored = await self._store.append(write)
        except BaseException:
            # It may be on disk all the same: whoever comes next reads the state back first.
            self._progress = None
            raise
        assert not stored.duplicate
        self._progress, self._version = progress, stored.stream_version or 0
        self._latest = totals
        return totals

    def _emit(self, totals: AnalyticsTotals, tallies: dict[str, Tally]) -> None:
        """P1-11's counter, and the lag."""
        if totals.processed:
            tags = {"batch_size": batch_size(totals.processed)}
            self._telemetry.count("analytics/events_processed", tags, totals.processed)
        self._telemetry.gauge("analytics/lag_events", totals.lag_events)
        self._telemetry.gauge("analytics/lag_s", totals.lag_s)
        rewinds = sum(tally.rewinds for tally in tallies.values())
        if rewinds:
            self._telemetry.count("analytics/rewinds", n=rewinds)
