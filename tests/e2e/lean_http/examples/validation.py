"""Responses judged in a with-block, and requests grouped under one name."""

# mypy: disable-error-code="no-untyped-call,attr-defined,arg-type,index"

from locust import FastHttpUser, constant, task
from locust.exception import RescheduleTask


class ValidatingUser(FastHttpUser):
    wait_time = constant(0.001)

    @task
    def judge(self) -> None:
        with self.client.get("/json", catch_response=True, name="judged") as response:
            if response.json()["answer"] != 42:
                response.failure("wrong answer")
        with self.client.get("/status/404", catch_response=True, name="expected 404") as response:
            if response.status_code == 404:
                response.success()
        with self.client.get("/", catch_response=True, name="failed by hand") as response:
            if response.text and "home" in response.text:
                response.failure("home is where the failure is")
        with self.client.get("/", catch_response=True) as response:
            response.request_meta["name"] = "renamed in the block"
        with self.client.rename_request("grouped"):
            self.client.get("/item", params={"id": 1})
            self.client.get("/item", params=[("id", 2), ("id", 3)])
        self.client.request_name = "also grouped"
        self.client.get("/item?id=4")
        self.client.get("/item?id=5", name="own name")
        self.client.request_name = None
        if not self.client.get("/json", name="headers").headers["content-type"]:
            raise RescheduleTask()
