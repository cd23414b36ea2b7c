"""Requests about things that exist: drawn at random, a path never names what was stored before.

Each is a generated request with its names replaced by ones that other requests of the same fuzz
use as well, so that reads find, retries repeat and owners own. Pure.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tests.contract.fuzz.request import FuzzRequest

OWNER = "a"
NAMES = {
    "path": ("features/dark_mode", "features/beta_analytics", "dev/debug_mode"),
    "namespace": ("production",),
    "name": ("orders", "billing", "mail"),
    "action": ("login", "dashboard_view"),
}
"""By path parameter; an `id` is one that was sent to the same collection."""

_ID = re.compile(rb'"id": ?"([0-9a-f]{8}-[0-9a-f-]{27})"')


def ids_of(requests: Iterable[FuzzRequest]) -> dict[str, list[str]]:
    """The ids in the bodies of valid requests: collection, such as `/v1/jobs` -> ids."""
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for request in requests:
        if request.valid:
            found = _ID.findall(request.body)
            ids[request.case.operation.path] += [one.decode() for one in found]
    return ids


def familiar(
    request: FuzzRequest, ids: Mapping[str, Sequence[str]], random: Random
) -> FuzzRequest | None:
    """`request` about something that exists; None where nothing in it has a name."""
    template: str = request.case.operation.path
    names = re.findall(r"\{(\w+)[^}]*\}", template)
    if not names:
        return None
    for name in names:
        known = random.choice(NAMES.get(name) or ids[template.partition("/{")[0]])
        template = re.sub(r"\{" + name + r"[^}]*\}", known, template, count=1)
    query = request.target.partition("?")[2]
    if "owner=" in query:
        query = re.sub(r"owner=[^&]*", f"owner={OWNER}", query)
    target = f"{template}?{query}" if query else template
    return replace(request, source="familiar", target=target, body=_owned(request.body, random))


def _owned(body: bytes, random: Random) -> bytes:
    """The body with the one owner, and half of the time without a condition on the version."""
    try:
        value: Any = json.loads(body)
    except ValueError:
        return body
    if not isinstance(value, dict):
        return body
    if isinstance(value.get("owner"), str):
        value["owner"] = OWNER
    if random.random() < 0.5:
        value.pop("expected_version", None)
    return json.dumps(value).encode()
