"""Emulated waits, health and logs."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import tomllib
from pathlib import Path

import pytest

from service import log as logs
from service.emulation import SLACK_S, EmulatedLatency
from service.health import DISK_DEGRADED_BYTES, DISK_DOWN_BYTES, VERSION, disk_health, free_bytes
from service.settings import load


async def test_a_wait_returns_what_was_intended_however_long_it_took() -> None:
    waits = EmulatedLatency(0.5)
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    intended_s = await waits.wait(0.08)
    assert intended_s == pytest.approx(0.04, abs=SLACK_S / 2 + 0.0001)
    # The loop's clock is coarse to a millisecond.
    assert loop.time() - started_s >= intended_s - 0.0015


async def test_waits_are_as_long_as_prescribed_on_average() -> None:
    waits = EmulatedLatency(1.0)
    asked = [0.05 + number * 0.0001 for number in range(400)]
    intended = await asyncio.gather(*(waits.wait(one) for one in asked))
    assert sum(intended) / 400 == pytest.approx(sum(asked) / 400, abs=0.0003)


async def test_waits_that_end_together_share_a_timer() -> None:
    waits = EmulatedLatency(1.0)
    tasks = [asyncio.create_task(waits.wait(30.0)) for _ in range(100)]
    await asyncio.sleep(0)
    assert 1 <= len(waits._waits) <= 3, "a hundred waits of the same length"
    waits.end()
    await asyncio.gather(*tasks)
    assert not waits._waits


@pytest.mark.parametrize(("scale", "remainder_s"), [(0.0, 5.0), (1.0, 0.0), (1.0, -3.0)])
async def test_nothing_left_means_no_wait(scale: float, remainder_s: float) -> None:
    async with asyncio.timeout(1):
        assert await EmulatedLatency(scale).wait(remainder_s) == 0.0


async def test_the_end_cuts_every_wait_short_and_each_tells_what_it_waited() -> None:
    waits = EmulatedLatency(1.0)
    tasks = [asyncio.create_task(waits.wait(60.0)) for _ in range(100)]
    await asyncio.sleep(0)
    waits.end()
    async with asyncio.timeout(5):
        waited = await asyncio.gather(*tasks)
        assert await waits.wait(60.0) == 0.0
    assert all(0 <= one < 60 for one in waited)


async def test_a_cancelled_wait_leaves_the_others_alone() -> None:
    waits = EmulatedLatency(1.0)
    task = asyncio.create_task(waits.wait(60.0))
    await asyncio.sleep(0)
    task.cancel()
    other = asyncio.create_task(waits.wait(60.0))
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert not other.done(), "a wait of another request goes on"
    waits.end()
    assert await asyncio.wait_for(other, 5) < 60
    assert not waits._waits


@pytest.mark.parametrize(
    ("free", "status"),
    [
        (None, "down"),
        (0, "down"),
        (DISK_DOWN_BYTES - 1, "down"),
        (DISK_DOWN_BYTES, "degraded"),
        (DISK_DEGRADED_BYTES - 1, "degraded"),
        (DISK_DEGRADED_BYTES, "up"),
    ],
)
def test_disk_health_follows_the_free_space(free: int | None, status: str) -> None:
    assert disk_health(free, Path("data")).status == status


def test_free_space_of_a_missing_directory_is_unknown(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "gone") is None
    assert (free_bytes(tmp_path) or 0) > 0


def logged(monkeypatch: pytest.MonkeyPatch, **settings: object) -> tuple[io.StringIO, object]:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("logging.root.handlers", [])
    return stream, logs.configure(load(**settings))


def test_log_lines_are_json_with_node_and_run(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, log = logged(monkeypatch, name="node-3", run_id="run-1")
    log.info("hello", answer=42)  # type: ignore[attr-defined]
    line = json.loads(stream.getvalue())
    assert line["node"] == "node-3" and line["run_id"] == "run-1"
    assert (line["event"], line["answer"], line["level"]) == ("hello", 42, "info")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_client_cannot_forge_a_line(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    stream, log = logged(monkeypatch, log_format=form)
    log.info("x", text="a\nb\r\x1b[31m\u2028c\x00")  # type: ignore[attr-defined]
    assert stream.getvalue().count("\n") == 1
    assert "\x1b[31m" not in stream.getvalue()


def test_a_level_that_is_off_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, log = logged(monkeypatch, log_level="warning")
    log.info("x")  # type: ignore[attr-defined]
    assert stream.getvalue() == ""


def test_the_standard_librarys_loggers_come_out_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import logging

    stream, _ = logged(monkeypatch)
    logging.getLogger("uvicorn.error").warning("seen %d", 1)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["logger"], line["level"]) == ("seen 1", "uvicorn.error", "warning")


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION
