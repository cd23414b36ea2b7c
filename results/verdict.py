"""The verdict: one word and one exit code for a run, with reasons in plain words.

Precedence (D15): bad configuration, then aborted, failed, inconclusive, passed. A generator that
was not fit voids everything but what it cannot have caused. This module must not read files or
compute statistics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum

from results.audit.audit import Audit
from results.audit.document import audit_document
from results.figure import FigureStats
from results.finding import Finding, touching
from results.impact import Impact
from results.judging.evaluation import CheckResult, Status
from results.measure import quantile_name
from results.statistic import QUANTILES, EndpointStats, Latency, WindowStats
from results.target import ByNode, TargetStats


class Verdict(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    ABORTED = "ABORTED"


class ExitCode(IntEnum):
    """Of every command that judges a run; 2 is left to usage errors of the shell and Locust."""

    PASS = 0
    FAIL = 1
    INCONCLUSIVE = 3
    BAD_CONFIGURATION = 4
    ABORTED = 5


PRECEDENCE = (
    ExitCode.BAD_CONFIGURATION,
    ExitCode.ABORTED,
    ExitCode.FAIL,
    ExitCode.INCONCLUSIVE,
    ExitCode.PASS,
)
"""First wins."""


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The one that takes precedence. No code at all is INCONCLUSIVE: nothing was judged."""
    return min(codes, key=PRECEDENCE.index, default=ExitCode.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A run's verdict and all that it rests on. `health` holds each source's worst figures.

    `target` is how the nodes were in each window, on which the verdict does not rest. `aborted`
    says why the run did not reach its end, `doubts` what else makes it inconclusive.
    """

    verdict: Verdict
    exit_code: ExitCode
    reasons: tuple[str, ...]
    results: tuple[CheckResult, ...]
    windows: tuple[WindowStats, ...]
    findings: tuple[Finding, ...]
    health: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    target: Mapping[str, ByNode] = field(default_factory=dict)
    audit: Audit | None = None
    impacts: tuple[Impact, ...] = ()
    aborted: str | None = None
    doubts: tuple[str, ...] = ()


def judge(
    results: Sequence[CheckResult],
    *,
    windows: Sequence[WindowStats] = (),
    findings: Sequence[Finding] = (),
    aborted: str | None = None,
    doubts: Sequence[str] = (),
    health: Mapping[str, Mapping[str, float]] | None = None,
    notes: Sequence[str] = (),
    target: Mapping[str, ByNode] | None = None,
    left_out: int = 0,
    audit: Audit | None = None,
    impacts: Sequence[Impact] = (),
) -> Judgement:
    """`findings` say why the generator was not fit, `doubts` what else makes a run inconclusive.

    With findings, a failed check that is not firm becomes INCONCLUSIVE, and so does the run unless
    a firm one stays. A run without checks is INCONCLUSIVE; `left_out` is how many were declared and
    do not apply. `notes` follow the reasons and change nothing.
    """
    shown = tuple(_softened(result) if findings else result for result in results)
    raised: list[tuple[ExitCode, str]] = []
    if aborted is not None:
        raised.append((ExitCode.ABORTED, f"the run did not reach its end: {aborted}"))
    raised += [(ExitCode.FAIL, r.reason) for r in shown if r.status is Status.FAIL]
    raised += [(ExitCode.INCONCLUSIVE, finding.text) for finding in findings]
    raised += [(ExitCode.INCONCLUSIVE, doubt) for doubt in doubts]
    raised += [(ExitCode.INCONCLUSIVE, r.reason) for r in shown if r.status is Status.INCONCLUSIVE]
    if not results:
        raised.append((ExitCode.INCONCLUSIVE, _why_nothing_was_judged(left_out)))
    exit_code = worst([code for code, _ in raised] or [ExitCode.PASS])
    reasons = [text for _, text in sorted(raised, key=lambda item: PRECEDENCE.index(item[0]))]
    if exit_code is ExitCode.PASS:
        held = "the only check holds" if len(shown) == 1 else f"all {len(shown)} checks hold"
        reasons = [f"{held} and the generator was fit"]
    return Judgement(
        Verdict[exit_code.name],
        exit_code,
        tuple(dict.fromkeys([*reasons, *notes])),
        shown,
        tuple(windows),
        tuple(findings),
        health or {},
        target or {},
        audit,
        tuple(impacts),
        aborted,
        tuple(doubts),
    )


def _why_nothing_was_judged(left_out: int) -> str:
    if not left_out:
        return "no checks were declared, so nothing was judged"
    which = "the only declared check was" if left_out == 1 else f"all {left_out} checks were"
    return f"{which} left out, so nothing was judged"


def _softened(result: CheckResult) -> CheckResult:
    if result.status is not Status.FAIL or result.firm:
        return result
    reason = f"{result.reason}, but the generator was not fit, so this proves nothing"
    return replace(result, status=Status.INCONCLUSIVE, reason=reason)


KEYED_BY_DATA = (
    ("windows", "*", "total", "errors"),
    ("windows", "*", "total", "errors_by_status"),
    ("windows", "*", "endpoints"),
    ("windows", "*", "endpoints", "*", "errors"),
    ("windows", "*", "endpoints", "*", "errors_by_status"),
    ("windows", "*", "figures"),
    ("windows", "*", "arrivals"),
    ("generator", "worst"),
    ("generator", "worst", "*"),
    ("target",),
    ("target", "*"),
    ("target", "*", "*"),
    ("audit", "totals"),
    ("audit", "by_window"),
    ("audit", "by_window", "*"),
    ("audit", "by_node"),
    ("audit", "by_node", "*"),
    ("audit", "examples"),
    ("audit", "unread_nodes"),
)
"""Objects of `verdict.json` whose keys are windows, nodes, endpoints and the like, and no fields of
its format; `*` is any entry."""


def is_keyed_by_data(path: Sequence[str]) -> bool:
    """Whether the names in the object at `path` come from the run: no version lacks any."""
    return any(
        len(known) == len(path)
        and all(one in ("*", other) for one, other in zip(known, path, strict=True))
        for known in KEYED_BY_DATA
    )


def as_document(judgement: Judgement) -> dict[str, object]:
    """The content of `verdict.json`; its keys are fixed by the design's "Interfaces"."""
    return {
        "verdict": judgement.verdict.value,
        "exit_code": int(judgement.exit_code),
        "reasons": list(judgement.reasons),
        "checks": [_check_document(result) for result in judgement.results],
        "windows": [_window_document(stats, judgement.findings) for stats in judgement.windows],
        "generator": {
            "fit": not judgement.findings,
            "findings": [{"code": f.code, "text": f.text} for f in judgement.findings],
            "worst": {source: dict(figures) for source, figures in judgement.health.items()},
        },
        "target": {
            window: {
                node: {name: _target_document(stats) for name, stats in values.items()}
                for node, values in nodes.items()
            }
            for window, nodes in judgement.target.items()
        },
        **_faults_document(judgement),
        "audit": audit_document(judgement.audit, [stats.window for stats in judgement.windows]),
    }


def _check_document(result: CheckResult) -> dict[str, object]:
    return {
        "id": result.check.id,
        "expression": result.check.expression,
        "measure": result.check.measure.value,
        "endpoint": result.check.endpoint,
        "window": result.check.window,
        "value": result.value,
        "interval": None if result.interval is None else list(result.interval),
        "limit": result.check.limit,
        "samples": result.samples,
        "status": result.status.value,
        "reason": result.reason,
    }


def _window_document(stats: WindowStats, findings: Sequence[Finding]) -> dict[str, object]:
    return {
        "name": stats.window.name,
        "intervals_s": [list(span) for span in stats.window.intervals],
        "planned_users": stats.planned_users,
        "planned_starts": stats.planned_starts(),
        "achieved": stats.achieved(None),
        "rate_per_s": stats.rate,
        "total": _endpoint_document(stats.total),
        "endpoints": {name: _endpoint_document(e) for name, e in stats.endpoints.items()},
        "figures": {name: _figure_document(f) for name, f in stats.figures.items()},
        **_arrivals_document(stats),
        "unfit": [
            {"code": code, "source": mark.source, "from_s": mark.from_s, "to_s": mark.to_s}
            for code, mark in touching(findings, stats.window.intervals)
        ],
    }


def _faults_document(judgement: Judgement) -> dict[str, object]:
    """Absent where there was none."""
    if not judgement.impacts:
        return {}
    windows = {stats.window.name for stats in judgement.windows}
    return {
        "faults": [
            {
                "id": impact.fault.id,
                "kind": impact.fault.kind,
                "node": impact.fault.node,
                "began_s": impact.fault.began_s,
                "healed_s": impact.fault.healed_s,
                "windows": [
                    name
                    for name in (f"fault:{impact.fault.id}", f"recovery:{impact.fault.id}")
                    if name in windows
                ],
                "detect_s": impact.detect_s,
                "recover_s": impact.recover_s,
                "budget_burnt": impact.budget_burnt,
                "requests_lost": impact.requests_lost,
                "detect_least_s": impact.detect_least_s,
                "recover_least_s": impact.recover_least_s,
            }
            for impact in judgement.impacts
        ]
    }


def _arrivals_document(stats: WindowStats) -> dict[str, object]:
    """Absent where nothing of the load is open."""
    total = stats.all_arrivals
    if total is None:
        return {}
    return {
        "arrivals": {name: arrived.as_dict() for name, arrived in stats.arrivals.items()},
        "arrivals_total": total.as_dict(),
    }


def _figure_document(stats: FigureStats) -> dict[str, object]:
    return {
        "count": stats.count,
        "sum": stats.sum,
        "mean": stats.mean,
        "least": stats.least,
        "most": stats.most,
        "rate_per_s": stats.rate,
    }


def _target_document(stats: TargetStats) -> dict[str, object]:
    return {"mean": stats.mean, "most": stats.most, "samples": stats.samples}


def _endpoint_document(stats: EndpointStats) -> dict[str, object]:
    return {
        "requests": stats.ended,
        "started": stats.started,
        "cancelled": stats.cancelled,
        "errors": dict(stats.errors),
        "errors_by_status": {str(status): n for status, n in stats.statuses.items()},
        "error_rate": stats.error_rate,
        "bytes_received": stats.bytes_received,
        "raw_ms": _latency_document(stats.raw),
        "excess_ms": _latency_document(stats.excess),
        "corrected_ms": None if stats.corrected is None else _latency_document(stats.corrected),
    }


def _latency_document(latency: Latency) -> dict[str, object]:
    quantiles = {quantile_name(q): latency.quantile_ms(q) for q in QUANTILES}
    return {"mean": latency.mean_ms, **quantiles}
