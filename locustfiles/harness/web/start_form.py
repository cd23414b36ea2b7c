"""The form that starts a run, or edits one: what of it cannot be carried out, and why.

Locust's handler carries out a form while it reads it, so what is wrong is found here, before.
This module must not change anything.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Mapping

from locust.argument_parser import ui_extra_args_dict
from locust.env import Environment
from locust.util.timespan import parse_timespan

MAX_RUN_TIME_S = 31 * 24 * 3600
MAX_SPAWN_RATE = 1e6

_FIELDS = frozenset(
    {"user_count", "spawn_rate", "host", "user_classes", "shape_class", "run_time", "profile"}
)


def why_no_option(form: Mapping[str, str], options: Namespace) -> str | None:
    """Locust would set any option of its command line; most have taken their effect already."""
    known = form.keys() & vars(options).keys() - _FIELDS
    fixed = sorted(known - ui_extra_args_dict().keys()) if known else []
    if not fixed:
        return None
    return f"{', '.join(fixed)} cannot be changed here: start Locust again with the option"


def why_no_host(form: Mapping[str, str], environment: Environment) -> str | None:
    """The page presets the target's host, or that of the classes where all have the same one."""
    hosts = {user.host for user in environment.user_classes}
    shown = environment.host or (hosts.pop() if len(hosts) == 1 else None)
    # An empty one unsets Locust's host: the classes' own were not looked at where one was given.
    if (
        "host" not in form
        or form["host"] == (shown or "")
        or not (form["host"] or environment.host)
    ):
        return None
    return (
        "the target is chosen when Locust starts, so that it can be checked: leave the host as it "
        "is, or start Locust again with --nodes URL (or --host URL)"
    )


def why_no_ramp(form: Mapping[str, str]) -> str | None:
    """A bad number of an edit would end its run time before it is refused."""
    try:
        users, rate = int(form.get("user_count", "")), float(form.get("spawn_rate", ""))
    except ValueError:
        users, rate = -1, math.nan
    if users >= 0 and 0 < rate <= MAX_SPAWN_RATE:
        return None
    return (
        "without a shape a run needs a user_count of 0 or more and a spawn_rate above 0 and at "
        f"most {MAX_SPAWN_RATE:,.0f}"
    )


def run_time_s(form: Mapping[str, str]) -> int | None:
    """After how many seconds an ad-hoc run shall end by itself; None: never.

    Raises ValueError that says what is wrong with it.
    """
    text = form.get("run_time", "")
    if not text:
        return None
    try:
        found: int = parse_timespan(text)
    except (ValueError, OverflowError):
        found = 0
    if not 0 < found <= MAX_RUN_TIME_S:
        raise ValueError("a run time is 1 s to 31 days, such as 90, 20s, 3m, 2h or 1h20m")
    return found
