"""Background jobs of a node (P1-10): `foundation.jobs`."""

from __future__ import annotations

from typing import Any, NamedTuple, get_args
from uuid import UUID

import orjson

from locustfiles.harness.api.reply import document, text
from locustfiles.harness.caller import NOTHING, Caller, Mismatch, write_id_of
from locustfiles.harness.digest import client_digest
from locustfiles.harness.http.response import Response
from service.content import JOB_ENQUEUED, JOBS_STREAM, of_job
from service.schema_jobs import JobKind, JobState

JOBS_NAME = "/v1/jobs"
JOB_NAME = "/v1/jobs/{id}"

KINDS: tuple[JobKind, ...] = get_args(JobKind)
STATES: tuple[str, ...] = get_args(JobState)


class Job(NamedTuple):
    """`state` is one of STATES, `kind` one of KINDS."""

    id: bytes
    kind: str
    state: str

    @property
    def is_over(self) -> bool:
        return self.state in ("completed", "failed")


class JobClient:
    """Submits jobs and waits for them."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def submit(
        self,
        kind: JobKind,
        payload: dict[str, Any] | None = None,
        *,
        node: str | None = None,
        write_id: bytes | None = None,
    ) -> Job | None:
        """Queue one job; it is on disk when this returns."""
        key, key_text = write_id_of(write_id)
        asked = of_job(kind, payload or NOTHING)
        caller = self._caller
        return caller.send(
            "POST",
            caller.url(node, JOBS_NAME),
            JOBS_NAME,
            lambda reply: _job(reply, key),
            body=orjson.dumps({"id": key_text, **asked}),
            write_id=key,
            digest=client_digest(JOB_ENQUEUED, JOBS_STREAM, asked),
        )

    def get(self, job: bytes, *, wait_s: float = 0.0, node: str | None = None) -> Job | None:
        """The job's state, once it is over or after `wait_s` (at most 20, below the timeout)."""
        caller = self._caller
        return caller.send(
            "GET",
            caller.url(node, f"/v1/jobs/{UUID(bytes=job)}"),
            JOB_NAME,
            lambda reply: _job(reply, job),
            params={"wait_s": f"{wait_s:g}"},
        )


def _job(reply: Response, key: bytes) -> Job:
    fields = document(reply)
    if UUID(text(fields, "id")).bytes != key:
        raise Mismatch("another id")
    kind, state = text(fields, "kind"), text(fields, "state")
    if kind not in KINDS or state not in STATES:
        raise Mismatch("an unknown kind or state")
    return Job(key, kind, state)
