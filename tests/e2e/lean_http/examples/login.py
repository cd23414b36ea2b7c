"""A session: a form, a redirect, a cookie, tasks in sequence."""

# mypy: disable-error-code="no-untyped-call,attr-defined,arg-type,index"

from locust import FastHttpUser, SequentialTaskSet, constant, task


class Tasks(SequentialTaskSet):
    @task
    def account(self) -> None:
        self.client.get("/account")

    @task
    def leave(self) -> None:
        self.client.get("/logout")
        self.client.get("/account", name="account without a session")

    @task
    def come_back(self) -> None:
        self.client.post("/login", data={"user": "me", "password": "secret"}, name="login again")


class LoginUser(FastHttpUser):
    wait_time = constant(0.001)
    tasks = [Tasks]  # noqa: RUF012 (as it is written in locustfiles)

    def on_start(self) -> None:
        response = self.client.post("/login", {"user": "me", "password": "secret"})
        assert response.url and response.url.endswith("/account"), response.url
        assert len(self.client.cookiejar) == 1

    def on_stop(self) -> None:
        self.client.cookiejar.clear()
