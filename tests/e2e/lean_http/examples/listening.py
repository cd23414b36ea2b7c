"""Listeners of the request event, with a context, and nested tasks."""

# mypy: disable-error-code="no-untyped-call,attr-defined,arg-type,index"

from typing import Any

from locust import FastHttpUser, TaskSet, constant, events, task


@events.request.add_listener  # type: ignore[untyped-decorator]
def count_as_well(
    request_type: str,
    name: str,
    response_time: float,
    response_length: int,
    response: Any,
    context: dict[str, Any],
    exception: Exception | None,
    start_time: float,
    url: str,
    **kwargs: Any,
) -> None:
    """Each request of this user is reported a second time, under what it was seen as."""
    if not context.get("seen"):
        return
    seen = f"{name} {context['seen']} {response.status_code} {exception is not None} {url[-5:]}"
    assert response_time > 0 and start_time > 0 and response_length == len(response.content)
    events.request.fire(
        request_type="SEEN",
        name=seen,
        response_time=response_time,
        response_length=response_length,
        exception=exception,
        context={},
    )


class Inner(TaskSet):
    @task
    def browse(self) -> None:
        self.client.get("/json", context={"seen": self.user.context()["kind"]}, name="context")
        self.client.get("/status/404", context={"seen": "own"}, name="context of failure")
        self.interrupt(reschedule=False)


class ListeningUser(FastHttpUser):
    wait_time = constant(0.001)
    tasks = [Inner]  # noqa: RUF012 (as it is written in locustfiles)

    def context(self) -> dict[str, Any]:
        return {"kind": "inner"}
