"""Every endpoint that takes a body, found by walking the OpenAPI document, against hostile bodies.

Each is a 4xx problem with a stable code, the connection is usable afterwards or closed cleanly, and
nothing of it is stored. A new endpoint is covered by being documented.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.contract.example import Schema, example, resolve
from tests.contract.fuzz.connection import Answer, Connection
from tests.contract.whole_node import whole_node
from tests.e2e.node_process import NodeProcess
from tests.e2e.raw_http import until

JSON = "application/json"
DEEP = 70
OTHER_KINDS = (
    "text/plain",
    "application/xml",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "application/json; charset=utf-16",
    "application/jsonx",
    "application/json, text/plain",
    "*/*",
    "\x01",
)
LARGE_BODY_BYTES = {"/v1/events/batch": 16 * 2**20}


@dataclass(frozen=True, slots=True)
class Operation:
    """One route that takes JSON: where a request goes, and the smallest body that it takes."""

    label: str
    method: str
    path: str
    schema: Schema
    body: Any

    @property
    def fields(self) -> dict[str, Schema]:
        """Of the body's object, or of the objects in its array."""
        found: dict[str, Schema] = self.schema.get("properties", {})
        return found

    def with_field(self, name: str, text: str) -> bytes:
        """The body with one field set to JSON `text`."""
        marked = {**self._object(), name: "MARK"}
        whole = [marked] if isinstance(self.body, list) else marked
        return json.dumps(whole).replace('"MARK"', text).encode()

    def twice(self) -> bytes:
        """The body with its first field named twice."""
        name, value = next(iter(self._object().items()))
        member = f"{json.dumps(name)}: {json.dumps(value)}"
        return json.dumps(self.body).replace(member, f"{member}, {member}", 1).encode()

    def _object(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body[0] if isinstance(self.body, list) else self.body
        return found


class Site:
    """The node under test and one keep-alive connection to it."""

    def __init__(self, node: NodeProcess) -> None:
        self.node = node
        self.connection = Connection(node.port)
        self.document: dict[str, Any] = httpx.get(f"{node.url}/openapi.json", timeout=20).json()
        self.operations = list(self._walk())

    def send(self, to: Operation, body: bytes, kind: str = JSON) -> Answer:
        """The answer, after which the connection has served a healthy request too."""
        head = f"{to.method} {to.path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
        if kind:
            head += f"content-type: {kind}\r\n"
        answer = self.connection.exchange(head.encode() + b"\r\n" + body)
        after = self.connection.exchange(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert after.status == 200, f"{to.label}: {after}"
        return answer

    def stored(self) -> dict[str, float]:
        """How much this node keeps, by what."""
        text = httpx.get(f"{self.node.url}/metrics", timeout=20).text
        kept = re.findall(r"^(foundation_events_stored_total) (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in kept}

    def settle(self) -> None:
        """What taken bodies began has ended, and will store nothing later: jobs, leases."""
        httpx.delete(f"{self.node.url}/v1/registry/a/a?owner=a", timeout=20)

        def idle() -> bool:
            jobs = httpx.get(f"{self.node.url}/v1/jobs", timeout=20).json()
            return bool(jobs["queued"] + jobs["running"] == 0)

        until(idle, "the jobs to be done")

    def _walk(self) -> Iterator[Operation]:
        for path, methods in self.document["paths"].items():
            for method, found in methods.items():
                content = found.get("requestBody", {}).get("content", {})
                if JSON not in content:
                    continue
                schema = resolve(content[JSON]["schema"], self.document)
                item = resolve(schema["items"], self.document) if "items" in schema else schema
                values = {p["name"]: p["schema"] for p in found.get("parameters", ())}
                target = re.sub(
                    r"\{(\w+)(?::path)?\}",
                    lambda hit, values=values: str(example(values[hit[1]], self.document)),  # type: ignore[misc]
                    path,
                )
                yield Operation(
                    f"{method.upper()} {path}",
                    method.upper(),
                    target,
                    item,
                    example(schema, self.document),
                )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with whole_node(tmp_path_factory.mktemp("hostile bodies")) as node:
        tested = Site(node)
        yield tested
        tested.connection.close()
        assert httpx.get(f"{node.url}/health", timeout=20).json()["status"] == "up"


def wrong(answer: Answer, statuses: tuple[int, ...]) -> str:
    """Why this is not a problem with one of `statuses`; empty when it is."""
    if answer.status not in statuses:
        return f"answered {answer.status}: {answer.body[:200]!r}"
    if answer.headers.get("content-type") != ["application/problem+json"]:
        return f"is {answer.headers.get('content-type')}"
    problem = json.loads(answer.body)
    if problem["status"] != answer.status or not re.fullmatch("[a-z_]+", problem["code"]):
        return f"is no problem: {problem}"
    return ""


def assert_all_refused(
    site: Site,
    bodies: Callable[[Operation], Iterator[bytes]],
    statuses: tuple[int, ...] = (400, 413, 415, 422),
    kind: str = JSON,
) -> None:
    """Sends each operation its `bodies`; every one is refused and nothing is stored."""
    before, faults, sent = site.stored(), [], 0
    for operation in site.operations:
        for body in bodies(operation):
            sent += 1
            fault = wrong(site.send(operation, body, kind), statuses)
            if fault:
                faults.append(f"{operation.label} {body[:150]!r} {fault}")
    assert not faults, "\n".join(faults)
    assert sent >= len(site.operations) > 0
    assert site.stored() == before


def test_the_body_that_the_hostile_ones_start_from_is_taken(site: Site) -> None:
    """Positive control: without the hostile part nothing here is malformed."""
    for operation in site.operations:
        answer = site.send(operation, json.dumps(operation.body).encode())
        assert answer.status not in (400, 413, 415, 422), (operation.label, answer)
        assert answer.status < 500, (operation.label, answer)
    site.settle()
    labels = {operation.label for operation in site.operations}
    assert {"POST /v1/events", "POST /v1/saas/actions/{action}"} <= labels


def test_a_body_that_is_taken_fails_the_check(site: Site) -> None:
    """Positive control of the check itself."""
    with pytest.raises(AssertionError, match="answered 20"):
        assert_all_refused(site, lambda operation: iter([json.dumps(operation.body).encode()]))
    site.settle()


def test_what_is_not_json_is_refused(site: Site) -> None:
    def bodies(operation: Operation) -> Iterator[bytes]:
        whole = json.dumps(operation.body).encode()
        yield b""
        yield b" \n"
        yield from (whole[:size] for size in range(1, len(whole), 7))
        yield whole + b"}"
        yield whole + whole
        yield b"\xff\xfe" + whole
        yield b"\xef\xbb\xbf" + whole
        yield whole.replace(b'"', b"'")
        yield whole.decode().encode("utf-16")
        yield b"\x1f\x8b\x08" + whole
        yield operation.with_field("unknown", '"Q"').replace(b"Q", b"\xff")

    assert_all_refused(site, bodies, (400,))


def test_another_json_value_than_the_documented_one_is_refused(site: Site) -> None:
    def bodies(operation: Operation) -> Iterator[bytes]:
        yield from (b"null", b"true", b"1", b'"x"', b"[[]]", b"[null]", b'{"": 0}')
        for name in operation.fields:
            yield operation.with_field(name, '[{"x": []}, 1]')

    fields_of_any_type = 0
    before = site.stored()
    for operation in site.operations:
        for body in bodies(operation):
            answer = site.send(operation, body)
            if 200 <= answer.status < 300 or answer.status in (403, 409):
                fields_of_any_type += 1
                assert b'"value"' in body, (operation.label, body, answer)
            else:
                assert not wrong(answer, (400, 422)), (operation.label, body, answer)
    assert fields_of_any_type <= 1
    assert (
        site.stored()["foundation_events_stored_total"] - before["foundation_events_stored_total"]
        <= fields_of_any_type
    )


def test_depth_bombs_are_refused(site: Site) -> None:
    def bodies(operation: Operation) -> Iterator[bytes]:
        yield b"[" * 100_000
        yield b'{"a":' * 50_000
        yield b"[" * 500_000 + b"]" * 500_000
        for name in (*operation.fields, "unknown"):
            yield operation.with_field(name, "[" * DEEP + "]" * DEEP)
            yield operation.with_field(name, '{"a":' * DEEP + "1" + "}" * DEEP)

    assert_all_refused(site, bodies, (400, 422))


@pytest.mark.parametrize(
    "number",
    ["9223372036854775808", "-9223372036854775809", "1" + "0" * 400, "-" + "9" * 5_000],
)
def test_huge_integers_are_refused(site: Site, number: str) -> None:
    def bodies(operation: Operation) -> Iterator[bytes]:
        for name in (*operation.fields, "unknown"):
            yield operation.with_field(name, number)
            yield operation.with_field(name, '{"a": [' + number + "]}")

    assert_all_refused(site, bodies, (400, 422))


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "-Infinity", "0x10"])
def test_numbers_that_json_cannot_carry_are_refused(site: Site, number: str) -> None:
    def bodies(operation: Operation) -> Iterator[bytes]:
        for name in (*operation.fields, "unknown"):
            yield operation.with_field(name, number)
            yield operation.with_field(name, '{"a": [' + number + "]}")

    assert_all_refused(site, bodies, (400, 422))


def test_a_field_named_twice_is_refused(site: Site) -> None:
    def bodies(operation: Operation) -> Iterator[bytes]:
        yield operation.twice()
        for name, schema in operation.fields.items():
            found = resolve(schema, site.document)
            if found.get("type") in ("object", None) and "properties" not in found:
                yield operation.with_field(name, '{"a": "b", "a": "b"}')
                yield operation.with_field(name, '{"a": "b", "\\u0061": "\\u003a"}')

    assert_all_refused(site, bodies, (400,))


def test_nul_in_a_text_field_is_refused(site: Site) -> None:
    def bodies(operation: Operation) -> Iterator[bytes]:
        yield operation.with_field("a\\u0000b", "1")
        for name, schema in operation.fields.items():
            if resolve(schema, site.document).get("type") == "string":
                yield operation.with_field(name, '"a\\u0000b"')
            yield operation.with_field(name, '"a\x00b"').replace(b"\\u0000", b"\x00")

    assert_all_refused(site, bodies, (400, 422))


def test_nul_in_free_json_is_refused_or_kept_whole(site: Site) -> None:
    for operation in site.operations:
        for name, schema in operation.fields.items():
            if resolve(schema, site.document).get("type") == "object":
                for text in ('{"a": "\\u0000b"}', '{"a\\u0000": "b"}'):
                    answer = site.send(operation, operation.with_field(name, text))
                    assert answer.status < 500, (operation.label, name, answer)
    site.settle()


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_another_content_type_is_refused(site: Site, kind: str) -> None:
    def bodies(operation: Operation) -> Iterator[bytes]:
        yield json.dumps(operation.body).encode()

    assert_all_refused(site, bodies, (400, 415), kind)


def test_a_body_over_the_limit_is_refused_and_the_connection_closed(site: Site) -> None:
    def bodies(operation: Operation) -> Iterator[bytes]:
        limit_bytes = LARGE_BODY_BYTES.get(operation.path, 2**20)
        yield b" " * (limit_bytes + 1)
        yield json.dumps(operation.body).encode() + b" " * limit_bytes

    assert_all_refused(site, bodies, (413,))


def test_nul_in_paths_and_queries_breaks_nothing(site: Site) -> None:
    for path, methods in site.document["paths"].items():
        for method in methods:
            target = re.sub(r"\{[^}]*\}", "%00", path)
            names = [p["name"] for p in methods[method].get("parameters", ()) if p["in"] == "query"]
            for query in ("", *(f"?{name}=%00" for name in names), "?%00=1", "?x=%ff%fe", "?%zz=%"):
                wire = (
                    f"{method.upper()} {target}{query} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n"
                )
                answer = site.connection.exchange(wire.encode() + b"\r\n")
                assert answer.status < 500, (method, target, query, answer)
                assert answer.status >= 400 or "%00" not in target, (method, target, query, answer)
