"""What a check is about, the left of its sign: `p99`, `p95(excess)`, `errors`, `sum(jobs_done)`.

The words for measures, series, statistics and figures, and the errors of those who use others. This
module must not know limits or clauses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import SequenceMatcher

from results.criterion import COUNTS, Check, FigureCriterion
from results.errors import CheckError
from results.figure import Statistic, validated_name
from results.measure import USUAL_BOUND, Measure, Scales, Series, quantile_name
from results.statistic import QUANTILES
from results.text.reader import Reader
from results.text.source import nearest, shown

_OF_NAMES = (Measure.LATENCY, Measure.MEAN_LATENCY, Measure.FIGURE, Measure.RATIO)
"""Measures whose word is another than their value."""

_PLAIN: Mapping[str, Measure] = {
    measure.value: measure for measure in Measure if measure not in _OF_NAMES
}
_QUANTILES: Mapping[str, float] = {quantile_name(quantile): quantile for quantile in QUANTILES}
_SERIES = tuple(series.value for series in Series)

_STATISTICS: Mapping[str, Statistic] = {
    **{statistic.value: statistic for statistic in Statistic},
    "min": Statistic.LEAST,
    "max": Statistic.MOST,
}

_MEASURES = (*_QUANTILES, "mean", *_PLAIN)

_ELSEWHERE: Mapping[str, str] = {
    "avg": "mean",
    "average": "mean",
    "median": "p50",
    "p100": "max",
    "rps": "rate",
    "throughput": "rate",
    "fail": "errors",
    "failed": "errors",
    "failures": "errors",
    "hits": "requests",
    "missing": "lost",
}
"""What other tools call them."""

_TYPO = 0.75
"""Likeness from which an unknown series is taken for a slip, not for a figure's name."""


def subject(reader: Reader, window: Callable[[], str]) -> Check:
    """The check, still without bound, limit and id; `window` reads the one that a ratio divides by.

    Raises CheckError.
    """
    begins, word = reader.at, reader.word()
    if word is None:
        raise reader.error(begins, f"a measure is expected, such as p99{reader.instead()}")
    reader.skip()
    if not reader.take("("):
        return _plain(reader, word, begins)
    inside = reader.at
    name, is_quoted = _argument(reader)
    if word.lower() == "p":
        # As k6 writes it: p(95).
        return _plain(reader, f"p{name}", begins)
    if not is_quoted and (found := _of_series(reader, word, begins, name, inside)):
        return found
    return _figure(reader, word, begins, name, inside, window)


def _of(measure: Measure) -> Check:
    return Check("", measure, USUAL_BOUND[measure], 0.0)


def _plain(reader: Reader, word: str, begins: int) -> Check:
    name = word.lower()
    if (measure := _PLAIN.get(name)) is not None:
        return _of(measure)
    if name == "mean":
        return replace(_of(Measure.MEAN_LATENCY), series=Series.RAW)
    if (quantile := _QUANTILES.get(name)) is not None:
        return replace(_of(Measure.LATENCY), series=Series.RAW, quantile=quantile)
    if name in _STATISTICS and name not in _ELSEWHERE:
        raise reader.error(begins, f"{word!r} is of a figure: name it, as in {name}(jobs_done)")
    raise _unknown(reader, word, begins)


def _unknown(reader: Reader, word: str, begins: int) -> CheckError:
    name = word.lower()
    hint = nearest(word, _MEASURES)
    if name in _ELSEWHERE:
        hint = f": did you mean {_ELSEWHERE[name]!r}?"
    elif name[:1] == "p" and (percent := _number(name[1:])) is not None:
        closest = min(_QUANTILES, key=lambda known: abs(_QUANTILES[known] * 100 - percent))
        hint = f": did you mean {closest!r}? There are {', '.join(_QUANTILES)}"
    return reader.error(begins, f"unknown measure {shown(word)}{hint}")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _argument(reader: Reader) -> tuple[str, bool]:
    """What stands in brackets, and whether it was quoted."""
    begins, name = reader.at, reader.quoted()
    is_quoted = name is not None
    if name is None:
        end = reader.text.find(")", begins)
        name = reader.text[begins:end].strip() if end >= 0 else ""
        reader.at = max(end, begins)
    reader.skip()
    if not reader.take(")"):
        raise reader.error(reader.at, f"a ')' is expected{reader.instead()}")
    if not name:
        raise reader.error(begins, "a name is expected between the brackets")
    return name, is_quoted


def _of_series(reader: Reader, word: str, begins: int, name: str, inside: int) -> Check | None:
    """`p99(excess)`; None where it is a figure's statistic, as in `max(queue)`."""
    if word.lower() not in (*_QUANTILES, "mean"):
        return None
    if name.lower() in _SERIES:
        return replace(_plain(reader, word, begins), series=Series(name.lower()))
    is_slip = any(SequenceMatcher(None, name.lower(), one).ratio() >= _TYPO for one in _SERIES)
    if word.lower() in _STATISTICS and not is_slip:
        return None
    figure = " (a figure of that name is put in quotes)" if word.lower() in _STATISTICS else ""
    problem = f"unknown series {shown(name)}{nearest(name, _SERIES)}{figure}"
    raise reader.error(inside, problem)


def _figure(
    reader: Reader, word: str, begins: int, name: str, inside: int, window: Callable[[], str]
) -> Check:
    statistic = _STATISTICS.get(word.lower())
    if statistic is None:
        known = (*_STATISTICS, *_QUANTILES)
        problem = f"{shown(word)} is no statistic of a figure or series{nearest(word, known)}"
        raise reader.error(begins, problem)
    try:
        validated_name(name)
    except ValueError as error:
        raise reader.error(inside, str(error)) from None
    reader.skip()
    if not reader.take("/"):
        scales = Scales.BOTH if statistic in COUNTS else None
        return replace(_of(Measure.FIGURE), figure=FigureCriterion(name, statistic, scales))
    at, over = reader.at, window()
    if over.endswith(":*"):
        raise reader.error(at, "one window is divided by: name it, such as phase:single")
    return replace(_of(Measure.RATIO), figure=FigureCriterion(name, statistic, over=over))
