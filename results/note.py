"""What a locustfile, a person or a conductor may say on a timeline, and in which words.

Notes are for people: they change no verdict. So that none is taken for what the suite itself says,
labels with a meaning are refused. This module must not know who says it, or write anything.
"""

from __future__ import annotations

import re

from results.fault import FAULT_REFUSED
from results.health import USER_ERRORS
from results.judging.abort import CHECK_ABORTED
from results.judging.ledger_doubt import LATE_WRITES
from results.judging.untimed import UNTIMED
from results.printable import printable
from results.redaction import redacted_text
from results.stress import LIMIT_FOUND, LIMIT_NOT_FOUND
from results.timeline import Annotation

LONGEST_TEXT = 500

MAX_NOTES = 1_000
"""Of a run. Whatever says more than this writes a log, for which a timeline is no place."""

NOTES_LEFT_OUT = "notes_left_out"
"""Label of the annotation that says how many notes came after these."""

RESERVED = frozenset(
    (
        CHECK_ABORTED,
        FAULT_REFUSED,
        LATE_WRITES,
        LIMIT_FOUND,
        LIMIT_NOT_FOUND,
        NOTES_LEFT_OUT,
        UNTIMED,
        USER_ERRORS,
        "epoch",
    )
)
"""Labels that say something about the run; so do those that begin with `worker_`."""

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


def sound_note(t_s: float, text: str, label: str) -> Annotation:
    """With the text as `sound_text` has it.

    Raises ValueError for an empty text, and for a label that is none or is not free.
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError("a note needs a text, such as 'deployed build 42'")
    if not isinstance(label, str) or not _LABEL.fullmatch(label):
        raise ValueError(
            f"a note's label is 1 to 40 letters, digits, '.', '_' and '-', such as 'deploy', not "
            f"{label if not isinstance(label, str) else label[:41]!r}"
        )
    if label in RESERVED or label.startswith("worker_"):
        raise ValueError(f"the label {label!r} is the suite's own: use another, such as 'note'")
    return Annotation(t_s, label, sound_text(text))


def sound_text(text: str) -> str:
    """Secrets replaced, control characters escaped, cut to `LONGEST_TEXT`."""
    # A text of megabytes is not looked through, and an escape is longer than what it stands for.
    plain = printable(redacted_text(text[: 4 * LONGEST_TEXT]), LONGEST_TEXT)
    return printable(plain, LONGEST_TEXT)


def left_out_note(t_s: float, count: int) -> Annotation:
    """That there were more notes than a timeline takes."""
    text = f"{count:,} more notes were left out: a run has room for {MAX_NOTES:,}"
    return Annotation(t_s, NOTES_LEFT_OUT, text)
