"""LeanHttpUser inside Locust's own runner: one scenario per run, its findings printed as JSON.

    python -m tests.e2e.lean_http.user_scenarios SCENARIO URL

pytest must not import Locust, so it runs this as a process.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
from collections.abc import Callable
from typing import Any

import gevent
from locust import User, constant, task
from locust.env import Environment
from locust.runners import Runner

from locustfiles.harness.http import LeanHttpUser
from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.http.transport_error import TransportError
from results.sample import Outcome, Sample

GUARD_S = 20.0


def start(url: str, *classes: type[User]) -> tuple[Environment, Runner, list[Sample]]:
    environment = Environment(user_classes=list(classes), host=url)
    samples: list[Sample] = []
    setattr(environment, "sample_sink", samples.append)  # noqa: B010 (Locust does not declare it)
    return environment, environment.create_local_runner(), samples


def wait_for(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(GUARD_S):
        while not condition():
            gevent.sleep(0.01)


def run(url: str) -> dict[str, Any]:
    """Ten users do a few requests; Locust's statistics and the samples agree."""

    class Visitor(LeanHttpUser):
        wait_time = constant(0.01)
        start_spread_s = 0.1

        @task
        def visit(self) -> None:
            self.client.get("/page/1", name="/page/{id}")

    environment, runner, samples = start(url, Visitor)
    runner.start(10, spawn_rate=100)
    wait_for(lambda: len(samples) >= 100)
    runner.quit()
    entry = environment.stats.get("/page/{id}", "GET")
    ok = sum(sample.outcome is Outcome.OK for sample in samples)
    return {"requests": entry.num_requests, "failures": entry.num_failures, "ok": ok}


def stop(url: str) -> dict[str, Any]:
    """Users stopped in mid-request: no failures in Locust, cancelled samples, nothing left open."""

    class Waiter(LeanHttpUser):
        start_spread_s = 0.0

        @task
        def wait_for_it(self) -> None:
            self.client.get("/hold")

        def on_stop(self) -> None:
            pass  # forgets to call super: connections are closed all the same

    environment, runner, samples = start(url, Waiter)
    users: list[Waiter] = []
    runner.start(8, spawn_rate=100)
    wait_for(lambda: runner.user_count == 8 and all(_is_sending(user) for user in alive(runner)))
    users = alive(runner)
    runner.quit()
    wait_for(lambda: runner.user_count == 0)
    return {
        "outcomes": sorted(sample.outcome.value for sample in samples),
        "requests": environment.stats.total.num_requests,
        "failures": environment.stats.total.num_failures,
        "left_idle": sum(len(user.client.connections.idle) for user in users),
    }


def alive(runner: Runner) -> list[Any]:
    return [greenlet.args[0] for greenlet in runner.user_greenlets]


def _is_sending(user: Any) -> bool:
    """Whether its greenlet waits inside of a request."""
    frame = user.greenlet.gr_frame
    while frame is not None:
        if frame.f_code.co_name == "exchange":
            return True
        frame = frame.f_back
    return False


def release(url: str) -> dict[str, Any]:
    """The kept connections of users that end are closed."""

    class Visitor(LeanHttpUser):
        wait_time = constant(60)
        start_spread_s = 0.0

        @task
        def visit(self) -> None:
            self.client.get("/")

    _, runner, samples = start(url, Visitor)
    runner.start(5, spawn_rate=100)
    wait_for(lambda: len(samples) == 5)
    users = alive(runner)
    before = sum(len(user.client.connections.idle) for user in users)
    runner.quit()
    return {"before": before, "after": sum(len(user.client.connections.idle) for user in users)}


def spread(url: str) -> dict[str, Any]:
    """How far apart the first requests of users are that start together (seconds)."""
    return {"spread_s": _span_s(url, 1.0), "together_s": _span_s(url, 0.0)}


def _span_s(url: str, spread_s: float) -> float:
    class Visitor(LeanHttpUser):
        wait_time = constant(60)
        start_spread_s = spread_s

        def make_random(self) -> random.Random:
            return random.Random(next(seeds))

        @task
        def visit(self) -> None:
            self.client.get("/")

    seeds = iter(range(1000))
    _, runner, samples = start(url, Visitor)
    runner.start(100, spawn_rate=100)
    wait_for(lambda: len(samples) == 100)
    runner.quit()
    starts = [sample.start_us for sample in samples]
    return (max(starts) - min(starts)) / 1e6


def settings(url: str) -> dict[str, Any]:
    """Class attributes reach the session, and FastHttpUser's names keep their meaning."""

    class Own(LeanHttpUser):
        abstract = True
        host = url
        network_timeout = 0.2
        default_headers = {"X-Tenant": "a"}  # noqa: RUF012 (as a locustfile writes it)

        def context(self) -> dict[str, Any]:
            return {"user": "one"}

    heard: list[dict[str, Any]] = []
    environment = Environment()
    environment.events.request.add_listener(lambda **kwargs: heard.append(kwargs))  # type: ignore[no-untyped-call]
    user = Own(environment)
    echoed = user.client.get("/echo").text
    late = user.client.get("/hold", context={"more": 1})
    with user.client.rename_request("/grouped"):
        user.client.get("/echo")
        user.client.get("/echo", name="/own")
    return {
        "tenant": "X-Tenant: a" in echoed,
        "late": repr(late.error),
        "contexts": [each["context"] for each in heard],
        "names": [each["name"] for each in heard],
        "is_abstract": LeanHttpUser.abstract,
    }


