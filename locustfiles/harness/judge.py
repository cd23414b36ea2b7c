"""One line at the end of an existing locustfile that gives it recorder, health and verdict.

    from locustfiles.harness import judge
    judge(checks=[error_rate(below=0.01), latency(quantile=0.99, below_ms=500)])

Users, tasks and shape stay as they are, and so do Locust's options: who runs, and how long, is up
to them (docs/own_service.md). What counts is what Locust counts. This module must not know what is
in the file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from locust.event import Events

from locustfiles.harness.scenario import Scenario
from locustfiles.harness.strap import strap_in
from results.auditor import Auditor
from results.check import Check
from results.grammar import check
from results.verdict import ExitCode

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")


def judge(
    checks: Sequence[Check | str],
    id: str | None = None,
    events: Events | None = None,
    auditor: Auditor | None = None,
) -> None:
    """Judge every run of the locustfile that calls it, by `checks` of `results.check` or as text,
    such as `p99 < 250ms` (docs/checks.md).

    `id` names the runs; by default the file does. `auditor` looks up the writes that the users
    declare (docs/ledger.md). Ends the process with exit code 4, and says why,
    for what cannot be judged by.
    """
    path = Path(sys._getframe(1).f_code.co_filename)
    try:
        scenario = judged(checks, _id_of(path) if id is None else id, path.parent, auditor)
    except ValueError as error:
        print(f"error: judge() in {path.name}: {error}", file=sys.stderr)
        sys.exit(int(ExitCode.BAD_CONFIGURATION))
    strap_in(scenario, events)


def judged(
    checks: Sequence[Check | str], id: str, source_dir: Path, auditor: Auditor | None = None
) -> Scenario:
    """What such a locustfile declares. Raises ValueError with the remedy."""
    if isinstance(checks, str) or not isinstance(checks, Sequence):
        raise ValueError("checks is a list of checks, such as checks=[error_rate(below=0.01)]")
    if strange := [one for one in checks if not isinstance(one, Check | str)]:
        raise ValueError(
            f"{strange[0]!r} is no check: write it as 'p99 < 250ms', or make it with "
            "error_rate(below=…), latency(…) or another of results.check"
        )
    read = tuple(check(one) if isinstance(one, str) else one for one in checks)
    if not read:
        raise ValueError(
            "without a check nothing can be judged: name at least one, such as "
            "error_rate(below=0.01)"
        )
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise ValueError(
            f"{id!r} is no id: use up to 50 letters, digits, '.', '_' and '-', starting with a "
            "letter or digit"
        )
    is_auditor = callable(getattr(auditor, "find", None)) and not isinstance(auditor, str | type)
    if auditor is not None and not is_auditor:
        raise ValueError(
            f"{auditor!r} is no auditor: give an object with find(node, ids), see docs/ledger.md"
        )
    return Scenario(
        id=id,
        tier="own",
        users=(),
        shape=None,
        checks=read,
        source_dir=source_dir,
        auditor=auditor,
    )


def _id_of(path: Path) -> str:
    """The file's name, made fit for a folder's."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", path.stem).strip("._-")
    return plain[:50] or "judged"
