"""Everything that can be sent."""

# mypy: disable-error-code="no-untyped-call,attr-defined,arg-type,index"

import io

from locust import FastHttpUser, constant, task


class SendingUser(FastHttpUser):
    wait_time = constant(0.001)

    @task
    def send(self) -> None:
        self.client.post("/echo", json={"a": 1}, name="json")
        self.client.post("/echo", data={"a": "1 2"}, name="form")
        self.client.post("/echo", data="text", headers={"Content-Type": "text/plain"}, name="text")
        self.client.post("/echo", "positional", name="positional")
        self.client.post("/echo", data=io.BytesIO(b"file" * 1000), name="file")
        self.client.put("/echo", data="put", name="put")
        self.client.put("/echo", json={"b": 2}, name="put json")
        self.client.patch("/echo", json={"c": 3}, name="patch")
        self.client.delete("/echo", name="delete")
        self.client.head("/", name="head")
        self.client.options("/echo", name="options")
        self.client.request("GET", "/", "named by position")
        self.client.get("/auth", auth=("me", "secret"), name="auth")
        self.client.get("/auth", name="no auth")
        self.client.post("/files", files={"file": ("a.csv", io.BytesIO(b"1,2"), "text/csv")})
        self.client.post("/files", files={"file": io.BytesIO(b"x")}, data={"n": "v"}, name="mixed")
