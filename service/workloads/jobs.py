"""What a node knows of its background jobs (P1-10): a projection of its own log, in memory.

A job is queued, running, or over (completed or failed). What is queued or running is here whole;
of those that are over the last ones, the log answers for older ones. Payloads stay in the log until
a worker needs them, so that ten thousand waiting jobs cost a few megabytes. No I/O, no clock.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from service.schema_jobs import JobKind, JobState
from service.workloads.saas_timing import uniform_ms

RANGES_MS: Final[dict[JobKind, tuple[int, int]]] = {
    "email_delivery": (501, 1_500),
    "report_generation": (2_001, 7_000),
    "data_cleanup": (1_001, 4_000),
    "analytics_aggregation": (1_001, 3_000),
    "backup_creation": (5_001, 15_000),
}
"""P1-10's true ranges, both ends included, in milliseconds."""

KINDS: Final[tuple[JobKind, ...]] = get_args(JobKind)
REMEMBERED_JOBS: Final = 10_000


def prescribed_ms(kind: JobKind, job_id: bytes) -> int:
    """The time that a job is to take: the id decides, so that every attempt takes as long."""
    return uniform_ms(*RANGES_MS[kind], job_id)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. `at` is microseconds since the epoch; a failed one has an `error`."""

    state: JobState
    seq: int
    at: int
    attempt: int
    processing_time_ms: float | None
    result: dict[str, Any] | None
    error: str | None


@dataclass(slots=True, eq=False)
class Job:
    """One job. `seq` and `enqueued_at` are those of its event `job_enqueued`."""

    id: bytes
    kind: JobKind
    seq: int
    enqueued_at: int
    attempt: int = 0
    running: bool = False
    outcome: Outcome | None = None

    @property
    def state(self) -> JobState:
        if self.outcome is not None:
            return self.outcome.state
        return "running" if self.running else "queued"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What lets a node read back only the end of its log.

    Every job whose `job_enqueued` has a seq <= `finished_through` is over. `completed` and `failed`
    count, by kind, the outcomes with a seq <= `counted_through`.
    """

    finished_through: int = 0
    counted_through: int = 0
    completed: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)


class JobBook:
    """The jobs of one node. Give it what the log holds, in the order of the log."""

    def __init__(self, snapshot: Snapshot, remembered: int = REMEMBERED_JOBS) -> None:
        self.completed: Counter[str] = Counter(snapshot.completed)
        self.failed: Counter[str] = Counter(snapshot.failed)
        self.running = 0
        self.ended_since_snapshot = 0
        self._counted_through = snapshot.counted_through
        self._seen_through = max(snapshot.finished_through, snapshot.counted_through)
        self._remembered = remembered
        self._waiting: deque[Job] = deque()
        self._unfinished: dict[bytes, Job] = {}
        self._over: OrderedDict[bytes, Job] = OrderedDict()
        self._announced: dict[object, int] = {}

    @property
    def queued(self) -> int:
        """Jobs that no worker has, those between two attempts among them."""
        return len(self._unfinished) - self.running

    @property
    def announced(self) -> int:
        """Jobs that are being stored."""
        return len(self._announced)

    def get(self, job_id: bytes) -> Job | None:
        """A job that is unfinished, or among the last that ended."""
        return self._unfinished.get(job_id) or self._over.get(job_id)

    def announce(self, token: object) -> None:
        """A job is about to be stored: until `withdraw`, no snapshot goes past it."""
        self._announced[token] = self._seen_through

    def withdraw(self, token: object) -> None:
        """What was announced is stored and known here, or was refused."""
        del self._announced[token]

    def enqueued(self, job: Job) -> Job:
        """A job that is on disk; the one that is known already, where there is one."""
        self._seen_through = max(self._seen_through, job.seq)
        known = self.get(job.id)
        if known is not None:
            return known
        self._unfinished[job.id] = job
        self._waiting.append(job)
        return job

    def take(self) -> Job | None:
        """The job that has waited longest, for a worker; None when none waits."""
        job = self.oldest()
        if job is not None:
            self._waiting.popleft()
            job.running = True
            job.attempt += 1
            self.running += 1
        return job

    def oldest(self) -> Job | None:
        """The next to be taken."""
        while self._waiting and self._waiting[0].outcome is not None:
            self._waiting.popleft()  # read back from the log as queued, and then as over
        return self._waiting[0] if self._waiting else None

    def release(self, job: Job) -> None:
        """The worker has given the job up; it is nobody's until it `waits` again."""
        job.running = False
        self.running -= 1

    def postpone(self, job: Job) -> None:
        """As `release`, and the attempt does not count."""
        self.release(job)
        job.attempt -= 1

    def waits(self, job: Job) -> None:
        """Another attempt is due: before the jobs that came later."""
        assert job.outcome is None and not job.running
        self._waiting.appendleft(job)

    def ended(self, job_id: bytes, kind: str, outcome: Outcome) -> None:
        """An outcome that is on disk; each only once."""
        self._seen_through = max(self._seen_through, outcome.seq)
        if outcome.seq > self._counted_through:
            (self.completed if outcome.state == "completed" else self.failed)[kind] += 1
            self.ended_since_snapshot += 1
        job = self._unfinished.pop(job_id, None)
        if job is None:
            return
        if job.running:
            self.release(job)
        job.outcome = outcome
        job.attempt = outcome.attempt
        self._over[job_id] = job
        if len(self._over) > self._remembered:
            self._over.popitem(last=False)

    def snapshot(self) -> Snapshot:
        """From here on a restart can read back. Nothing that is being stored is left behind."""
        bounds = [job.seq - 1 for job in self._unfinished.values()]
        return Snapshot(
            finished_through=min([*bounds, *self._announced.values(), self._seen_through]),
            counted_through=self._seen_through,
            completed=dict(self.completed),
            failed=dict(self.failed),
        )
