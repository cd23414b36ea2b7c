"""What the plot shows, in words of its own: panes of curves, bands of time and marks.

`panes.py` fills them from a run, and `figure.py` writes them for the plots' library. This module
must not know either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MOST_POINTS = 2_000
"""A curve: about one for each pixel of a wide screen. Longer runs are drawn in steps of seconds."""


class Thinning(StrEnum):
    """What stands for several seconds where a run has more of them than the plot has pixels."""

    MEAN = "mean"
    MOST = "most"


@dataclass(frozen=True, slots=True)
class Curve:
    """`values[i]` is of second `start + i` of the pane's figure; None is a gap, not 0.

    `dash` is plotly's. `hidden` ones are in the legend and drawn when they are asked for.
    """

    name: str
    values: Sequence[float | None]
    colour: str
    dash: str = "solid"
    thinning: Thinning = Thinning.MOST
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Pane:
    """Curves over one scale. `stacked` ones lie on top of each other; `logarithmic` panes can be
    switched, and begin so when it helps. `unit` follows a value that is pointed at."""

    title: str
    curves: tuple[Curve, ...]
    unit: str = ""
    height_px: int = 150
    stacked: bool = False
    logarithmic: bool = False


class BandKind(StrEnum):
    PHASE = "phase"
    FAULT = "fault"
    RECOVERY = "recovery"
    UNFIT = "unfit"
    """The generator was not fit."""


@dataclass(frozen=True, slots=True)
class Band:
    """A time that is shaded in every pane, and named in the lane above them."""

    kind: BandKind
    name: str
    start_s: float
    end_s: float
    short_name: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment: a thin line through all panes, told when it is pointed at."""

    t_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Sketch:
    """All that is drawn. `start` is the first second of every curve, `end_s` the plot's edge."""

    start: int
    end_s: float
    panes: tuple[Pane, ...]
    bands: tuple[Band, ...] = ()
    marks: tuple[Mark, ...] = ()
    most_points: int = MOST_POINTS

    @property
    def step_s(self) -> int:
        """Seconds that one point stands for."""
        longest = max(
            (len(curve.values) for pane in self.panes for curve in pane.curves), default=0
        )
        return max(1, math.ceil(longest / self.most_points))
