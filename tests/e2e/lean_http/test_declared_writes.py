"""Every typed call that writes names its writes as a real node stores them: ids and digests.

A digest that differed from the node's hash would accuse an honest node of having altered the write;
an id that the node does not store as an event would be reported as lost.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.contract.whole_node import whole_node
from tests.e2e.lean_http.scripted import Client

HARNESS = Path(__file__).resolve().parents[3] / "locustfiles" / "harness"

ODD = {
    "b": {"d": [1, 2.5, None, True, {"z": -0.0, "y": 1e22}], "c": 'ünï\u2028\U0001f600\\"/'},
    "a": 9_007_199_254_740_993,
    "least": -(2**63),
    "": {},
}
Call = tuple[str, tuple[Any, ...], dict[str, Any], int]
"""Method, arguments, and how many writes it declares."""

WRITES: list[Call] = [
    *(
        ("saas_action", (action, "user_1"), {}, 1)
        for action in ("login", "dashboard_view", "data_query", "report_generation", "logout")
    ),
    ("saas_action", ("login", 'ü"\\ 1'), {"payload": ODD}, 1),
    ("saas_action", ("profile_update", "user_1"), {"payload": {"b": 1, "a": "x"}}, 1),
    ("saas_action", ("settings_change", "user_1"), {"payload": {"password": "p", "a": 1}}, 1),
    ("saas_action", ("login", "user_1"), {"payload": {"a": 1}, "via_gateway": True}, 1),
    ("append", ("order_placed",), {}, 1),
    ("append", ("order_placed", ODD), {"metadata": ODD}, 1),
    ("append", ("order_placed", {}), {"metadata": {}, "correlation_id": "c-1"}, 1),
    ("append", ("t", {"a": 1}), {"stream": "orders/1", "expected_version": 0}, 1),
    ("append", ("t", {"a": 1}), {"created_at": 1_700_000_000_000_000}, 1),
    ("append", ("t", {"a": 1}), {"created_at": "2026-01-31T12:00:00.25+01:00"}, 1),
    ("append", ("t", {"a": 1}), {"created_at": None, "correlation_id": None, "stream": None}, 1),
    ("append_batch", ([{"type": "t"}],), {}, 1),
    (
        "append_batch",
        (
            [
                {"type": "t", "data": ODD, "id": "0190f3a0-0000-7000-8000-0000000000aa"},
                {"type": "u", "metadata": {"b": 1, "a": 2}, "stream": "s"},
                *({"type": "v", "data": {"n": n}, "created_at": n} for n in range(50)),
            ],
        ),
        {},
        52,
    ),
    ("append_batch", ([],), {}, 0),
    ("jobs.submit", ("data_cleanup",), {}, 1),
    ("jobs.submit", ("email_delivery", {"to": ["b", "a"], "about": ODD}), {}, 1),
    ("config.put", ("features/dark_mode", True), {}, 1),
    ("config.put", ("features/other", None), {"expected_version": 0}, 1),
    ("config.put", ("features/third", {"b": [1], "a": {"d": 1, "c": 2}}), {}, 1),
    ("analytics.run_pass", (), {}, 1),
    ("analytics.run_pass", (7,), {}, 1),
    # Their ids are remembered beside the log: no audit would find them.
    ("telemetry.count", ("dev/saves",), {}, 0),
    ("telemetry.gauge", ("dev/open", 3.5), {}, 0),
    ("telemetry.measure", ("dev/build", 12.5), {}, 0),
    ("telemetry.run_test_suite", (), {}, 0),
]
READS = {"audit"}
"""Calls that send a body and write nothing."""


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with whole_node(tmp_path_factory.mktemp("writes")) as node:
        yield node.url


def upstreams(url: str) -> list[str]:
    """The node, and those to which its gateway forwards."""
    rows = httpx.get(f"{url}/v1/gateway", timeout=30, trust_env=False).json()["upstreams"]
    return [url, *(row["url"] for row in rows if row["url"] != url)]


def stored(url: str, ids: list[str]) -> dict[str, str]:
    """The content hash of each id that a node behind `url` has stored, all as hex."""
    found: dict[str, str] = {}
    for node in upstreams(url):
        reply = httpx.post(
            f"{node}/v1/events/audit", json={"ids": ids}, timeout=30, trust_env=False
        )
        for entry in reply.raise_for_status().json()["found"]:
            found[UUID(entry["id"]).hex] = entry["content_hash"]
    return found


def named(sample: dict[str, Any]) -> list[tuple[str, str]]:
    """Ids and digests of a sample, as hex."""
    ids, digests = sample["write_id"] or "", sample["digest"] or ""
    return [(ids[32 * at : 32 * at + 32], digests[16 * at : 16 * at + 16])
            for at in range(len(ids) // 32)]  # fmt: skip


def unequal(writes: list[tuple[str, str]], hashes: dict[str, str]) -> list[str]:
    """Ids that are not stored, or whose hash does not begin with the digest."""
    return [id for id, digest in writes if hashes.get(id, "")[:16] != digest]


@pytest.mark.parametrize("call", WRITES, ids=lambda call: f"{call[0]}{call[1]}"[:60])
def test_a_call_names_its_writes_as_the_node_has_stored_them(
    client: Client, urls: str, call: Call
) -> None:
    method, arguments, more, count = call
    reply = client.call(method, *arguments, nodes=[urls], **more)
    assert reply["raised"] is None
    [sample] = client.state()["samples"]
    assert sample["outcome"] == "ok" or (method, arguments) == ("append_batch", ([],))
    writes = named(sample)
    assert len(writes) == len({id for id, _ in writes}) == count
    hashes = stored(urls, [id for id, _ in writes])
    assert unequal(writes, hashes) == []
    if writes:
        id, digest = writes[0]
        assert unequal([(id, digest[:-1] + ("0" if digest[-1] != "0" else "1"))], hashes) == [id], (
            "a byte that differs is seen"
        )


def test_every_call_that_sends_a_body_is_tried() -> None:
    tried = {method.rsplit(".", 1)[-1] for method, *_ in WRITES}
    assert tried == {*senders()} - READS
    assert {"saas_action", "put", "submit"} <= tried, "the search finds them"


def senders() -> Iterator[str]:
    """Names of the typed calls that make a body."""
    for path in [HARNESS / "client.py", *sorted((HARNESS / "api").glob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                source = ast.unparse(node)
                if "orjson.dumps(" in source or "_emit(" in source:
                    yield node.name
