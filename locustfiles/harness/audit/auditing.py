"""One audit: every write of the ledger is looked for on the nodes, and what they say is written.

Life cycle, in a greenlet of the process that owns the run:

1. the ledger is read into a workspace;
2. each node is asked for the writes that it took itself, all nodes at once;
3. what was not found there, or was sent to several nodes, is asked of all others;
4. `audit.json` is written, and the fates are counted.

A node that cannot be read is asked again for a while and then given up, and so is every node when
the audit has reached its limit: what only they could tell stays unverified. All this yields every
few 10 ms, as the loop has workers to serve. This module must not know how a node is asked, or
judge.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

import gevent
from gevent.pool import Group

from results.audit.audit import Audit
from results.audit.offline import made
from results.audit.reads import FILE as READS
from results.audit.reads import Origins, ReadsWriter, packed
from results.audit.record import FILE, AskedNode, AuditRecord
from results.audit.workspace import AuditWorkspace
from results.auditor import Auditor, UnreadableError
from results.errors import ResultsError
from results.ledger.ledger import FURTHER_NODES
from results.ledger.store import LedgerFile
from results.note import sound_text
from results.run_folder import RunFolder

PATIENCE_S = 20.0
"""Of failing, over the whole audit. A node that restarts is back in one; nobody waits longer for
one that never comes back, or that fails again with each question."""

PATIENCE_ATTEMPTS = 3
"""Of a node that answers, and answers wrongly."""

RETRY_S = 0.5

FIND_TIMEOUT_S = 60.0
"""For one question, whatever an auditor does."""

LIMIT_S = 600.0
LIMIT_S_PER_WRITE = 1e-4
"""For the whole audit, of nodes that answer slowly: ten minutes, and three times what it takes to
look up one write after another on two cores."""

STEP_RECORDS = 2048

TURN_S = 0.0001
"""Others run between two steps. With a sleep of 0 gevent would look for events and timers only
after 50 of them."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AuditSoFar:
    """`asked` of so many `writes` have been looked for at home, in so many seconds."""

    asked: int
    writes: int
    nodes: int
    second: int


Progress = Callable[[AuditSoFar], None]
"""Is told about once a second, and not in the first."""


@dataclass(slots=True)
class _Node:
    number: int
    url: str
    asked: int = 0
    failing_s: float = 0.0
    unread: str | None = None

    @property
    def told(self) -> AskedNode:
        return AskedNode(self.url, self.asked, self.unread)


