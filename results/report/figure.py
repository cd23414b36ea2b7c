"""The plot as plain data for plotly: panes over one axis of time, shaded by phase and fault.

The page's script places the panes (it knows the width) and colours what depends on the theme; the
rest is said here. Times lie on a date axis, whose ticks read as a clock at any zoom: the run begins
at a midnight. This module must not know where the numbers come from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from results.report.sketch import Band, BandKind, Pane, Sketch, Thinning
from results.report.table import clock
from results.report.text import for_plot

MOST_BANDS = 300
MOST_MARKS = 300

_MIDNIGHT_MS = 946_684_800_000
"""The run's beginning on the axis, 2000-01-01: plotly takes small numbers for years. A January, so
that days count from 1."""
_DAY_S = 86_400

_DIGITS = 4
_PHASE_COLOURS = ("#64748b", "#2563eb", "#7c3aed", "#0f766e", "#b45309", "#be185d")
_FAULT_COLOUR = "#dc2626"
_RECOVERY_COLOUR = "#fbbf24"
_UNFIT_COLOUR = "#57534e"

_INK = {
    BandKind.PHASE: "#ffffff",
    BandKind.FAULT: "#ffffff",
    BandKind.RECOVERY: "#3b2d0b",
    BandKind.UNFIT: "#ffffff",
}
"""Of a band's name on its colour: at least 4.5 to 1."""

_ROWS = {
    BandKind.PHASE: "phases",
    BandKind.FAULT: "faults",
    BandKind.RECOVERY: "faults",
    BandKind.UNFIT: "unfit",
}
"""The lane's row that names the bands of a kind."""


def figure(sketch: Sketch) -> dict[str, object]:
    """`traces` and `layout` are plotly's; `panes` is what the page's script places.

    Points of traces without an `x` begin at `x0` and are `dx` apart; the script fills them in.
    """
    lane = _lane(sketch)
    traces = list(lane.traces)
    layout: dict[str, object] = {
        "xaxis": {
            "type": "date",
            "range": [_at(max(0, sketch.start)), _at(sketch.end_s)],
            "tickformat": _clock_format(sketch.end_s),
            "hoverformat": _clock_format(sketch.end_s),
        },
        "shapes": [*_shading(sketch), *lane.shapes],
    }
    panes: list[dict[str, object]] = [
        {"axis": "yaxis", "legend": "", "height": lane.height_px, "title": "", "log": False}
    ]
    layout["yaxis"] = {
        "range": [-0.5, max(1, len(lane.rows)) - 0.5],
        "tickvals": list(range(len(lane.rows))),
        "ticktext": list(lane.rows),
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
    }
    for n, pane in enumerate(sketch.panes, start=2):
        traces += _traces(pane, n, sketch)
        layout[f"yaxis{n}"] = {"rangemode": "tozero", "fixedrange": True, "nticks": 5}
        panes.append(
            {
                "axis": f"yaxis{n}",
                "legend": f"legend{n}",
                "height": pane.height_px,
                "title": pane.title,
                "log": pane.logarithmic,
                "starts_log": pane.logarithmic and _spans_decades(pane),
            }
        )
    return {
        "traces": traces,
        "layout": layout,
        "panes": panes,
        # In the middle of the seconds that a point stands for.
        "x0": _at(sketch.start + sketch.step_s / 2),
        "dx": sketch.step_s * 1000,
    }


def _at(t_s: float) -> int:
    """On the axis, in milliseconds."""
    return _MIDNIGHT_MS + round(t_s * 1000)


def _clock_format(length_s: float) -> str:
    """Of d3."""
    if length_s > _DAY_S:
        return "day %-d, %-H:%M:%S"
    return "%-H:%M:%S" if length_s >= 3600 else "%-M:%S"


def _traces(pane: Pane, n: int, sketch: Sketch) -> list[dict[str, object]]:
    found = []
    for curve in pane.curves:
        values = thinned(curve.values, sketch.step_s, curve.thinning)
        trace: dict[str, object] = {
            "type": "scatter",
            "mode": "lines",
            "name": for_plot(curve.name),
            "y": [None if v is None else _rounded(v) for v in values],
            "yaxis": f"y{n}",
            "legend": f"legend{n}",
            "line": {"color": curve.colour, "width": 1.5, "dash": curve.dash},
            "hovertemplate": f"%{{y:,.4~r}}{pane.unit}",
            "connectgaps": False,
        }
        if pane.stacked:
            trace |= {"stackgroup": f"stack{n}", "line": {"color": curve.colour, "width": 0.5}}
        if curve.hidden:
            trace["visible"] = "legendonly"
        if _is_lonely(values):
            trace["mode"] = "lines+markers"
            trace["marker"] = {"size": 4}
        found.append(trace)
    return found


def thinned(
    values: Sequence[float | None], step: int, thinning: Thinning
) -> Sequence[float | None]:
    """One value for each `step`; None where there is none in the whole step."""
    if step <= 1:
        return values
    pick: Callable[[list[float]], float] = max if thinning is Thinning.MOST else _mean
    found: list[float | None] = []
    for start in range(0, len(values), step):
        part = [value for value in values[start : start + step] if value is not None]
        found.append(pick(part) if part else None)
    return found


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _rounded(value: float) -> float | int:
    """Few digits: there are tens of thousands of these in a page."""
    if not math.isfinite(value):
        return 0
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short == int(short) else short


