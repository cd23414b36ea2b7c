"""What to ask of Locust at each tick, so that the plan is the same on one process and on many (D5).

Locust's shape loop ticks about once a second and its master blocks while users start, so a long
ramp in one tick would swallow the ticks after it. Here every tick is small enough to complete
within itself. Pure: the elapsed time comes in, so ticks that are late or skipped change nothing.
This module must not import Locust or read a clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from shapes.profile import Profile

LOOKAHEAD_S = 1.0
"""One tick: users of an upward step start in the second before it and spread their first request
over that second, so that the load is there when the step begins (measured: 200 -> 2,200 -> 1,200
-> 200 users ran the same to the user on one process and on two)."""

_ROUNDING = 1e-9
"""Float noise that must not buy a user: 3 * 0.1 users per tick is 0.3, not 0.30000000000000004."""


@dataclass(frozen=True, slots=True)
class Step:
    """One tick's request: `users` in total, started or stopped at `spawn_rate` users per second."""

    users: int
    spawn_rate: float


def users_at_tick(profile: Profile, t_s: float, fixed_users: int = 0) -> int:
    """Users to hand over at `t_s` seconds: ceil(max of target over [t, t + 1 s]) + fixed users.

    An upward step is handed over up to a second early, a downward step never: its old level is
    still in the interval at every moment before it. Before second 0 the users of second 0 are
    asked for, from the end of the profile on none. `fixed_users` run beside the profile, as many
    at every moment of it (D12).
    """
    if t_s >= profile.duration_s:
        return 0
    start_s, end_s = max(0.0, t_s), max(0.0, t_s + LOOKAHEAD_S)
    return math.ceil(profile.peak(start_s, end_s) - _ROUNDING) + fixed_users


def step_at(profile: Profile, t_s: float, previous_users: int, fixed_users: int = 0) -> Step:
    """The tick at `t_s`, after one that asked for `previous_users`.

    The spawn rate is the whole difference per second, hence one batch; Locust refuses a rate of 0.
    """
    users = users_at_tick(profile, t_s, fixed_users)
    return Step(users, float(max(1, abs(users - previous_users))))


def planned_users(profile: Profile, fixed_users: int = 0) -> tuple[int, ...]:
    """What ticks at 0 s, 1 s, 2 s … hand over: one number per begun second of the profile."""
    seconds = range(math.ceil(profile.duration_s))
    return tuple(users_at_tick(profile, float(s), fixed_users) for s in seconds)


def planned_user_seconds(profile: Profile) -> tuple[float, ...]:
    """The integral of the profile over each of its begun seconds, for *achieved*.

    Users beside the profile are not in it: what they send is not what the plan is about.
    """
    return tuple(
        profile.integral(float(s), float(s + 1)) for s in range(math.ceil(profile.duration_s))
    )
