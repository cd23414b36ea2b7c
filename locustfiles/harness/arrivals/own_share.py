"""Which arrivals of an open load are this process's own, and until when it may decide on any.

The only process owns them all. A worker's share comes from the master: epochs, and a lease that its
beats renew (`beat.WorkerShare`). This module must not know arrivals.
"""

from __future__ import annotations

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
        """Run time in microseconds since second 0: no decision on arrivals that are intended from
        then on, until it is extended, for an epoch may be unknown. None: no limit."""


def may_decide(share: OwnShare, t_us: int) -> bool:
    """Whether this process knows whose the arrivals are that are intended then (run time)."""
    until_us = share.lease_until_us()
    if until_us is not None and t_us >= until_us:
        return False
    return share.epochs.at(t_us) is not None


class WholeShare:
    """The only process's: everything, for good."""

    def __init__(self) -> None:
        self.worker = LOCAL
        self.epochs = Epochs([Epoch(0, LONG_BEFORE_US, (LOCAL,))])

    def end_arrivals(self, from_us: int) -> None:
        """What is intended from then on is nobody's: the plan ends there. Once."""
        self.epochs.add(Epoch(1, from_us, ()))

    def lease_until_us(self) -> int | None:
        return None
