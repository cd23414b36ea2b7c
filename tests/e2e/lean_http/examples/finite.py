"""Ends each user after a few rounds of its tasks, and the run after the last user, so that two runs
do the same. Given to Locust beside the examples.
"""

# mypy: disable-error-code="no-untyped-call,attr-defined,arg-type,index"

from __future__ import annotations

import os
from typing import Any

import gevent
from locust import User, events
from locust.env import Environment
from locust.exception import StopUser

ROUNDS = int(os.environ["EXAMPLE_ROUNDS"])


@events.init.add_listener  # type: ignore[untyped-decorator]
def make_finite(environment: Environment, **kwargs: Any) -> None:
    for kind in environment.user_classes:
        kind.fixed_count = 1
        kind.wait_time = _wait_or_stop
    environment.events.user_error.add_listener(_report_exception)
    environment.events.spawning_complete.add_listener(
        lambda **_: gevent.spawn(_quit_after_the_last, environment)
    )


def _report_exception(user_instance: User, exception: Exception, **kwargs: Any) -> None:
    """An assertion of an example that does not hold must not go unseen."""
    events.request.fire(
        request_type="EXCEPTION",
        name=f"{type(user_instance).__name__}: {exception!r}",
        response_time=0,
        response_length=0,
        exception=exception,
        context={},
    )


def _wait_or_stop(user: User) -> float:
    rounds = user.__dict__.setdefault("_rounds", [])
    rounds.append(1)
    if len(rounds) >= ROUNDS:
        raise StopUser()
    return 0.001


def _quit_after_the_last(environment: Environment) -> None:
    assert environment.runner is not None
    with gevent.Timeout(60, False):
        while environment.runner.user_count > 0:
            gevent.sleep(0.02)
    environment.runner.quit()
