"""The real work behind each SaaS action (D9): what a small service of this kind would do.

`login` verifies a credential hash, `dashboard_view` reads the user's last actions,
`profile_update` and `settings_change` validate and merge fields, `data_query` runs an indexed
query, `report_generation` aggregates recent actions, `logout` only ends the session (`saas.py`).
All of it is bounded: 25 us of CPU an action on average over the uniform mix, from 1 (`logout`) to
128 (`data_query`), measured with the store alone (docs/decisions/0004).

Work is split at the durable write: `prepare` before it (may refuse), `finish` after it (may not).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from service.content import PASSWORD
from service.errors import InvalidInput, Unauthorized
from service.events.store import EventQuery, EventStore
from service.schema import SaasAction, SaasRequest
from service.workloads.saas_activity import RecentActivity, Scalar

CREDENTIAL_ROUNDS = 32
"""PBKDF2 rounds: a load test's accounts guard nothing; 600,000 as OWASP asks take 0.14 s."""

QUERY_WINDOW_US = 60_000_000
QUERY_LIMIT = 5
MAX_FIELDS = 16
MAX_FIELD_CHARS = 200

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Work:
    """What is left to do once the action is on disk: `finish` the first time, else `repeat`."""

    finish: Callable[[], Result]
    repeat: Callable[[], Result]


class SaasWork:
    """The actions of one node over its activity and its store."""

    def __init__(self, activity: RecentActivity, store: EventStore) -> None:
        self._activity = activity
        self._store = store

    async def prepare(self, action: SaasAction, asked: SaasRequest, now: int) -> Work:
        """Do what may be refused. Raises Unauthorized, InvalidInput, and as the store's query."""
        match action:
            case "login":
                check_credential(asked.user_id, asked.payload.get(PASSWORD))
                return _told({"user_id": asked.user_id})
            case "dashboard_view":
                return _told(self._dashboard(asked.user_id))
            case "profile_update" | "settings_change":
                fields = check_fields(asked.payload)
                return Work(lambda: self._change(asked.user_id, fields), dict)
            case "data_query":
                return _told(await self._query(now))
            case "report_generation":
                return _told(self._report())
            case "logout":
                return _told({})
            case _:
                assert_never(action)

    def _change(self, user_id: str, fields: Mapping[str, Scalar]) -> Result:
        revision, count = self._activity.change(user_id, fields)
        return {"revision": revision, "fields": count}

    def _dashboard(self, user_id: str) -> Result:
        return {
            "recent": [
                {"at": at, "action": action, "processing_time_ms": took}
                for at, _, action, took in self._activity.of_user(user_id)
            ]
        }

    def _report(self) -> Result:
        return {
            "actions": {
                name: {"samples": samples, "mean_ms": mean_ms, "max_ms": max_ms}
                for name, (samples, mean_ms, max_ms) in self._activity.report().items()
            }
        }

    async def _query(self, now: int) -> Result:
        page = await self._store.query(
            EventQuery(
                type="user_action",
                created_after=max(0, now - QUERY_WINDOW_US),
                order_by="-created_at",
                limit=QUERY_LIMIT,
            )
        )
        return {
            "found": len(page.events),
            "newest_seq": page.events[0].seq if page.events else None,
            "users": sorted(
                # Anybody can post an event of this type, with any data.
                {
                    user
                    for event in page.events
                    if isinstance(user := event.data.get("user_id"), str)
                }
            ),
        }


def _told(result: Result) -> Work:
    return Work(lambda: result, lambda: result)


def demo_password(user_id: str) -> str:
    """The password that every account of this workload has; a payload without one means it."""
    return f"password of {user_id}"


def check_credential(user_id: str, password: object) -> None:
    """Raises Unauthorized for a wrong password, InvalidInput for one that is not text."""
    if password is None:
        password = demo_password(user_id)
    if not isinstance(password, str):
        raise InvalidInput("payload.password: must be text")
    salt = user_id.encode("utf-8")
    given, kept = (
        hashlib.pbkdf2_hmac("sha256", text.encode("utf-8"), salt, CREDENTIAL_ROUNDS)
        for text in (password, demo_password(user_id))
    )
    if not hmac.compare_digest(given, kept):
        raise Unauthorized("user or password is wrong")


def check_fields(payload: Mapping[str, Any]) -> dict[str, Scalar]:
    """A profile's or settings' fields. Raises InvalidInput for too many, too long, or nested."""
    if len(payload) > MAX_FIELDS:
        raise InvalidInput(f"payload: at most {MAX_FIELDS} fields, not {len(payload)}")
    for name, value in payload.items():
        if not isinstance(value, str | int | float | bool | None):
            raise InvalidInput(f"payload.{name[:50]}: must be text, a number, true, false or null")
        if len(name) > MAX_FIELD_CHARS or (isinstance(value, str) and len(value) > MAX_FIELD_CHARS):
            raise InvalidInput(f"payload.{name[:50]}: at most {MAX_FIELD_CHARS} characters")
    return dict(payload)
