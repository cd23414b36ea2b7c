"""`foundation results`: looks at the runs that are there, verifies them, and prunes them.

Words and tables around what `results` does. Exit codes: 0; 1 when a bundle does not verify or
something could not be done; 4 for bad input, as everywhere. This module must not judge.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from results.bundle.bundle import LOGS, changed, is_sealed, seal, verify
from results.bundle.digest import read_digests
from results.bundle.happening import Moment, moments
from results.bundle.prune import remove, sweep, to_prune, why_not
from results.bundle.run_list import ListedRun, State, find_run, list_runs, listed
from results.errors import BundleError, ResultsError
from results.page.summary import summary
from results.printable import printable
from results.replay import judge_run
from results.run_folder import RunFolder
from results.timeline_reader import read_timeline
from results.verdict import ExitCode

FAILED = 1
BAD_INPUT = int(ExitCode.BAD_CONFIGURATION)

MOST_MOMENTS = 40
SECONDS_A_DAY = 86_400.0

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(k|m|g|t|)(i?)b?", re.IGNORECASE | re.ASCII)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}

app = typer.Typer(help="The runs that are there, and their bundles.", no_args_is_help=True)

RunsDir = Annotated[
    Path,
    typer.Option(
        "--dir",
        envvar="FOUNDATION_RESULTS_DIR",
        help="Where the runs are.",
        show_default=True,
    ),
]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run's id, a beginning of it that no other has, `latest`, or its folder's path.",
        show_default=False,
    ),
]
RUNS_DIR = Path("results/runs")


def _fail(text: str, code: int) -> NoReturn:
    print(f"foundation: {text}", file=sys.stderr)
    sys.exit(code)


@app.command("list")
def list_(
    runs_dir: RunsDir = RUNS_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON array.")] = False,
) -> None:
    """All runs, the newest first: when, which scenario, how it ended, its size."""
    runs = list_runs(runs_dir, now_s=time.time())
    if as_json:
        print(json.dumps([_as_dict(run) for run in runs], indent=2))
        return
    if not runs:
        print(f"no runs in {runs_dir}")
        return
    _print_runs(runs)
    for run in runs:
        if run.problem is not None:
            print(f"{printable(run.run_id)}: {printable(run.problem, None)}")


def _as_dict(run: ListedRun) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "path": str(run.folder.path),
        "began_at": run.began_at.isoformat(timespec="milliseconds"),
        "scenario": run.scenario,
        "state": run.state.value,
        "verdict": None if run.verdict is None else run.verdict.value,
        "requests": run.requests,
        "size_bytes": run.size_bytes,
        "problem": run.problem,
    }


def _print_runs(runs: Sequence[ListedRun]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("run", "began (UTC)", "scenario", "ended as"):
        table.add_column(name, no_wrap=True)
    for name in ("requests", "size"):
        table.add_column(name, no_wrap=True, justify="right")
    for run in runs:
        table.add_row(
            Text(printable(run.run_id)),
            f"{run.began_at:%Y-%m-%d %H:%M}",
            Text(printable(run.scenario or "-", 40)),
            run.word,
            "-" if run.requests is None else f"{run.requests:,}",
            size_text(run.size_bytes),
        )
    # An id that is cut short cannot be copied.
    Console(highlight=False, width=240, soft_wrap=True).print(table)


def size_text(size_bytes: int) -> str:
    """`4.1 MB`; decimal units, as disks have."""
    value, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:,.1f} {unit}"


def size_of(text: str) -> int:
    """Bytes of `500MB` or `2GiB`. Raises typer.BadParameter."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{printable(text, 40)!r} is no size, such as 500MB or 2GiB")
    number, power, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[power.lower()])


@app.command()
def show(
    run: RunName,
    runs_dir: RunsDir = RUNS_DIR,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with the code of the run's verdict.")
    ] = False,
) -> None:
    """What happened in a run, and its verdict, computed again from timeline and ledger."""
    found = listed(find_run(runs_dir, run, now_s=time.time()), now_s=time.time())
    folder = found.folder
    timeline = read_timeline(folder.timeline)
    judgement = judge_run(timeline, folder)
    print(f"run {printable(folder.run_id)}, scenario {printable(timeline.header.scenario)}")
    print(f"began {found.began_at:%Y-%m-%d %H:%M:%S} UTC\n")
    if timeline.end is None:
        what = "was killed"
        if found.state is State.RUNNING:
            what = "still goes on" + ("" if found.is_held else ", or was killed a moment ago")
        print(f"This run {what}: its timeline has no end. This is what happened until then.\n")
    _print_moments(moments(timeline))
    closing = _closing(folder)
    if found.verdict is not None and found.verdict is not judgement.verdict:
        closing.append(
            f"verdict.json says {found.verdict}, which is not what the timeline gives: "
            "see `foundation results verify`"
        )
    print(summary(judgement, folder=str(folder.path), closing=closing, styled=_is_styled()))
    if exit_code:
        sys.exit(judgement.exit_code)


