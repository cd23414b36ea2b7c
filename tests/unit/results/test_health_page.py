"""The page on the generator's health names every figure, finding and limit, and no other."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import results
from results import absence, health
from results.fitness import cause

PACKAGE = Path(results.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "generator_health.md").read_text()


def listed(heading: str) -> set[str]:
    """What stands in backticks in the first column of the tables under a heading."""
    section = PAGE.split(heading, 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, flags=re.M)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def codes_of(source: str, module: str) -> set[str]:
    """The codes of the findings that a module of results.fitness makes."""
    known = vars(importlib.import_module(f"results.fitness.{module}"))
    found = set()
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        place = {"Finding": 0, "_late": 1}.get(call.func.id)
        if place is None:
            continue
        code = call.args[place]
        if isinstance(code, ast.Constant):
            found.add(str(code.value))
        elif isinstance(code, ast.Name) and code.id in known:
            found.add(known[code.id])
    return found


def test_the_page_names_every_figure_of_a_line_and_no_other() -> None:
    figures = {
        value
        for name, value in vars(health).items()
        if name.isupper() and isinstance(value, str) and value != health.MASTER
    }
    assert len(figures) > 20, "the control"
    assert listed("## What is measured") == figures


def test_the_page_names_every_finding_and_no_other() -> None:
    codes: set[str] = set()
    for path in sorted((PACKAGE / "fitness").glob("*.py")):
        codes |= codes_of(path.read_text(), path.stem)
    assert {"generator_lag", "arrivals_late", "workers_lost", "clock_moved"} <= codes, "the control"
    assert listed("## Limits") == codes


def test_the_page_states_the_limits_that_are_in_force() -> None:
    limits = PAGE.split("## Limits", 1)[1]
    for words in (
        f"lag p99 over {health.LAG_LIMIT_MS:.0f} ms for {health.LAG_SPAN_S:.0f} s",
        f"together {health.STARVED_USE_PERCENT:.0f} % or more, CPU wait over "
        f"{health.STARVED_WAIT_PERCENT:.0f} % and lag p99 from {health.STARVED_LAG_MS:.0f} ms on, "
        f"for {health.STARVED_SPAN_S:.0f} s",
        f"lateness p99 over {health.LATENESS_LIMIT_MS:.0f} ms for {health.LATENESS_SPAN_S:.0f} s",
        f"over {health.DESCRIPTOR_SHARE * 100:.0f} % of the limit",
        f"or not for more than {health.WATCH_GAP_S:.0f} s",
        f"no line of a worker for more than {health.UNHEARD_LIMIT_S:.0f} s",
        f"more than {health.CLOCK_OFFSET_LIMIT_MS / 1000:.0f} s off",
        f"more than {health.CLOCK_UNCERTAINTY_LIMIT_MS:.0f} ms only",
        f"by more than {health.CLOCK_MOVED_LIMIT_MS:.0f} ms",
        f"fewer than {health.USERS_SHARE * 100:.0f} % of the planned users for "
        f"{health.USERS_SPAN_S:.0f} s",
        f"a wait of {cause.WAIT_PERCENT:.0f} % or more",
        f"{cause.CORE_PERCENT:.0f} % or more: the process computed",
    ):
        assert words in limits, words


def test_lines_about_workers_that_were_away_have_no_name_of_a_figure() -> None:
    about_absence = {value for name, value in vars(absence).items() if name.isupper()}
    figures = {value for name, value in vars(health).items() if name.isupper()}
    assert not about_absence & figures
