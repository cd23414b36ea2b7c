"""Files a verdict: `verdict.json` for programs, `junit.xml` for CI systems.

A verdict that nobody could read later is none, so a run of which either file is missing is
INCONCLUSIVE at best, and no file says what the exit code does not. This module must not judge, or
write anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from results.bundle.junit import junit
from results.errors import RunFolderError
from results.run_folder import RunFolder
from results.verdict import ExitCode, Judgement, Verdict, as_document, worst


def file_verdict(folder: RunFolder, judgement: Judgement) -> Judgement:
    """What counts: the judgement itself, or one that says why a file is missing."""
    if (why := _filed(folder, judgement)) is None:
        return judgement
    doubted = _doubted(judgement, f"the verdict could not be filed: {why}")
    # One file may have been written before the other could not be.
    for write, path in _files(folder, doubted):
        try:
            write()
        except RunFolderError:
            with suppress(OSError):
                path.unlink()
    return doubted


def _filed(folder: RunFolder, judgement: Judgement) -> str | None:
    """Why not."""
    for write, _ in _files(folder, judgement):
        try:
            write()
        except RunFolderError as error:
            return str(error)
    return None


def _files(
    folder: RunFolder, judgement: Judgement
) -> tuple[tuple[Callable[[], None], Path], tuple[Callable[[], None], Path]]:
    return (
        (lambda: folder.write_verdict(as_document(judgement)), folder.verdict),
        (lambda: folder.write_junit(junit(judgement, folder.run_id)), folder.junit),
    )


def _doubted(judgement: Judgement, doubt: str) -> Judgement:
    code = worst((judgement.exit_code, ExitCode.INCONCLUSIVE))
    # The first reason of a PASS is that there is none against it.
    reasons = judgement.reasons[1:] if judgement.exit_code is ExitCode.PASS else judgement.reasons
    is_first = judgement.exit_code in (ExitCode.PASS, ExitCode.INCONCLUSIVE)
    return replace(
        judgement,
        verdict=Verdict[code.name],
        exit_code=code,
        reasons=(doubt, *reasons) if is_first else (*reasons, doubt),
        doubts=(*judgement.doubts, doubt),
    )
