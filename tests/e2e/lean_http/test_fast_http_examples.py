"""Locustfiles written for FastHttpUser give the same statistics with LeanHttpUser in its place.

All examples run in one Locust, by its real command line, once with each client at the same time.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.lean_http.example_site import ExampleServer

EXAMPLES = Path(__file__).parent / "examples"
NAMES = sorted(
    path.stem for path in EXAMPLES.glob("*.py") if path.stem not in ("__init__", "finite")
)
ROUNDS = 3
GUARD_S = 90
IMPORT = re.compile(r"^from locust import FastHttpUser(?:, )?(.*)$", re.MULTILINE)
LEAN = r"from locust import \1\nfrom locustfiles.harness.http import LeanHttpUser as FastHttpUser"


@dataclass(frozen=True)
class Result:
    """`stats` holds requests and failures by (method, name)."""

    stats: dict[tuple[str, str], tuple[int, int]]
    asked: Counter[str]


def locustfile(name: str, folder: Path, *, lean: bool) -> Path:
    text = (EXAMPLES / f"{name}.py").read_text()
    if lean:
        text, replaced = IMPORT.subn(LEAN, text)
        assert replaced == 1, "the import is all that changes"
    path = folder / f"{name}_example.py"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Result]]:
    started = {}
    for kind in ("fast", "lean"):
        folder = tmp_path_factory.mktemp(kind)
        files = [locustfile(name, folder, lean=kind == "lean") for name in NAMES]
        site = ExampleServer()
        command = [
            *(sys.executable, "-m", "locust", "--headless", "--json", "--skip-log"),
            *("-f", ",".join(map(str, [*files, EXAMPLES / "finite.py"]))),
            *("-u", "50", "-r", "50", "--host", site.url),
        ]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "EXAMPLE_ROUNDS": str(ROUNDS)},
        )
        started[kind] = (site, process)
    found = {}
    try:
        for kind, (site, process) in started.items():
            out, err = process.communicate(timeout=GUARD_S)
            assert out.lstrip().startswith("["), f"{kind}: {out}\n{err}"
            rows: list[dict[str, Any]] = json.loads(out)
            stats = {
                (row["method"], row["name"].replace(site.url, "")): (
                    row["num_requests"],
                    row["num_failures"],
                )
                for row in rows
            }
            found[kind] = Result(stats, site.asked)
        yield found
    finally:
        for site, process in started.values():
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=10)
            site.close()


def test_the_statistics_are_the_same_to_the_request(results: dict[str, Result]) -> None:
    fast, lean = results["fast"].stats, results["lean"].stats
    differing = {
        key: (fast.get(key), lean.get(key))
        for key in fast.keys() | lean.keys()
        if fast.get(key) != lean.get(key)
    }
    assert differing == {}


def test_no_assertion_of_an_example_failed_and_each_ran(results: dict[str, Result]) -> None:
    for kind, result in results.items():
        raised = [name for method, name in result.stats if method == "EXCEPTION"]
        assert raised == [], kind
        # One request that only this example makes, in every round.
        for key in (
            ("GET", "/tenant"),
            ("GET", "judged"),
            ("POST", "rest ok"),
            ("GET", "rest own base"),
            ("GET", "/a.css"),
            ("GET", "first part"),
            ("POST", "mixed"),
            ("GET", "redirect loop"),
            ("SEEN", "context inner 200 False /json"),
        ):
            assert result.stats[key][0] == ROUNDS, (kind, key)
        assert result.stats["GET", "account without a session"] == (1, 1)
        assert result.stats["GET", "redirect loop"] == (ROUNDS, ROUNDS)
        assert result.stats["GET", "/"] == (ROUNDS, 0)


def test_the_server_was_asked_the_same(results: dict[str, Result]) -> None:
    """But for the one page that closes the connection: FastHttpUser and this client differ in what
    they send once more on a fresh connection.
    """
    fast, lean = results["fast"].asked, results["lean"].asked
    differing = {key for key in fast.keys() | lean.keys() if fast[key] != lean[key]}
    assert differing <= {"GET /close"}
