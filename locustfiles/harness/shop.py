"""Events of a made-up shop, as several scenarios store them (F3-2 to F3-4).

Everything comes from the random stream that is passed in, so a seed gives the same events; only the
time stamp is the wall clock's. This module must not send anything.
"""

from __future__ import annotations

import random
from time import time_ns

TYPES = (
    "user_login",
    "user_logout",
    "page_view",
    "product_view",
    "add_to_cart",
    "remove_from_cart",
    "purchase_started",
    "payment_processed",
    "order_confirmed",
    "shipment_created",
)
"""F3-2; drawn uniformly."""


class Shop:
    """Makes one worker's events; `worker` numbers it."""

    def __init__(self, random_: random.Random, worker: int) -> None:
        self._random = random_
        self._worker = worker
        self._sequence = 0

    def event(self, users: int, **more: object) -> tuple[str, dict[str, object]]:
        """Type and data of one event of `user_1` to `user_<users>`; the stamp is microseconds."""
        self._sequence += 1
        data = {
            "user_id": f"user_{self._random.randint(1, users)}",
            "session_id": f"session_{self._random.getrandbits(32):08x}",
            "timestamp": time_ns() // 1_000,
            "sequence": self._sequence,
            "worker_id": self._worker,
            **more,
        }
        return self._random.choice(TYPES), data

    def batch(self, size: int, users: int, batch_id: str) -> list[dict[str, object]]:
        """`size` events as a batch takes them (F3-5)."""
        made = (self.event(users, batch_id=batch_id) for _ in range(size))
        return [{"type": type_, "data": data} for type_, data in made]
