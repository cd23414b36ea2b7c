"""What a run's figures cannot be read without: what was run, by which generator, where.

This module must not judge: it shows manifest, timeline and the verdict's document.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from results import health
from results.document import Document, as_text
from results.report.record import KeptFile, Record
from results.report.table import (
    NOTHING,
    Cell,
    Column,
    Table,
    clock,
    count,
    decimal,
    plain,
    size,
    text,
    words,
)
from results.report.text import shortened
from results.scrape import (
    COMMIT_MS,
    CPU_PERCENT,
    LOOP_LAG_MS,
    MEMORY_BYTES,
    QUEUE_EVENTS,
    UP,
    WAL_BYTES,
)
from results.timeline import Plan
from results.windows import RUN

MOST_PHASES = 40

_HEALTH = (
    (health.LAG_P99_MS, "lag p99 ms", "how late the loop woke"),
    (health.LAG_MAX_MS, "lag max ms", "how late the loop woke"),
    (health.LATENESS_P99_MS, "lateness p99 ms", "how late arrivals of the open load started"),
    (health.CPU_PERCENT, "CPU %", "of one core"),
    (health.CPU_WAIT_PERCENT, "CPU wait %", "ready to run, and no processor ran it"),
    (health.WRITE_MAX_MS, "write max ms", "longest write to the timeline"),
    (health.CLOCK_OFFSET_MS, "clock offset ms", "the master's clock less its own"),
    (health.OPEN_SOCKETS, "sockets", "of its HTTP clients"),
    (health.RECONNECTS, "reconnects", "connections that the target closed between requests"),
)
"""Figure, name and hint of a column; one that no process has is left out."""

_MEGABYTE = 1e6


def facts(record: Record) -> tuple[tuple[str, str], ...]:
    """What was run, as names and texts."""
    header, manifest = record.timeline.header, record.manifest
    found = [
        ("Scenario", shortened(header.scenario) + _kind(record)),
        ("Target", as_text(_target(record))),
        ("Started", _started(record)),
        ("Length", _length(record)),
        ("Phases", _phases(record.timeline.plan)),
        ("Users", ", ".join(shortened(name, 60) for name in manifest.lines("users"))),
        ("Seed", _number(manifest, "seed")),
        ("Scales", _scales(manifest.table("options"))),
        ("Suite", _suite(manifest)),
    ]
    return tuple((name, value) for name, value in found if value)


def _kind(record: Record) -> str:
    header = record.timeline.header
    tier = record.manifest.text("tier")
    kind = " (ad hoc: a person set the users)" if header.ad_hoc else ""
    kind = " (without a plan)" if header.unplanned else kind
    return (f", tier {tier}" if tier else "") + kind


def _target(record: Record) -> str:
    """The nodes that answered, as clients knew them."""
    nodes = {name for report in record.timeline.reports for name in report.nodes}
    options = record.manifest.table("options")
    asked = options.text("host") or options.text("nodes")
    shown = ", ".join(sorted(nodes)[:8]) + (f" and {len(nodes) - 8} more" if len(nodes) > 8 else "")
    return shown or asked


def _started(record: Record) -> str:
    try:
        at = datetime.fromtimestamp(record.timeline.header.origin_us / 1e6, UTC)
    except (OverflowError, ValueError, OSError):
        return ""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _length(record: Record) -> str:
    plan, end = record.timeline.plan, record.timeline.end
    lasted = "" if end is None else f"{clock(end.t_s)} ({end.reason.value})"
    if end is None:
        last = max((report.second + 1 for report in record.timeline.reports), default=0)
        lasted = f"{clock(last)}, then the timeline breaks off"
    return lasted + (f", planned {clock(plan.duration_s)}" if plan is not None else "")


def _phases(plan: Plan | None) -> str:
    if plan is None or not plan.phases:
        return ""
    shown = [
        f"{shortened(p.name, 60)} {clock(p.start_s)} to {clock(p.end_s)}"
        for p in plan.phases[:MOST_PHASES]
    ]
    more = len(plan.phases) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _number(document: Document, name: str) -> str:
    value = document.number(name)
    return "" if value is None else f"{value:.0f}"


def _scales(options: Document) -> str:
    found = [
        f"{what} x {value:g}"
        for name, what in (("time_scale", "time"), ("load_scale", "load"))
        if (value := options.number(name)) is not None
    ]
    return ", ".join(found)


def _suite(manifest: Document) -> str:
    git = manifest.table("git")
    commit = git.text("commit")[:12]
    changed = ", files were changed" if git.truth("modified") else ""
    version = manifest.table("versions").text("foundation-load")
    return " ".join(part for part in (version, f"({commit}{changed})" if commit else "") if part)


def health_table(record: Record) -> Table | None:
    """The worst figure of each process of the generator."""
    worst = [(s, d.numbers()) for s, d in record.verdict.table("generator").table("worst").tables()]
    shown = [each for each in _HEALTH if any(each[0] in figures for _, figures in worst)]
    if not shown:
        return None
    memory = any(health.MEMORY_BYTES in figures for _, figures in worst)
    columns = (
        *words("Process"),
        *(Column(name, hint, numeric=True) for _, name, hint in shown),
        *([Column("memory", "resident", numeric=True)] if memory else []),
    )
    rows = tuple(
        (
            text(source),
            *(decimal(figures.get(name)) for name, _, _ in shown),
            *([size(figures.get(health.MEMORY_BYTES))] if memory else []),
        )
        for source, figures in sorted(worst)
    )
    return Table("The generator's processes at their worst second", columns, rows)


def target_table(record: Record) -> Table | None:
    """The run's; None when no node stated metrics."""
    nodes = list(record.verdict.table("target").table(RUN).tables())
    if not any(values for _, values in nodes):
        return None
    columns = (
        *words("Node"),
        Column("CPU %", "mean, of one core", numeric=True),
        Column("max %", "the most in any second", numeric=True),
        Column("memory", "the most in any second", numeric=True),
        Column("queue", "events that wait for the writer, the most in any second", numeric=True),
        Column("commit ms", "mean of the group commits", numeric=True),
        Column("WAL", "the most in any second", numeric=True),
        Column("lag ms", "of its event loop, the most in any second", numeric=True),
        Column("up", "readings that came, of those that were tried", numeric=True),
    )
    rows = tuple(_target_row(node, values) for node, values in nodes)
    return Table("The target by its own metrics, in the run", columns, rows)


