"""Prometheus text as numbers: what a node's `/metrics` says, by series (X-29).

One compiled regular expression goes over the whole page, since the process that owns the load reads
several pages a second: a node's page of 87 series (8.0 kB) takes 55 us, `prometheus_client.parser`
takes 780 us (best of seven each, in one run). This module must not fetch pages or know what a
series means.
"""

from __future__ import annotations

import re

from results.errors import ExpositionError

MAX_PAGE_CHARACTERS = 1024 * 1024
"""A node's page has 20,000; one of a service with 1,000 series 100,000."""

MAX_SERIES = 5_000

LARGEST_VALUE = 1e18
"""A timeline holds no number beyond 2^63, and one that is rounded on its way must not get there."""

_SERIES = re.compile(
    # Possessive quantifiers throughout: a hostile page costs one pass, whatever is in it.
    r"^([a-zA-Z_:][a-zA-Z0-9_:]*+)"
    r'(?:[ \t]*+(\{(?:[^"{}\n]++|"(?:[^"\\\n]++|\\[^\n])*+")*+\}))?+'
    r"[ \t]*+(?<=[ \t}])([-+]?+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][-+]?+[0-9]++)?+)"
    # A timestamp, and an exemplar as OpenMetrics has them.
    r"(?:[ \t]++[-+0-9.eE]++)?+(?:[ \t]++\#[^\n]*+)?+[ \t\r]*+$",
    re.MULTILINE,
)


def parse(text: str) -> dict[str, float]:
    """The value of each series by its name with its labels, as the page writes them.

    Such as `{'up': 1.0, 'requests_total{route="GET /a"}': 7.0}`. What is no series (comments, NaN
    and infinities, numbers beyond 1e18, damaged lines) is left out; a page without any gives an
    empty dict. Raises ExpositionError when the page or the number of series is too large.
    """
    if len(text) > MAX_PAGE_CHARACTERS:
        raise ExpositionError(
            f"the page of metrics has {len(text):,} characters, the limit is "
            f"{MAX_PAGE_CHARACTERS:,}: use an endpoint with fewer series"
        )
    found = {
        name + labels: number
        for name, labels, value in _SERIES.findall(text)
        if -LARGEST_VALUE < (number := float(value)) < LARGEST_VALUE
    }
    if len(found) > MAX_SERIES:
        raise ExpositionError(
            f"the page of metrics has {len(found):,} series, the limit is {MAX_SERIES:,}: "
            "use an endpoint with fewer"
        )
    return found
