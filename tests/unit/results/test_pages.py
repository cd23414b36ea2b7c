"""The pages on results and shapes: their examples run, and they name everything that there is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import results
from results.fault import FAULT_REFUSED, MAX_FAULTS
from results.figure import FURTHER_FIGURES, Statistic
from results.impact import Impact
from results.measure import Bound, Measure, Scales, Series
from results.note import LONGEST_TEXT, MAX_NOTES, NOTES_LEFT_OUT
from results.recorder import LONGEST_NAME
from results.replay import replay
from results.sample import Outcome
from results.scrape import CPU_PERCENT, GAUGES, MEANS_MS, SERIES_LEFT_OUT, UP
from results.statistic import QUANTILES
from results.timeline import EndReason
from results.timeline_reader import read_timeline
from results.verdict import ExitCode, Verdict

DOCS = Path(results.__file__).parent.parent / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), flags=re.S)


def test_the_pages_timeline_is_read_and_passes(tmp_path: Path) -> None:
    (example,) = blocks("results.md", "jsonl")
    path = tmp_path / "timeline.jsonl"
    path.write_text(example)
    read = read_timeline(path)
    assert read.lost_reports() == {}
    judgement = replay(path)
    assert judgement.verdict is Verdict.PASS
    run = judgement.windows[0]
    assert run.total.excess.quantile_ms(1.0) == 15.0
    assert run.figures["updates"].sum == 3.0
    assert read.plan is not None and read.plan.endpoint == "GET /*"
    assert [window.window.name for window in judgement.windows[2:]] == ["baseline", "fault:kill-1"]
    assert judgement.target["run"]["node-1"]["commit_ms"].mean == 1.9
    (sample,) = read.target
    assert set(sample.values) <= {UP, CPU_PERCENT, *GAUGES, *MEANS_MS}


def test_the_pages_on_results_and_checks_name_every_word_of_the_formats() -> None:
    page = (DOCS / "checks.md").read_text() + (DOCS / "results.md").read_text()
    words: list[str] = [outcome.value for outcome in Outcome if outcome is not Outcome.CANCELLED]
    words += [measure.value for measure in Measure] + [reason.value for reason in EndReason]
    words += [series.value for series in Series] + [verdict.value for verdict in Verdict]
    words += [f"| {int(code)} |" for code in ExitCode] + [f"{quantile}" for quantile in QUANTILES]
    words += [f"`{statistic.value}`" for statistic in Statistic]
    words += [f"`{bound.value}`" for bound in Bound] + [f'"{Scales.TIME}"', f'"{Scales.LOAD}"']
    words += [FURTHER_FIGURES, SERIES_LEFT_OUT, FAULT_REFUSED, NOTES_LEFT_OUT]
    words += [f"`{one.name}`" for one in fields(Impact) if one.name != "fault"]
    words += [f"{number:,} " for number in (LONGEST_TEXT, MAX_FAULTS, MAX_NOTES, LONGEST_NAME)]
    assert [word for word in words if word not in page] == []
    kinds = set(re.findall(r'^\{"kind":"(\w+)"', page, flags=re.M))
    assert kinds == set(re.findall(r"^\| `(\w+)` \| ", page.split("| kind |")[1], flags=re.M))


def test_the_page_on_results_names_the_values_that_a_node_has_and_no_other() -> None:
    page = (DOCS / "results.md").read_text().split("| value |")[1].split("\n\n")[0]
    listed = set(re.findall(r"`(\w+)`", page))
    assert listed == {UP, CPU_PERCENT, *GAUGES, *MEANS_MS}


def test_the_first_example_of_the_page_on_shapes_holds() -> None:
    exec(compile(blocks("shapes.md", "python")[0], "shapes.md", "exec"), {})
