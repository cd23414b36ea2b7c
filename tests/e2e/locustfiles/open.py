"""Buyers that arrive, whatever the target does. Environment variables choose profile and pool."""

from __future__ import annotations

import os
from pathlib import Path

from locust import task
from locust.exception import StopUser

from locustfiles.harness import ArrivalUser, Scenario, ScenarioUser, strap_in
from results.check import achieved, error_rate, unsent
from shapes.locust_shape import PhasedShape
from shapes.profile import per_s, ramp, sequence, steady

RATE = float(os.environ.get("OPEN_RATE", "100"))
LENGTH_S = float(os.environ.get("OPEN_S", "4"))
FLAW = os.environ.get("OPEN_FLAW", "")

PROFILES = {
    "steady": steady(per_s(RATE), LENGTH_S),
    "wavy": sequence(
        ramp(per_s(0), per_s(RATE), LENGTH_S / 2, phase="up"),
        steady(per_s(RATE / 3), LENGTH_S / 2, phase="third"),
    ),
}
CHECKS = {
    "unsent": (unsent(at_most=0.01),),
    "achieved": (achieved(at_least=0.99, window="run"),),
    "none": (),
}


class Buyer(ArrivalUser):
    timeout_s = 8.0
    max_sessions = int(os.environ.get("OPEN_SESSIONS", "1000"))
    min_sessions = int(os.environ.get("OPEN_PREPARED", "0"))
    spacing = "poisson" if os.environ.get("OPEN_SPACING") == "poisson" else "even"

    def on_start(self) -> None:
        super().on_start()
        if FLAW == "on_start":
            raise RuntimeError("no session can be made")

    def on_stop(self) -> None:
        self.observe("sessions ended")

    @task(3)
    def buy(self) -> None:
        self.ask("buy")

    @task
    def look(self) -> None:
        if FLAW == "raises":
            raise KeyError("a bug of the scenario")
        if FLAW == "stops":
            raise StopUser
        self.ask("look")

    def ask(self, what: str) -> None:
        number = self.random.randrange(10**6)
        self.client.get(f"/a/{self.arrival}/{what}/{number}", name="/a")


class Browser(ScenarioUser):
    """Beside the arrivals, where OPEN_USERS asks for some."""

    @task
    def browse(self) -> None:
        self.client.get("/b", name="/b")


USERS = int(os.environ.get("OPEN_USERS", "0"))
Browser.abstract = not USERS


class Shape(PhasedShape):
    profiles = {Buyer: PROFILES[os.environ.get("OPEN", "steady")]} | (
        {Browser: steady(USERS, LENGTH_S)} if USERS else {}
    )


strap_in(
    Scenario(
        id="open",
        tier="own",
        users=(Buyer, Browser) if USERS else (Buyer,),
        shape=Shape,
        checks=(error_rate(below=0.01), *CHECKS[os.environ.get("OPEN_CHECKS", "unsent")]),
        source_dir=Path(__file__).parent,
        endpoint="GET /b" if USERS else None,
        stop_timeout_s=float(os.environ.get("OPEN_STOP_S", "3")),
    )
)
