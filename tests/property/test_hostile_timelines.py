"""Timelines that nobody wrote: cut, bent and stuffed. Each is judged, or refused with its place."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from results.check import error_rate, figure, latency, of_faults
from results.errors import HistogramError, TimelineError
from results.measure import Measure
from results.page.summary import summary
from results.replay import judge_timeline
from results.sample import Outcome
from results.timeline import Annotation, Fault, Health, Progress, TargetSample
from results.timeline_reader import read_timeline
from results.verdict import as_document
from tests.unit.results.builder import PLAN, planned_requests, request, timeline, write

CHECKS = (
    error_rate(below=0.1, window="phase:*"),
    latency(quantile=0.99, below_ms=100),
    figure("jobs done", "sum", above=1),
    of_faults(Measure.RECOVERY, below_s=5),
)

HOSTILE: st.SearchStrategy[object] = st.one_of(
    st.sampled_from(
        [
            *(None, True, False, 0, -1, 1, 7, 0.5, -0.0, 1e-320, 1e308, -1e308, 2**31, 2**53),
            *(2**62, 2**63 - 1, 2**63, -(2**63), 10**400, 9_999_999, 10_000_001),
            *(float("nan"), float("inf"), float("-inf")),
            *(
                "",
                "x",
                "run",
                "../../etc",
                "a\x00b",
                "\x1b[2J",
                "=1+1",
                "<b>",
                "\udc80",
                "x" * 5000,
            ),
            *([], [[]], [1, 2, 3], {}, {"a": 1}, {"": []}, [None] * 5),
        ]
    ),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
)


@cache
def lines() -> tuple[str, ...]:
    """A small timeline that holds a line of every kind."""
    made = timeline(
        [
            *planned_requests(0.1),
            request(2.5, outcome=Outcome.HTTP_5XX, emulated_ms=3),
            request(2.6, outcome=Outcome.TIMEOUT),
        ],
        checks=CHECKS,
        plan=replace(PLAN, endpoint="GET /*", arrivals={"Buyer": (1, 0, 2, 1, 0, 0)}),
        observed=[("jobs done", 3, 2.5)],
        target=(TargetSample(1.2, "node-1", {"cpu_percent": 99.5}),),
        faults=(Fault("kill-1", "kill", "n1", 2.0, 3.5),),
        health=(Health(1.0, "w1", {"lag_p99_ms": 5.0}),),
    )
    made = replace(
        made,
        progress=(Progress(1.0, 2, planned=2),),
        annotations=(Annotation(2.5, "note", "x"),),
    )
    with tempfile.TemporaryDirectory() as folder:
        return tuple(write(Path(folder) / "t.jsonl", made).read_text().splitlines())


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of everything inside of a document."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def bend(document: Any, path: tuple[Any, ...], value: object) -> None:
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = value


def judged(path: Path) -> str | None:
    """The verdict; None where it was refused, naming the file."""
    try:
        judgement = judge_timeline(read_timeline(path))
    except TimelineError as error:
        assert str(path) in str(error) or "checks cannot be read" in str(error)
        return None
    except HistogramError:
        return None
    json.dumps(as_document(judgement), allow_nan=False)
    assert "\x1b" not in summary(judgement, folder="x")
    return judgement.verdict.value


def test_the_timeline_that_is_bent_is_a_good_one(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(lines()) + "\n")
    assert judged(path) == "FAIL"
    kinds = {json.loads(line)["kind"] for line in lines()}
    assert kinds == {
        *("header", "plan", "checks", "second", "progress", "health", "target", "annotation"),
        *("fault", "healed", "end"),
    }


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_timeline_with_values_bent_is_judged_or_refused(
    tmp_path: Path, data: st.DataObject
) -> None:
    documents = [json.loads(line) for line in lines()]
    for _ in range(data.draw(st.integers(1, 3))):
        document = data.draw(st.sampled_from(documents))
        path = data.draw(st.sampled_from(list(places(document))))
        # A copy: what was put in may itself be bent next.
        bend(document, path, deepcopy(data.draw(HOSTILE)))
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in documents), errors="surrogatepass")
    judged(path)


@pytest.mark.parametrize("value", [2**62, -(2**62), 1e18, 1e-320, 9_999_999])
def test_no_number_is_large_or_small_enough_to_hang_or_break_the_verdict(
    tmp_path: Path, value: float
) -> None:
    path = tmp_path / "t.jsonl"
    for n, line in enumerate(lines()):
        for place in places(json.loads(line)):
            documents = [json.loads(one) for one in lines()]
            bend(documents[n], place, value)
            path.write_text("".join(json.dumps(one) + "\n" for one in documents))
            judged(path)


def test_a_timeline_cut_at_any_byte_is_read_or_has_no_header(tmp_path: Path) -> None:
    # Of several seconds one is enough.
    kept = [*dict((json.loads(line)["kind"], line) for line in lines()).values()]
    whole = ("\n".join(kept) + "\n").encode()
    ends = [at for at in range(len(whole)) if whole[at : at + 1] == b"\n"]
    path = tmp_path / "t.jsonl"
    for at in range(len(whole)):
        path.write_bytes(whole[:at])
        if at < ends[0]:
            with pytest.raises(TimelineError, match="no header"):
                read_timeline(path)
            continue
        # A line whose newline alone is missing is whole.
        is_whole = at in ends or at - 1 in ends
        assert read_timeline(path).torn is not is_whole, at


def test_a_timeline_cut_after_any_line_is_judged_aborted(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    for n in range(1, len(lines())):
        path.write_text("\n".join(lines()[:n]) + '\n{"kind":"pro')
        assert judged(path) == "ABORTED"


@pytest.mark.parametrize("junk", [b"\x00", b"\xff", b"{", b"\n", b'{"kind":"end"}\n', b"]" * 99])
def test_junk_anywhere_between_lines_is_refused_with_its_place(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "t.jsonl"
    for n in range(len(lines())):
        parts = [line.encode() + b"\n" for line in lines()]
        parts[n] = junk + parts[n]
        path.write_bytes(b"".join(parts))
        with pytest.raises(TimelineError, match=f"line {n + 1}"):
            read_timeline(path)
