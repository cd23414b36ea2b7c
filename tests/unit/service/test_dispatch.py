"""What becomes of a fault of our own: a 500 without its text, one log line, the node lives on."""

from __future__ import annotations

import io
import json
import sys

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import Response

from service import log as logs
from service import refusal
from service.auth import Tokens
from service.dispatch import Answer, Disconnected, Dispatch, FastRequest, FastRoute
from service.errors import Overloaded
from service.settings import load
from service.telemetry.meter import Meter


async def fault(request: FastRequest) -> Answer:
    raise KeyError("secret detail")


async def overload(request: FastRequest) -> Answer:
    raise Overloaded("the queue is full")


async def gone(request: FastRequest) -> Answer:
    raise Disconnected


ROUTES: dict[str, FastRoute] = {
    "/fast/fault": ("GET /fast/fault", fault),
    "/fast/overload": ("GET /fast/overload", overload),
    "/fast/gone": ("GET /fast/gone", gone),
}


def dispatch(meter: Meter) -> Dispatch:
    """A dispatch whose slow lane has the same faults."""
    app = FastAPI()
    refusal.install(app)

    @app.get("/slow/fault")
    async def slow_fault() -> Response:
        raise KeyError("secret detail")

    @app.get("/slow/overload")
    async def slow_overload() -> Response:
        raise Overloaded("the queue is full")

    return Dispatch(
        lambda method, path: ROUTES.get(path),
        app,
        Tokens(None, None),
        meter,
        logs.configure(load(log_format="json")),
        log_successes=False,
    )


async def ask(
    path: str, monkeypatch: pytest.MonkeyPatch, correlation_id: str | None = "cid"
) -> tuple[httpx.Response, list[str], Meter]:
    """The answer, the log lines and the meter after one request."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("logging.root.handlers", [])
    meter = Meter()
    transport = httpx.ASGITransport(dispatch(meter))
    async with httpx.AsyncClient(transport=transport, base_url="http://node") as http:
        headers = {} if correlation_id is None else {"x-correlation-id": correlation_id}
        answer = await http.get(path, headers=headers)
    return answer, stream.getvalue().splitlines(), meter


@pytest.mark.parametrize("lane", ["fast", "slow"])
async def test_a_fault_is_a_500_without_its_text_and_is_logged_with_it(
    lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, lines, meter = await ask(f"/{lane}/fault", monkeypatch)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-correlation-id"] == answer.json()["correlation_id"] == "cid"
    assert "secret" not in answer.text
    faults = [json.loads(line) for line in lines if "secret detail" in line]
    assert [fault["correlation_id"] for fault in faults] == ["cid"]
    assert meter.requests == {(f"GET /{lane}/fault", 500): 1}


@pytest.mark.parametrize("lane", ["fast", "slow"])
async def test_a_fault_without_a_given_id_is_logged_under_the_id_that_is_answered(
    lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, lines, _ = await ask(f"/{lane}/fault", monkeypatch, correlation_id=None)
    logged = {json.loads(line)["correlation_id"] for line in lines}
    assert logged == {answer.headers["x-correlation-id"]}
    assert answer.json()["correlation_id"] in logged


@pytest.mark.parametrize("lane", ["fast", "slow"])
async def test_both_lanes_answer_the_same_error_alike(
    lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, lines, meter = await ask(f"/{lane}/overload", monkeypatch)
    assert answer.status_code == 503
    assert answer.json()["detail"] == "the queue is full"
    assert answer.headers["retry-after"] == "1"
    [line] = lines
    assert json.loads(line)["level"] == "warning"
    assert meter.requests == {(f"GET /{lane}/overload", 503): 1}


async def test_a_client_that_left_is_neither_answered_nor_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(AssertionError):  # httpx' transport insists on an answer
        await ask("/fast/gone", monkeypatch)
