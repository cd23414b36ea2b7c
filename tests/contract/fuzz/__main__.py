"""Sends a running node requests made from its own OpenAPI document, and judges every answer.

    python -m tests.contract.fuzz --url http://127.0.0.1:8001 --seed 7 --examples 20
    python -m tests.contract.fuzz --url http://127.0.0.1:8001 --seed 7 --requests 100000

Prints one JSON object as its last line: requests, by where they come from, by status, by operation,
faults (the first few with the bytes that repeat them). Exit code 0 when there is no fault, else 1.
A process of its own, so that what is generated depends on nothing that a test session has loaded.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from random import Random
from typing import Any
from urllib.parse import urlsplit

import requests
from schemathesis import GenerationMode

from tests.contract.fuzz.connection import Answer, Connection, NoAnswer
from tests.contract.fuzz.familiar import familiar, ids_of
from tests.contract.fuzz.judge import faults
from tests.contract.fuzz.mutate import mutate
from tests.contract.fuzz.request import FuzzRequest, generate, operations

MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
EXCLUSIVE = frozenset({"POST /v1/analytics/passes"})
"""Sent one at a time: the second of two passes at once is a planned 503."""

_KEPT = 20
_TIMEOUT_S = 10.0


@dataclass
class Report:
    """What was sent and what came back. `faults` counts each kind, `samples` repeats a few.

    `sources`: `document` as schemathesis made them, `familiar` the same about what exists (see
    familiar.py), `mutated` from one of these (mutate.py), `repeated` sent a second time as it was.
    """

    seed: int
    requests: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    samples: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def note(self, request: FuzzRequest, answer: Answer | None, found: Sequence[str]) -> None:
        """Not thread-safe: the sender holds its lock."""
        self.requests += 1
        self.sources[request.source] += 1
        self.operations[request.label] += 1
        if answer is not None:
            self.statuses[answer.status] += 1
            self.accepted[request.label] += 200 <= answer.status < 300
        for fault in found:
            self.faults[f"{request.label}: {fault[:160]}"] += 1
            if len(self.samples) < _KEPT:
                wire = request.wire()[:2_000]
                told = answer.body[:500] if answer is not None else b""
                self.samples.append(f"{request.label}: {fault}\n  {wire!r}\n  {told!r}")


def corpus(
    document: dict[str, Any], seed: int, examples: int, only: Sequence[str] = ()
) -> list[FuzzRequest]:
    """Valid and invalid requests of every operation (or of `only` some), mixed; then requests
    about what now exists."""
    made = [
        request
        for operation in operations(document)
        if not only or operation.label in only
        for mode in MODES
        for request in generate(operation, mode, seed, examples)
    ]
    random = Random(seed)
    random.shuffle(made)
    ids = ids_of(made)
    about = (familiar(request, ids, random) for request in made)
    return made + [request for request in about if request is not None]


def enlarged(base: Sequence[FuzzRequest], wanted: int, seed: int) -> Iterator[FuzzRequest]:
    """`base`, then mutations of it until there are `wanted` requests."""
    yield from base
    random = Random(seed)
    for _ in range(wanted - len(base)):
        yield mutate(random.choice(base), random)


def send(port: int, wanted: Iterator[FuzzRequest], report: Report, connections: int) -> None:
    """Sends all of it over several connections and notes each answer."""
    waiting: SimpleQueue[FuzzRequest] = SimpleQueue()
    for request in wanted:
        waiting.put(request)
    lock, exclusive = threading.Lock(), threading.Lock()
    threads = [
        threading.Thread(target=_work, args=(port, waiting, report, lock, exclusive))
        for _ in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _work(
    port: int,
    waiting: SimpleQueue[FuzzRequest],
    report: Report,
    lock: threading.Lock,
    exclusive: threading.Lock,
) -> None:
    connection = Connection(port)
    try:
        while True:
            try:
                request = waiting.get_nowait()
            except Empty:
                return
            answer = None
            try:
                with exclusive if request.label in EXCLUSIVE else nullcontext():
                    answer = connection.exchange(request.wire())
                found = faults(request, answer)
            except NoAnswer as error:
                found = [str(error)]
            with lock:
                report.note(request, answer, found)
    finally:
        connection.close()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Fuzzes a node from its OpenAPI document.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--examples", type=int, default=20, help="of each operation and mode")
    parser.add_argument("--requests", type=int, default=0, help="enlarge by mutation to this")
    parser.add_argument("--only", nargs="+", default=(), help="operations, as `GET /health`")
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args(arguments)
    started_s = time.perf_counter()
    document = requests.get(f"{options.url}/openapi.json", timeout=_TIMEOUT_S).json()
    base = corpus(document, options.seed, options.examples, options.only)
    report = Report(options.seed)
    port = urlsplit(options.url).port or 80
    send(port, enlarged(base, options.requests, options.seed), report, options.connections)
    report.seconds = round(time.perf_counter() - started_s, 1)
    for sample in report.samples:
        print(sample, file=sys.stderr)
    print(json.dumps(vars(report)))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
