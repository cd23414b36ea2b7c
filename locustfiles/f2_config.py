"""F2: feature flags that are read and changed at the same time (F2-1 to F2-6).

Question: does configuration stay correct and quick while many change it?
Workload: closed; a writer changes 25 flags, 1-50 ms apart (F2-3); a reader makes 100 reads without
    pause (F2-4); both repeat, 0.5-1.5 s apart.
Shape: 30 users for 150 s: 20 writers and 10 readers (F2-1; repeated to that length, oddity 2).
Roles: one node, app.
Faults: none.
Passes when: no request fails; > 500 updates and > 1,000 reads; mean read < 10 ms and p95 < 50 ms
    (F2-6); no series takes 30 s (F2-5); every value read was one that was written as that version,
    and versions never go back (oddity 11); no acknowledged change is lost.

Changed from the original: updates count once they succeeded (oddity 10), and reads are compared
with what this process knows to be written (oddity 11): the mean of `verified` is their share.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import gevent
from locust import between, task

from locustfiles.harness import Cluster, FoundationUser, Scenario, strap_in
from locustfiles.harness.register import Register, Seen
from results.check import errors, figure, latency, mean_latency, of_writes
from shapes.locust_shape import PhasedShape
from shapes.profile import steady

NAMES = ("new_dashboard", "beta_analytics", "advanced_search", "dark_mode", "real_time_chat")
FLAGS = tuple(f"features/{name}" for name in NAMES)
READ = "GET /v1/config/{path}"


class FlagShape(PhasedShape):
    profile = steady(30, 150, phase="flags")


class FlagUser(FoundationUser):
    """Compares what it reads with what the writers of this process were told."""

    abstract = True
    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        super().on_start()
        self.register = self.shared("register", lambda: Register(FLAGS))
        self.seen = dict.fromkeys(FLAGS, 0)
        if (updatable := self.foundation.config.updatable()) is not None:
            missing = set(FLAGS) - set(updatable)
            self.expect(not missing, f"flags may be changed, not so {', '.join(sorted(missing))}")

    def read(self, flag: str) -> None:
        if (entry := self.foundation.config.get(flag)) is None:
            return
        self.observe("reads")
        found = self.register.judge(flag, entry.version, entry.value, seen=self.seen[flag])
        self.seen[flag] = max(entry.version, self.seen[flag])
        self.observe("verified", float(found is not Seen.UNKNOWN))
        self.expect(found in (Seen.RIGHT, Seen.UNKNOWN), f"a read is right, not {found.value}")
        self.expect(entry.version > 0 or entry.value is False, "flags are false at first")


class FlagWriterUser(FlagUser):
    """25 changes of a random flag to a random value, each read back (F2-3)."""

    weight = 2

    @task
    def change_flags(self) -> None:
        began_s = perf_counter()
        for _ in range(25):
            flag, value = self.pick(FLAGS), self.random.random() < 0.5
            if (entry := self.foundation.config.put(flag, value)) is not None:
                self.observe("updates")
                once = self.register.wrote(flag, entry.version, value)
                self.expect(once and entry.value is value, "a version is the value sent, once")
                self.seen[flag] = max(entry.version, self.seen[flag])
            gevent.sleep(self.random.uniform(0.001, 0.050))
            self.read(flag)
        self.observe("writer_series_s", perf_counter() - began_s)


class FlagReaderUser(FlagUser):
    """100 reads of random flags without pause (F2-4)."""

    weight = 1

    @task
    def read_flags(self) -> None:
        began_s = perf_counter()
        for _ in range(100):
            self.read(self.pick(FLAGS))
        self.observe("reader_series_s", perf_counter() - began_s)


strap_in(
    Scenario(
        id="f2_config",
        tier="foundation",
        cluster=Cluster(roles=(("app",),)),
        users=(FlagWriterUser, FlagReaderUser),
        shape=FlagShape,
        source_dir=Path(__file__).parent,
        checks=(
            errors(at_most=0),
            figure("unmet", "sum", at_most=0),
            figure("verified", "mean", above=0.1),
            figure("updates", "sum", above=500, scales="both"),
            figure("reads", "sum", above=1_000, scales="both"),
            mean_latency(below_ms=10, endpoint=READ),
            latency(quantile=0.95, below_ms=50, endpoint=READ),
            figure("writer_series_s", "most", below=30),
            figure("reader_series_s", "most", below=30),
            of_writes("lost"),
        ),
    )
)
