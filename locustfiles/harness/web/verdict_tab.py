"""The last verdict as a table, for a tab of Locust's web UI.

It shows what `verdict.json` holds, in people's words. This module must not judge.
"""

from __future__ import annotations

from locustfiles.harness.owner import Owner
from results.measure import formatted

COLUMNS = [
    # Locust sorts by `name`.
    {"key": "name", "title": "#"},
    {"key": "status", "title": "Status"},
    {"key": "what", "title": "What"},
    {"key": "detail", "title": "Detail"},
]


def rows(owner: Owner) -> list[dict[str, object]]:
    """The last verdict as rows of a table: itself, its reasons, its checks, where the files are."""
    found: list[tuple[str, str, str]] = []
    if owner.verdicts.last is None:
        found.append(("-", "no run has ended yet", ""))
    else:
        if owner.course is not None:
            found.append(("-", "a run goes on", "its verdict follows; below is the one before it"))
        judgement, folder = owner.verdicts.last
        code = f"exit code {int(judgement.exit_code)}, run {folder.run_id}"
        found.append((judgement.verdict.value, "verdict", code))
        found += [("", "reason", reason) for reason in judgement.reasons]
        for result in judgement.results:
            check = result.check
            where = f"{check.comparison}, {check.window}"
            where += f", {check.endpoint}" if check.endpoint else ""
            value = formatted(check.measure, result.value, limit=check.limit)
            found.append((result.status.value, where, f"{value} ({result.samples:,} samples)"))
        found.append(("", "files", str(folder.path)))
    return [
        {"name": number, "status": status, "what": what, "detail": detail}
        for number, (status, what, detail) in enumerate(found, 1)
    ]