def _target_row(node: str, values: Document) -> tuple[Cell, ...]:
    def stated(name: str, which: str) -> float | None:
        return values.table(name).number(which)

    return (
        text(node),
        decimal(stated(CPU_PERCENT, "mean")),
        decimal(stated(CPU_PERCENT, "most")),
        size(stated(MEMORY_BYTES, "most")),
        count(stated(QUEUE_EVENTS, "most")),
        decimal(stated(COMMIT_MS, "mean")),
        size(stated(WAL_BYTES, "most")),
        decimal(stated(LOOP_LAG_MS, "most")),
        _up(values.table(UP)),
    )


def _up(up: Document) -> Cell:
    mean, samples = up.number("mean"), up.number("samples")
    if mean is None or samples is None:
        return Cell(NOTHING)
    read = round(mean * samples)
    return Cell(f"{read:,} of {samples:,.0f}", mean, "" if read == samples else "bad")


def event_table(record: Record) -> Table | None:
    """Notes, worker events and whatever else was marked, for those who cannot point at a plot."""
    marked = sorted(record.timeline.annotations, key=lambda one: one.t_s)
    if not marked:
        return None
    rows = tuple((Cell(clock(one.t_s), one.t_s), text(one.label), text(one.text)) for one in marked)
    columns = words("At", "Kind", "Text")
    return Table("What was marked on the timeline", columns, rows, "timeline.jsonl")


def environment_tables(record: Record) -> tuple[Table, ...]:
    """Options, versions and host."""
    manifest = record.manifest
    groups = (
        ("Options as resolved (secrets are ***)", manifest.table("options").texts()),
        ("Versions", manifest.table("versions").texts()),
        ("Host of the process that owned the run", _host(manifest.table("host"))),
        ("Git", manifest.table("git").texts()),
    )
    return tuple(
        Table(
            caption,
            words("Name", "Value"),
            tuple((text(name), text(value)) for name, value in found.items()),
            "manifest.json",
        )
        for caption, found in groups
        if found
    )


def _host(host: Document) -> dict[str, str]:
    found = host.texts()
    memory = host.number("memory_bytes")
    if memory is not None:
        found["memory_bytes"] = f"{plain(memory).text} ({size(memory).text})"
    return found


def file_table(files: Sequence[KeptFile]) -> Table:
    columns = (*words("File"), Column("Size", numeric=True))
    rows = tuple((text(file.path), size(file.size_bytes)) for file in files)
    return Table("Files of the bundle when this page was made", columns, rows, "the folder")
