"""Seals a run's folder, and verifies a sealed one.

Sealed is a folder whose `digests.txt` names every file with its SHA-256. Verified is one whose
files are those, and whose `verdict.json` and `junit.xml` are what the timeline and the ledger give
when the verdict is computed again. Digests are no signature: they show damage and careless
changes, not a forger who seals anew. This module must not write anything but `digests.txt`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from results.bundle.difference import differences
from results.bundle.digest import DIGESTS, Found, as_text, digest_of, files_below, read_digests
from results.bundle.junit import junit
from results.errors import BundleError, ResultsError, RunFolderError
from results.printable import printable
from results.replay import judge_run
from results.run_folder import RunFolder, read_json, read_text, write_bytes
from results.timeline_reader import read_timeline
from results.verdict import Judgement, as_document, is_keyed_by_data

LOGS = "logs"
"""The folder that may be written on after its run: the nodes outlive it where a web UI goes on."""

PACKAGE = "foundation-load"
MOST_DIFFERENCES = 10


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. `problems` say in plain words what does not hold, `notes` what was left out.

    `files` and `size_bytes` are what has the digest that is listed; `judgement` is the verdict that
    was computed again, None where it could not be.
    """

    files: int
    size_bytes: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    judgement: Judgement | None

    @property
    def holds(self) -> bool:
        return not self.problems


def seal(folder: RunFolder, *, leave_out: Collection[str] = ()) -> None:
    """Write `digests.txt` anew, whole. `leave_out` names files and folders directly below it.

    Raises BundleError or RunFolderError; what was there before is left then.
    """
    found = files_below(folder.path)
    for name, kind in found.strange.items():
        if name.split("/")[0] not in leave_out:
            raise BundleError(
                f"{folder.path} cannot be sealed: {printable(name)} is {kind}: remove it"
            )
    listed = (
        (name, digest_of(path))
        for name, path in found.files.items()
        if name.split("/")[0] not in leave_out
    )
    write_bytes(folder.digests, as_text(listed))


def is_sealed(folder: RunFolder) -> bool:
    return folder.digests.is_file()


def changed(folder: RunFolder) -> tuple[str, ...]:
    """What is not as it was sealed. Raises BundleError where digests or folder cannot be read."""
    listed, found = read_digests(folder.digests), files_below(folder.path)
    wrong = [f"{printable(name)}: {what}" for name, what in _against_digests(listed, found) if what]
    return tuple([*wrong, *_not_listed(listed, found)[1]])


def verify(folder: RunFolder) -> Verification:
    """Hold the files against their digests, and the verdict against timeline and ledger.

    Everything that is wrong with the folder is a problem in the answer; raises BundleError only
    when it cannot be looked through at all.
    """
    problems: list[str] = []
    notes: list[str] = []
    found = files_below(folder.path)
    files = size_bytes = 0
    try:
        if not folder.digests.is_symlink() and not folder.digests.exists():
            raise BundleError(
                f"there is no {DIGESTS}: the run goes on, was killed before it was sealed, or "
                "somebody took it away, so a changed byte would not be seen"
            )
        listed = read_digests(folder.digests)
        for name, wrong in _against_digests(listed, found):
            if wrong:
                problems.append(f"{printable(name)}: {wrong}")
            else:
                files += 1
                size_bytes += found.files[name].stat().st_size
        notes, unlisted = _not_listed(listed, found)
        problems += unlisted
    except BundleError as error:
        problems.append(str(error))
    again = _verdict_again(folder, found)
    return Verification(
        files,
        size_bytes,
        (*problems, *again.problems),
        (*notes, *again.notes),
        again.judgement,
    )


def _against_digests(listed: dict[str, str], found: Found) -> Iterator[tuple[str, str]]:
    """(path, what is wrong with it); nothing is wrong with an empty text."""
    for name, digest in listed.items():
        if name in found.strange:
            yield name, f"is {found.strange[name]}, which is not read"
        elif name not in found.files:
            yield name, f"is missing, though {DIGESTS} lists it"
        elif digest_of(found.files[name]) != digest:
            yield name, "was changed since the run was sealed"
        else:
            yield name, ""


