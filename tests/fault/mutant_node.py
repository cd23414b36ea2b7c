"""A node with a seeded bug, which the kill tests must catch.

    python -m tests.fault.mutant_node hasty|halving|careless|deaf|slow-disk|unbounded|live-only

`hasty` acknowledges before the commit (G1), which follows DELAY_S later, as on a slow disk;
`halving` stores a large batch in several transactions, DELAY_S apart (G2); `careless` takes an
append whatever version it expects (G4); `deaf` acknowledges what the disk refused (G11);
`slow-disk` has no bug but commits DELAY_S late, and `unbounded` is that without limits (G13);
`live-only` begins every feed at the log's end (G8).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from service import app
from service.__main__ import main
from service.errors import StorageError
from service.events.database import Database
from service.events.plan import Plan
from service.events.sqlite import SqliteEventStore
from service.events.store import Stored, Write
from service.events.writer import Request, Writer, WriterLimits
from service.schema import Event

DELAY_S = 0.1


class HastyWriter(Writer):
    """The two lines of `Writer._finish` in the wrong order."""

    async def _finish(self, group: list[Request], plan: Plan) -> None:
        self._acknowledge(group, plan)
        await asyncio.sleep(DELAY_S)
        await self._commit(plan)


class HalvingWriter(Writer):
    """Every statement of a group in a transaction of its own."""

    async def _commit(self, plan: Plan) -> None:
        for statement in self._inserts.statements(plan.rows):
            await self._database.transact([statement])
            await asyncio.sleep(DELAY_S)
        self.last_seq = plan.last_seq
        self._committed(plan.last_seq)


class CarelessWriter(Writer):
    """Forgets what an append expects."""

    def submit(
        self, writes: Sequence[Write], patience_s: float = 0.0
    ) -> asyncio.Future[list[Stored]]:
        return super().submit([one._replace(expected_version=None) for one in writes], patience_s)


class DeafWriter(Writer):
    """Does not hear what the disk says."""

    async def _commit(self, plan: Plan) -> None:
        with suppress(StorageError):
            await super()._commit(plan)


class SlowDiskWriter(Writer):
    """Sound, on a disk that takes its time."""

    async def _commit(self, plan: Plan) -> None:
        await asyncio.sleep(DELAY_S)
        await super()._commit(plan)


class UnboundedWriter(SlowDiskWriter):
    """Takes whatever comes."""

    def __init__(self, database: Database, *, limits: WriterLimits, **parts: Any) -> None:
        limits = replace(limits, queue_events=2**40, queue_bytes=2**50)
        super().__init__(database, limits=limits, **parts)


class LiveOnlyStore(SqliteEventStore):
    """Takes no position for an answer."""

    def follow(self, after: int) -> AsyncIterator[Event]:
        return super().follow(max(after, self.stats().last_seq))


def with_writer(writer: type[Writer]) -> type[SqliteEventStore]:
    """A store that writes with `writer`."""

    class MutantStore(SqliteEventStore):
        @classmethod
        async def open(
            cls, *args: Any, make_writer: Callable[..., Writer] = writer, **options: Any
        ) -> SqliteEventStore:
            return await super().open(*args, make_writer=make_writer, **options)

    return MutantStore


MUTANTS: dict[str, type[SqliteEventStore]] = {
    "hasty": with_writer(HastyWriter),
    "halving": with_writer(HalvingWriter),
    "careless": with_writer(CarelessWriter),
    "deaf": with_writer(DeafWriter),
    "slow-disk": with_writer(SlowDiskWriter),
    "unbounded": with_writer(UnboundedWriter),
    "live-only": LiveOnlyStore,
}


def infect(store: type[SqliteEventStore]) -> None:
    """From now on a node in this process opens `store`."""
    setattr(app, "SqliteEventStore", store)  # noqa: B010  (the name is not app's to export)


if __name__ == "__main__":
    infect(MUTANTS[sys.argv.pop(1)])
    main()
