"""The audit on the page at a run's end."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from results.audit.audit import Audit, Fate, Place
from results.page.audit_table import audit_section
from results.windows import interval
from tests.unit.results.audited import A, B

WINDOWS = [interval("run", 0, 10), interval("phase:early", 0, 5), interval("phase:late", 5, 10)]


def page(audit: Audit) -> list[str]:
    out = StringIO()
    console = Console(file=out, no_color=True, width=240)
    for part in audit_section(audit, WINDOWS):
        console.print(part)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_where_all_is_well_one_sentence_says_so() -> None:
    counts = {Place(A, 0): {Fate.PRESENT: 1000}}
    assert page(Audit(counts, compared={Place(A, 0): 1000})) == [
        "writes: all 1,000 acknowledged ones are stored, as they were sent"
    ]


def test_a_content_that_nobody_compared_is_not_praised() -> None:
    assert page(Audit({Place(A, 0): {Fate.PRESENT: 2}})) == [
        "writes: all 2 acknowledged ones are stored"
    ]


def test_what_is_wrong_is_shown_where_it_is() -> None:
    counts = {
        Place(A, 0): {Fate.PRESENT: 9, Fate.REFUSED: 1},
        Place(B, 7): {Fate.PRESENT: 5, Fate.LOST: 3},
    }
    assert page(Audit(counts)) == [
        "writes                 present  lost  refused",
        "run                         14     3        1",
        "phase:late                   5     3        0",
        "http://127.0.0.1:8002        5     3        0",
        "present: acknowledged, and stored.",
        "lost: acknowledged, and on none of the nodes, all of which could be read.",
        "refused: refused, and not stored.",
    ]


def test_nodes_that_could_not_be_read_are_named_without_control_characters() -> None:
    counts = {Place(A, 0): {Fate.UNVERIFIED: 9}}
    lines = page(Audit(counts, unread_nodes={A: "it said \x1b[31m\nno"}))
    assert lines[-1] == f"not read: {A}: it said \\x1b[31m\\x0ano"


def test_an_audit_that_was_not_made_says_why() -> None:
    assert page(Audit({}, not_made="the disk is full")) == ["writes: not audited: the disk is full"]