def marks(url: str) -> dict[str, Any]:
    """success() and failure() without a with-block are programmer errors, named as such."""

    class Visitor(LeanHttpUser):
        abstract = True
        host = url

    user = Visitor(Environment())
    found = {}
    plain = user.client.get("/")
    caught = user.client.get("/", catch_response=True)
    for name, call in (
        ("success", plain.success),
        ("failure", lambda: plain.failure("x")),
        ("in_block", lambda: plain.__enter__().failure("x")),
        ("early", lambda: caught.failure("x")),
    ):
        try:
            call()
        except Exception as error:  # the edge of this process: the test judges it
            found[name] = repr(error)
    return found


def listener(url: str) -> dict[str, Any]:
    """A listener that ends the user does not cost the sample."""

    class Visitor(LeanHttpUser):
        wait_time = constant(0)
        start_spread_s = 0.0

        @task
        def visit(self) -> None:
            self.client.get("/")

    environment, runner, samples = start(url, Visitor)

    def end(**_: Any) -> None:
        raise gevent.GreenletExit

    environment.events.request.add_listener(end)  # type: ignore[no-untyped-call]
    runner.start(3, spawn_rate=100)
    wait_for(lambda: len(samples) == 3 and runner.user_count == 0)
    return {"samples": len(samples)}


def descriptors(url: str) -> dict[str, Any]:
    """Without file descriptors left, the generator is to blame and says so."""

    class Visitor(LeanHttpUser):
        abstract = True
        host = url

    user = Visitor(Environment())
    by_name = url.replace("127.0.0.1", "localhost")
    assert Visitor(Environment()).client.get(by_name).status_code == 200
    wall_us(0.0)
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    error = user.client.get("/").error
    assert isinstance(error, TransportError)
    # The host's addresses stay known: looking them up again would take descriptors too.
    again = [Visitor(Environment()).client.get(by_name).error for _ in range(2)]
    for descriptor in held:
        os.close(descriptor)
    # gevent's os.close works when its loop comes round.
    wait_for(lambda: user.client.get("/").status_code == 200)
    return {
        "starved": repr(error),
        "outcome": error.outcome,
        "by_name": [e.outcome for e in again if isinstance(e, TransportError)],
    }


def own_timeout(url: str) -> dict[str, Any]:
    """A gevent.Timeout of the locustfile's own ends a request: unknown, and the stream is dirty."""

    class Visitor(LeanHttpUser):
        abstract = True
        host = url

    environment, _, samples = start(url)
    user = Visitor(environment)
    user.client.get("/")
    with gevent.Timeout(0.1, False):
        user.client.get("/hold")
    kept = user.client.connections.idle
    status = user.client.get("/").status_code
    outcomes = [sample.outcome.value for sample in samples]
    return {"outcomes": outcomes, "kept": kept, "status": status}


def attributes(url: str) -> dict[str, Any]:
    """What FastHttpUser has and this user has not is refused when it is set, with the remedy."""
    found = {}
    for name, value in (
        ("max_retries", 1),
        ("client_pool", object()),
        ("proxy_host", "127.0.0.1"),
        ("proxy_port", 3128),
        ("max_redirects", -1),
        ("concurrency", 0),
        ("insecure", True),
        ("max_redirects", 0),
        ("cookies", False),
    ):
        kind = type("Visitor", (LeanHttpUser,), {"abstract": True, "host": url, name: value})
        try:
            user = kind(Environment())
        except ValueError as error:
            found[f"{name}={value!r}"[:15]] = str(error)
            continue
        found[f"{name}={value!r}"] = str(user.client.get("/echo").status_code)
        if name == "cookies":
            try:
                found["jar"] = str(user.client.cookiejar)
            except ValueError as error:
                found["jar"] = str(error)
    return found


def elsewhere(url: str) -> dict[str, Any]:
    """FastHttpUser's own attributes of the client: base_url can be changed."""

    class Visitor(LeanHttpUser):
        abstract = True
        host = "http://no-such-host.invalid"

    user = Visitor(Environment())
    user.client.base_url = f"{url}/api"
    return {"base_url": user.client.base_url, "line": user.client.get("/x").text.split("\r\n")[0]}


SCENARIOS = {
    each.__name__: each
    for each in (
        *(run, stop, release, spread, settings, marks, listener, descriptors, own_timeout),
        *(attributes, elsewhere),
    )
}

if __name__ == "__main__":
    result = SCENARIOS[sys.argv[1]](sys.argv[2])
    print(json.dumps(result), flush=True)
