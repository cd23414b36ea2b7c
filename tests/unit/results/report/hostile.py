"""Texts that a page must show and must not obey."""

from __future__ import annotations

from dataclasses import replace

from results.check import error_rate
from results.sample import Outcome
from results.timeline import Annotation, Fault, Header, Plan, PlannedPhase, TargetSample, Timeline
from tests.unit.results.builder import request, timeline

TEXTS = (
    "<script>window.stolen = 1</script>",
    "</script><script>window.stolen = 1</script>",
    "<img src=http://203.0.113.1/x onerror='window.stolen = 1'>",
    '"><svg onload=window.stolen=1>',
    "{{ 7 * 7 }}{% raw %}",
    '=HYPERLINK("http://203.0.113.1")',
    "<!-- <b>fat</b> &lt;i&gt; ]]>",
    "right \u202eto left\u202c and \x00\x1b[31mred\x07",
    "مرحبا بالعالم",
    '<a href="javascript:window.stolen=1">press</a>',
    "%{customdata} $\\frac{1}{2}$",
    "x" * 10_000,
)


def hostile_timeline() -> Timeline:
    """Every place of a timeline that takes text holds all of these."""
    samples = [
        request(0.2 + n / 100, name=text, outcome=Outcome.OK if n % 2 else Outcome.HTTP_5XX)
        for n, text in enumerate(TEXTS)
    ]
    length = float(len(TEXTS))
    made = timeline(
        samples,
        checks=[error_rate(below=0.1, endpoint=text) for text in TEXTS],
        plan=Plan(
            length,
            tuple(PlannedPhase(text, n, n + 1) for n, text in enumerate(TEXTS)),
            (1,) * len(TEXTS),
            (1.0,) * len(TEXTS),
            1.0,
            TEXTS[0],
        ),
        target=tuple(TargetSample(1.0, text, {"up": 1.0, "cpu_percent": 5.0}) for text in TEXTS),
        header=Header("run-1", TEXTS[0], 0),
        faults=(Fault("kill-1", "kill", TEXTS[2], 2.0, 4.0),),
    )
    marks = tuple(Annotation(float(n), text, text) for n, text in enumerate(TEXTS))
    return replace(made, annotations=marks)


def hostile_manifest() -> dict[str, object]:
    return {
        "tier": TEXTS[1],
        "users": list(TEXTS),
        "options": {text: text for text in TEXTS},
        "versions": {text: text for text in TEXTS},
        "host": {text: text for text in TEXTS},
        "git": {"commit": TEXTS[3], "modified": True},
    }


def hostile_verdict() -> dict[str, object]:
    """A verdict.json that somebody made, in the form of ours."""
    texts = list(TEXTS)
    return {
        "verdict": TEXTS[0],
        "exit_code": 1,
        "reasons": texts,
        "checks": [
            {
                "id": text,
                "expression": text,
                "endpoint": text,
                "window": text,
                "status": text,
                "measure": text,
                "reason": text,
                "value": 1.0,
                "samples": 3,
            }
            for text in texts
        ],
        "windows": [
            {
                "name": name,
                "intervals_s": [[0, 1]],
                "total": {"requests": 1, "errors": {text: 1 for text in texts}},
                "endpoints": {text: {"requests": 1, "errors": {text: 1}} for text in texts},
                "figures": {text: {"count": 1} for text in texts},
                "arrivals": {text: {"unsent": 1, "unsent_by_reason": {text: 1}} for text in texts},
            }
            for name in ("run", *texts)
        ],
        "faults": [{"id": text, "kind": text, "node": text, "began_s": 1} for text in texts],
        "generator": {
            "fit": False,
            "findings": [{"code": text, "text": text} for text in texts],
            "worst": {text: {"lag_p99_ms": 5.0} for text in texts},
        },
        "target": {"run": {text: {"up": {"mean": 1, "most": 1, "samples": 1}} for text in texts}},
        "audit": {
            "not_made": TEXTS[0],
            "totals": {"lost": 1, TEXTS[1]: 2},
            "by_window": {text: {"lost": 1} for text in texts},
            "by_node": {text: {"lost": 1} for text in texts},
            "examples": {"lost": texts},
            "unread_nodes": {text: text for text in texts},
            "doubts": texts,
        },
    }
