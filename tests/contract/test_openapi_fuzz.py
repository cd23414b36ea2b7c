"""The node against requests made from its own OpenAPI document: nothing surprises it.

The requests are made and judged by `python -m tests.contract.fuzz` (schemathesis, a fixed seed), a
process of its own. The short form is part of `make test`, the long one of `make fault`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.server import NodeExit
from tests.contract.whole_node import whole_node
from tests.e2e.node_process import NodeProcess, running

ROOT = Path(__file__).resolve().parents[2]
SEED = 20_261_120
EXAMPLES = 15
LONG_EXAMPLES = 200
LONG_REQUESTS = 100_000
RACING = {f"{method} /v1/registry/{{namespace}}/{{name}}" for method in ("GET", "DELETE")}
"""Whether these find anything depends on which of the others came first, and on short leases."""

SEEDED = {
    ("POST /v1/events/audit", "Server error"),
    ("POST /v1/events", "Response violates schema"),
    ("GET /v1/events/{id}", "Undocumented status code"),
    ("GET /health", "Undocumented Content-Type"),
    ("GET /v1/events", "Schema-violating request accepted"),
}
"""The bugs of the mutant node, and what each of them is called."""


def fuzz(
    node: NodeProcess, timeout_s: float, only: Sequence[str] = (), **options: int
) -> tuple[int, dict[str, Any], str]:
    """Exit code, report and what can be repeated."""
    arguments = [f"--{name}={value}" for name, value in {"seed": SEED, **options}.items()]
    if only:
        arguments += ["--only", *only]
    done = subprocess.run(
        [sys.executable, "-m", "tests.contract.fuzz", f"--url={node.url}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


def documented(node: NodeProcess) -> set[str]:
    paths = httpx.get(f"{node.url}/openapi.json", timeout=20).json()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def healthy(node: NodeProcess) -> bool:
    """It answers, and ends cleanly."""
    health = httpx.get(f"{node.url}/health", timeout=20).json()
    assert health["status"] == "up", health
    return node.stop() == NodeExit.CLEAN


def by_class(report: dict[str, Any]) -> Counter[str]:
    classes: Counter[str] = Counter()
    for status, count in report["statuses"].items():
        classes[f"{status[0]}xx"] += count
    return classes


def test_every_operation_answers_generated_requests_as_its_document_says(tmp_path: Path) -> None:
    with whole_node(tmp_path) as node:
        code, report, samples = fuzz(node, 110, examples=EXAMPLES)
        assert (code, report["faults"]) == (0, {}), samples
        assert set(report["operations"]) == documented(node)
        accepted = {label for label, count in report["accepted"].items() if count}
        assert accepted >= documented(node) - RACING
        assert by_class(report)["5xx"] == 0 < by_class(report)["4xx"]
        assert healthy(node), node.log
    assert "Traceback" not in node.log


def test_a_node_that_breaks_its_document_is_caught(tmp_path: Path) -> None:
    """Positive control: each of the mutant's bugs turns the fuzz red."""
    command = ("-m", "tests.contract.fuzz.mutant_node")
    with running(tmp_path / "data", command=command, log_level="error") as node:
        code, report, _ = fuzz(node, 110, [label for label, _ in SEEDED], examples=10)
    found = {
        (label, fault.split(": ")[0])
        for label, fault in (line.split(": ", 1) for line in report["faults"])
    }
    assert code == 1
    assert found >= SEEDED


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_a_hundred_thousand_generated_requests_cause_no_5xx(tmp_path: Path) -> None:
    with whole_node(tmp_path) as node:
        code, report, samples = fuzz(
            node, 1_100, examples=LONG_EXAMPLES, requests=LONG_REQUESTS, connections=8
        )
        assert (code, report["faults"]) == (0, {}), samples
        assert report["requests"] >= LONG_REQUESTS
        sources = report["sources"]
        assert sources["document"] >= len(documented(node)) * LONG_EXAMPLES / 4
        assert sources["repeated"] < report["requests"] / 5
        assert set(report["operations"]) == documented(node)
        assert healthy(node), node.log
    assert "Traceback" not in node.log
    print(
        f"{report['requests']:,} requests ({sources['document']:,} made from the document,"
        f" {sources['familiar']:,} of them again about what exists, {sources['mutated']:,}"
        f" mutations, {sources['repeated']:,} repeats), seed {SEED}, {report['seconds']} s:"
        f" {dict(sorted(report['statuses'].items()))}, 0 unplanned 5xx"
    )
