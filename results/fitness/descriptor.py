"""Had the generator the descriptors and ports that its requests need?

This module must not know checks or the target.
"""

from __future__ import annotations

from results.finding import Finding, Mark
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
