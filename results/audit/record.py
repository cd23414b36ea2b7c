"""`ledger/audit.json`: whether the writes were audited, which nodes were asked, and what they said.

With `reads.bin` beside it the fates can be computed again years later; what is computed is not in
it. This module must not ask nodes or count fates.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from results.audit.reads import MAX_NODES, MAX_ORIGINS
from results.errors import AuditError
from results.field import Fields
from results.regular_file import open_regular
from results.run_folder import write_json

FILE = "audit.json"
KIND = "audit"
VERSION = 1

MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class AskedNode:
    """`asked` is of how many writes it answered, `unread` why it was given up, else None."""

    node: str
    asked: int = 0
    unread: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """`nodes[i]` is the node that the reads number i, the ledger's own first; `reads` how many
    records there are of them. `not_made` says why no audit was made, else it is None.

    `is_asked_for` is false for a scenario that names no auditor. `doubts` is what happened to the
    audit itself, in words.
    """

    run_id: str
    nodes: tuple[AskedNode, ...] = ()
    origins: tuple[str, ...] = ()
    reads: int = 0
    not_made: str | None = None
    is_asked_for: bool = True
    doubts: tuple[str, ...] = ()

    @property
    def unread_nodes(self) -> dict[str, str]:
        return {each.node: each.unread for each in self.nodes if each.unread is not None}

    def write(self, path: Path) -> None:
        """Whole or not at all. Raises RunFolderError."""
        nodes = [{"node": n.node, "asked": n.asked, "unread": n.unread} for n in self.nodes]
        document = {
            "kind": KIND,
            "version": VERSION,
            "run_id": self.run_id,
            "not_made": self.not_made,
            "is_asked_for": self.is_asked_for,
            "nodes": nodes,
            "origins": list(self.origins),
            "reads": self.reads,
            "doubts": list(self.doubts),
        }
        write_json(path, document)


def read_record(path: Path, *, run_id: str) -> AuditRecord:
    """Raises AuditError that names the file; also for a record of another run."""
    try:
        with open_regular(path) as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise AuditError(f"cannot read {path}: {error.strerror}") from error
    if len(text) > MAX_BYTES:
        raise AuditError(f"{path} has more than {MAX_BYTES:,} bytes, so it is none of ours")
    try:
        record = _record(Fields(json.loads(text), "audit"))
        if record.run_id != run_id:
            raise ValueError(f"it is of the run {record.run_id!r}, not of {run_id!r}")
    except RecursionError:
        raise AuditError(f"{path}: it is nested too deeply") from None
    except ValueError as error:
        raise AuditError(f"{path}: {error}") from error
    return record


def _record(fields: Fields) -> AuditRecord:
    if fields.text("kind") != KIND:
        raise ValueError(f"this is no record of kind {KIND!r}")
    if (version := fields.whole("version")) != VERSION:
        raise ValueError(
            f"the audit has version {version}, this suite reads version {VERSION}: use the version "
            "of the suite that wrote it"
        )
    record = AuditRecord(
        run_id=fields.text("run_id"),
        nodes=tuple(_node(each) for each in fields.items("nodes")),
        origins=_texts(fields, "origins"),
        reads=fields.whole("reads", least=0),
        not_made=fields.optional_text("not_made"),
        is_asked_for=fields.truth("is_asked_for"),
        doubts=_texts(fields, "doubts"),
    )
    fields.end()
    names = [each.node for each in record.nodes]
    if len(set(names)) < len(names) or len(names) > MAX_NODES or len(record.origins) > MAX_ORIGINS:
        raise ValueError("a node is named twice, or there are too many of them")
    return record


def _node(data: object) -> AskedNode:
    fields = Fields(data, "audit, nodes")
    node = AskedNode(
        fields.text("node"), fields.whole("asked", least=0), fields.optional_text("unread")
    )
    fields.end()
    return node


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    where = f"audit, {name}"
    return tuple(Fields({"entry": each}, where).text("entry") for each in fields.items(name))