def _print_moments(happened: Sequence[Moment]) -> None:
    shown = list(happened)
    if len(shown) > MOST_MOMENTS:
        half = MOST_MOMENTS // 2
        left_out = Moment(shown[half].t_s, f"… and {len(shown) - 2 * half} more until …")
        shown[half:-half] = [left_out]
    print("what happened (seconds since the run's beginning)")
    for moment in shown:
        print(f"  {moment.t_s:9,.1f}  {printable(moment.text)}")


def _closing(folder: RunFolder) -> list[str]:
    where = folder.path
    found = [f"report: {folder.report}"]
    if not folder.report.is_file():
        found = [f"no report: make one with `foundation results report {where}`"]
    if is_sealed(folder):
        return [*found, f"verify: foundation results verify {where}"]
    return [*found, "not sealed: nobody could tell whether a file was changed"]


def _is_styled() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


@app.command("verify")
def verify_(run: RunName, runs_dir: RunsDir = RUNS_DIR) -> None:
    """Whether every file is as it was sealed, and the verdict is what the timeline gives."""
    folder = find_run(runs_dir, run, now_s=time.time())
    found = verify(folder)
    where = printable(str(folder.path), None)
    print(f"{where}: {found.files} files of {size_text(found.size_bytes)} have their digest")
    for note in found.notes:
        print(f"note: {note}")
    if found.judgement is not None:
        judgement = found.judgement
        code = int(judgement.exit_code)
        print(f"the verdict, computed again: {judgement.verdict} (exit code {code})")
    for problem in found.problems:
        print(f"problem: {printable(problem, None)}")
    if not found.holds:
        sys.stdout.flush()
        count = len(found.problems)
        _fail(f"not verified: {count} problem{'s' if count > 1 else ''}", FAILED)
    print("verified")


@app.command()
def report(
    run: RunName,
    runs_dir: RunsDir = RUNS_DIR,
    is_opened: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Make the report of a run anew; a sealed run is sealed anew with it."""
    folder = find_run(runs_dir, run, now_s=time.time())
    left_out: tuple[str, ...] = ()
    if sealed := is_sealed(folder):
        if problems := changed(folder):
            raise BundleError(
                f"the run was changed since it was sealed ({problems[0]}), which sealing it anew "
                f"would hide: look into it, then delete {folder.digests} to go on"
            )
        has_logs = any(name.startswith(f"{LOGS}/") for name in read_digests(folder.digests))
        left_out = () if has_logs else (LOGS,)
    command = [sys.executable, "-P", "-m", "results.report", str(folder.path)]
    done = subprocess.run([*command, *(["--open"] if is_opened else [])], check=False)
    if sealed:
        seal(folder, leave_out=left_out)
    if done.returncode:
        sys.exit(FAILED)


@app.command()
def prune(
    runs_dir: RunsDir = RUNS_DIR,
    keep: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="The newest N runs stay.")
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="What stays takes at most this, such as 500MB or 2GiB."),
    ] = None,
    older_than: Annotated[
        float | None, typer.Option(min=0, metavar="DAYS", help="Runs older than that go.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete old runs: those that any of the limits excludes, the oldest first.

    A run that may still go on is never deleted, nor a link, nor what is no run's folder.
    """
    if keep is None and max_size is None and older_than is None:
        _fail("name a limit: --keep N, --max-size SIZE or --older-than DAYS", BAD_INPUT)
    now_s = time.time()
    runs = list_runs(runs_dir, now_s=now_s)
    doomed = to_prune(
        runs,
        keep=keep,
        max_size_bytes=None if max_size is None else size_of(max_size),
        older_than_s=None if older_than is None else older_than * SECONDS_A_DAY,
        now_s=now_s,
    )
    for run in runs:
        if (why := why_not(run)) is not None:
            print(f"stays: {printable(run.run_id)}: {why}")
    if not doomed:
        print(f"nothing to delete among {len(runs)} runs in {runs_dir}")
        return
    _print_runs(doomed)
    total = size_text(sum(run.size_bytes for run in doomed))
    what = f"{len(doomed)} of {len(runs)} runs in {runs_dir}, {total}"
    if dry_run:
        print(f"would delete {what}")
        return
    if not yes and not _agreed(f"Delete {what}?"):
        print("nothing was deleted")
        return
    _delete(runs_dir, doomed)


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        _fail("nobody is there to ask: say --yes, or --dry-run to see what would go", BAD_INPUT)
    return typer.confirm(question)


def _delete(runs_dir: Path, doomed: Sequence[ListedRun]) -> None:
    problems = []
    for run in reversed(doomed):
        try:
            remove(run, now_s=time.time())
        except ResultsError as error:
            problems.append(str(error))
    sweep(runs_dir)
    print(f"deleted {len(doomed) - len(problems)} runs")
    for problem in problems:
        print(f"problem: {printable(problem, None)}")
    if problems:
        sys.stdout.flush()
        _fail(f"{len(problems)} runs are still there", FAILED)
