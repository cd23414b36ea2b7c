"""What a run left, read for the report: manifest, timeline and verdict, and which files there are.

The verdict is the one that the run wrote. A run that was killed wrote none, and one that cannot be
read is none: then it is computed from the timeline, as `verify` does, and the page says so. This
module must not write anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from results.document import Document, read_document
from results.errors import RunFolderError
from results.replay import judge_run
from results.run_folder import RunFolder
from results.timeline import Timeline
from results.timeline_reader import read_timeline
from results.verdict import as_document


@dataclass(frozen=True, slots=True)
class KeptFile:
    """`path` is relative to the run's folder, with slashes."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Record:
    """`recomputed` says why the verdict is not the run's own; None when it is.

    `doubts` are sentences about files that could not be read and that the page does without.
    """

    folder: RunFolder
    manifest: Document
    timeline: Timeline
    verdict: Document
    recomputed: str | None = None
    doubts: tuple[str, ...] = ()


def read_record(path: Path) -> Record:
    """Raises RunFolderError, TimelineError or HistogramError, each naming the file."""
    folder = RunFolder(path)
    if not path.is_dir():
        raise RunFolderError(f"{path} is not a run's folder")
    if not folder.timeline.is_file():
        raise RunFolderError(f"{path} holds no timeline.jsonl, so there is nothing to report")
    timeline = read_timeline(folder.timeline)
    manifest, doubts = _manifest(folder)
    verdict, recomputed = _verdict(folder, timeline)
    return Record(folder, manifest, timeline, verdict, recomputed, doubts)


def _manifest(folder: RunFolder) -> tuple[Document, tuple[str, ...]]:
    try:
        found, missing = read_document(folder.manifest), "manifest.json is missing"
    except RunFolderError as error:
        found, missing = None, str(error)
    if found is not None:
        return found, ()
    return Document(), (f"{missing}: options, versions and host are unknown",)


def _verdict(folder: RunFolder, timeline: Timeline) -> tuple[Document, str | None]:
    try:
        found = read_document(folder.verdict)
        why = (
            "The run wrote no verdict: it was killed, its disk was full, or it still goes on. "
            "This is what its timeline tells."
        )
    except RunFolderError as error:
        found = None
        why = f"The run's own verdict cannot be read ({error}). This is what its timeline tells."
    if found is not None:
        return found, None
    # Through its text, as one that was read: tuples are lists there.
    return Document(json.loads(json.dumps(as_document(judge_run(timeline, folder))))), why


def kept_files(root: Path) -> tuple[KeptFile, ...]:
    """Of the bundle, by path; neither links nor what is still being written."""
    found = []
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.name.endswith(".part"):
            continue
        found.append(KeptFile(path.relative_to(root).as_posix(), path.stat().st_size))
    return tuple(found)
