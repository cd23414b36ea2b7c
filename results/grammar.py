"""Checks as text: one grammar for locustfiles, files given with `--slo`, summary and report.

    MEASURE OP LIMIT [of ENDPOINT] [in WINDOW] [over Ns | for Ns] [, abort [after Ns]]

`docs/checks.md` has every form. What `Check.expression` writes reads back as the same check. Every
error names the column, what was expected and the nearest word that would do. This module must not
read files, or know whether a run has the windows that a check names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from results.criterion import Check, named, why_no_spans
from results.errors import CheckError
from results.figure import Statistic
from results.measure import OF_FAULTS, OF_WRITES, Bound, Measure, Unit, bounds
from results.text.notation import KEYWORDS
from results.text.quantity import duration_at, limit_at, span_at
from results.text.reader import Reader
from results.text.source import MAX_TEXT, Source, nearest, shown
from results.text.subject import subject
from results.windows import BASELINE, RUN

ABORT_AFTER_S = 5.0
"""Of `abort` without `after`: the first seconds of a run are not like the others."""

CLAUSES = (*KEYWORDS, "abort")

_SIGNS: Mapping[str, Bound] = {bound.sign: bound for bound in Bound}
_WRONG_SIGNS: Mapping[str, str] = {"=": "==", "=<": "<=", "=>": ">=", "≤": "<=", "≥": ">="}
_SIGN = re.compile(r"[<>=!~≤≥]+")

_PREFIXES = ("phase:", "fault:", "recovery:")
_WINDOW = re.compile(r"[^\s,\"']+")
_CLAUSE = re.compile(r"\s+(?:of|in|over|for|abort)(?=\s|$)|\s*,", re.IGNORECASE)

_WITHOUT_ENDPOINT = OF_WRITES | OF_FAULTS | {Measure.UNSENT, Measure.FIGURE, Measure.RATIO}


class Clause(NamedTuple):
    """What a clause says, and where."""

    value: str | float
    source: Source
    offset: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """`MEASURE OP LIMIT` as read; `sign_at` is where the sign stands."""

    check: Check
    source: Source
    sign_at: int


def check(text: str) -> Check:
    """The check that a text says. Raises CheckError, a ValueError, that names the column."""
    if not isinstance(text, str):
        raise CheckError(f"a check is text, such as 'p99 < 250ms', not {type(text).__name__}")
    return built(*parsed(Source(text)))


def parsed(source: Source) -> tuple[Comparison, dict[str, Clause]]:
    """A comparison and its clauses, still apart. Raises CheckError."""
    if len(source.text) > MAX_TEXT:
        raise source.error(0, f"a check has at most {MAX_TEXT:,} characters")
    reader = Reader(source)
    comparison = _comparison(reader)
    clauses: dict[str, Clause] = {}
    while reader.skip() < len(reader.text):
        begins, name = _clause_name(reader)
        if name in clauses:
            raise reader.error(begins, f"{name!r} is given twice")
        clauses[name] = _clause(reader, name)
    return comparison, clauses


def clause(name: str, source: Source) -> Clause:
    """A clause whose value alone is the text, as a file's mapping has it. Raises CheckError."""
    if name == "of":
        if not source.text.strip():
            raise source.error(0, "the endpoint has no name")
        return Clause(source.text, source, 0)
    reader = Reader(source)
    if name == "abort":
        begins = reader.skip()
        if (reader.word() or "").lower() != "after":
            reader.at = begins
        found = Clause(_duration(reader), source, begins)
    else:
        found = _clause(reader, name)
    if reader.skip() < len(reader.text):
        raise reader.error(reader.at, f"unexpected {shown(reader.text[reader.at :])}")
    return found


def built(comparison: Comparison, clauses: Mapping[str, Clause]) -> Check:
    """The check with its clauses. Raises CheckError where they do not go together."""
    made = comparison.check
    if problem := _why_idle(made):
        raise comparison.source.error(comparison.sign_at, problem)
    for name, (value, source, offset) in clauses.items():
        if name == "of" and made.measure in _WITHOUT_ENDPOINT:
            problem = f"{made.measure.value} is not counted by endpoint: leave it out"
            raise source.error(offset, problem)
        made = _with(made, name, value)
        if problem := why_no_spans(made):
            raise source.error(offset, problem)
    return named(made)


def _with(made: Check, name: str, value: str | float) -> Check:
    if isinstance(value, str):
        return replace(made, endpoint=value) if name == "of" else replace(made, window=value)
    if name == "over":
        return replace(made, over_s=value)
    return replace(made, for_s=value) if name == "for" else replace(made, abort_after_s=value)


