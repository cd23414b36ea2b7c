"""The plain handler in the driver's default mode: insert, then commit, on one shared connection.

    python -m uvicorn --factory tests.bench.baseline_shared:app

Concurrent requests then share transactions by chance: one commit covers the others' inserts, which
makes it faster than one transaction a request, and one rollback would undo its neighbours. Printed
beside the gated baseline, so that the choice between the two is seen.
"""

from __future__ import annotations

from fastapi import FastAPI

from tests.bench import baseline_plain


def app() -> FastAPI:
    """Stores in the file that BENCH_DATABASE names."""
    return baseline_plain.app(shared=True)
