"""The ledger of one run, kept by the process that owns it beside the timeline (D13).

Begun by the first report of writes, so that a run without any has none. Closed before the audit
reads it, so that the verdict at the end and the one computed years later rest on the same records;
reports that come after that are counted, and make the run INCONCLUSIVE. A ledger that cannot be
written voids the run, which goes on; nothing more is written then, and what is on disk stays
readable. This module must not know what becomes of the writes.
"""

from __future__ import annotations

import logging
from typing import Any

from results.errors import LedgerError
from results.ledger.ledger import WritesReport
from results.ledger.store import LedgerWriter
from results.run_folder import RunFolder

logger = logging.getLogger(__name__)


class LedgerBook:
    """`failures` counts what could not be written; any voids the run. `late` holds, by source, how
    many reports came when the ledger was closed, and how many writes they brought."""

    def __init__(self, folder: RunFolder) -> None:
        self.failures = 0
        self.late: dict[str, tuple[int, int]] = {}
        self._is_closed = False
        self._folder = folder
        self._writer: LedgerWriter | None = None

    def take(self, report: dict[str, Any]) -> None:
        """Write a load side's report. Raises ValueError when it is none."""
        writes = WritesReport.from_dict(report)
        if self._is_closed:
            reports, count = self.late.get(writes.source, (0, 0))
            self.late[writes.source] = reports + 1, count + writes.count
            return
        if self.failures:
            return
        try:
            if self._writer is None:
                self._writer = LedgerWriter(self._folder)
            self._writer.take(writes)
        except LedgerError as error:
            self._break(error)

    def close(self) -> None:
        """What comes from here on is late. Idempotent."""
        self._is_closed = True
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except LedgerError as error:
                self._break(error)

    def _break(self, error: LedgerError) -> None:
        if not self.failures:
            logger.error("the ledger failed; the verdict will be INCONCLUSIVE: %s", error)
        self.failures += 1
