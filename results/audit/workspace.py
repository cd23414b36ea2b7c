"""Holds the ledger against what was read, in a private database that is gone when it is closed.

A million writes do not fit into the memory that a run may take, so they are in a temporary SQLite
database on disk. Life cycle of a workspace:

1. `add_writes` for each chunk of the ledger: several records of one write become one;
2. `of_home`, then `elsewhere`, say in chunks which ids a node is to be asked for, and `add_reads`
   takes each answer; offline all answers are there at once;
3. `fates` counts.

Each call takes some 10 ms, so that a process that has something else to do can do it in between.
This module must not read files or ask nodes. Every method raises AuditError when the temporary
database cannot grow.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from results.audit import reads
from results.audit.audit import FAULTS, Fate, Place
from results.errors import AuditError
from results.ledger import ledger
from results.ledger.ledger import NO_DIGEST, WriteOutcome

CHUNK_IDS = 1000
"""Asked of a node at once: its answer of 150 kB costs either side some 8 ms at a stretch, and all
nodes may answer in the same moment."""

STEP_IDS = 2000
"""Counted at a stretch, in about 10 ms."""

MAX_EXAMPLES = 10
"""Ids of each fate that is a fault."""

CACHE_KB = 8192

_STRENGTH = {
    int(WriteOutcome.ACKNOWLEDGED): 3,
    int(WriteOutcome.UNKNOWN): 2,
    int(WriteOutcome.REFUSED): 1,
}
"""Of several outcomes of one write the strongest counts."""

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -{cache_kb};
CREATE TABLE write (
    id BLOB PRIMARY KEY, digest BLOB, second INT, node INT, strength INT, roams INT DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX write_by_node ON write (node);
CREATE TABLE pending (id BLOB PRIMARY KEY, home INT) WITHOUT ROWID;
CREATE TABLE found (
    id BLOB, node INT, place BLOB, origin INT, digest BLOB, PRIMARY KEY (id, node, place)
) WITHOUT ROWID;
CREATE TABLE missed (id BLOB, node INT, PRIMARY KEY (id, node)) WITHOUT ROWID;
"""

_ADD_WRITE = """
INSERT INTO write (id, digest, second, node, strength) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    digest = CASE
        WHEN excluded.digest IN (digest, :none) THEN digest
        WHEN digest = :none OR excluded.strength > strength THEN excluded.digest
        WHEN excluded.strength < strength OR strength = 3 THEN digest
        ELSE :none
    END,
    second = CASE WHEN excluded.strength >= strength THEN excluded.second ELSE second END,
    node = CASE WHEN excluded.strength >= strength THEN excluded.node ELSE node END,
    strength = max(strength, excluded.strength),
    roams = roams OR node != excluded.node
""".replace(":none", f"x'{NO_DIGEST.hex()}'")
"""A digest that is not known gives way to one that is. Of two that differ the stronger outcome's
counts, and the first that was acknowledged; of an unknown outcome either may be stored. A write
that was sent to several nodes roams."""

_FATES = """
WITH part AS (SELECT * FROM write WHERE id > :after AND id <= :last),
copies AS (
    SELECT id, count(*) AS copies, count(DISTINCT found.node) AS nodes,
        count(DISTINCT origin) AS origins, max(found.node = part.node) AS at_home,
        max(found.digest != :none AND part.digest != :none) AS compared,
        max(found.digest != :none AND part.digest != :none AND found.digest != part.digest)
            AS altered
    FROM part JOIN found USING (id) GROUP BY id
),
looked_for AS (
    SELECT part.*, copies, nodes, origins, compared, altered, CASE
        WHEN at_home AND NOT roams THEN 0
        WHEN copies AND NOT roams THEN NOT EXISTS (
            SELECT 1 FROM missed WHERE missed.id = part.id AND missed.node = part.node
        )
        ELSE coalesce(nodes, 0) + (SELECT count(*) FROM missed WHERE missed.id = part.id) < :nodes
    END AS unseen
    FROM part LEFT JOIN copies USING (id)
)
SELECT id, node, second, CASE
    WHEN strength = 1 AND copies THEN 'phantom'
    WHEN altered THEN 'altered'
    WHEN copies > nodes THEN 'duplicated'
    WHEN origins > 1 THEN 'redelivered'
    WHEN copies THEN iif(strength = 3, 'present', 'stored')
    WHEN unseen THEN iif(strength = 3, 'unverified', 'unread')
    ELSE CASE strength WHEN 3 THEN 'lost' WHEN 2 THEN 'absent' ELSE 'refused' END
END, coalesce(compared, 0), unseen, strength, digest != :none
FROM looked_for
""".replace(":none", f"x'{NO_DIGEST.hex()}'")
"""Of a write that was found at its home no other node is asked, so that nothing about it is unseen;
of one that roams all are."""


@dataclass(slots=True)
class Counted:
    """As in `Audit`."""

    counts: dict[Place, dict[Fate, int]] = field(default_factory=dict)
    compared: dict[Place, int] = field(default_factory=dict)
    unseen: dict[Place, dict[Fate, int]] = field(default_factory=dict)
    examples: dict[Fate, list[str]] = field(default_factory=dict)


