"""The first example of every page: a user, a task, and the settings that one may change."""

# mypy: disable-error-code="no-untyped-call,attr-defined,arg-type,index"

from locust import FastHttpUser, between, task


class QuickstartUser(FastHttpUser):
    wait_time = between(0.001, 0.01)
    connection_timeout = 10.0
    network_timeout = 20.0
    insecure = True
    max_redirects = 5
    max_retries = 0
    default_headers = {"X-Tenant": "a"}  # noqa: RUF012 (as it is written in locustfiles)

    @task
    def index(self) -> None:
        self.client.get("/")
        self.client.get("/tenant", headers={"X-Request": "1"})
        for number in range(3):
            self.client.get(f"/item?id={number}", name="/item")
