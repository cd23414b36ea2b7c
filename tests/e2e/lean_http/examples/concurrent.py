"""One user, several requests at a time."""

# mypy: disable-error-code="no-untyped-call,attr-defined,arg-type,index"

import gevent.pool
from locust import FastHttpUser, constant, task


class ConcurrentUser(FastHttpUser):
    wait_time = constant(0.001)
    concurrency = 3

    @task
    def page_and_its_parts(self) -> None:
        pool = gevent.pool.Pool()
        self.client.get("/", name="page")
        for part in ("/a.css", "/b.js", "/c.png"):
            pool.spawn(self.client.get, part)
        pool.join()
