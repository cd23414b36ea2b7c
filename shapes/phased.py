"""What to ask of Locust at each tick, so that the plan is the same on one process and on many (D5).

Locust's shape loop ticks about once a second and its master blocks while users start, so a long
ramp in one tick would swallow the ticks after it. Here every tick is small enough to complete
within itself. Pure: the elapsed time comes in, so ticks that are late or skipped change nothing.
This module must not import Locust or read a clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from shapes.load import Load

LOOKAHEAD_S = 1.0
"""One tick: users of an upward step start in the second before it and spread their first request
over that second, so that the load is there when the step begins (measured: 200 -> 2,200 -> 1,200
-> 200 users ran the same to the user on one process and on two)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One tick's request: `users` in total, started or stopped at `spawn_rate` users per second."""

    users: int
    spawn_rate: float


def counts_at_tick(load: Load, t_s: float) -> dict[str, int]:
    """Users of each class to hand over at `t_s` seconds: what [t, t + 1 s] needs at most.

    An upward step is handed over up to a second early, a downward step never: its old level is
    still in the interval at every moment before it. Before second 0 the users of second 0 are
    asked for, from the end of the load on none. Fixed users run beside the profiles, as many at
    every moment of it (D12).
    """
    return load.counts(max(0.0, t_s), max(0.0, t_s + LOOKAHEAD_S))


def users_at_tick(load: Load, t_s: float) -> int:
    """The sum of `counts_at_tick`, also where a profile names no classes."""
    return load.users(max(0.0, t_s), max(0.0, t_s + LOOKAHEAD_S))


def step_at(load: Load, t_s: float, previous_users: int) -> Step:
    """The tick at `t_s`, after one that asked for `previous_users`.

    The spawn rate is the whole difference per second, hence one batch; Locust refuses a rate of 0.
    """
    users = users_at_tick(load, t_s)
    return Step(users, float(max(1, abs(users - previous_users))))


def planned_users(load: Load) -> tuple[int, ...]:
    """What ticks at 0 s, 1 s, 2 s … hand over: one number per begun second of the load."""
    return tuple(users_at_tick(load, float(s)) for s in range(math.ceil(load.duration_s)))


def planned_user_seconds(load: Load) -> tuple[float, ...]:
    """The integral of the closed profiles over each begun second, for *achieved*.

    Users beside the profiles are not in it: what they send is not what the plan is about.
    """
    return tuple(load.integral(float(s), float(s + 1)) for s in range(math.ceil(load.duration_s)))
