"""CPU of one `Telemetry.count` on a warm series, in microseconds.

    python -m tests.bench.telemetry_cost COUNTS

As the node's workloads emit: 20 paths with five tag sets of two tags each, all known. The loop is
in the figure, so that it errs on the dear side. Prints one number as JSON.
"""

from __future__ import annotations

import json
import sys
from time import process_time

from service.telemetry.series import Telemetry

PATHS = 20
TAG_SETS = 5


def main(counts: int) -> float:
    telemetry = Telemetry()
    series = [
        (f"workload/path_{path}", {"kind": f"kind_{kind}", "node": "node-1"})
        for path in range(PATHS)
        for kind in range(TAG_SETS)
    ]
    for path, tags in series:
        telemetry.count(path, tags)
    rounds = counts // len(series)
    started_s = process_time()
    for _ in range(rounds):
        for path, tags in series:
            telemetry.count(path, tags)
    cpu_s = process_time() - started_s
    counted = sum(one.value for one in telemetry.counters())
    assert counted == (rounds + 1) * len(series), "some counts went elsewhere"
    assert telemetry.series == len(series)
    return cpu_s / (rounds * len(series)) * 1e6


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
