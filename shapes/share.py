"""Which worker runs how many users of each class: a pure function, so that every process agrees.

`spread` says who is to run what. `grant` says what may be handed out now, while workers that are to
give users up have not yet said that they did: users move by stopping in one process and starting in
another, and those that start must not come first, lest the load is above its plan. This module must
not know Locust, a clock or a network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Shares = dict[str, dict[str, int]]
"""Users by worker and class."""


def spread(counts: Mapping[str, int], workers: Sequence[str]) -> Shares:
    """`counts` users by class over the workers, in whose order a class's last users are given out.

    A class with n users has n // W on each of W workers; the n % W that are left go to successive
    workers from the class's own place on. One user more or less of a class is thus one user more
    or less on one worker, and nothing else moves. Classes start at places i * W // K (the i-th of K
    by name), so that their left-overs do not gather on the first workers; a worker has at most K
    users more than another. Raises ValueError for negative counts or a worker that is named twice.
    """
    if len(set(workers)) != len(workers):
        raise ValueError(f"a worker is named twice: {list(workers)}")
    if negative := sorted(name for name, count in counts.items() if count < 0):
        raise ValueError(f"{negative[0]}: users cannot be fewer than none")
    shares: Shares = {worker: {} for worker in workers}
    names = sorted(counts)
    for index, name in enumerate(names):
        for worker in workers:
            shares[worker][name] = counts[name] // len(workers)
        first = index * len(workers) // len(names)
        for place in range(counts[name] % len(workers) if workers else 0):
            shares[workers[(first + place) % len(workers)]][name] += 1
    return shares


def grant(wanted: Mapping[str, Mapping[str, int]], may_run: Shares) -> Shares:
    """What to hand out now of `wanted`, when each worker may still run up to `may_run`.

    Who is to run fewer users is told at once. Who is to run more gets of the users that nobody may
    still run; the rest is due once the others have said that theirs are stopped. So for each class
    the sum of what workers may run never rises above the plan (the sum of `wanted`), and where it
    is above it, since the plan fell, it does not rise.
    """
    spare: dict[str, int] = {}
    for worker, share in wanted.items():
        for name, count in share.items():
            bound = may_run.get(worker, {}).get(name, 0)
            spare[name] = spare.get(name, 0) + count - bound
    granted: Shares = {}
    for worker, share in wanted.items():
        granted[worker] = {}
        for name, count in share.items():
            bound = may_run.get(worker, {}).get(name, 0)
            more = max(0, min(count - bound, spare[name]))
            spare[name] -= more
            granted[worker][name] = min(count, bound) + more
    return granted
