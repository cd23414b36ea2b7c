"""Benchmark 2: the generator's CPU per request, LeanHttpUser against Locust's own clients.

Each client runs in its own process, in turn and more than once, against one responder on the
other core, 800 users on P1's mix with the recorder off; then LeanHttpUser and FastHttpUser with
2,000 users. The ratios gate; the absolute figures and the floor (a gevent socket without Locust)
are for information.

    python -m tests.bench.client_cpu            about three minutes
    python -m tests.bench.client_cpu --quick    about a minute, for a first look
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

USERS = 800
MANY_USERS = 2_000
WARM_UP_S = 4.0
CLIENTS = ("lean", "fast", "http", "floor")
LIMITS = {"fast": 0.55, "http": 0.25}
"""LeanHttpUser's CPU per request may be at most this share of the other client's."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `ratio` is LeanHttpUser's CPU over this client's; None for itself."""

    client: str
    cpu_us: float
    rate: float
    cpu_share: float
    ratio: float | None
    limit: float | None

    @property
    def passed(self) -> bool:
        return self.limit is None or (self.ratio is not None and self.ratio <= self.limit)


@contextmanager
def responder(cores: list[int]) -> Iterator[int]:
    """The target's port; the process ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.client_responder", "1.0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        os.sched_setaffinity(process.pid, {cores[-1]})
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait(timeout=10)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def run_client(
    client: str, port: int, seconds: float, core: int, users: int = USERS
) -> dict[str, float]:
    """One run of one client. Raises RuntimeError with its output when it fails."""
    done = subprocess.run(
        [
            *("taskset", "-c", str(core)),
            *(sys.executable, "-m", "tests.bench.client_load"),
            *(client, str(port), str(users), str(WARM_UP_S), str(seconds)),
        ],
        capture_output=True,
        text=True,
        timeout=seconds + WARM_UP_S + 60,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the client {client} failed:\n{done.stderr[-2000:]}")
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if row.get("failures"):
        raise RuntimeError(f"the client {client} had {row['failures']:.0f} failed requests")
    return row


def main(
    seconds: float = 15.0,
    rounds: int = 2,
    users: int = USERS,
    clients: Sequence[str] = CLIENTS,
) -> list[Row]:
    """Run every client `rounds` times, `seconds` of measurement per client in all."""
    cores = sorted(os.sched_getaffinity(0))
    results: dict[str, list[dict[str, float]]] = {client: [] for client in clients}
    with responder(cores) as port:
        for _ in range(rounds):
            for client in clients:
                results[client].append(run_client(client, port, seconds / rounds, cores[0], users))

    def median(client: str, key: str) -> float:
        return statistics.median(row[key] for row in results[client])

    lean = median("lean", "cpu_us")
    return [
        Row(
            client,
            cpu_us=median(client, "cpu_us"),
            rate=median(client, "rate"),
            cpu_share=median(client, "cpu_share"),
            ratio=None if client == "lean" else lean / median(client, "cpu_us"),
            limit=LIMITS.get(client),
        )
        for client in clients
    ]


def many(seconds: float = 15.0, rounds: int = 2) -> list[Row]:
    """LeanHttpUser and FastHttpUser with MANY_USERS."""
    return main(seconds, rounds, MANY_USERS, ("lean", "fast"))


def table(rows: list[Row]) -> str:
    lines = ["client  CPU us/request  requests/s  CPU  lean's share  limit"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        limit = "" if row.limit is None else f"<= {row.limit:.2f} {'ok' if row.passed else 'FAIL'}"
        lines.append(
            f"{row.client:<6}  {row.cpu_us:14.1f}  {row.rate:10.0f}  {row.cpu_share:4.0%}"
            f"  {ratio:>12}  {limit}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 s per client, once")
    quick = parser.parse_args().quick
    outcome = main(3.0, 1) if quick else main()
    crowd = many(3.0, 1) if quick else many()
    print(table(outcome), f"\nwith {MANY_USERS:,} users:\n{table(crowd)}", sep="\n")
    sys.exit(0 if all(row.passed for row in outcome + crowd) else 1)
