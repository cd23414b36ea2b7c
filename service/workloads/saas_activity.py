"""What this node remembers of the last user actions: a bounded projection of its own log.

Dashboards, reports and profiles read here instead of the database, as a real service would from a
cache. It holds this node's actions only, is filled again from the log after a restart (the global
part; a user's own list starts anew) and is never the truth: the log is. No I/O, no clock.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

RECENT_ACTIONS = 64
"""What a report aggregates."""

ACTIONS_PER_USER = 5
REMEMBERED_USERS = 4_000
"""P1's burst has 2,200 users on two nodes; at some 2 KB each this stays under 8 MB."""

FIELDS_PER_USER = 32

Scalar = str | int | float | bool | None


class Action(NamedTuple):
    """One stored `user_action`. `at` is microseconds since the epoch."""

    at: int
    user_id: str
    action: str
    processing_time_ms: int


@dataclass(slots=True)
class _User:
    actions: deque[Action] = field(default_factory=lambda: deque(maxlen=ACTIONS_PER_USER))
    fields: dict[str, Scalar] = field(default_factory=dict)
    revision: int = 0


class Summary(NamedTuple):
    """One action's line in a report."""

    samples: int
    mean_ms: float
    max_ms: int


class RecentActivity:
    """The last actions of all, and of each of the last users seen."""

    def __init__(self) -> None:
        self._recent: deque[Action] = deque(maxlen=RECENT_ACTIONS)
        self._users: OrderedDict[str, _User] = OrderedDict()

    def seed(self, actions: Iterable[Action]) -> None:
        """Put older actions (oldest first) before those that have arrived since the start."""
        newer = list(self._recent)
        self._recent.clear()
        self._recent.extend(actions)
        self._recent.extend(newer)

    def add(self, action: Action) -> None:
        self._recent.append(action)
        self._user(action.user_id).actions.append(action)

    def of_user(self, user_id: str) -> list[Action]:
        """The user's last actions here, newest first."""
        user = self._users.get(user_id)
        return [] if user is None else list(reversed(user.actions))

    def change(self, user_id: str, fields: Mapping[str, Scalar]) -> tuple[int, int]:
        """Merge `fields` into the user's, the oldest giving way; (revision, number of fields)."""
        user = self._user(user_id)
        user.fields.update(fields)
        for name in list(user.fields)[:-FIELDS_PER_USER]:
            del user.fields[name]
        user.revision += 1
        return user.revision, len(user.fields)

    def report(self) -> dict[str, Summary]:
        """Count, mean and maximum of processing time by action over the recent ones."""
        sums: dict[str, tuple[int, int, int]] = {}
        for action in self._recent:
            count, total, worst = sums.get(action.action, (0, 0, 0))
            took = action.processing_time_ms
            sums[action.action] = (count + 1, total + took, took if took > worst else worst)
        return {
            name: Summary(count, round(total / count, 1), worst)
            for name, (count, total, worst) in sums.items()
        }

    def _user(self, user_id: str) -> _User:
        user = self._users.get(user_id)
        if user is None:
            user = self._users[user_id] = _User()
            if len(self._users) > REMEMBERED_USERS:
                self._users.popitem(last=False)
        else:
            self._users.move_to_end(user_id)
        return user
