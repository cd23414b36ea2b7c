"""The audit at a run's end: whether there is one, when it begins, and how it is cut short.

Life cycle: made with the run; `make` is called once, when all load sides have shipped what they had
and before the verdict; `give_up` ends it early, from another greenlet. Whatever happens, the run's
folder says what became of its audit. This module must not judge.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable

import gevent

from locustfiles.harness.audit.auditing import Auditing, Progress
from locustfiles.harness.audit.foundation import FoundationAuditor
from locustfiles.harness.http.origin import parse_origin
from results.audit.audit import Audit
from results.audit.offline import unmade
from results.audit.record import FILE, AuditRecord
from results.auditor import Auditor
from results.errors import ResultsError
from results.ledger.store import LedgerFile
from results.run_folder import RunFolder

HEALING_TIMEOUT_S = 60.0
"""A fault that nobody has healed by then is a doubt of the verdict, and the nodes are read as they
are."""

POLL_S = 0.1

CUT_SHORT = "it was interrupted"

logger = logging.getLogger(__name__)


class RunAudit:
    """Of one run. `nodes` are those of its target; `auditor` None: nobody named one."""

    def __init__(self, folder: RunFolder, auditor: Auditor | None, nodes: tuple[str, ...]) -> None:
        self._folder = folder
        self._auditor = auditor
        self._nodes = nodes
        self._is_given_up = False
        self._work: gevent.Greenlet | None = None

    def make(
        self, aborted: str | None, faults: Callable[[], Collection[str]], progress: Progress
    ) -> Audit | None:
        """None for a run that wrote nothing. `faults` are those that are not healed yet."""
        try:
            ledger = LedgerFile.open(self._folder)
            if ledger is None:
                return None
            if aborted is not None:
                return self._unmade(ledger.run_id, "the run was aborted")
            if self._auditor is None:
                return self._unmade(ledger.run_id, "the scenario names no auditor", False)
            self._await_healing(faults)
            auditing = Auditing(self._folder, ledger, self._auditor, self._nodes)
            return self._made(ledger.run_id, auditing, progress)
        except (gevent.GreenletExit, KeyboardInterrupt):
            self._unmade(self._folder.run_id, CUT_SHORT)
            raise
        except ResultsError as error:
            logger.error("the writes could not be audited: %s", error)
            return self._unmade(self._folder.run_id, str(error))

    def give_up(self) -> None:
        """An interrupt came: nobody waits for the audit any more."""
        self._is_given_up = True
        if self._work is not None:
            self._work.kill(block=False)

    def _await_healing(self, faults: Callable[[], Collection[str]]) -> None:
        if under_way := faults():
            names = ", ".join(sorted(under_way))
            logger.info(
                "the audit waits for faults to be healed, up to %g s: %s", HEALING_TIMEOUT_S, names
            )
        deadline_s = time.monotonic() + HEALING_TIMEOUT_S
        while faults() and not self._is_given_up and time.monotonic() < deadline_s:
            gevent.sleep(POLL_S)

    def _made(self, run_id: str, auditing: Auditing, progress: Progress) -> Audit:
        if self._is_given_up:
            return self._unmade(run_id, CUT_SHORT)
        self._work = gevent.spawn(_caught, auditing, progress)
        try:
            result = self._work.get()
        finally:
            # Killed ourselves, we must not wait for what goes on without us.
            self._work.kill(block=False)
        if isinstance(result, ResultsError):
            raise result
        return result if isinstance(result, Audit) else self._unmade(run_id, CUT_SHORT)

    def _unmade(self, run_id: str, why: str, is_asked_for: bool = True) -> Audit:
        record = AuditRecord(run_id, not_made=why, is_asked_for=is_asked_for)
        try:
            record.write(self._folder.ledger / FILE)
        except ResultsError as error:
            logger.error("what became of the audit could not be written: %s", error)
        return unmade(record)


def _caught(auditing: Auditing, progress: Progress) -> Audit | ResultsError:
    # Raised in a greenlet it would be printed with a traceback as well.
    try:
        return auditing.run(progress)
    except ResultsError as error:
        return error


def origins_of(urls: Iterable[str]) -> tuple[str, ...]:
    """As samples name their nodes, however these are written: `http://HOST:80/` is `http://host`."""
    return tuple(parse_origin(url).url for url in urls)


def auditor_of(own: Auditor | None, nodes: tuple[str, ...], token: str | None) -> Auditor | None:
    """The scenario's own, else Foundation's for a run that loads its `nodes`, else None."""
    if own is not None:
        return own
    return FoundationAuditor(nodes, token) if nodes else None
