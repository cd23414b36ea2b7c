"""Health of a node, component by component (A-3).

`up` serves everything; `degraded` still answers but says what to look at; one component that is
`down` makes the node down, and /health then answers 503. Nothing here does I/O beyond one statvfs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from service.events.store import EventStore, StoreStats
from service.schema import ComponentHealth, Health
from service.settings import Settings
from service.telemetry.meter import Meter

VERSION = "0.1.0"

DISK_DOWN_BYTES = 16 * 2**20
"""Less free space than this and the next group commit may not fit (64 MB queue, 4 pages of WAL)."""

DISK_DEGRADED_BYTES = 512 * 2**20
QUEUE_DEGRADED = 0.8
LAG_DEGRADED_S = 0.25
"""A loop that is this late serves nobody in time; generator health in design.md uses the same."""


def assess(
    settings: Settings,
    store: EventStore,
    meter: Meter,
    parts: Mapping[str, ComponentHealth],
    *,
    stopping: bool,
) -> Health:
    """The node's health now; `parts` are those of its subsystems."""
    stats = store.stats()
    components = {
        "events": ComponentHealth(status="up", detail=f"last seq {stats.last_seq}"),
        "writer": _writer(stats, settings, stopping=stopping),
        "disk": disk_health(free_bytes(settings.data), settings.data),
        "loop": _loop(meter),
        **parts,
    }
    states = [component.status for component in components.values()]
    overall = next((state for state in ("down", "degraded") if state in states), "up")
    return Health(
        status=overall,
        node=settings.name,
        roles=list(settings.roles),
        version=VERSION,
        incarnation=store.incarnation,
        components=components,
    )


def free_bytes(directory: Path) -> int | None:
    """Free space for this user where `directory` lies; None when it cannot be asked."""
    try:
        space = os.statvfs(directory)
    except OSError:
        return None
    return space.f_bavail * space.f_frsize


def disk_health(free: int | None, directory: Path) -> ComponentHealth:
    if free is None:
        return ComponentHealth(status="down", detail=f"{directory} is gone: restore it, restart")
    text = f"{free // 2**20} MiB free under {directory.name}"
    if free < DISK_DOWN_BYTES:
        return ComponentHealth(status="down", detail=f"{text}: make room")
    if free < DISK_DEGRADED_BYTES:
        return ComponentHealth(status="degraded", detail=f"{text}: make room soon")
    return ComponentHealth(status="up", detail=text)


def _writer(stats: StoreStats, settings: Settings, *, stopping: bool) -> ComponentHealth:
    if stopping:
        return ComponentHealth(status="down", detail="shutting down: use another node")
    if not stats.healthy:
        return ComponentHealth(status="down", detail=stats.detail)
    share = max(
        stats.queue_events / settings.queue_events, stats.queue_bytes / settings.queue_bytes
    )
    detail = f"queue {stats.queue_events} events, {stats.queue_bytes} bytes ({share:.0%} of bound)"
    if share > QUEUE_DEGRADED:
        return ComponentHealth(status="degraded", detail=f"{detail}: send less or add nodes")
    return ComponentHealth(status="up", detail=detail)


def _loop(meter: Meter) -> ComponentHealth:
    lag_ms = meter.last_loop_lag_s * 1_000
    if meter.last_loop_lag_s > LAG_DEGRADED_S:
        return ComponentHealth(status="degraded", detail=f"woke {lag_ms:.0f} ms late: CPU is short")
    return ComponentHealth(status="up", detail=f"last lag {lag_ms:.1f} ms")
