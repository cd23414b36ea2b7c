"""What is missing in a ledger: the reasons for which nobody can say that every write was audited.

Computed from the timeline, whose end tells how many reports each load side says it has sent, and
the ledger's own index; at the end of a run and years later by the same code. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from results.ledger.store import IndexEntry, LedgerFile
from results.timeline import Annotation

LATE_WRITES = "late_writes"
"""Label of the annotation that says whose reports came when the ledger was closed."""


def late_texts(late: Mapping[str, tuple[int, int]]) -> list[str]:
    """What those annotations say; `late` holds numbers of reports and of writes, by source."""
    return [
        f"{reports:,} report(s) with {count:,} write(s) of {source}"
        for source, (reports, count) in sorted(late.items())
    ]


def late_doubts(annotations: Iterable[Annotation]) -> list[str]:
    """Writes that are in no ledger, because nobody waited for them any longer."""
    return [
        f"{note.text} came when the ledger was closed for the audit: nobody looked for them; see "
        "why that process was late"
        for note in annotations
        if note.label == LATE_WRITES
    ]


def ledger_doubts(
    run_id: str, sent: Mapping[str, int] | None, ledger: LedgerFile | None
) -> list[str]:
    """In plain words; none for a whole ledger of that run.

    `sent` is the end's `writes`, None for a run without an end, which is ABORTED anyway.
    """
    if ledger is None:
        return [
            f"{count:,} report(s) of writes were sent by {source}, and the run's folder holds no "
            "ledger"
            for source, count in sorted((sent or {}).items())
            if count
        ]
    if ledger.run_id not in (run_id, ""):
        return [f"the ledger is of the run {ledger.run_id!r}, the timeline of {run_id!r}"]
    return [*_of_sources(sent, ledger.reports), *_of_file(ledger)]


def _of_sources(sent: Mapping[str, int] | None, reports: Iterable[IndexEntry]) -> list[str]:
    seen: dict[str, set[int]] = {}
    dropped: dict[str, int] = {}
    twice = 0
    for report in reports:
        numbers = seen.setdefault(report.source, set())
        twice += report.sequence in numbers
        numbers.add(report.sequence)
        dropped[report.source] = max(dropped.get(report.source, 0), report.dropped)
    found = []
    for source in sorted(seen.keys() | (sent or {}).keys()):
        numbers = seen.get(source, set())
        said = None if sent is None else sent.get(source)
        lost = max(said or 0, max(numbers, default=-1) + 1) - len(numbers)
        if lost:
            found.append(f"{lost:,} report(s) of writes of {source} never arrived")
        if said is None and sent is not None:
            found.append(f"{source} never said how many reports of writes it had sent")
        if count := dropped.get(source):
            found.append(
                f"{count:,} write(s) of {source} are not in the ledger: nobody shipped them in "
                "time, or their ids were not sound"
            )
    if twice:
        found.append(f"{twice:,} report(s) of writes arrived twice: two processes use one name")
    return found


def _of_file(ledger: LedgerFile) -> list[str]:
    found = []
    if ledger.torn:
        found.append("the ledger's last record, or the last line of its index, is cut off")
    indexed = sum(report.records for report in ledger.reports)
    if indexed != ledger.count:
        found.append(
            f"the ledger holds {ledger.count:,} write(s), and by its index {indexed:,} came in"
        )
    return found
