"""Which worker an arrival belongs to: numbered epochs, each a list of workers from a moment on.

The sequence of arrivals is the same in every process, so all that workers have to agree on is who
starts which of them (D14): index i belongs to worker i mod W of the epoch that is in force at its
intended time. An epoch's list is never changed; another division is another epoch. Pure: this
module must not know a clock, a network or Locust. Times are run time, integer microseconds since
second 0 of the profile.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Epoch:
    """`workers` share the arrivals from `from_us` until the next epoch begins; none: nobody does.

    The order of the workers matters: all processes must have the same.
    """

    number: int
    from_us: int
    workers: tuple[str, ...]

    def __post_init__(self) -> None:
        for name, value in (("number", self.number), ("from_us", self.from_us)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"an epoch's {name} is a whole number, not {value!r}")
        if self.number < 0:
            raise ValueError(f"epochs are numbered from 0: {self.number}")
        if not isinstance(self.workers, tuple) or not all(
            isinstance(worker, str) and worker for worker in self.workers
        ):
            raise ValueError(f"an epoch's workers are names, not {self.workers!r}")
        if len(set(self.workers)) != len(self.workers):
            raise ValueError(f"epoch {self.number} names a worker twice: {self.workers}")

    def owner(self, index: int) -> str | None:
        """Whose the arrival with that index is; None without workers."""
        return self.workers[index % len(self.workers)] if self.workers else None


class Epochs:
    """All epochs of a run so far, in order. Append-only: what was decided stays decided.

    Of epochs that begin at the same moment the one with the highest number is in force.
    """

    def __init__(self, epochs: Sequence[Epoch] = ()) -> None:
        self._epochs: list[Epoch] = []
        self._starts_us: list[int] = []
        for epoch in epochs:
            self.add(epoch)

    def add(self, epoch: Epoch) -> bool:
        """Whether it was new: one that is already here, as told again, changes nothing.

        Raises ValueError for one that contradicts what is here or begins before the latest.
        """
        latest = self.latest
        if latest is not None and epoch.number <= latest.number:
            if epoch in self._epochs:
                return False
            raise ValueError(f"{epoch} is not the epoch {epoch.number} that was told before")
        if latest is not None and epoch.from_us < latest.from_us:
            raise ValueError(f"{epoch} would begin before {latest}: epochs are only appended")
        self._epochs.append(epoch)
        self._starts_us.append(epoch.from_us)
        return True

    @property
    def latest(self) -> Epoch | None:
        return self._epochs[-1] if self._epochs else None

    def at(self, t_us: int) -> Epoch | None:
        """The epoch in force at that moment: from_us <= t_us; None before the first."""
        position = bisect_right(self._starts_us, t_us)
        return self._epochs[position - 1] if position else None

    def owner(self, index: int, t_us: int) -> str | None:
        """Whose the arrival with that index and intended time is; None when it is nobody's."""
        epoch = self.at(t_us)
        return None if epoch is None else epoch.owner(index)

    def __iter__(self) -> Iterator[Epoch]:
        return iter(tuple(self._epochs))

    def __len__(self) -> int:
        return len(self._epochs)

    def as_wire(self) -> list[list[object]]:
        """[[number, from_us, [workers]], …], as JSON and msgpack carry it."""
        return [[e.number, e.from_us, list(e.workers)] for e in self._epochs]

    @classmethod
    def from_wire(cls, rows: object) -> Epochs:
        """Raises ValueError for anything but what `as_wire` makes."""
        return cls(epochs_of(rows))


def epochs_of(rows: object) -> tuple[Epoch, ...]:
    """The epochs of such rows, unrelated to any known before. Raises ValueError."""
    if not isinstance(rows, list | tuple):
        raise ValueError(f"epochs are a list, not {type(rows).__name__}")
    return tuple(_epoch(row) for row in rows)


def _epoch(row: object) -> Epoch:
    if not isinstance(row, list | tuple) or len(row) != 3:
        raise ValueError(f"an epoch is [number, from_us, [workers]], not {row!r}")
    number, from_us, workers = row
    if not isinstance(workers, list | tuple):
        raise ValueError(f"an epoch's workers are a list, not {workers!r}")
    return Epoch(number, from_us, tuple(workers))
