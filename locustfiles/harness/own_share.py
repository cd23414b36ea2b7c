"""Which arrivals of an open load are this process's own, and until when it may decide on any.

The only process owns them all. A worker's share comes from the master: epochs, and a lease that its
beats renew (beat.py). This module must not know arrivals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shapes.epoch import Epoch, Epochs

LOCAL = "local"

LONG_BEFORE_US = -(10**12)
"""Eleven days before second 0: before any arrival."""


class OwnShare(Protocol):
    """What a load side needs of whoever divides the arrivals."""

    @property
    def worker(self) -> str:
        """This process's name in the epochs."""

    @property
    def epochs(self) -> Epochs:
        """All that are known so far. More may come; those that are there stay as they are."""

    def lease_until_us(self) -> int | None:
        """Run time in microseconds since second 0: no decision on arrivals from then on, until it
        is extended. None: no limit."""


class WorkerShare:
    """A worker's, as the master says. `until_us` is when its lease ends, in microseconds since the
    epoch; `epochs` are those of the run, which may be others as long as it has not begun here."""

    def __init__(
        self,
        worker: str,
        epochs: Callable[[], Epochs],
        until_us: Callable[[], int],
        *,
        origin_us: int,
    ) -> None:
        self.worker = worker
        self._epochs = epochs
        self._until_us = until_us
        self._origin_us = origin_us

    @property
    def epochs(self) -> Epochs:
        return self._epochs()

    def lease_until_us(self) -> int | None:
        return self._until_us() - self._origin_us


class WholeShare:
    """The only process's: everything, for good."""

    def __init__(self) -> None:
        self.worker = LOCAL
        self.epochs = Epochs([Epoch(0, LONG_BEFORE_US, (LOCAL,))])

    def lease_until_us(self) -> int | None:
        return None
