"""The words for what became of writes."""

from __future__ import annotations

from pathlib import Path

from results.audit.audit import MEANING, Fate

DOCS = Path(__file__).parents[4] / "docs"


def test_every_fate_has_its_meaning() -> None:
    assert set(MEANING) == set(Fate)
    assert len(set(MEANING.values())) == len(Fate)


def test_a_phantom_is_a_refused_write_wherever_it_is_explained() -> None:
    assert MEANING[Fate.PHANTOM] == "refused, and stored all the same"
    assert "| `phantom` | was refused, and is stored all the same |" in (
        DOCS / "ledger.md"
    ).read_text(encoding="utf-8")
    assert "| `phantom` | `phantom == 0` | [refused](ledger.md) writes" in (
        DOCS / "checks.md"
    ).read_text(encoding="utf-8")
