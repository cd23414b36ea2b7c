"""One meter of health a process: the loop's lag, the probes of others, and no greenlet left."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest

from locustfiles.harness.health.health import (
    LAG_INTERVAL_S,
    MAX_READINGS,
    HealthMeter,
    late_arrivals,
)
from locustfiles.harness.health.master_health import MasterHealth
from locustfiles.harness.run_book import RunBook
from results.run_folder import create_run
from results.timeline import Header


@contextmanager
def running(meter: HealthMeter) -> Iterator[None]:
    greenlet = gevent.spawn(meter.run)
    try:
        yield
    finally:
        greenlet.kill()


def test_a_loop_that_stood_still_shows_in_its_lag_and_a_free_one_does_not() -> None:
    meter = HealthMeter()
    with running(meter):
        gevent.sleep(0.3)
        free = meter.take()
        gevent.sleep(0.01)
        time.sleep(0.5)  # not gevent's: the loop stands still
        gevent.sleep(0.05)
        stalled = meter.take()
        gevent.sleep(0.3)
        after = meter.take()
    assert 0 <= free["lag_p99_ms"] <= free["lag_max_ms"] < 450
    assert stalled["lag_max_ms"] > 450
    assert stalled["lag_p99_ms"] == stalled["lag_max_ms"], "of a few readings"
    assert after["lag_max_ms"] < 450, "a line speaks for the time since the one before"


def test_a_meter_that_nobody_runs_says_nothing_of_the_lag() -> None:
    values = HealthMeter().take()
    assert "lag_p99_ms" not in values
    assert "cpu_percent" in values


def test_a_meter_that_is_killed_reads_no_more() -> None:
    meter = HealthMeter()
    with running(meter):
        gevent.sleep(0.2)
    assert "lag_p99_ms" in meter.take(), "the control"
    gevent.sleep(0.2)
    assert "lag_p99_ms" not in meter.take()


def test_the_99th_percentile_is_a_nearest_rank() -> None:
    meter = HealthMeter()
    meter._lags_ms = [float(n) for n in range(200, 0, -1)]
    values = meter.take()
    assert (values["lag_p99_ms"], values["lag_max_ms"]) == (198.0, 200.0)
    meter._lags_ms = [float(n) for n in range(round(1 / LAG_INTERVAL_S))]
    values = meter.take()
    assert values["lag_p99_ms"] == values["lag_max_ms"], "of a second's: what its limit came from"


def test_readings_that_nobody_takes_are_bounded() -> None:
    meter = HealthMeter()
    meter._lags_ms = [0.0] * (MAX_READINGS - 1)
    with running(meter):
        gevent.sleep(0.2)
    assert len(meter._lags_ms) == MAX_READINGS


def test_probes_add_their_figures_to_every_line() -> None:
    counts = iter(range(9))
    meter = HealthMeter(lambda: {"users": next(counts)}, lambda: {"reconnects": 7})
    assert [meter.take()["users"] for _ in range(3)] == [0, 1, 2]
    assert meter.take()["reconnects"] == 7


class Late:
    def __init__(self, *each: tuple[float, float] | None) -> None:
        self._each = iter(each)

    def take(self) -> tuple[float, float] | None:
        return next(self._each)


def test_lateness_is_told_only_of_seconds_in_which_arrivals_were_due() -> None:
    lateness = Late((1.23456, 9.0), None)
    assert late_arrivals(lateness) == {"lateness_p99_ms": 1.235, "lateness_max_ms": 9.0}
    assert late_arrivals(lateness) == late_arrivals(None) == {}


def alive() -> int:
    gc.collect()
    return sum(isinstance(one, gevent.Greenlet) and not one.ready() for one in gc.get_objects())


@pytest.mark.parametrize("seconds", [0.0, 1.2])
def test_the_masters_health_leaves_no_greenlet_when_the_run_ends(seconds: float) -> None:
    before = alive()
    taken: list[tuple[str, dict[str, Any]]] = []
    began_s = time.perf_counter()
    health = MasterHealth(
        elapsed_s=lambda: time.perf_counter() - began_s,
        users=lambda: 5,
        done=frozenset,
        take=lambda kind, report: taken.append((kind, report)),
    )
    greenlet = gevent.spawn(health.run)
    gevent.sleep(seconds)
    greenlet.kill()
    gevent.sleep(0.05)
    assert alive() == before
    lines = len(taken)
    gevent.sleep(1.2)
    assert len(taken) == lines
    assert (lines > 0) == (seconds > 1)


def test_the_master_tells_of_itself_every_second_and_of_workers_that_are_silent() -> None:
    taken: list[dict[str, Any]] = []
    began_s = time.perf_counter()
    health = MasterHealth(
        elapsed_s=lambda: time.perf_counter() - began_s,
        users=lambda: 5,
        done=lambda: {"c"},
        take=lambda _kind, report: taken.append(report),
        probes=(lambda: {"write_max_ms": 0.5},),
    )
    for worker in ("a", "b", "c"):
        health.heard(worker, f"worker-{worker}")
    greenlet = gevent.spawn(health.run)
    for _ in range(80):
        if any(line["source"] != "master" for line in taken):
            break
        gevent.sleep(0.1)
        health.heard("a", "worker-a")
    greenlet.kill()
    own = [line for line in taken if line["source"] == "master"]
    assert len(own) >= 2
    assert all(line["values"]["users"] == 5 for line in own)
    assert all(line["values"]["write_max_ms"] == 0.5 for line in own)
    assert {line["source"] for line in taken} == {"master", "worker-b"}
    (silent,) = [line for line in taken if line["source"] == "worker-b"]
    assert silent["values"]["missed_reports"] >= 1
    assert silent["values"]["unheard_s"] >= 2


def test_the_longest_write_is_that_since_it_was_asked_for(tmp_path: Path) -> None:
    folder = create_run(tmp_path, "run")
    header = Header("run", "s", 0)
    book = RunBook(
        folder, header=header, plan=None, checks=(), profile=None, elapsed_s=time.perf_counter
    )
    book.take("health", {"t_s": 1.0, "source": "w", "values": {"users": 1.0}})
    small_ms = book.slowest_write()["write_max_ms"]
    assert small_ms > 0
    assert book.slowest_write() == {"write_max_ms": 0.0}, "nothing was written since"
    book.take("annotation", {"t_s": 1.0, "label": "note", "text": "x" * 20_000_000})
    book.take("health", {"t_s": 2.0, "source": "w", "values": {"users": 1.0}})
    assert book.slowest_write()["write_max_ms"] > small_ms
    book.close("it is over", {})
