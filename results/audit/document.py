"""The audit as it stands in `verdict.json`. This module must not compute fates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from results.audit.audit import Audit, Fate
from results.windows import Window


def audit_document(audit: Audit | None, windows: Iterable[Window]) -> dict[str, object] | None:
    """None for a run that wrote nothing. Windows and nodes without a write are left out."""
    if audit is None:
        return None
    by_window = {window.name: _counts(audit.of(window)) for window in windows}
    return {
        "not_made": audit.not_made,
        "totals": _counts(audit.of()),
        "compared": audit.compared_in(),
        "by_window": {name: counts for name, counts in by_window.items() if counts},
        "by_node": {node: _counts(counts) for node, counts in audit.by_node().items()},
        "examples": {
            fate.value: list(audit.examples[fate]) for fate in Fate if fate in audit.examples
        },
        "unread_nodes": dict(audit.unread_nodes),
        "doubts": list(audit.doubts),
    }


def _counts(counts: Mapping[Fate, int]) -> dict[str, int]:
    """In the order of the fates, so that the same audit is the same document."""
    return {fate.value: counts[fate] for fate in Fate if counts.get(fate)}
