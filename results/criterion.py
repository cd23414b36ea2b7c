"""What a check asks of a figure, as data: its name, a statistic and the side of the limit.

This module must not know checks or how figures are added up.
"""

from __future__ import annotations

from dataclasses import dataclass

from results.field import Fields
from results.figure import Statistic, validated_name
from results.measure import Bound, Scales

COUNTS = frozenset({Statistic.SUM, Statistic.COUNT})
"""Statistics that a shorter run or fewer users make smaller."""


@dataclass(frozen=True, slots=True)
class FigureCriterion:
    """What a check asks of a figure. `over` is the window to divide by, of a ratio alone.

    `scales` says what the limit of a count is scaled by; None: never.
    """

    name: str
    statistic: Statistic
    bound: Bound
    scales: Scales | None = None
    over: str | None = None

    def as_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "statistic": self.statistic.value,
            "bound": self.bound.value,
            "scales": None if self.scales is None else self.scales.value,
            "over": self.over,
        }

    @classmethod
    def from_dict(cls, data: object) -> FigureCriterion:
        fields = Fields(data, "check, figure")
        scales = fields.optional_text("scales")
        criterion = cls(
            validated_name(fields.text("name")),
            Statistic(fields.text("statistic")),
            Bound(fields.text("bound")),
            None if scales is None else Scales(scales),
            fields.optional_text("over"),
        )
        fields.end()
        if criterion.scales is not None and criterion.statistic not in COUNTS:
            raise ValueError(f"check, figure: a {criterion.statistic} does not scale")
        return criterion
