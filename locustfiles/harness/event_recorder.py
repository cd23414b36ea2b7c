"""Turns Locust's request events into samples, for every client that is not our own.

HttpUser, FastHttpUser and clients of other protocols say what they sent by Locust's `request`
event; a LeanHttpUser makes a richer sample itself, so its events are passed over. A session that a
locustfile makes on its own has nobody who takes its samples, so its events count. What counts is
what Locust counts: each event is one request, failed if it has an exception. Life cycle: one per
run and process, listening from `attach` to `detach`.

This module must not count anything itself, and nothing in it may end a user's task.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from locust.env import Environment

from locustfiles.harness.event_outcome import outcome_of, status_of
from locustfiles.harness.http.clock import wall_us
from locustfiles.harness.http.response import Response
from locustfiles.harness.http.write import Write, write_of
from locustfiles.harness.redirected import first_url, was_redirected
from results.ledger.ledger import FURTHER_NODES
from results.sample import Outcome, Sample

MAX_HOSTS = 100
"""Hosts that are kept apart; a crawler could name thousands, each a cell in every second. The
others are one, as in the ledger."""

_DEFAULT_PORTS = {"http:": ":80", "https:": ":443"}

MAX_AGE_S = 3600.0
"""A start that is said to be longer ago than this is no start, such as one in milliseconds."""

MAX_LENGTH_BYTES = 2**53


class EventRecorder:
    """`record` takes each sample; `untimed` is told of the first event without a response time,
    `misnamed` of each whose context names a write wrongly, and why: such a write is not recorded.
    """

    def __init__(
        self,
        record: Callable[[Sample], None],
        untimed: Callable[[str], None],
        misnamed: Callable[[ValueError], None],
    ) -> None:
        self._record = record
        self._untimed: Callable[[str], None] | None = untimed
        self._misnamed = misnamed
        self._hosts: set[str] = set()

    def attach(self, environment: Environment) -> None:
        request: Any = environment.events.request
        request.add_listener(self.take)

    def detach(self, environment: Environment) -> None:
        request: Any = environment.events.request
        request.remove_listener(self.take)

    def take(
        self,
        request_type: object = "",
        name: object = "",
        response_time: object = None,
        response_length: object = None,
        response: object = None,
        exception: object = None,
        start_time: object = None,
        url: object = None,
        context: object = None,
        **_: object,
    ) -> None:
        """Locust's listener. The names are Locust's; a client may give anything under them."""
        if isinstance(response, Response) and response.is_sampled:
            return
        endpoint = f"{request_type} {_text(name)}".strip()
        took_us = _duration_us(response_time)
        if took_us is None:
            took_us = 0
            if self._untimed is not None:
                untimed, self._untimed = self._untimed, None
                untimed(endpoint)
        now_s = time.perf_counter()
        start_us = wall_us(now_s - _age_s(start_time, took_us))
        outcome = outcome_of(exception, response) if exception else Outcome.OK
        write_id, digest = self._write(context)
        # A client that tries again (FastHttpUser with PUT, say) tells of its last attempt alone,
        # and may be refused when the one before it was stored.
        repeated = outcome is Outcome.REFUSED or was_redirected(request_type, response)
        self._record(
            Sample(
                endpoint,
                None,
                start_us,
                start_us + took_us,
                outcome,
                status_of(response),
                _length(response_length),
                0,
                write_id,
                self._host(first_url(response, url)),
                digest,
                repeated,
            )
        )

    def _write(self, context: object) -> Write:
        if not context or not isinstance(context, Mapping):
            return None, None
        try:
            return write_of(context) or (None, None)
        except ValueError as error:
            self._misnamed(error)
            return None, None

    def _host(self, url: object) -> str:
        """Scheme, host and port of a URL, without user and password and the scheme's own port, as
        other samples name their nodes; empty when there is none."""
        text = _text(url) if isinstance(url, str | bytes) else ""
        parts = text.split("/", 3)
        if len(parts) < 3 or parts[1] or not parts[0].endswith(":"):
            return ""
        host = parts[2].partition("?")[0].partition("#")[0].rpartition("@")[2].lower()
        scheme = parts[0].lower()
        host = host.removesuffix(_DEFAULT_PORTS.get(scheme, "")).removesuffix(":")
        origin = f"{scheme}//{host}"
        if origin not in self._hosts:
            if len(self._hosts) >= MAX_HOSTS:
                return FURTHER_NODES
            self._hosts.add(origin)
        return origin


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _duration_us(response_time: object) -> int | None:
    """From milliseconds; None for what is no duration."""
    if isinstance(response_time, bool) or not isinstance(response_time, int | float):
        return None
    if not 0 <= response_time < math.inf:
        return None
    return int(response_time * 1000)


def _age_s(start_time: object, took_us: int) -> float:
    """How long ago the request was sent.

    With `catch_response` the event comes when the with-block ends, so `start_time` says more than
    the response time; but it is of the wall clock, and must fit.
    """
    least_s = took_us / 1e6
    if isinstance(start_time, bool) or not isinstance(start_time, int | float):
        return least_s
    age_s = time.time() - start_time
    return age_s if least_s <= age_s < MAX_AGE_S else least_s


def _length(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 <= value < MAX_LENGTH_BYTES else 0
