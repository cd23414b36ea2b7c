"""The start of a cluster: one deadline for the supervisor and its nodes together (X-2)."""

from __future__ import annotations

import re

import pytest

from deploy.errors import ClusterError
from deploy.local import LocalCluster
from tests.unit.chaos.process import STUB

DELAY_S = 1.0
LIMIT_S = 5.0
SLOW_STUB = ("sh", "-c", f'sleep {DELAY_S:g}; exec "$@"', "sh", *STUB)


def test_what_the_supervisor_s_start_takes_is_gone_for_the_nodes() -> None:
    with pytest.raises(ClusterError) as caught:
        LocalCluster.start(size=1, roles=("hang",), timeout_s=LIMIT_S, command=SLOW_STUB)
    assert caught.value.code == "timeout_starting_nodes"
    limit = re.search(r"within ([0-9.]+) s", str(caught.value))
    assert limit is not None and 0 < float(limit[1]) <= LIMIT_S - DELAY_S
