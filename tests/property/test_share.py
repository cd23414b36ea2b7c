"""Users over workers: complete, even, still when nothing changes, and never above the plan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapes.share import Shares, grant, spread

CLASSES = st.sampled_from(["Browser", "Checkout", "Jobs", "Search", "Zero"])
COUNTS = st.dictionaries(CLASSES, st.integers(0, 500), min_size=1)
WORKERS = st.lists(st.integers(0, 30).map("w{}".format), min_size=1, max_size=8, unique=True)


def total(shares: Shares, name: str) -> int:
    return sum(share.get(name, 0) for share in shares.values())


@given(counts=COUNTS, workers=WORKERS)
def test_every_user_runs_on_one_worker_and_classes_are_even(
    counts: dict[str, int], workers: list[str]
) -> None:
    shares = spread(counts, workers)
    assert list(shares) == workers
    for name, count in counts.items():
        of_class = [share[name] for share in shares.values()]
        assert sum(of_class) == count
        assert max(of_class) - min(of_class) <= 1
    of_worker = [sum(share.values()) for share in shares.values()]
    assert max(of_worker) - min(of_worker) <= len(counts)


@given(counts=COUNTS, workers=WORKERS, data=st.data())
def test_one_user_more_is_one_more_on_one_worker_and_nobody_moves(
    counts: dict[str, int], workers: list[str], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(counts)))
    before = spread(counts, workers)
    after = spread(counts | {name: counts[name] + 1}, workers)
    changes = {
        (worker, one): after[worker][one] - before[worker][one]
        for worker in workers
        for one in counts
        if after[worker][one] != before[worker][one]
    }
    assert list(changes.values()) == [1], changes


@given(counts=COUNTS, workers=WORKERS)
def test_it_depends_on_counts_and_workers_alone(counts: dict[str, int], workers: list[str]) -> None:
    turned = dict(reversed(list(counts.items())))
    assert spread(counts, workers) == spread(turned, workers)


@given(counts=COUNTS, workers=WORKERS)
def test_without_one_worker_the_others_run_all(counts: dict[str, int], workers: list[str]) -> None:
    survivors = spread(counts, workers[1:])
    for name, count in counts.items():
        assert total(survivors, name) == (count if workers[1:] else 0)


def test_left_overs_of_classes_do_not_gather_on_one_worker() -> None:
    shares = spread({"A": 1, "B": 1}, ["x", "y"])
    assert [sum(share.values()) for share in shares.values()] == [1, 1]


def test_no_worker_no_share_and_nonsense_is_refused() -> None:
    assert spread({"A": 3}, []) == {}
    with pytest.raises(ValueError, match="twice"):
        spread({"A": 3}, ["x", "x"])
    with pytest.raises(ValueError, match="fewer than none"):
        spread({"A": -1}, ["x"])


PLANS = st.lists(
    st.tuples(COUNTS, WORKERS, st.lists(st.integers(0, 30).map("w{}".format), max_size=6)),
    min_size=1,
    max_size=12,
)


@given(plans=PLANS)
def test_what_workers_may_run_is_never_above_the_plan(
    plans: list[tuple[dict[str, int], list[str], list[str]]],
) -> None:
    """Workers come and go and confirm late; what each may run is the most it was ever told since
    its last confirmation."""
    may_run: Shares = {}
    told: Shares = {}
    before: dict[str, int] = {}
    for counts, workers, confirming in plans:
        may_run = {worker: may_run.get(worker, {}) for worker in workers}
        told = {worker: told.get(worker, {}) for worker in workers}
        names = set(counts) | {name for share in may_run.values() for name in share}
        wanted = spread({name: counts.get(name, 0) for name in names}, workers)
        before = {name: total(may_run, name) for name in names}
        for worker, share in grant(wanted, may_run).items():
            told[worker] = share
            may_run[worker] = {
                name: max(count, may_run[worker].get(name, 0)) for name, count in share.items()
            }
        for name in names:
            assert total(may_run, name) <= max(counts.get(name, 0), before[name])
        for worker in set(confirming) & set(workers):
            may_run[worker] = dict(told[worker])


@given(counts=COUNTS, workers=WORKERS, held=st.dictionaries(st.text(max_size=2), COUNTS))
def test_once_all_have_confirmed_everybody_has_what_is_wanted(
    counts: dict[str, int], workers: list[str], held: Shares
) -> None:
    wanted = spread(counts, workers)
    may_run = {worker: share for worker, share in zip(workers, held.values(), strict=False)}
    for _ in range(2):
        may_run = grant(wanted, may_run)
    assert may_run == wanted


def test_who_is_to_start_waits_for_who_is_to_stop() -> None:
    wanted = {"old": {"A": 10}, "back": {"A": 10}}
    assert grant(wanted, {"old": {"A": 20}}) == {"old": {"A": 10}, "back": {"A": 0}}
    assert grant(wanted, {"old": {"A": 10}}) == wanted
