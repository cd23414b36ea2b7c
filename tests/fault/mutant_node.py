"""A node with a seeded bug, which the kill tests must catch.

    python -m tests.fault.mutant_node hasty|halving

`hasty` acknowledges before the commit (G1), which follows DELAY_S later, as on a slow disk;
`halving` stores a large batch in several transactions, DELAY_S apart (G2).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from service import app
from service.__main__ import main
from service.events.plan import Plan
from service.events.sqlite import SqliteEventStore
from service.events.writer import Request, Writer

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


MUTANTS: dict[str, type[Writer]] = {"hasty": HastyWriter, "halving": HalvingWriter}


def infect(writer: type[Writer]) -> None:
    """From now on a node in this process opens its store with `writer`."""

    class MutantStore(SqliteEventStore):
        @classmethod
        async def open(
            cls, *args: Any, make_writer: Callable[..., Writer] = writer, **options: Any
        ) -> SqliteEventStore:
            return await super().open(*args, make_writer=make_writer, **options)

    setattr(app, "SqliteEventStore", MutantStore)  # noqa: B010  (the name is not app's to export)


if __name__ == "__main__":
    infect(MUTANTS[sys.argv.pop(1)])
    main()
