"""Had the generator the descriptors and ports that its requests need?

This module must not know checks or the target.
"""

from __future__ import annotations

from results.finding import Finding, Mark
from results.health import DESCRIPTOR_SHARE, FDS_LIMIT, OPEN_FDS
from results.judging.stretch import stretches
from results.sample import Outcome
from results.timeline import Timeline


def exhausted(timeline: Timeline) -> list[Finding]:
    """Requests that the generator could not send for want of its own means."""
    kind = Outcome.LOCAL.value
    count = 0
    seconds: set[tuple[str, int]] = set()
    for report in timeline.reports:
        local = sum(endpoint.errors.get(kind, 0) for endpoint in report.endpoints.values())
        if local:
            count += local
            seconds.add((report.source, report.second))
    if not count:
        return []
    text = (
        f"{count:,} request(s) were not sent because the generator had no file descriptors or "
        "local ports left: raise `ulimit -n`, keep connections alive, or use more machines"
    )
    marks = tuple(Mark(source, second, second + 1.0) for source, second in sorted(seconds))
    return [Finding("generator_exhausted", text, marks)]


def descriptors(timeline: Timeline) -> list[Finding]:
    """Nearly all descriptors in use, in any line of a source that has a limit."""
    shares: dict[str, list[tuple[float, float]]] = {}
    limits: dict[str, float] = {}
    for line in timeline.health:
        limit = line.values.get(FDS_LIMIT, 0.0)
        if OPEN_FDS in line.values and limit > 0:
            share = line.values[OPEN_FDS] / limit
            shares.setdefault(line.source, []).append((line.t_s, share))
            limits[line.source] = limit
    found = []
    for source, seen in sorted(shares.items()):
        over = stretches(seen, over=DESCRIPTOR_SHARE)
        if not over:
            continue
        worst, limit = max(one.worst for one in over), limits[source]
        text = (
            f"{source}: {worst * limit:,.0f} of {limit:,.0f} file descriptors were in use, over "
            f"{DESCRIPTOR_SHARE:.0%}, so that peaks in between may have found none: raise "
            "`ulimit -n`, keep connections alive, or use more workers"
        )
        marks = tuple(Mark(source, one.from_s, one.to_s) for one in over)
        found.append(Finding("descriptors_short", text, marks))
    return found
