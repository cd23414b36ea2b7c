"""docs/own_service.md: its locustfiles run as they stand, and lead to a verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.own_target import OwnTarget, own_target
from tests.e2e.scenario import ROOT, run
from tests.e2e.test_judge import assert_judged

PAGE = (ROOT / "docs/own_service.md").read_text()
SHORT = ("--time-scale", "0.1")


@pytest.fixture(scope="module")
def target() -> Iterator[OwnTarget]:
    with own_target() as started:
        yield started


def blocks(heading: str) -> list[str]:
    """The Python of one section."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def test_the_one_line_makes_the_file_on_the_page_judged(tmp_path: Path, target: OwnTarget) -> None:
    path = tmp_path / "shop.py"
    users, line = blocks("One line")
    path.write_text(users + line)
    options = ("--host", target.url, "-u", "5", "-r", "5", "-t", "2")
    done = run(tmp_path / "runs", *options, locustfile=path)
    assert_judged(done)
    assert done.timeline("header")[0]["scenario"] == "shop"


def test_readme_shows_the_same_line() -> None:
    assert blocks("One line")[1] in (ROOT / "README.md").read_text()


def test_the_smallest_plan_on_the_page_is_the_file() -> None:
    (shown,) = blocks("A shape of your own")
    text = (ROOT / "locustfiles/own_service.py").read_text()
    assert text.split('"""', 2)[2].strip() == shown.strip()
    assert len(text.splitlines()) < 40


@pytest.mark.long
@pytest.mark.parametrize(
    ("heading", "name", "endpoints"),
    [
        ("A shape per user class", "catalog", {"GET /items/{id}", "GET /drafts"}),
        ("Open arrivals", "checkout", {"GET /buy/{item}"}),
    ],
)
def test_the_locustfiles_on_the_page_run_to_a_verdict(
    tmp_path: Path, target: OwnTarget, heading: str, name: str, endpoints: set[str]
) -> None:
    path = tmp_path / f"{name}.py"
    (text,) = blocks(heading)
    path.write_text(text)
    done = run(tmp_path / "runs", *SHORT, "--host", target.url, locustfile=path)
    assert_judged(done)
    assert set(done.window("run")["endpoints"]) == endpoints
    assert done.timeline("header")[0]["scenario"] == name
