"""The user classes as the scenario declares them, and what was changed of them since.

Locust's class picker, and its `--config-users`, change attributes of the classes themselves, for
good. An ad-hoc run may have that. The shape's run is judged as the scenario that was planned, so
it must not begin with other users. This module must not change a class, or start anything.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from locust import User

MAX_EDIT_BYTES = 65_536
MAX_COUNT = 1_000_000
"""Of users with a fixed count, and of a weight."""

NAME = "user_class_name"
_EDITABLE = ("weight", "fixed_count", "tasks", "host")


class DeclaredUsers:
    """Made at the end of the locustfile, when nothing can have changed the classes yet."""

    def __init__(self, users: Sequence[type[User]]) -> None:
        self._users = {one.__name__: one for one in users}
        self._declared = {name: _traits(one) for name, one in self._users.items()}

    def why_not_planned(self, chosen: Collection[str]) -> str | None:
        """Why a run of these classes, as they are now, would not be the one that is planned."""
        if missing := sorted(self._users.keys() - set(chosen)):
            return f"the shape plans all users of the scenario: tick {', '.join(missing)} too"
        if stray := sorted(set(chosen) - self._users.keys()):
            return f"the scenario declares no {', '.join(stray)}: untick it"
        if changes := self.changes():
            return f"the shape plans the users as they are declared: {'; '.join(changes)}"
        return None

    def changes(self) -> list[str]:
        """What differs from the declaration, each with the value to set it back to."""
        return [
            f"{name} has {trait} {_shown(now)}, declared is {_shown(declared)}"
            for name, traits in self._declared.items()
            for trait, declared in traits.items()
            if (now := _traits(self._users[name])[trait]) != declared
        ]


def read_edit(
    raw: bytes, users: Mapping[str, type[User]], tasks: Mapping[str, Sequence[Any]]
) -> dict[str, object]:
    """What the class picker's form asks to change, as Locust's `update_user_class` takes it.

    `tasks` are those of each class before any edit. Raises ValueError that says what is wrong with
    it; Locust would set any attribute to any value.
    """
    try:
        asked = json.loads(raw) if len(raw) <= MAX_EDIT_BYTES else None
    except (ValueError, RecursionError):
        asked = None
    name = asked.get(NAME) if isinstance(asked, dict) else None
    if not isinstance(asked, dict) or not isinstance(name, str) or name not in users:
        raise ValueError(f"an edit is a JSON object whose {NAME} is one of {', '.join(users)}")
    if other := sorted(asked.keys() - {NAME, *_EDITABLE}):
        raise ValueError(f"{', '.join(other)}: only {', '.join(_EDITABLE[:3])} can be changed")
    user = users[name]
    edit: dict[str, object] = {NAME: name}
    edit |= {key: _count(key, asked[key]) for key in ("weight", "fixed_count") if key in asked}
    if edit.get("weight", user.weight) == 0 and edit.get("fixed_count", user.fixed_count) == 0:
        raise ValueError("a class of weight 0 needs a fixed_count: untick it if nobody shall run")
    if "tasks" in asked:
        edit["tasks"] = _tasks(asked["tasks"], _task_names(tasks[name]))
    if asked.get("host") not in (None, "", user.host):
        raise ValueError(
            "the target is chosen when Locust starts, so that it can be checked: leave the host "
            "as it is, or start Locust again with --nodes URL"
        )
    return edit


def _count(key: str, value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise ValueError(f"{key} is a whole number from 0 to {MAX_COUNT:,}")
    return value


def _tasks(value: object, declared: Sequence[str]) -> list[object]:
    names = value if isinstance(value, list) else [value]
    if not names or not all(name in declared for name in names):
        raise ValueError(f"choose at least one task of {', '.join(declared)}")
    return names


def _traits(user: type[User]) -> dict[str, object]:
    """What decides who runs and does what. Not the host: Locust sets it to the target's."""
    return {
        "weight": user.weight,
        "fixed_count": user.fixed_count,
        "tasks": tuple(_task_names(user.tasks)),
    }


def _task_names(tasks: Sequence[Any]) -> list[str]:
    return [task.__name__ for task in tasks]


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)
