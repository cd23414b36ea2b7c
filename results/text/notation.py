"""How a check's numbers, durations and names are written, so that reading them gives the same.

Writing is exact: a share of 0.001 is `0.1%` and comes back as 0.001, not as what floating point
makes of 0.1 / 100. `grammar.py` reads what is written here. This module must not know checks.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import assert_never

from results.measure import Series, Unit

KEYWORDS = ("of", "in", "over", "for")
"""Each begins a clause, wherever it stands as a word of its own outside of quotes."""

_PLAIN_ENDPOINT = re.compile(r"[^\s,\"'](?:[^,\"'\s]| (?! ))*")
_PLAIN_WINDOW = re.compile(r"[^\s,\"']+")
_PLAIN_FIGURE = re.compile(r"[^\s,\"'()](?:[^,\"'()]*[^\s,\"'()])?")
_SPAN = re.compile(r"([0-9.]+(?:e-?[0-9]+)?)s\.\.([0-9.]+(?:e-?[0-9]+)?)s")

LATEST_S = 1e9
"""Of an interval's end: thirty years, beyond which counting seconds would overflow somewhere."""

_SHARE_DIGITS = 2
_MS_DIGITS = 3


def number_text(value: float, tens: int = 0) -> str:
    """The shortest digits of the number times ten to the power of `tens`, thousands apart."""
    exact = Decimal(repr(float(value))).scaleb(tens).normalize()
    if exact and not Decimal("1e-9") <= abs(exact) < Decimal("1e15"):
        return f"{exact:e}"
    return f"{exact:,f}"


def limit_text(unit: Unit, value: float) -> str:
    """A limit with its unit: `0.1%`, `250ms`, `2.5s`, `1,000/s`."""
    match unit:
        case Unit.SHARE:
            return f"{number_text(value, _SHARE_DIGITS)}%"
        case Unit.MS:
            return f"{number_text(value)}ms" if value < 1000 else duration_text(value, _MS_DIGITS)
        case Unit.S:
            return duration_text(value)
        case Unit.COUNT | Unit.OWN:
            return number_text(value)
        case Unit.PER_S:
            return f"{number_text(value)}/s"
        case _:
            assert_never(unit)


def duration_text(value: float, digits: int = 0) -> str:
    """`10s`; the value is in seconds, or in units of which 10^digits are one."""
    return f"{number_text(value, -digits)}s"


def span_text(start_s: float, end_s: float) -> str:
    """`30s..90s`, the name of a window that is an interval of the run."""
    return f"{number_text(start_s)}s..{number_text(end_s)}s".replace(",", "")


def span_of(window: str) -> tuple[float, float] | None:
    """Start and end of a window that `span_text` has named; None of any other name."""
    found = _SPAN.fullmatch(window)
    if found is None:
        return None
    try:
        start_s, end_s = float(found[1]), float(found[2])
    except ValueError:
        return None
    return (start_s, end_s) if end_s <= LATEST_S else None


def endpoint_text(name: str) -> str:
    """In quotes where it would be taken for something else."""
    is_plain = _PLAIN_ENDPOINT.fullmatch(name) and name.isprintable() and not name.endswith(" ")
    has_keyword = any(word.lower() in KEYWORDS for word in name.split(" "))
    return name if is_plain and not has_keyword else quoted(name)


def window_text(name: str) -> str:
    """In quotes where it has a space or the like, as phases may."""
    return name if _PLAIN_WINDOW.fullmatch(name) and name.isprintable() else quoted(name)


def figure_text(name: str) -> str:
    """In quotes also where it has the name of a series, such as `excess`."""
    is_series = name.lower() in {series.value for series in Series}
    return name if _PLAIN_FIGURE.fullmatch(name) and not is_series else quoted(name)


def quoted(text: str) -> str:
    """As in JSON, whatever cannot be shown escaped."""
    whole = json.dumps(text, ensure_ascii=False)
    return "".join(one if one.isprintable() else _escaped(one) for one in whole)


def _escaped(one: str) -> str:
    found = json.dumps(one)[1:-1]
    # JSON leaves DEL as it is.
    return found if found != one else f"\\u{ord(one):04x}"
