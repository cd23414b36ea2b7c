"""rest(): JSON in and out, and assertions that become failures."""

# mypy: disable-error-code="no-untyped-call,attr-defined,arg-type,index"

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from locust import FastHttpUser, constant, task
from locust.contrib.fasthttp import RestResponseContextManager


class RestUser(FastHttpUser):
    wait_time = constant(0.001)

    @task
    def rest_calls(self) -> None:
        with self.rest("POST", "/post", json={"foo": 1}, name="rest ok") as resp:
            if resp.js["data"]["foo"] != 1:
                resp.failure(f"Unexpected value of foo in response {resp.text}")
        with self.rest("POST", "/post", json={"foo": 1}, name="rest bare assert") as resp:
            assert resp.js["data"]["foo"] == 2
        with self.rest("POST", "/post", json={"foo": 1}, name="rest message") as resp:
            assert resp.js["data"]["foo"] == 2, "my custom error message"
        with self.rest("POST", "/post", json={"foo": 1}, name="rest with text") as resp:
            assert resp.js["data"]["foo"] == 2, "my custom error message with response text,"
        with self.rest("POST", "/post", json={"foo": 1}, name="rest mistake"):
            1 / 0  # noqa: B018 (the mistake of the example)
        with self.rest("GET", "/", name="rest not json"):
            pass
        with self.rest("GET", "/empty", name="rest empty") as resp:
            assert resp.js is None
        with self.rest("GET", "/status/404", name="rest 404"):
            pass
        with self.rest("GET", "http://127.0.0.1:9/", name="rest refused") as resp:
            if resp.js:
                assert resp.js["foo"] == 2
        with self.rest_("GET", "/json") as resp:
            assert resp.js["answer"] == 42


class RestUserThatLooksAtErrors(FastHttpUser):
    abstract = True

    @contextmanager
    def rest(
        self, method: Any, url: Any, headers: dict[str, str] | None = None, **kwargs: Any
    ) -> Generator[RestResponseContextManager]:
        extra_headers = {"my_header": "my_value"}
        with super().rest(method, url, headers=extra_headers, **kwargs) as resp:
            if resp.js and resp.js.get("error") is not None:
                resp.failure(resp.js["error"])
            yield resp


class MyOtherRestUser(RestUserThatLooksAtErrors):
    wait_time = constant(0.001)

    @task
    def look(self) -> None:
        with self.rest("GET", "/json", name="rest own base"):
            pass
        with self.rest("GET", "/json-error", name="rest own error"):
            pass
