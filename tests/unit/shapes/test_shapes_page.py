"""docs/shapes.md: its code runs, and its tables list every builder and no other."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import shapes.profile

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/shapes.md"

GIVEN = """
from locust import User
Browser, Editor, Checkout = (
    type(name, (User,), {"abstract": True}) for name in ("Browser", "Editor", "Checkout")
)
"""
"""The reader's own classes, which the page names and does not define."""


def code_of(page: str) -> str:
    """The page with all but its Python blocks blanked, so that line numbers stay."""
    lines, inside = [], False
    for line in page.splitlines():
        if line.startswith("```"):
            inside = line == "```python"
            lines.append("")
        else:
            lines.append(line if inside else "")
    return "\n".join(lines)


def run(page: str) -> subprocess.CompletedProcess[str]:
    """As one script, in a process of its own, since shapes import Locust."""
    code = f"exec({GIVEN!r}); exec(compile({code_of(page)!r}, 'shapes.md', 'exec'))"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_the_code_of_the_page_runs() -> None:
    done = run(PAGE.read_text())
    assert done.returncode == 0, done.stderr


def test_the_check_of_the_page_notices_code_that_does_not_hold_and_names_its_line() -> None:
    page = PAGE.read_text()
    wrong = page.replace("== 360_000", "== 360_001")
    assert wrong != page
    line = next(n for n, text in enumerate(wrong.splitlines(), 1) if "360_001" in text)
    done = run(wrong)
    assert done.returncode == 1
    assert f'File "shapes.md", line {line}' in done.stderr
    assert "AssertionError" in done.stderr


def test_the_tables_list_every_builder_and_no_other() -> None:
    builders = {
        name for name in shapes.profile.__all__ if inspect.isfunction(getattr(shapes.profile, name))
    }
    rows = re.findall(r"^\| `(\w+)\(", PAGE.read_text(), re.MULTILINE)
    assert builders == {*rows, "at"}
    assert "`overlay(a, at(30, b), …)`" in PAGE.read_text()


def test_every_builder_states_its_equation() -> None:
    for name in {*shapes.profile.__all__} - {"per_s"}:
        builder = getattr(shapes.profile, name)
        if inspect.isfunction(builder):
            assert re.search(r"target'?\(t\) = ", inspect.getdoc(builder) or ""), name