class AuditWorkspace:
    """`nodes` are all that may hold a write: those of the ledger first, by their numbers there.

    Use it as a context manager.
    """

    def __init__(self, nodes: tuple[str, ...]) -> None:
        self._nodes = nodes
        with _translated():
            # An empty name is SQLite's for a private file, which it has unlinked already.
            self._database = sqlite3.connect("", isolation_level=None)
            self._database.executescript(_TABLES.format(cache_kb=CACHE_KB))
            self._database.execute("BEGIN")

    def __enter__(self) -> AuditWorkspace:
        return self

    def __exit__(self, *_: object) -> None:
        with closing(self._database), _translated():
            self._database.rollback()

    def add_writes(self, records: bytes) -> None:
        """Records of the ledger, whole and sound ones, in the order of the ledger."""
        rows = (
            (id, digest, second, node, _STRENGTH[outcome])
            for id, digest, second, node, outcome in ledger.RECORD.iter_unpack(records)
        )
        self._add(_ADD_WRITE, rows)

    def add_reads(self, records: bytes) -> list[bytes]:
        """Records of `reads.py`, whole and sound ones; returns the ids that were not found."""
        found: list[tuple[bytes, int, bytes, int, bytes]] = []
        missed: list[tuple[bytes, int]] = []
        for id, digest, place, node, origin, kind in reads.RECORD.iter_unpack(records):
            if kind == reads.Kind.FOUND:
                found.append((id, node, place, origin, digest))
            else:
                missed.append((id, node))
        self._add("INSERT OR IGNORE INTO found VALUES (?, ?, ?, ?, ?)", found)
        self._add("INSERT OR IGNORE INTO missed VALUES (?, ?)", missed)
        return [id for id, _ in missed]

    def add_pending(self, home: int, ids: Iterable[bytes]) -> None:
        """To be looked for on every other node: `home` has them not, or could not be read."""
        self._add("INSERT OR IGNORE INTO pending VALUES (?, ?)", ((id, home) for id in ids))

    def writes(self) -> int:
        """How many there are."""
        count: int = self._rows("SELECT count(*) FROM write")[0][0]
        return count

    def of_home(self, node: int, after: bytes) -> list[bytes]:
        """The next ids whose home is that node, in order; those that roam become pending."""
        query = "SELECT id, roams FROM write WHERE node = ? AND id > ? ORDER BY id LIMIT ?"
        rows = self._rows(query, (node, after, CHUNK_IDS))
        if roaming := [id for id, roams in rows if roams]:
            self.add_pending(node, roaming)
        return [id for id, _ in rows]

    def elsewhere(self, node: int, after: bytes) -> list[bytes]:
        """The next pending ids whose home is another node, in order."""
        query = "SELECT id FROM pending WHERE home != ? AND id > ? ORDER BY id LIMIT ?"
        return [id for (id,) in self._rows(query, (node, after, CHUNK_IDS))]

    def unwritten(self) -> int:
        """Ids that were found, and that the ledger does not have: the reads are of another run."""
        query = "SELECT count(*) FROM found WHERE id NOT IN (SELECT id FROM write)"
        count: int = self._rows(query)[0][0]
        return count

    def fates(self) -> Generator[None, None, Counted]:
        """What became of the writes; a step a yield."""
        counted = Counted()
        after = b""
        while last := self._last_of_step(after):
            values = {"after": after, "last": last, "nodes": len(self._nodes)}
            for id, node, second, word, compared, unseen, *said in self._rows(_FATES, values):
                fate, place = Fate(word), Place(self._nodes[node], second)
                _count(counted.counts, place, fate)
                for other in _may_be(fate, *said) if unseen else ():
                    _count(counted.unseen, place, other)
                if compared:
                    counted.compared[place] = counted.compared.get(place, 0) + 1
                if fate in FAULTS:
                    some = counted.examples.setdefault(fate, [])
                    some += [id.hex()] * (len(some) < MAX_EXAMPLES)
            after = last
            yield
        return counted

    def _last_of_step(self, after: bytes) -> bytes | None:
        query = "SELECT id FROM write WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?"
        rows = self._rows(query, (after, STEP_IDS - 1)) or self._rows(
            "SELECT max(id) FROM write WHERE id > ?", (after,)
        )
        last: bytes | None = rows[0][0]
        return last

    def _add(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with _translated():
            self._database.executemany(statement, rows)

    def _rows(
        self, query: str, values: tuple[Any, ...] | Mapping[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        with _translated():
            return self._database.execute(query, values).fetchall()


def _count(counts: dict[Place, dict[Fate, int]], place: Place, fate: Fate) -> None:
    by_fate = counts.setdefault(place, {})
    by_fate[fate] = by_fate.get(fate, 0) + 1


def _may_be(fate: Fate, strength: int, has_digest: int) -> tuple[Fate, ...]:
    """Which faults a read that failed may have hidden. One that is unverified may be any, and of
    another fault nobody asks for more."""
    if fate in FAULTS:
        return ()
    if strength == _STRENGTH[WriteOutcome.REFUSED]:
        return (Fate.PHANTOM,)
    return (Fate.ALTERED, Fate.DUPLICATED) if has_digest else (Fate.DUPLICATED,)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise AuditError(
            f"the audit's temporary database failed ({error}): free space where temporary files "
            "go, or set SQLITE_TMPDIR to a folder that has some"
        ) from error
