"""Puts the target on the timeline: every node's `/metrics`, once a second (X-29).

The owning process reads them (the only one, or the master), never a worker. What it sends is no
load: its sessions record no samples and belong to no user. Life cycle of a `Sampler`:

1. made per run from `Endpoint`s, which `require_readable` has checked once before the load if the
   user named them;
2. `run` is a greenlet: one reader per endpoint, each at its own place in the second, so that
   neither the pages nor their parsing pile up;
3. killed with the run, which closes the connections.

An endpoint that is down, hangs or answers nonsense costs only its own samples: a line with
`{"up": 0}`. This module must not judge anything, and nothing in it may end or void a run.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import gevent
from gevent.pool import Group
from locust.event import EventHook

from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.http.connection import Limits
from locustfiles.harness.http.keepalive import Settings
from locustfiles.harness.http.origin import parse_origin, split_absolute
from locustfiles.harness.http.resolver import Resolver
from locustfiles.harness.http.session import LeanHttpSession
from locustfiles.harness.target.target import Node
from results.errors import ExpositionError
from results.exposition import MAX_PAGE_CHARACTERS, parse
from results.scrape import UP, Page, foundation_values, general_values
from results.timeline import TargetSample

INTERVAL_S = 1.0
TIMEOUT_S = 0.8
"""Below the interval, so that an endpoint that hangs is asked again in the next second."""

CHECK_TIMEOUT_S = 5.0
"""Before the load a first connection may take its time."""

Derive = Callable[[Page, Page, float], Mapping[str, float]]
"""Two pages and the seconds between them -> the values of a `TargetSample`."""

logger = logging.getLogger(__name__)


class Unreadable(Exception):
    """No page of metrics came; the text says why, in words that follow the endpoint's name."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One page of metrics. `node` names it on the timeline, `token` goes along as a Bearer."""

    node: str
    url: str
    derive: Derive
    token: str | None = None

    @property
    def shown(self) -> str:
        """The URL for people: a query may hold a key."""
        return self.url.partition("?")[0]


def endpoints(nodes: Sequence[Node], token: str | None, urls: Sequence[str]) -> list[Endpoint]:
    """Of the nodes under load, and of the services that `--target-metrics` names.

    The token is the nodes' own: nobody else is sent it. Those of one name (every node is `node-1`
    unless told otherwise) are told apart by host and port.
    """
    own = [Endpoint(node.name, f"{node.url}/metrics", foundation_values, token) for node in nodes]
    found = own + [Endpoint(parse_origin(url).label, url, general_values) for url in urls]
    names = Counter(endpoint.node for endpoint in found)
    return [
        replace(one, node=f"{one.node} ({parse_origin(one.url).label})")
        if names[one.node] > 1
        else one
        for one in found
    ]


def require_readable(asked: Sequence[Endpoint]) -> None:
    """Read each once. Raises BadConfiguration for the first that has no page of metrics."""
    for endpoint in asked:
        reader = Reader(endpoint)
        try:
            reader.page(CHECK_TIMEOUT_S)
        except Unreadable as error:
            raise BadConfiguration(
                f"the metrics endpoint {endpoint.shown} {error}: start the service, or correct "
                "--target-metrics"
            ) from None
        finally:
            reader.close()


class Reader:
    """One endpoint's connection and its last page."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        origin, self._target = split_absolute(endpoint.url)
        bearer = {"authorization": f"Bearer {endpoint.token}"} if endpoint.token else {}
        self._session = LeanHttpSession(
            origin,
            # Nobody listens: Locust's statistics do not know of it.
            EventHook(),  # type: ignore[no-untyped-call]
            resolver=Resolver(),
            settings=Settings(
                default_headers={"accept": "text/plain", **bearer},
                limits=Limits(body_bytes=MAX_PAGE_CHARACTERS),
                max_redirects=0,
            ),
        )
        self._before: Page = {}
        self._before_s = 0.0

    def page(self, timeout_s: float) -> Page:
        """The series of one scrape. Raises Unreadable."""
        response = self._session.get(self._target, timeout=timeout_s)
        if response.error is not None:
            raise Unreadable(f"could not be read ({response.error})")
        if response.status_code != 200:
            raise Unreadable(f"answered {response.status_code}")
        try:
            page = parse(response.content.decode("utf-8", "replace"))
        except ExpositionError as error:
            raise Unreadable(f"sent no page that can be sampled ({error})") from None
        if not page:
            raise Unreadable("sent no Prometheus text: it names not one series")
        return page

    def values(self) -> Mapping[str, float]:
        """What happened since the call before it. Raises Unreadable.

        After a failure, as at first, only what one page tells is known.
        """
        before, self._before = self._before, {}
        page = self.page(TIMEOUT_S)
        now_s = perf_counter()
        interval_s, self._before_s = now_s - self._before_s, now_s
        self._before = page
        values = self.endpoint.derive(before, page, interval_s)
        return {UP: 1.0} | {name: _rounded(value) for name, value in values.items()}

    def close(self) -> None:
        self._session.close()


def _rounded(value: float) -> float:
    """Nine digits: a mean of 17 tells no more and doubles the line."""
    return float(f"{value:.9g}")


class Sampler:
    """`elapsed_s` is the run's clock, `take` gets each sample and must not block."""

    def __init__(
        self,
        asked: Sequence[Endpoint],
        elapsed_s: Callable[[], float],
        take: Callable[[TargetSample], None],
    ) -> None:
        self._endpoints = asked
        self._elapsed_s = elapsed_s
        self._take = take
        self._failed: set[str] = set()

    def run(self) -> None:
        """Until the greenlet is killed."""
        readers = Group()
        try:
            for index, endpoint in enumerate(self._endpoints):
                place_s = (index + 0.5) / len(self._endpoints) * INTERVAL_S
                readers.spawn(self._read, endpoint, place_s)
            readers.join()
        finally:
            readers.kill(block=False)

    def _read(self, endpoint: Endpoint, place_s: float) -> None:
        reader = Reader(endpoint)
        try:
            while True:
                gevent.sleep(INTERVAL_S - (self._elapsed_s() - place_s) % INTERVAL_S)
                self._sample(reader)
        finally:
            reader.close()

    def _sample(self, reader: Reader) -> None:
        values: Mapping[str, float] = {UP: 0.0}
        try:
            values = reader.values()
        except Unreadable as error:
            if self._fails_first(reader):
                logger.warning(
                    "%s %s: its samples are missing while that lasts", reader.endpoint.node, error
                )
        except Exception:
            # The edge of the greenlet. The verdict does not rest on these samples, so the run
            # stays valid; that they are missing is on the timeline.
            if self._fails_first(reader):
                logger.exception("sampling %s failed", reader.endpoint.node)
        self._take(TargetSample(round(self._elapsed_s(), 3), reader.endpoint.node, values))

    def _fails_first(self, reader: Reader) -> bool:
        """Whether this is the first failure of that endpoint in the run: one line each."""
        node = reader.endpoint.node
        if node in self._failed:
            return False
        self._failed.add(node)
        return True