def _is_lonely(values: Sequence[float | None]) -> bool:
    """Whether some value has no neighbour, so that a line alone would not show it."""
    if not any(value is not None for value in values):
        return False
    padded = [None, *values, None]
    return any(
        padded[n] is not None and padded[n - 1] is None and padded[n + 1] is None
        for n in range(1, len(padded) - 1)
    )


def _spans_decades(pane: Pane) -> bool:
    """Whether a linear scale would press most of it flat: the highest is 30 times the median."""
    values = sorted(v for curve in pane.curves for v in curve.values if v is not None and v > 0)
    return bool(values) and values[-1] > 30 * values[len(values) // 2]


@dataclass(frozen=True, slots=True)
class _Lane:
    """The topmost pane: a row of named bands for phases, one for faults, one for marks."""

    rows: tuple[str, ...]
    traces: tuple[dict[str, object], ...]
    shapes: tuple[dict[str, object], ...]

    @property
    def height_px(self) -> int:
        return 24 * len(self.rows) or 4


def _lane(sketch: Sketch) -> _Lane:
    named = {_ROWS[band.kind] for band in sketch.bands}
    # From the lowest up.
    rows = tuple(
        name
        for name in ("marks", "unfit", "faults", "phases")
        if name in named or (name == "marks" and sketch.marks)
    )
    shapes = [
        _named_band(band, rows.index(_ROWS[band.kind]), sketch)
        for band in sketch.bands[:MOST_BANDS]
    ]
    traces = [_pointer(sketch, len(rows))]
    if sketch.marks:
        traces.append(_marks(sketch, rows.index("marks")))
    return _Lane(rows, tuple(traces), tuple(shapes))


def _named_band(band: Band, row: int, sketch: Sketch) -> dict[str, object]:
    return {
        "type": "rect",
        "xref": "x",
        "yref": "y",
        "x0": _at(band.start_s),
        "x1": _at(band.end_s),
        "y0": row - 0.42,
        "y1": row + 0.42,
        "fillcolor": _colour(band, sketch.bands),
        "line": {"width": 0},
        "layer": "between",
        # The longest that fits: the script measures.
        "names": [for_plot(name, 24) for name in (band.name, band.short_name) if name],
        "label": {"font": {"color": _INK[band.kind], "size": 11}},
    }


def _shading(sketch: Sketch) -> list[dict[str, object]]:
    """Behind all panes. Phases faintly, faults so that nobody overlooks them."""
    strength = {
        BandKind.PHASE: 0.07,
        BandKind.FAULT: 0.20,
        BandKind.RECOVERY: 0.10,
        BandKind.UNFIT: 0.16,
    }
    bands = [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": _at(band.start_s),
            "x1": _at(band.end_s),
            "y0": 0,
            "y1": 1,
            "fillcolor": _colour(band, sketch.bands),
            "opacity": strength[band.kind],
            "line": {"width": 0},
            "layer": "below",
            "name": f"shade-{band.kind}",
        }
        for band in sketch.bands[:MOST_BANDS]
    ]
    lines: list[dict[str, object]] = [
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": _at(mark.t_s),
            "x1": _at(mark.t_s),
            "y0": 0,
            "y1": 1,
            "line": {"width": 1, "dash": "dot", "color": "#94a3b8"},
            "layer": "below",
        }
        for mark in sketch.marks[:MOST_MARKS]
    ]
    return [*bands, *lines]


def _colour(band: Band, bands: Sequence[Band]) -> str:
    """One a phase's name, in the order in which they come."""
    match band.kind:
        case BandKind.FAULT:
            return _FAULT_COLOUR
        case BandKind.RECOVERY:
            return _RECOVERY_COLOUR
        case BandKind.UNFIT:
            return _UNFIT_COLOUR
        case BandKind.PHASE:
            return _phase_colour(band.name, bands)
        case _:
            assert_never(band.kind)


def _phase_colour(name: str, bands: Sequence[Band]) -> str:
    names = list(dict.fromkeys(b.name for b in bands if b.kind is BandKind.PHASE))
    return _PHASE_COLOURS[names.index(name) % len(_PHASE_COLOURS)]


def _pointer(sketch: Sketch, rows: int) -> dict[str, object]:
    """Says in the box of whatever second is pointed at which phase and fault it belongs to."""
    step = sketch.step_s
    seconds = range(sketch.start, max(sketch.start + 1, math.ceil(sketch.end_s)), step)
    names = [
        " · ".join(
            for_plot(f"fault {band.name}" if band.kind is BandKind.FAULT else band.name, 60)
            for band in sketch.bands
            if band.start_s <= second + 0.5 < band.end_s
        )
        for second in seconds
    ]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "",
        "y": [max(0, rows - 1)] * len(names),
        "text": names,
        "line": {"width": 0},
        "hovertemplate": "<b>%{text}</b><extra></extra>",
        "showlegend": False,
        "yaxis": "y",
    }


def _marks(sketch: Sketch, row: int) -> dict[str, object]:
    shown = sketch.marks[:MOST_MARKS]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "",
        "x": [_at(mark.t_s) for mark in shown],
        "y": [row] * len(shown),
        "text": [f"{clock(mark.t_s)} {for_plot(mark.text, 120)}" for mark in shown],
        "marker": {"symbol": "diamond", "size": 9, "color": "#64748b"},
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
        "yaxis": "y",
    }