class Auditing:
    """Of one run's ledger. `nodes` are those that may hold a write beside those it was sent to."""

    def __init__(
        self,
        folder: RunFolder,
        ledger: LedgerFile,
        auditor: Auditor,
        nodes: tuple[str, ...],
        doubts: tuple[str, ...] = (),
    ) -> None:
        self._folder = folder
        self._ledger = ledger
        self._auditor = auditor
        self._doubts = doubts
        urls = dict.fromkeys((*ledger.nodes, *nodes))
        self._nodes = [_Node(number, url) for number, url in enumerate(urls)]
        self._origins = Origins()
        self._group = Group()
        self._asked = 0
        self._limit_s = LIMIT_S
        self._ends_s = math.inf

    def run(self, progress: Progress) -> Audit:
        """Raises AuditError, LedgerError or RunFolderError when it cannot be carried out."""
        reads = ReadsWriter(self._folder.ledger / READS, self._ledger.run_id)
        try:
            with AuditWorkspace(tuple(node.url for node in self._nodes)) as workspace:
                for records in self._ledger.records(STEP_RECORDS):
                    workspace.add_writes(records)
                    gevent.sleep(TURN_S)
                self._limit_s += LIMIT_S_PER_WRITE * workspace.writes()
                self._ends_s = time.monotonic() + self._limit_s
                self._group.spawn(self._tell, progress, workspace.writes())
                self._each(lambda node: self._ask_home(node, workspace, reads))
                self._each(lambda node: self._ask_elsewhere(node, workspace, reads))
                reads.finish()
                record = self._record(reads.records)
                record.write(self._folder.ledger / FILE)
                return made(record, _in_steps(workspace.fates()))
        finally:
            # A kill comes here, too: nobody may be left who asks on.
            self._group.kill(block=False)
            reads.close()

    def _tell(self, progress: Progress, writes: int) -> None:
        """Until it is killed: also while nobody answers."""
        for second in count(1):
            gevent.sleep(1.0)
            progress(AuditSoFar(self._asked, writes, len(self._nodes), second))

    def _record(self, reads: int) -> AuditRecord:
        return AuditRecord(
            self._ledger.run_id,
            tuple(node.told for node in self._nodes),
            self._origins.names,
            reads,
            doubts=self._doubts,
        )

    def _each(self, ask: Callable[[_Node], None]) -> None:
        """Ask all nodes at once."""

        def guarded(node: _Node) -> ResultsError | None:
            # Raised in a greenlet it would be printed with a traceback as well.
            try:
                ask(node)
            except ResultsError as error:
                return error
            return None

        greenlets = [self._group.spawn(guarded, node) for node in self._nodes]
        gevent.joinall(greenlets, raise_error=True)
        for failure in filter(None, (one.value for one in greenlets)):
            raise failure

    def _ask_home(self, node: _Node, workspace: AuditWorkspace, reads: ReadsWriter) -> None:
        after = b""
        while ids := workspace.of_home(node.number, after):
            records = self._read(node, ids)
            if records is None:
                workspace.add_pending(node.number, ids)
            else:
                reads.write(records)
                workspace.add_pending(node.number, workspace.add_reads(records))
            after = ids[-1]
            self._asked += len(ids)
            gevent.sleep(TURN_S)

    def _ask_elsewhere(self, node: _Node, workspace: AuditWorkspace, reads: ReadsWriter) -> None:
        after = b""
        while ids := workspace.elsewhere(node.number, after):
            records = self._read(node, ids)
            if records is None:
                return
            reads.write(records)
            workspace.add_reads(records)
            after = ids[-1]
            gevent.sleep(TURN_S)

    def _read(self, node: _Node, ids: list[bytes]) -> bytes | None:
        """The records of one successful read, None once the node is given up."""
        if node.url == FURTHER_NODES:
            node.unread = "more nodes were written to than are told apart"
        attempts = 0
        while node.unread is None:
            began_s = time.monotonic()
            wait_s = min(FIND_TIMEOUT_S, self._ends_s - began_s)
            if wait_s <= 0:
                self._give_up(node, f"the audit had lasted {self._limit_s:,.0f} s, its limit")
                break
            try:
                with gevent.Timeout(wait_s):
                    found = self._auditor.find(node.url, ids)
                    records = packed(node.number, ids, found, self._origins)
            except UnreadableError as error:
                reason, passes = _said(error), error.passes
            except gevent.Timeout:
                reason, passes = f"no answer within {wait_s:.1f} s", False
            except Exception as error:
                # The edge to an auditor of the user's own.
                reason, passes = (
                    f"the auditor failed: {type(error).__name__}: {_said(error)}",
                    False,
                )
            else:
                node.asked += len(ids)
                return records
            attempts += 1
            node.failing_s += time.monotonic() - began_s
            is_out = node.failing_s >= PATIENCE_S
            if is_out or (attempts >= PATIENCE_ATTEMPTS and not passes):
                self._give_up(node, reason)
            else:
                node.failing_s += RETRY_S
                gevent.sleep(RETRY_S)
        return None

    def _give_up(self, node: _Node, reason: str) -> None:
        # It goes into every file and onto every screen, and may quote an answer or a URL.
        node.unread = sound_text(reason)
        logger.warning("%s could not be audited: %s", node.url, node.unread)


def _said(error: Exception) -> str:
    try:
        return str(error)
    except Exception:
        # Of an auditor's own class, whose text is its own code.
        return "it has no text"


def _in_steps(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        gevent.sleep(TURN_S)
