"""Draws a sketch as text: the load over time, its phases below the axis, and a table of them.

Own code rather than a library: bars of eighths of a character are all that is needed. Pure: this
module must not write anywhere or ask a terminal.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

from shapes.level import Unit
from shapes.piecewise import Phase
from shapes.sketch import Curve, Sketch

LEAST_WIDTH = 50
MOST_WIDTH = 300
_SHORTEST_NAME = 8
ROWS = 10
ROWS_OF_SEVERAL = 6
MOST_TABLE_ROWS = 40

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_ASCII = " ...#####"
_ROUNDING = 1e-4
"""Levels just before the end of an interval are this little below it: 19.99998 users are 20."""

_NAMES = {Unit.USERS: "users", Unit.ARRIVALS: "arrivals/s"}
_TICKS_S = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(60.0 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3600.0 * hours for hours in (1, 2, 3, 6, 12)),
)
_TICK_COLUMNS = 9


def drawn(sketch: Sketch, *, width: int, plain: bool = False) -> str:
    """All of it, in lines of at most `width` columns; `plain` uses ASCII alone."""
    width = min(max(width, LEAST_WIDTH), MOST_WIDTH)
    title = f"{sketch.title}: {clock(sketch.duration_s)} in {_counted(len(sketch.phases), 'phase')}"
    notes = [line for note in sketch.notes for line in textwrap.wrap(note, width)]
    parts = [[title[:width], *notes]]
    rows = ROWS if len(sketch.curves) == 1 else ROWS_OF_SEVERAL
    margin = max(len(_level(curve, share)) for curve in sketch.curves for share in (0.5, 1.0))
    parts += [_chart(curve, sketch, width, rows, margin, plain) for curve in sketch.curves]
    parts.append(_phase_table(sketch, width))
    if sketch.classes:
        parts.append(_class_table(sketch, width))
    lines = (line.rstrip() for part in parts for line in (*part, ""))
    return "\n".join(lines).rstrip() + "\n"


def clock(t_s: float) -> str:
    """1:30 or 2:00:00, with what a second is divided into: 0:02.5."""
    hours, rest = divmod(round(t_s, 3), 3600)
    minutes, seconds_ = divmod(rest, 60)
    whole, part = divmod(round(seconds_, 3), 1)
    text = f"{int(minutes):02d}:{int(whole):02d}" if hours else f"{int(minutes)}:{int(whole):02d}"
    if part:
        text += f"{part:.3f}".rstrip("0")[1:]
    return f"{int(hours)}:{text}" if hours else text


def level(value: float) -> str:
    """2,200 or 12.5."""
    if value == int(value) or abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:,.4g}"


def tick_step_s(least_s: float) -> float:
    """A round time of at least that length: minutes, hours, days, twice as many."""
    days = (math.ldexp(86_400.0, n) for n in range(40))
    return next(step_s for step_s in (*_TICKS_S, *days) if step_s >= least_s)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _level(curve: Curve, share: float = 1.0) -> str:
    """Of its top."""
    return level(_whole(curve.unit, curve.top * share))


def _whole(unit: Unit, value: float) -> float:
    """Users as they are handed over: the next whole number."""
    return float(math.ceil(value - _ROUNDING)) if unit is Unit.USERS else value


def _chart(
    curve: Curve, sketch: Sketch, width: int, rows: int, margin: int, plain: bool
) -> list[str]:
    columns = width - margin - 2
    step_s = sketch.duration_s / columns
    heights = [
        _height(curve.highest(n * step_s, (n + 1) * step_s), curve.top, rows)
        for n in range(columns)
    ]
    shades = _ASCII if plain else _EIGHTHS
    bar, corner, line = ("|", "+", "-") if plain else ("│", "└", "─")
    title = _NAMES[curve.unit] + (f", {curve.label}" if curve.label else "")
    lines = [f"{'':>{margin}} {title}"[:width]]
    for row in range(rows):
        below = 8 * (rows - 1 - row)
        bars = "".join(shades[min(max(height - below, 0), 8)] for height in heights)
        label = {0: _level(curve), rows // 2: _level(curve, 0.5)}.get(row, "")
        lines.append(f"{label:>{margin}} {bar}{bars}")
    lines.append(f"{'0':>{margin}} {corner}{line * columns}")
    indent = " " * (margin + 2)
    lines.append(indent + _ticks(sketch.duration_s, columns))
    lines.append(indent + _phases(sketch.phases, sketch.duration_s, columns))
    return lines


def _height(value: float, top: float, rows: int) -> int:
    """In eighths of a row. Whatever is above 0 shows."""
    if value <= 0:
        return 0
    return max(1, round(value / top * rows * 8))


def _ticks(duration_s: float, columns: int) -> str:
    """Times below the axis, at a round step that leaves them room."""
    step_s = tick_step_s(duration_s * _TICK_COLUMNS / columns)
    found = [" "] * columns
    for n in range(int(duration_s / step_s) + 1):
        text = clock(n * step_s)
        column = int(n * step_s / duration_s * columns)
        if column + len(text) <= columns:
            found[column : column + len(text)] = text
    return "".join(found)


def _phases(phases: Sequence[Phase], duration_s: float, columns: int) -> str:
    """`|steady  |burst   |` with as much of each name as its width holds."""
    found = [" "] * columns
    for phase in phases:
        first = min(int(phase.start_s / duration_s * columns), columns - 1)
        last = max(first + 1, int(phase.end_s / duration_s * columns))
        text = f"|{phase.name}"[: last - first].ljust(last - first)
        found[first:last] = text
    return "".join(found[:columns])


def _phase_table(sketch: Sketch, width: int) -> list[str]:
    """Of users and arrivals in one table, or in one each where that is too wide."""
    wholes = [whole for unit in Unit if (whole := sketch.whole(unit)) is not None]
    lines = _phases_of(sketch, wholes, width)
    if len(lines[0]) <= width or len(wholes) == 1:
        return lines
    return [line for whole in wholes for line in (*_phases_of(sketch, [whole], width), "")][:-1]


def _phases_of(sketch: Sketch, wholes: Sequence[Curve], width: int) -> list[str]:
    header = ["phase", "from", "to"]
    for whole in wholes:
        counted = "user-seconds" if whole.unit is Unit.USERS else "arrivals"
        header += [f"peak {_NAMES[whole.unit]}", counted]
    rows = [header]
    for phase in sketch.phases[:MOST_TABLE_ROWS]:
        rows.append([phase.name, *_numbers(wholes, phase.start_s, phase.end_s)])
    rows.append(["all", *_numbers(wholes, 0.0, sketch.duration_s)])
    lines = _table(rows, width)
    left = len(sketch.phases) - MOST_TABLE_ROWS
    if left > 0:
        lines.insert(-1, f"... and {_counted(left, 'more phase')}")
    return lines


def _numbers(wholes: Iterable[Curve], start_s: float, end_s: float) -> list[str]:
    found = [clock(start_s), clock(end_s)]
    for whole in wholes:
        found.append(level(_whole(whole.unit, whole.highest(start_s, end_s))))
        found.append(f"{whole.total(start_s, end_s):,.0f}")
    return found


def _class_table(sketch: Sketch, width: int) -> list[str]:
    rows = [["class", "peak", "unit", "how"]]
    for one in sketch.classes:
        peak = level(_whole(one.unit, one.level))
        rows.append([one.name, peak, _NAMES[one.unit], one.how])
    return _table(rows, width, left=(0, 2, 3))


def _table(rows: Sequence[Sequence[str]], width: int, left: Sequence[int] = (0,)) -> list[str]:
    """Names are shortened where the table would be too wide; numbers never are."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    too_wide = sum(widths) + 2 * (len(widths) - 1) - width
    widths[0] = max(widths[0] - max(0, too_wide), min(widths[0], _SHORTEST_NAME))
    return [
        "  ".join(
            cell.ljust(width) if n in left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(_fitted(row, widths[0]), widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _fitted(row: Sequence[str], width: int) -> list[str]:
    name, *rest = row
    return [name if len(name) <= width else name[: width - 2] + "..", *rest]
