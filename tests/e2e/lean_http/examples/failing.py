"""What goes wrong, and what only looks like it."""

# mypy: disable-error-code="no-untyped-call,attr-defined,arg-type,index"

from locust import FastHttpUser, constant, task


class FailingUser(FastHttpUser):
    wait_time = constant(0.001)
    network_timeout = 0.4
    max_redirects = 3

    @task
    def fail(self) -> None:
        assert self.client.get("/status/404").status_code == 404
        assert not self.client.get("/status/500").ok
        assert self.client.get("/status/302", allow_redirects=False).status_code == 302
        assert self.client.get("/status/204").content in (b"", None)
        assert self.client.get("/redirect", name="redirect").status_code == 200
        self.client.post("/redirect", data="x", name="redirected post")
        assert self.client.get("/loop", name="redirect loop").error is not None
        refused = self.client.get("http://127.0.0.1:9/", name="refused")
        assert refused.status_code == 0 and refused.error is not None
        self.client.get("/hang", name="timeout")
        self.client.get("/close", name="closed")
        self.client.get("/garbage", name="garbage")
        self.client.get("/truncated", name="truncated")
        self.client.get("/", name="after all that")
        try:
            self.client.get("/status/503", name="raised").raise_for_status()
        except Exception:  # as locustfiles do it
            self.client.get("/", name="after raise_for_status")
