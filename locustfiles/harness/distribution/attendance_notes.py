"""Puts on the timeline who joined, was lost and came back, and how the arrivals were divided anew.

Exists once per run in the master. What a lost worker has not reported is bounded here, from the
last second that it has told of and the end of its lease. This module must not judge.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from results.absence import Absence
from results.timeline import Annotation, Health
from shapes.epoch import Epoch

JOINED = "worker_joined"
LOST = "worker_lost"
LEFT = "worker_left"
BACK = "worker_back"
EPOCH = "epoch"
"""Labels of annotations."""

logger = logging.getLogger(__name__)


class AttendanceNotes:
    """`source` names a worker in its reports; `is_done` says whether it has said that it is done
    and all of its reports have come. `annotate` and `health` write."""

    def __init__(
        self,
        *,
        source: Callable[[str], str],
        is_done: Callable[[str], bool],
        annotate: Callable[[Annotation], None],
        health: Callable[[Health], None],
    ) -> None:
        self._source = source
        self._is_done = is_done
        self._annotate = annotate
        self._health = health
        self._last_second: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        self._absences: dict[str, Absence] = {}

    def reported(self, report: dict[str, Any]) -> None:
        """A worker's report of one second came."""
        source, second = report["source"], report["second"]
        if second < self._last_second.get(source, second):
            return
        if second > self._last_second.get(source, second - 1):
            self._ended[source] = 0
        self._last_second[source] = second
        for endpoint in report["endpoints"].values():
            self._ended[source] += endpoint["ended"]

    def away_now(self) -> frozenset[str]:
        """Workers that were lost and have not come back."""
        return frozenset(self._absences)

    def joined(self, worker: str, t_s: float) -> None:
        self._note(t_s, JOINED, f"{self._who(worker)} joined")

    def away(
        self, worker: str, t_s: float, heard_s: float, ended_s: float, share: float, others: int
    ) -> None:
        source = self._source(worker)
        last = self._last_second.get(source)
        unreported_s = 0.0 if last is None or self._is_done(worker) else ended_s - (last + 1)
        absence = Absence(
            source,
            heard_s=heard_s,
            taken_s=t_s,
            share=share,
            others=others,
            unreported_s=max(0.0, unreported_s),
            last_second=last,
            rate_per_s=float(self._ended.get(source, 0)),
        )
        self._absences[worker] = absence
        text = f"{self._who(worker)} {absence.text()}"
        logger.error(text)
        self._note(t_s, LOST, text)
        self._health(absence.lines()[0])

    def left(self, worker: str, t_s: float, share: float, others: int) -> None:
        """It ended its part of the run on its own, and has reported all of it."""
        source = self._source(worker)
        absence = Absence(
            source,
            heard_s=t_s,
            taken_s=t_s,
            share=share,
            others=others,
            unreported_s=0.0,
            last_second=self._last_second.get(source),
            has_left=True,
        )
        self._absences[worker] = absence
        text = f"{self._who(worker)} {absence.text()}"
        logger.warning(text)
        self._note(t_s, LEFT, text)
        self._health(absence.lines()[0])

    def back(self, worker: str, t_s: float) -> None:
        absence = self._absences.pop(worker, None)
        if absence is None:
            return
        returned = replace(absence, back_s=t_s)
        text = f"{self._who(worker)} {returned.text()}"
        logger.warning(text)
        self._note(t_s, BACK, text)
        self._health(returned.lines()[1])

    def epoch(self, epoch: Epoch, t_s: float) -> None:
        workers = ", ".join(self._source(worker) for worker in epoch.workers) or "nobody"
        at_s = epoch.from_us / 1e6
        self._note(
            t_s, EPOCH, f"epoch {epoch.number}: arrivals from {at_s:.3f} s on are {workers}'s"
        )

    def _who(self, worker: str) -> str:
        """Its name in reports, and its machine: Locust's ids are the host's name and a number."""
        return f"{self._source(worker)} ({worker.rpartition('_')[0] or worker})"

    def _note(self, t_s: float, label: str, text: str) -> None:
        self._annotate(Annotation(round(t_s, 3), label, text))
