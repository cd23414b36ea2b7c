"""What is written when a run begins: its facts into the manifest, its plan into the books.

This module must not start anything, or know Locust's runners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from locust import User

from locustfiles.harness.course import Course
from locustfiles.harness.options import Options
from locustfiles.harness.run_book import RunBook
from locustfiles.harness.scenario import Scenario
from locustfiles.harness.target.target import Node
from results.check import scaled_counts
from results.run_folder import RunFolder
from results.text.slo import Slo
from results.timeline import Header


def write_manifest(
    folder: RunFolder,
    facts: Mapping[str, object],
    options: Options,
    *,
    nodes: Sequence[Node],
    users: Sequence[type[User]],
    is_ad_hoc: bool,
    slo: Slo | None = None,
) -> None:
    """`facts` are those of the process, gathered before its first run."""
    of_this_run = {
        "run_id": folder.run_id,
        "started_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "options": options.as_dict() | {"nodes": [node.url for node in nodes]},
        "ad_hoc": is_ad_hoc,
        "users": sorted(one.__name__ for one in users),
    }
    if slo is not None:
        of_this_run["slo"] = {"path": slo.path, "sha256": slo.sha256}
    folder.write_manifest(dict(facts) | of_this_run)


def said_of(
    folder: RunFolder, scenario: Scenario, nodes: Sequence[Node], *, is_ad_hoc: bool
) -> str:
    """The line on the console: which run, against whom, and where its results are."""
    kind = "ad-hoc run" if is_ad_hoc else "run"
    whom = f"{len(nodes)} nodes"
    if scenario.cluster is None:
        whom = ", ".join(node.url for node in nodes) or "no host"
    return f"{kind} {folder.run_id}: {whom}, results in {folder.path}"


def open_book(folder: RunFolder, scenario: Scenario, options: Options, course: Course) -> RunBook:
    """Raises TimelineError when the timeline cannot be begun."""
    header = Header(
        folder.run_id, scenario.id, course.origin_us, course.is_ad_hoc, course.is_unplanned
    )
    return RunBook(
        folder,
        header=header,
        plan=course.plan,
        checks=scaled_counts(
            scenario.checks, time_scale=options.time_scale, load_scale=options.load_scale
        ),
        profile=course.profile,
        elapsed_s=course.elapsed_s,
        fixed_users=course.fixed_users,
        stress=course.stress,
    )
