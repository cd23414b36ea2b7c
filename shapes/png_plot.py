"""Draws a sketch as a PNG. The one module that knows the plotting library, an optional extra.

Never imported where Locust runs: `foundation shape show --png` and the docs' pictures draw in a
process of their own. This module must not decide what is drawn, nor write a file.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from shapes.level import Unit
from shapes.sketch import Curve, Sketch
from shapes.text_plot import clock, level, tick_step_s

DIGEST_KEY = "Sketch"
"""Text of the picture that holds the sketch's digest."""

WIDTH_PX, HEIGHT_PX, DPI = 760, 260, 100
"""Of one unit; two stand one above the other."""

MOST_TICKS = 12
COLOURS = 64

_TITLES = {Unit.USERS: "users", Unit.ARRIVALS: "arrivals per second"}
_COLOURS = ("#1f5fa8", "#c0562b", "#3b8f57", "#8a4fa3", "#a08a1a", "#4c5866")
_SHADES = ("#f3f5f8", "#e6eaf0")
_LETTER_PX = 6.2
"""Of a phase's name: it is left out where it does not fit."""


def png(sketch: Sketch) -> bytes:
    """The picture. The same sketch gives the same bytes with one version of the library."""
    units = [unit for unit in Unit if sketch.of_unit(unit)]
    size = (WIDTH_PX / DPI, HEIGHT_PX * len(units) / DPI)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for index, unit in enumerate(units):
        axes = figure.add_subplot(len(units), 1, index + 1)
        _draw(axes, sketch, unit)
        if index == 0:
            axes.set_title(sketch.title, fontsize=9, loc="left")
    return _packed(figure, sketch.digest())


def _packed(figure: Figure, digest: str) -> bytes:
    """A palette makes it a third as large as full colours."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    text = PngInfo()
    text.add_text(DIGEST_KEY, digest)
    with Image.open(drawn) as image:
        palette = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    palette.save(packed, format="png", optimize=True, pnginfo=text)
    return packed.getvalue()


def _draw(axes: Axes, sketch: Sketch, unit: Unit) -> None:
    curves = sketch.of_unit(unit)
    top = max(curve.top for curve in curves) or 1.0
    axes.set_xlim(0, sketch.duration_s)
    axes.set_ylim(0, top * 1.2)
    _shade_phases(axes, sketch, top)
    colours = iter(_COLOURS)
    for number, curve in enumerate(sorted(curves, key=lambda one: not one.is_sum)):
        colour = "#222222" if curve.is_sum else next(colours, "#999999")
        times, levels = _points(curve)
        axes.plot(times, levels, color=colour, linewidth=1.4, label=curve.label or None)
        if number == 0:
            axes.fill_between(times, levels, color=colour, alpha=0.12, linewidth=0)
    if len(sketch.curves) > 1:
        axes.legend(fontsize=7, loc="upper right", framealpha=0.9)
    axes.xaxis.set_major_locator(MultipleLocator(tick_step_s(sketch.duration_s / MOST_TICKS)))
    _style(axes, unit)


def _points(curve: Curve) -> tuple[list[float], list[float]]:
    """Two for each line, so that a step is upright."""
    times = [t_s for line in curve.lines for t_s in (line.start_s, line.end_s)]
    levels = [one for line in curve.lines for one in (line.from_level, line.to_level)]
    return times, levels


def _shade_phases(axes: Axes, sketch: Sketch, top: float) -> None:
    for number, phase in enumerate(sketch.phases):
        axes.axvspan(phase.start_s, phase.end_s, color=_SHADES[number % 2], linewidth=0)
        width_px = (phase.end_s - phase.start_s) / sketch.duration_s * (WIDTH_PX - 70)
        if len(phase.name) * _LETTER_PX <= width_px:
            middle_s = (phase.start_s + phase.end_s) / 2
            axes.text(middle_s, top * 1.18, phase.name, fontsize=7, ha="center", va="top")


def _style(axes: Axes, unit: Unit) -> None:
    axes.set_ylabel(_TITLES[unit], fontsize=8)
    axes.tick_params(labelsize=7)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda t_s, _: clock(t_s)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: level(value)))
    _hide(axes, ("top", "right"))


def _hide(axes: Axes, sides: Iterable[str]) -> None:
    for side in sides:
        axes.spines[side].set_visible(False)
