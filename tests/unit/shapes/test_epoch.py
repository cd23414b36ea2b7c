"""Who starts which arrival."""

from __future__ import annotations

import json

import pytest

from shapes.epoch import Epoch, Epochs, epochs_of


def test_an_arrival_belongs_to_the_worker_of_its_index_modulo_the_number_of_workers() -> None:
    epochs = Epochs([Epoch(4, 0, ("a", "b", "c"))])
    assert [epochs.owner(index, 5) for index in range(5)] == ["a", "b", "c", "a", "b"]


def test_the_epoch_in_force_at_the_intended_time_decides() -> None:
    epochs = Epochs([Epoch(0, 0, ("a", "b")), Epoch(1, 100, ("b",))])
    assert [epochs.owner(0, t_us) for t_us in (0, 99, 100, 10**12)] == ["a", "a", "b", "b"]


def test_before_the_first_epoch_and_without_workers_an_arrival_is_nobodys() -> None:
    epochs = Epochs([Epoch(0, 50, ("a",)), Epoch(1, 60, ())])
    assert Epochs().owner(0, 0) is None
    assert [epochs.owner(3, t_us) for t_us in (49, 50, 60)] == [None, "a", None]


def test_of_two_epochs_that_begin_together_the_later_number_is_in_force() -> None:
    epochs = Epochs([Epoch(0, 0, ("a",)), Epoch(1, 0, ("b",))])
    assert epochs.owner(0, 0) == "b"


def test_an_epoch_that_is_told_again_changes_nothing() -> None:
    epochs = Epochs([Epoch(0, 0, ("a",)), Epoch(1, 5, ("b",))])
    assert epochs.add(Epoch(2, 9, ("c",)))
    assert not epochs.add(Epoch(0, 0, ("a",)))
    assert [epoch.number for epoch in epochs] == [0, 1, 2]


def test_what_was_decided_is_not_changed() -> None:
    epochs = Epochs([Epoch(0, 0, ("a",)), Epoch(3, 50, ("b",))])
    with pytest.raises(ValueError, match="told before"):
        epochs.add(Epoch(3, 50, ("c",)))
    with pytest.raises(ValueError, match="told before"):
        epochs.add(Epoch(1, 60, ("c",)))
    with pytest.raises(ValueError, match="would begin before"):
        epochs.add(Epoch(4, 49, ("c",)))
    assert len(epochs) == 2


def test_epochs_cross_the_wire_whole() -> None:
    epochs = Epochs([Epoch(0, -5, ("a", "b")), Epoch(1, 100, ())])
    back = Epochs.from_wire(json.loads(json.dumps(epochs.as_wire())))
    assert list(back) == list(epochs)


@pytest.mark.parametrize(
    "rows",
    [
        None,
        "abc",
        [[0, 0]],
        [[0, 0, "ab"]],
        [[0, 0, [1]]],
        [[0, 0, [""]]],
        [[0, 0, ["a", "a"]]],
        [[0.5, 0, ["a"]]],
        [[True, 0, ["a"]]],
        [[-1, 0, ["a"]]],
        [[0, "0", ["a"]]],
    ],
    ids=repr,
)
def test_rows_that_are_no_epochs_are_refused(rows: object) -> None:
    with pytest.raises(ValueError, match="epoch"):
        epochs_of(rows)
