"""Benchmark 2a: the CPU of a load process per request, from `client_cpu.py` to rows."""

from __future__ import annotations

from tests.bench import client_cpu
from tests.bench.row import BenchError, Row, at_most, shown


def run(quick: bool) -> list[Row]:
    """LeanHttpUser's CPU as a share of the other clients'; the raw socket is the floor."""
    try:
        measured = client_cpu.main(3.0, 1) if quick else client_cpu.main()
    except RuntimeError as error:
        raise BenchError(str(error)) from error
    lean = next(row for row in measured if row.client == "lean")
    rows = [shown("client CPU: lean", lean.cpu_us, f"{lean.rate:,.0f} requests/s", "us")]
    for row in measured:
        figure = f"{row.cpu_us:.0f} us at {row.rate:,.0f} requests/s"
        if row.ratio is None:
            continue
        if row.limit is None:
            rows.append(shown(f"client CPU: {row.client}", row.cpu_us, figure, "us"))
        else:
            name = f"client CPU: lean / {row.client}"
            rows.append(at_most(name, row.ratio, row.limit, figure))
    return rows
