"""F1: a developer's afternoon against one node (F1-1 to F1-7).

Question: does a development setup work: every part of a node, from health to telemetry?
Workload: closed; one developer repeats the workflow, 1 s of thought between two of them.
Shape: 1 user for 300 s (F1-1's 5 to 10 minutes; the original's code takes seconds, oddity 2).
Roles: one node, app.
Faults: none.
Passes when: no request fails and nothing that was read differs from what was written: health all
    up, event by id, 45 tests without failure, >= 10 file changes found, counter up by exactly 50;
    > 1,000 events stored, and none that was acknowledged is lost.

The test job is real work, the rest of its 100 ms a labelled wait (oddity 1). F1-7: `workflow_s`.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter, time_ns

from locust import constant, task

from locustfiles.harness import Cluster, FoundationUser, Scenario, strap_in
from results.check import errors, figure, of_writes
from shapes.locust_shape import PhasedShape
from shapes.profile import steady

FILE_CHANGES = 50
CODE_CHANGE = {"action": "code_change", "file": "lib/my_app/user.ex", "lines_changed": 25}
SAVES = "dev/file_saves"
ASSERTED = {"config", "events", "telemetry"}


class DevShape(PhasedShape):
    profile = steady(1, 300, phase="workflow")


class DevWorkflowUser(FoundationUser):
    wait_time = constant(1)

    def on_start(self) -> None:
        super().on_start()
        self.who = f"{self.random.getrandbits(32):08x}"

    @task
    def workflow(self) -> None:
        began_s = perf_counter()
        self.look_round()
        self.change_code()
        self.run_tests()
        self.save_files()
        self.observe("workflow_s", perf_counter() - began_s)

    def look_round(self) -> None:
        """F1-2 and F1-3: everything is up, and the configuration can be read."""
        if (health := self.foundation.health()) is not None:
            up = {name for name, part in health.components.items() if part.status == "up"}
            down = (ASSERTED | set(health.components)) - up
            self.expect(not down, f"every component is up, not so {', '.join(sorted(down))}")
        values = self.foundation.config.all()
        debug = self.foundation.config.get("dev/debug_mode")
        if values is not None and debug is not None:
            self.expect(debug in values, "the value by its path is the one among all")

    def change_code(self) -> None:
        """F1-4: what was stored comes back by its id as it was sent."""
        sent = ("dev_workflow", CODE_CHANGE, f"dev-{self.random.getrandbits(64):016x}")
        if (stored := self.store(*sent)) and (event := self.foundation.get(stored)) is not None:
            found = (event.type, event.data, event.correlation_id)
            self.expect(found == sent, "an event comes back as sent")

    def run_tests(self) -> None:
        """F1-5: a counter, and a test job that the node runs and measures."""
        telemetry = self.foundation.telemetry
        telemetry.count("dev/compilation", {"success": "true"})
        if (suite := telemetry.run_test_suite()) is not None:
            self.expect((suite.tests, suite.failures) == (45, 0), "45 tests pass on the node")
            self.expect(bool(telemetry.measured("dev/test_suite")), "the test job is measured")

    def save_files(self) -> None:
        """F1-6 and F1-7: 50 saves, each an event and a count; both are there afterwards."""
        telemetry, tags = self.foundation.telemetry, {"file_type": "elixir", "developer": self.who}
        before, counts = telemetry.counters(SAVES, tags), 0
        for number in range(1, FILE_CHANGES + 1):
            stamp = {"timestamp": time_ns() // 1_000}
            self.store("file_change", {"file": f"lib/my_app/module_{number}.ex", **stamp})
            counts += telemetry.count(SAVES, tags) is True
        after = telemetry.counters(SAVES, tags)
        if before is not None and after is not None and counts == FILE_CHANGES:
            counted = after.get(SAVES, 0) - before.get(SAVES, 0)
            self.expect(counted == FILE_CHANGES, "the counter rose by the number of saves")
        if (page := self.foundation.query(type="file_change", limit=10)) is not None:
            types = [event.type for event in page.events]
            self.expect(types == ["file_change"] * 10, "a query finds 10 file changes")

    def store(
        self, type: str, data: dict[str, object], correlation_id: str | None = None
    ) -> bytes | None:
        """Store one event and count it; its id."""
        stored = self.foundation.append(type, data, correlation_id=correlation_id)
        self.observe("events_stored", float(stored is not None))
        return stored and stored.id


strap_in(
    Scenario(
        id="f1_dev",
        tier="foundation",
        cluster=Cluster(roles=(("app",),)),
        users=(DevWorkflowUser,),
        shape=DevShape,
        source_dir=Path(__file__).parent,
        checks=(
            errors(at_most=0),
            figure("unmet", "sum", at_most=0),
            figure("events_stored", "sum", above=1_000, scales="time"),
            of_writes("lost"),
        ),
    )
)
