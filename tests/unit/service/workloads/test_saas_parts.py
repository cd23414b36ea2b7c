"""The SaaS workload's pure parts: prescribed times, sessions, activity, work."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import get_args
from uuid import UUID

import pytest
import uuid_utils

from service.errors import InvalidInput, Unauthorized
from service.schema import SaasAction
from service.workloads.saas import rest_of_a_retry_s
from service.workloads.saas_activity import (
    ACTIONS_PER_USER,
    FIELDS_PER_USER,
    RECENT_ACTIONS,
    REMEMBERED_USERS,
    Action,
    RecentActivity,
)
from service.workloads.saas_session import EndedSessions, Session, SessionSigner
from service.workloads.saas_timing import RANGES_MS, prescribed_ms
from service.workloads.saas_work import (
    CREDENTIAL_ROUNDS,
    check_credential,
    check_fields,
    demo_password,
)

SECRET = b"s" * 32
SID = UUID("01890a5d-ac96-774b-bcce-b302099a8057").bytes


@pytest.mark.parametrize("action", get_args(SaasAction))
@pytest.mark.parametrize("source", ["uuid7", "random", "counter"])
def test_prescribed_times_fill_their_range_evenly(action: SaasAction, source: str) -> None:
    """P1-6: both ends occur, nothing beyond, and the mean is the range's within 2 %."""
    rng = random.Random(7)
    low, high = RANGES_MS[action]
    count = 40_000
    sources: dict[str, Callable[[int], bytes]] = {
        "uuid7": lambda i: uuid_utils.uuid7().bytes,
        "random": lambda i: rng.randbytes(16),
        "counter": lambda i: i.to_bytes(16, "big"),
    }
    times = [prescribed_ms(action, sources[source](i)) for i in range(count)]
    assert (min(times), max(times)) == (low, high)
    assert sum(times) / count == pytest.approx((low + high) / 2, rel=0.02)


def test_the_same_id_is_prescribed_the_same_time() -> None:
    assert len({prescribed_ms("login", SID) for _ in range(10)}) == 1


@pytest.mark.parametrize(
    "elapsed_us, rest_s",
    [(0, 0.3), (100_000, 0.2), (300_000, 0.0), (-3_600_000_000, 0.3), (3_600_000_000, -3_599.7)],
)
def test_a_retry_waits_the_rest_and_never_more_whatever_the_clock_did(
    elapsed_us: int, rest_s: float
) -> None:
    stored_at = 1_700_000_000_000_000
    rest = rest_of_a_retry_s(300, stored_at, stored_at + elapsed_us)
    assert rest == pytest.approx(rest_s)


def signer(ttl_s: int = 60) -> SessionSigner:
    return SessionSigner(SECRET, ttl_s)


def test_a_token_verifies_until_it_expires() -> None:
    token = signer().issue(SID, "usér 1", 1_000_000)
    session = signer().verify(token, 60_999_999)
    assert session == Session(SID, "usér 1", 61_000_000)
    with pytest.raises(Unauthorized, match="expired"):
        signer().verify(token, 61_000_000)


def test_the_same_login_gives_the_same_token() -> None:
    assert signer().issue(SID, "u", 5) == signer().issue(SID, "u", 5)


def test_a_token_of_another_secret_is_refused() -> None:
    token = SessionSigner(b"x" * 32, 60).issue(SID, "u", 0)
    with pytest.raises(Unauthorized, match="FOUNDATION_SESSION_SECRET"):
        signer().verify(token, 1)


def test_no_single_character_of_a_token_can_be_changed_unnoticed() -> None:
    token = signer().issue(SID, "user_1", 0)
    payload = signer().verify(token, 1)
    for place in range(len(token)):
        for letter in ("A", "b", "-", "."):
            changed = token[:place] + letter + token[place + 1 :]
            if changed == token:
                continue
            try:
                assert signer().verify(changed, 1) == payload  # unused low bits of base64
            except Unauthorized:
                continue


@pytest.mark.parametrize(
    "token", ["", ".", "a", "a.b", "é", "x" * 3_000, "AAAA.AAAA", "\x00.\x00", "a.b.c"]
)
def test_what_is_not_a_token_is_refused(token: str) -> None:
    with pytest.raises(Unauthorized):
        signer().verify(token, 1)


def session(number: int, expires_at: int = 100) -> Session:
    return Session(number.to_bytes(16, "big"), "u", expires_at)


def test_an_ended_session_is_refused_but_not_the_request_that_ended_it() -> None:
    ended = EndedSessions(10)
    ended.check(session(1), b"any")
    ended.end(session(1).id, 100, by=b"logout")
    ended.check(session(1), b"logout")
    ended.check(session(2), b"any")
    with pytest.raises(Unauthorized, match="ended"):
        ended.check(session(1), b"any")


def test_forgetting_ended_sessions_never_revives_one() -> None:
    ended = EndedSessions(100)
    for number in range(1_000):
        ended.end(session(number).id, number, by=b"logout")
        assert len(ended) <= 100
    for number in range(1_000):
        with pytest.raises(Unauthorized):
            ended.check(session(number, number), b"any")
    ended.check(session(2_000, 1_001), b"any")


def action(number: int, user: str = "u", name: str = "login") -> Action:
    return Action(number, user, name, number)


def test_activity_is_bounded_for_all_and_for_each_user() -> None:
    activity = RecentActivity()
    for number in range(1_000):
        activity.add(action(number))
    assert [a.at for a in activity.of_user("u")] == list(range(999, 999 - ACTIONS_PER_USER, -1))
    report = activity.report()["login"]
    assert (report.samples, report.max_ms) == (RECENT_ACTIONS, 999)
    assert report.mean_ms == pytest.approx(999 - (RECENT_ACTIONS - 1) / 2)


def test_users_seen_least_recently_are_forgotten() -> None:
    activity = RecentActivity()
    for number in range(REMEMBERED_USERS + 5):
        activity.add(action(number, f"u{number}"))
        activity.add(action(number, "kept"))
    assert activity.of_user("u0") == []
    assert activity.of_user("kept") and activity.of_user(f"u{REMEMBERED_USERS + 4}")


def test_seeded_actions_come_before_those_that_arrived_meanwhile() -> None:
    activity = RecentActivity()
    activity.add(action(500, name="new"))
    activity.seed(action(number, name="old") for number in range(RECENT_ACTIONS))
    report = activity.report()
    assert (report["new"].samples, report["old"].samples) == (1, RECENT_ACTIONS - 1)


def test_an_empty_report_is_empty() -> None:
    assert RecentActivity().report() == {}


def test_changes_count_revisions_and_are_bounded() -> None:
    activity = RecentActivity()
    assert activity.change("u", {"a": 1}) == (1, 1)
    assert activity.change("u", {"a": 2, "b": None}) == (2, 2)
    for number in range(100):
        _, count = activity.change("u", {f"f{number}": number})
    assert count == FIELDS_PER_USER


def test_credentials_are_really_checked() -> None:
    assert CREDENTIAL_ROUNDS >= 1
    check_credential("u", None)
    check_credential("u", demo_password("u"))
    with pytest.raises(Unauthorized):
        check_credential("u", demo_password("v"))
    with pytest.raises(InvalidInput):
        check_credential("u", 1)


@pytest.mark.parametrize(
    "payload",
    [
        {"a": []},
        {"a": {}},
        {"a": "x" * 201},
        {"k" * 201: 1},
        {str(i): i for i in range(17)},
    ],
)
def test_fields_that_are_nested_long_or_many_are_refused(payload: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="payload"):
        check_fields(payload)