def _comparison(reader: Reader) -> Comparison:
    begins = reader.skip()
    made = subject(reader, lambda: _window(reader))
    sign_at = reader.skip()
    bound = _bound(reader)
    limit_begins = reader.skip()
    limit, measure, reader.at = limit_at(reader.source, limit_begins, made.measure)
    made = replace(made, measure=measure, bound=bound, limit=limit)
    allowed = bounds(measure)
    if bound not in allowed:
        problem = "a check says what must hold"
        if bound is Bound.EQUAL:
            problem = "only counts and figures can be equal to a limit"
        instead = allowed[0 if bound in (Bound.ABOVE, Bound.BELOW) else 1].sign
        left, right = reader.text[begins:sign_at].strip(), reader.text[limit_begins : reader.at]
        raise reader.error(sign_at, f"{problem}: write {f'{left} {instead} {right}'!r}")
    return Comparison(made, reader.source, sign_at)


def _bound(reader: Reader) -> Bound:
    begins, sign = reader.at, reader.matched(_SIGN)
    bound = _SIGNS.get(sign)
    if bound is not None:
        return bound
    known = ", ".join(_SIGNS)
    if sign in _WRONG_SIGNS:
        problem = f"unknown sign {sign!r}: did you mean {_WRONG_SIGNS[sign]!r}?"
    elif sign:
        problem = f"unknown sign {sign!r}: use one of {known}"
    else:
        problem = f"one of {known} is expected{reader.instead()}"
    raise reader.error(begins, problem)


def _why_idle(made: Check) -> str | None:
    """Why it could never hold, or never fail: nothing counted is below 0, most shares end at 1."""
    is_count = made.measure.unit is Unit.COUNT
    if made.figure is not None and made.measure is Measure.FIGURE:
        is_count = made.figure.statistic is Statistic.COUNT
    if is_count and made.bound is Bound.EQUAL and made.limit != int(made.limit):
        return "a count is a whole number, so this could never hold: write one"
    if made.measure.unit is Unit.OWN:
        return None
    if made.bound is Bound.BELOW and made.limit == 0:
        return "nothing counted is below 0, so this could never hold: write '<='"
    is_share = made.measure.unit is Unit.SHARE and made.measure is not Measure.ACHIEVED
    if made.bound is Bound.ABOVE and is_share and made.limit == 1:
        return "no share is above 100%, so this could never hold: write '>='"
    if made.bound is Bound.AT_LEAST and made.limit == 0:
        return "nothing counted is below 0, so this could never fail: write '>'"
    if made.bound is Bound.AT_MOST and is_share and made.limit == 1:
        return "no share is above 100%, so this could never fail: write '<'"
    return None


def _clause_name(reader: Reader) -> tuple[int, str]:
    has_comma = reader.take(",")
    begins, word = reader.at, reader.word()
    name = (word or "").lower()
    if begins == len(reader.text):
        raise reader.error(begins, "nothing follows the comma: leave it out, or write 'abort'")
    if name not in CLAUSES:
        rest = reader.text[begins:].split(maxsplit=1)[0]
        hint = nearest(word, CLAUSES) if word else f": use one of {', '.join(CLAUSES)}"
        quotes = "(a name with spaces or commas is put in quotes)"
        raise reader.error(begins, f"unexpected {shown(word or rest)}{hint} {quotes}")
    if has_comma and name != "abort":
        raise reader.error(begins, f"no comma is expected before {name!r}")
    return begins, name


def _clause(reader: Reader, name: str) -> Clause:
    begins = reader.skip()
    value: str | float
    match name:
        case "of":
            value = _endpoint(reader)
        case "in":
            value = _window(reader)
        case "abort":
            value = _abort(reader)
        case _:
            value = _duration(reader)
    return Clause(value, reader.source, begins)


def _duration(reader: Reader) -> float:
    value, reader.at = duration_at(reader.source, reader.skip())
    return value


def _abort(reader: Reader) -> float:
    begins = reader.at
    if (reader.word() or "").lower() != "after":
        reader.at = begins
        return ABORT_AFTER_S
    return _duration(reader)


def _endpoint(reader: Reader) -> str:
    begins, name = reader.at, reader.quoted()
    if name is None:
        found = _CLAUSE.search(reader.text, begins)
        reader.at = found.start() if found else len(reader.text)
        name = reader.text[begins : reader.at].strip()
    if not name:
        raise reader.error(begins, "an endpoint is expected after 'of', such as GET /cart")
    return name


def _window(reader: Reader) -> str:
    """The name of a window, as far as it can be known without the run."""
    begins, name = reader.at, reader.quoted()
    if name is None:
        name = reader.matched(_WINDOW)
        if name[:1].isdigit():
            reader.at = begins
            name, reader.at = span_at(reader.source, begins)
            return name
    if not name:
        raise reader.error(begins, f"a window is expected, such as phase:burst{reader.instead()}")
    prefix, colon, rest = name.partition(":")
    if name in (RUN, BASELINE) or (f"{prefix}{colon}" in _PREFIXES and rest):
        return name
    known = [RUN, BASELINE, *(f"{one}{rest or '*'}" for one in _PREFIXES), "30s..90s"]
    raise reader.error(begins, f"unknown window {shown(name)}{nearest(name, known)}")
