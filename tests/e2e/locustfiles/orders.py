"""A service of one's own whose writes are audited by an auditor of one's own; for the tests.

The service is the lying target, of which this file knows nothing but two paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID, uuid4

import requests
from locust import HttpUser, constant, task

from locustfiles.harness import judge
from results.auditor import Found, UnreadableError
from results.check import error_rate


class Buyer(HttpUser):
    wait_time = constant(0.05)
    orders = 0

    @task
    def order(self) -> None:
        self.orders += 1
        key = uuid4()
        body = {"id": str(key), "type": "order", "data": {"lie": self.orders % 3 == 0}}
        self.client.post("/v1/events", json=body, context={"write_id": key})


class Orders:
    """Looks orders up where they should be."""

    def find(self, node: str, ids: Sequence[bytes]) -> Iterable[Found]:
        texts = [str(UUID(bytes=id)) for id in ids]
        answer = requests.post(f"{node}/v1/events/audit", json={"ids": texts}, timeout=10)
        if answer.status_code != 200:
            raise UnreadableError(f"it answered {answer.status_code}")
        for row in answer.json()["found"]:
            yield Found(UUID(row["id"]).bytes, place=str(row["seq"]))


judge(checks=[error_rate(below=0.01)], auditor=Orders())
