"""A part whose state cannot be read back is heard of and tried again; requests wait for it."""

from __future__ import annotations

import asyncio
import io
import sys
from typing import Any

import pytest

from service import log as logs
from service.errors import FoundationError, Overloaded, ShuttingDown, StorageError
from service.part import Part
from service.readiness import Readiness
from service.recovery import Recovery
from service.settings import load

GUARD_S = 20.0


class Failing(Part):
    """Raises `errors` one after the other, then works."""

    name = "failing"

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.gate = asyncio.Event()
        self.calls = 0

    async def recover(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        await self.gate.wait()


async def recovered(monkeypatch: pytest.MonkeyPatch, part: Failing) -> tuple[Any, str]:
    """The fault that the part has when it is about to work, and what was logged."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    recovery = Recovery(logs.configure(load(log_format="json")), retry_s=0.001)
    attempts = len(part.errors) + 1
    recovery.start([part])
    async with asyncio.timeout(GUARD_S):
        while part.calls < attempts:  # noqa: ASYNC110 what is waited for has no event
            await asyncio.sleep(0.001)
        fault = recovery.faults().get(part.name)
        part.gate.set()
        while recovery.faults():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await recovery.close()
    return fault, stream.getvalue()


async def test_an_unexpected_fault_is_logged_once_and_makes_the_node_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fault, lines = await recovered(monkeypatch, Failing(*(KeyError("value") for _ in range(3))))
    assert fault.status == "down"
    assert "KeyError" in fault.detail and "start the version that wrote the log" in fault.detail
    assert lines.count("recovery failed") == 1
    assert "Traceback" in lines


async def test_each_reason_of_the_store_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = [StorageError("no disk"), StorageError("no disk"), Overloaded("busy")]
    fault, lines = await recovered(monkeypatch, Failing(*errors))
    assert (fault.status, fault.detail) == ("down", "cannot be read back: busy")
    assert lines.count("recovery postponed") == 2


async def test_a_part_that_is_read_back_has_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await recovered(monkeypatch, Failing()) == (None, "")


async def test_what_waits_goes_on_when_the_state_is_there() -> None:
    readiness = Readiness("it", limit_s=GUARD_S)
    waiting = asyncio.create_task(readiness.wait())
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        readiness.check()
    readiness.ready()
    async with asyncio.timeout(GUARD_S):
        await waiting
        await readiness.wait()
    readiness.check()


@pytest.mark.parametrize(("ends", "kind"), [(False, Overloaded), (True, ShuttingDown)])
async def test_a_wait_ends_with_its_limit_or_the_node(
    ends: bool, kind: type[FoundationError]
) -> None:
    readiness = Readiness("it", limit_s=GUARD_S if ends else 0.01)
    waiting = asyncio.create_task(readiness.wait())
    await asyncio.sleep(0)
    if ends:
        readiness.end()
    async with asyncio.timeout(GUARD_S):
        with pytest.raises(FoundationError) as caught:
            await waiting
    assert type(caught.value) is kind