def _not_listed(listed: dict[str, str], found: Found) -> tuple[list[str], list[str]]:
    """Notes, and problems."""
    notes, problems = [], []
    for name in sorted(found.strange.keys() - listed.keys()):
        problems.append(f"{printable(name)}: is {found.strange[name]}, which is not read")
    for name in found.files:
        if name in listed:
            continue
        if name.split("/")[0] == LOGS:
            notes.append(
                f"{printable(name)} is not listed: it was still written on when the run was sealed"
            )
        else:
            problems.append(f"{printable(name)}: is not listed in {DIGESTS}, so it came later")
    notes += [
        f"{printable(name)} is what a write that was cut off has left" for name in found.parts
    ]
    return notes, problems


@dataclass(frozen=True, slots=True)
class _Again:
    """The verdict that was computed again, and how the one that was written compares to it."""

    judgement: Judgement | None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def _verdict_again(folder: RunFolder, found: Found) -> _Again:
    if strange := [name for name in found.strange if name.split("/")[0] != LOGS]:
        # It might lead out of the folder.
        what = f"{printable(strange[0])} is {found.strange[strange[0]]}"
        return _Again(None, (f"the verdict is not computed again, since {what}",))
    try:
        timeline = read_timeline(folder.timeline)
        judgement = judge_run(timeline, folder)
    except ResultsError as error:
        return _Again(None, (f"the verdict cannot be computed again: {error}",))
    problems, notes = _against_verdict(folder, judgement)
    problems += _against_junit(folder, junit(judgement, timeline.header.run_id))
    if problems and (wrote := _other_version(folder)):
        problems.append(
            f"the run was written by {PACKAGE} {wrote}, this is {_own_version()}: verify with the "
            "version that wrote it"
        )
    return _Again(judgement, tuple(problems), tuple(notes))


def _against_verdict(folder: RunFolder, judgement: Judgement) -> tuple[list[str], list[str]]:
    """Problems, and notes: a suite that came later may write more fields."""
    if not os.path.lexists(folder.verdict):
        return ["there is no verdict.json: the run was killed before it, or its disk was full"], []
    try:
        stated = read_json(folder.verdict)
    except RunFolderError as error:
        return [str(error)], []
    computed = json.loads(json.dumps(as_document(judgement)))
    found = list(differences(stated, computed))
    is_older = _other_version(folder) is not None
    lacking = [
        one
        for one in found
        if is_older and one.is_lacking and one.path[1:] and not is_keyed_by_data(one.path[:-1])
    ]
    differing = [one for one in found if one not in lacking]
    problems = [
        f"verdict.json, {one.place}: it says {one.stated}, timeline and ledger give {one.computed}"
        for one in differing[:MOST_DIFFERENCES]
    ]
    if len(differing) > MOST_DIFFERENCES:
        problems.append(f"verdict.json: {len(differing) - MOST_DIFFERENCES} more fields differ")
    notes = [f"verdict.json lacks {one.place}, which this suite writes" for one in lacking]
    if len(notes) > MOST_DIFFERENCES:
        notes[MOST_DIFFERENCES:] = [f"verdict.json lacks {len(notes) - MOST_DIFFERENCES} more"]
    return problems, notes


def _against_junit(folder: RunFolder, computed: str) -> list[str]:
    if not os.path.lexists(folder.junit):
        return ["there is no junit.xml: the run was killed before it, or its disk was full"]
    try:
        stated = read_text(folder.junit)
    except RunFolderError as error:
        return [str(error)]
    return [
        f"junit.xml, {one.place}: it says {one.stated}, timeline and ledger give {one.computed}"
        for one in differences(stated, computed, "its text")
    ]


def _other_version(folder: RunFolder) -> str | None:
    """The suite's version that wrote the run, where it is known and another."""
    try:
        manifest = read_json(folder.manifest)
    except RunFolderError:
        return None
    versions = manifest.get("versions") if isinstance(manifest, dict) else None
    wrote = versions.get(PACKAGE) if isinstance(versions, dict) else None
    return printable(wrote, 40) if isinstance(wrote, str) and wrote != _own_version() else None


def _own_version() -> str:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "unknown"


def main() -> None:
    """`python -m results.bundle.bundle FOLDER [LEAVE_OUT…]` seals it, or code 1 and one line."""
    path, *leave_out = sys.argv[1:]
    try:
        seal(RunFolder(Path(path)), leave_out=leave_out)
    except ResultsError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
