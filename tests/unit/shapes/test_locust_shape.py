"""The shape under real Locust, in processes of its own: this process must never import Locust."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SHAPE = """
from locust import User, constant, events, task
from shapes.locust_shape import PhasedShape
from shapes.profile import at, burst, overlay, ramp, sequence, steady
import json, time

class Sleeper(User):
    wait_time = constant(0.1)

    @task
    def nothing(self):
        pass

class Shape(PhasedShape):
    profile = PROFILE

    def tick(self):
        asked = super().tick()
        state = self.runner.state
        line = {"t": self.elapsed_s(), "asked": asked, "users": self.runner.user_count,
                "began": self.began_wall_us, "state": state}
        print("TICK", json.dumps(line), flush=True)
        return asked
"""

SLOW_START = """
import gevent

@events.test_start.add_listener
def slow(environment, **kwargs):
    gevent.sleep(1.5)
"""


def run_locust(
    tmp_path: Path, profile: str, *arguments: str, extra: str = ""
) -> list[dict[str, object]]:
    """The ticks of a headless run, in order, as the shape's process printed them."""
    locustfile = tmp_path / "shape_under_test.py"
    locustfile.write_text(SHAPE.replace("PROFILE", profile) + extra)
    command = [sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("TICK ")]
    return [json.loads(line.removeprefix("TICK ")) for line in lines]


def asked_users(ticks: list[dict[str, object]]) -> list[tuple[float, int]]:
    found = []
    for tick in ticks:
        asked, t = tick["asked"], tick["t"]
        assert isinstance(t, float)
        if asked is not None:
            assert isinstance(asked, list)
            found.append((t, int(asked[0])))
    return found


PROFILE = "sequence(steady(2, 2), steady(8, 1, phase='burst'), ramp(8, 4, 2))"


def two_processes() -> tuple[str, ...]:
    """Master and workers on a port of their own: on Locust's default one, others' would join."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    bind = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port)
    return ("--processes", "2", *bind, "--master-port", port)


@pytest.mark.parametrize("arguments", [tuple, two_processes])
def test_every_tick_hands_over_the_plan_on_one_process_and_on_many(
    tmp_path: Path, arguments: Callable[[], tuple[str, ...]]
) -> None:
    from shapes.load import Load, Part
    from shapes.phased import users_at_tick
    from shapes.profile import ramp, sequence, steady

    profile = sequence(steady(2, 2), steady(8, 1, phase="burst"), ramp(8, 4, 2))
    plan = Load((Part(profile),))
    ticks = run_locust(tmp_path, PROFILE, *arguments())
    asked = asked_users(ticks)
    assert max(users for _, users in asked) == 8
    assert {users for _, users in asked} >= {2, 8, 0}
    for t, users in asked:
        # The tick read its clock before it printed it: the plan of either moment is right.
        assert users in {users_at_tick(plan, t), users_at_tick(plan, t - 0.05)}, (t, users)
    assert ticks[-1]["asked"] is None
    assert ticks[-1]["users"] == 0, "the run ends when the users have stopped"


def test_the_clock_does_not_run_while_listeners_of_test_start_do(tmp_path: Path) -> None:
    ticks = run_locust(tmp_path, "ramp(2, 6, 2)", extra=SLOW_START)
    waiting = [tick for tick in ticks if tick["state"] == "ready"]
    assert len(waiting) >= 2, "the control: test_start did take several ticks"
    assert len({json.dumps(tick["asked"]) for tick in waiting}) == 1
    # A second apart from each other, and each of them second 0.
    assert [t for t, _ in asked_users(waiting) if t > 0.5] == []
    assert 6 in {users for _, users in asked_users(ticks)}, "the ramp was not slept through"


MANUAL = """
import json
from locust import User
from locust.env import Environment
from shapes.locust_shape import PhasedShape
from shapes.profile import at, overlay, steady

class Clock:
    now = 99.0
    def __call__(self):
        return self.now
    def sleep(self, seconds):
        self.now += seconds

class Sleeper(User):
    pass

class Fixed(User):
    pass

class Shape(PhasedShape):
    profile = overlay(steady(200, 300), at(30, steady(2000, 60, phase="burst")))

class Narrow(Shape):
    classes = (Fixed,)

class Beside(User):
    fixed_count = 5

def run(cls, times, users=(Sleeper, Fixed), **options):
    clock = Clock()
    shape = cls(clock_s=clock, wall_clock_us=lambda: 5_000_000, sleep_s=clock.sleep)
    shape.configure(**options)
    environment = Environment(user_classes=[*users], shape_class=shape)
    environment.create_local_runner()
    environment.stop_timeout = 2
    found = [shape.began_s]
    shape.reset_time()
    for t in times:
        # A run begins one second ahead of second 0, which is at 100 on this clock.
        clock.now = 100.0 + t
        tick = shape.tick()
        found.append(tick[:2] if tick else tick)
        if tick and len(tick) == 3:
            found[-1] = [*tick[:2], [c.__name__ for c in tick[2]]]
        environment.runner.state = "running"
    found.append([shape.began_s, shape.began_wall_us])
    # Another run on the same object, as the web UI makes it.
    environment.runner.state = "ready"
    shape.reset_time()
    again = shape.tick()
    found.append(again[:2])
    return found

print(json.dumps({
    "plain": run(Shape, [-1, 1, 29.4, 33, 88.9, 95, 299.4, 300.1, 301]),
    "scaled": run(Shape, [-1, 2.4, 3.5, 9.4, 30.1], time_scale=0.1, load_scale=0.1),
    "late": run(Shape, [-1, 28.7, 88.9, 89.9, 299.8]),
    "narrow": run(Narrow, [-1]),
    "beside": run(Shape, [-1, 2.4, 3.5, 9.4, 30.1], (Sleeper, Beside), time_scale=0.1,
                  load_scale=0.1),
    "narrow_beside": run(Narrow, [-1], (Sleeper, Fixed, Beside)),
}))
"""


def test_ticks_follow_the_elapsed_time_and_a_second_run_begins_anew(tmp_path: Path) -> None:
    script = tmp_path / "manual.py"
    script.write_text(MANUAL)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["plain"] == [
        None,
        [200, 200.0],
        [200, 200.0],
        [2200, 2000.0],
        [2200, 2000.0],
        [2200, 2000.0],
        [200, 2000.0],
        [200, 2000.0],
        [0, 200.0],
        None,
        [100.0, 6_000_000],
        [200, 200.0],
    ]
    assert found["scaled"][1:6] == [[20, 20.0], [220, 200.0], [220, 200.0], [20, 200.0], [0, 20.0]]
    # Each of these waits for the next whole second: 29, 89, 90 and 300.
    assert [users for users, _ in found["late"][2:6]] == [2200, 2200, 200, 0]
    assert found["narrow"][1] == [200, 200.0, ["Fixed"]]
    # Five beside the plan at every tick but the last, which takes all away.
    assert [users for users, _ in found["beside"][1:6]] == [25, 225, 225, 25, 0]
    assert found["narrow_beside"][1] == [200, 200.0, ["Fixed"]], "not those that it leaves out"


def test_only_the_shape_file_brings_locust_in() -> None:
    code = (
        "import sys, shapes.profile, shapes.phased;"
        "assert not {'locust', 'gevent'} & set(sys.modules), 'impure'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
