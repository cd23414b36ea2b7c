"""Benchmark 2a: what a load process spends per request and per user, as rows."""

from __future__ import annotations

from tests.bench import client_cpu, client_memory, client_others
from tests.bench.row import BenchError, Row, at_most, shown


def run(quick: bool) -> list[Row]:
    """LeanHttpUser's CPU as a share of the other clients'; the raw socket is the floor."""
    try:
        return _cpu_rows(quick) + _other_rows() + [_memory_row(quick)]
    except RuntimeError as error:
        raise BenchError(str(error)) from error


def _cpu_rows(quick: bool) -> list[Row]:
    measured = client_cpu.main(3.0, 1) if quick else client_cpu.main()
    lean, fast = _row(measured, "lean"), _row(measured, "fast")
    rows = [shown("client CPU: lean", lean.cpu_us, f"{lean.rate:,.0f} requests/s", "us")]
    for row in measured:
        if row.ratio is None:
            continue
        if row.limit is None:
            rows.append(shown(f"client CPU: {row.client}", row.cpu_us, _figure(row), "us"))
        else:
            name = f"client CPU: lean / {row.client}"
            rows.append(at_most(name, row.ratio, row.limit, _figure(row)))
    many = client_cpu.many(3.0, 1) if quick else client_cpu.many()
    crowd, fast_crowd = _row(many, "lean"), _row(many, "fast")
    assert fast_crowd.ratio is not None and fast.ratio is not None
    figure = f"{crowd.cpu_us:.0f} us at {crowd.rate:,.0f}/s against {_figure(fast_crowd)}"
    # Less than the share with fewer users: the client must not get worse with their number.
    name = f"client CPU: lean / fast, {client_cpu.MANY_USERS:,} users"
    rows.append(at_most(name, fast_crowd.ratio, fast.ratio, figure))
    return rows


def _row(rows: list[client_cpu.Row], client: str) -> client_cpu.Row:
    return next(row for row in rows if row.client == client)


def _figure(row: client_cpu.Row) -> str:
    return f"{row.cpu_us:.0f} us at {row.rate:,.0f} requests/s"


def _other_rows() -> list[Row]:
    """Load tools that happen to be installed, for information."""
    return [
        shown(f"client CPU: {one.tool}", one.cpu_us, f"{one.rate:,.0f} requests/s", "us")
        for one in client_others.measure()
    ]


def _memory_row(quick: bool) -> Row:
    plain, lean, fast = client_memory.measure(1_000 if quick else client_memory.USERS)
    return at_most(
        "memory of an idle user beyond Locust's own",
        lean - plain,
        client_memory.LIMIT_KIB,
        f"{lean:.1f} KiB a user, a plain User {plain:.1f}, FastHttpUser {fast:.1f}",
        "KiB",
    )
