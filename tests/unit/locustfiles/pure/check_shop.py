"""The shop's events: the rows' fields, and the same script for the same seed."""

from __future__ import annotations

import random
from collections import Counter

from locustfiles.harness.shop import TYPES, Shop


def test_events_have_the_fields_of_the_rows() -> None:
    shop = Shop(random.Random(1), worker=7)
    made = [shop.event(users=3) for _ in range(300)]
    assert [data["sequence"] for _, data in made] == list(range(1, 301))
    assert {data["user_id"] for _, data in made} == {"user_1", "user_2", "user_3"}
    assert {data["worker_id"] for _, data in made} == {7}
    stamp = made[0][1]["timestamp"]
    assert isinstance(stamp, int) and stamp > 1_600_000_000_000_000, "microseconds"


def test_types_are_drawn_uniformly() -> None:
    shop = Shop(random.Random(1), worker=0)
    counts = Counter(shop.event(users=1)[0] for _ in range(10_000))
    assert set(counts) == set(TYPES) and len(TYPES) == 10
    assert all(800 < count < 1_200 for count in counts.values())


def test_a_batch_names_itself_in_each_event() -> None:
    batch = Shop(random.Random(1), worker=0).batch(500, users=10, batch_id="batch_test")
    assert len(batch) == 500
    for event in batch:
        assert event["type"] in TYPES
        assert isinstance(event["data"], dict) and event["data"]["batch_id"] == "batch_test"


def test_the_same_seed_gives_the_same_events() -> None:
    def script(seed: int) -> list[tuple[str, object]]:
        shop = Shop(random.Random(seed), worker=0)
        made = [shop.event(users=100) for _ in range(50)]
        return [(type_, data["user_id"]) for type_, data in made]

    assert script(5) == script(5) != script(6)
