"""How a request names its writes: what is taken, and what is refused before it is sent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import uuid_utils
from locust.env import Environment
from locust.event import Events

from locustfiles.harness.http.origin import Origin
from locustfiles.harness.http.resolver import Address, Resolver
from locustfiles.harness.http.session import LeanHttpSession
from locustfiles.harness.http.transport_error import ConnectionRefused
from locustfiles.harness.http.write import check_write, write_of
from results.ledger.ledger import WriteOutcome, write_outcome
from results.sample import Sample

KEY = UUID("0190f3a0-0000-7000-8000-00000000000a")


class Nowhere(Resolver):
    def addresses(self, origin: Origin, timeout_s: float) -> tuple[Address, ...]:
        raise ConnectionRefused(origin.label, "refused")


def sent(**arguments: Any) -> list[Sample]:
    """What a request to a target that does not listen leaves behind."""
    samples: list[Sample] = []
    environment = Environment(events=Events())  # type: ignore[no-untyped-call]
    session = LeanHttpSession(
        "http://a.example",
        environment.events.request,
        resolver=Nowhere(),
        sample_sink=samples.append,
        context=arguments.pop("own_context", None),
    )
    session.post("/x", **arguments)
    return samples


@pytest.mark.parametrize(
    "named", [KEY, str(KEY), str(KEY).upper(), KEY.hex, KEY.bytes, uuid_utils.UUID(str(KEY))]
)
def test_a_write_is_named_by_a_uuid_in_any_form(named: object) -> None:
    assert write_of({"write_id": named}) == (KEY.bytes, None)
    assert write_of({"write_id": [named, KEY]}) == (KEY.bytes * 2, None)
    assert write_of({"write_id": named, "digest": b"12345678"}) == (KEY.bytes, b"12345678")


def test_bytes_of_several_name_several() -> None:
    assert write_of({"write_id": KEY.bytes * 3}) == (KEY.bytes * 3, None)


@pytest.mark.parametrize("context", [{}, {"write_id": None}, {"digest": b"12345678"}])
def test_without_an_id_there_is_no_write(context: dict[str, object]) -> None:
    assert write_of(context) is None


@pytest.mark.parametrize(
    ("context", "told"),
    [
        ({"write_id": "order 7"}, "not str of 7"),
        ({"write_id": 7}, "not int"),
        ({"write_id": b"7"}, "not bytes of 1"),
        ({"write_id": []}, "not bytes of 0"),
        ({"write_id": [KEY, 7]}, "not int"),
        ({"write_id": [KEY.bytes * 2]}, "not bytes of 32"),
        ({"write_id": [KEY] * 10_001}, "10,001 writes, at most 10,000"),
        ({"write_id": KEY, "digest": "12345678"}, "digest must be bytes, not str of 8"),
        ({"write_id": KEY, "digest": bytes(16)}, "8 bytes for each of the 1 write"),
        ({"write_id": [KEY, KEY], "digest": bytes(8)}, "8 bytes for each of the 2 write"),
    ],
)
def test_what_names_no_write_is_refused(context: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        write_of(context)


@pytest.mark.parametrize(
    ("write_id", "digest"),
    [(b"", None), (b"short", None), (None, bytes(8)), (bytes(16), b""), (bytes(32), bytes(8))],
)
def test_a_request_that_names_a_write_wrongly_is_not_sent(
    write_id: bytes | None, digest: bytes | None
) -> None:
    with pytest.raises(ValueError, match="must be"):
        check_write(write_id, digest)
    with pytest.raises(ValueError, match="must be"):
        sent(write_id=write_id, digest=digest)


def test_a_write_goes_into_the_sample_also_when_it_fails() -> None:
    [sample] = sent(write_id=KEY.bytes, digest=b"12345678")
    assert (sample.write_id, sample.digest) == (KEY.bytes, b"12345678")
    assert write_outcome(sample) is WriteOutcome.REFUSED


def test_a_context_names_a_write_as_for_other_clients() -> None:
    [sample] = sent(context={"write_id": KEY, "digest": b"12345678"})
    assert (sample.write_id, sample.digest) == (KEY.bytes, b"12345678")
    [own] = sent(own_context=lambda: {"write_id": str(KEY), "digest": None})
    assert (own.write_id, own.digest) == (KEY.bytes, None)
    [argument] = sent(write_id=bytes(16), context={"write_id": KEY})
    assert argument.write_id == bytes(16), "the argument goes first"
    with pytest.raises(ValueError, match="write_id must be a UUID"):
        sent(context={"write_id": "order 7"})


def test_another_context_makes_no_write() -> None:
    [sample] = sent(context={"digest": "somebody else's", "user": 7})
    assert (sample.write_id, sample.digest) == (None, None)
