"""Reads untrusted dicts field by field: types are checked, unknown fields refused.

The edge between JSON and the dataclasses of `results`; every error is a ValueError that names the
place and the field. This module must not know any format.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping

LARGEST = 2**63 - 1
"""Nothing that is counted here comes near; larger numbers would overflow somewhere later."""


class Fields:
    """One dict being read. Call `end` when every known field was taken."""

    __slots__ = ("_data", "_taken", "_where")

    def __init__(self, data: object, where: str) -> None:
        # Asking for a dict first spares a slow question: a timeline has a million of these.
        if type(data) is not dict and not isinstance(data, Mapping):
            raise ValueError(f"{where}: an object is expected, not {_kind(data)}")
        self._data = data
        self._where = where
        self._taken: set[object] = set()

    def _take(self, name: str) -> object:
        self._taken.add(name)
        if name not in self._data:
            raise ValueError(f"{self._where}: the field {name!r} is missing")
        return self._data[name]

    def _wrong(self, name: str, expected: str, value: object) -> ValueError:
        return ValueError(f"{self._where}: {name!r} must be {expected}, not {_kind(value)}")

    def end(self) -> None:
        """Raises ValueError when the dict has fields that nobody asked for."""
        unknown = sorted(str(name) for name in self._data if name not in self._taken)
        if unknown:
            raise ValueError(f"{self._where}: unknown field {unknown[0]!r}")

    def has(self, name: str) -> bool:
        """Whether a field is there that may be absent."""
        return name in self._data

    def is_null(self, name: str) -> bool:
        return self._take(name) is None

    def text(self, name: str) -> str:
        value = self._take(name)
        if not isinstance(value, str):
            raise self._wrong(name, "text", value)
        return value

    def octets(self, name: str) -> bytes:
        """Of a message between processes; JSON has none."""
        value = self._take(name)
        if not isinstance(value, bytes):
            raise self._wrong(name, "bytes", value)
        return value

    def truth(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def whole(self, name: str, *, least: int | None = None) -> int:
        return whole_number(self._take(name), name, self._where, least)

    def number(self, name: str) -> float:
        value = self._number(name)
        if abs(value) > LARGEST or not math.isfinite(value):
            raise ValueError(f"{self._where}: {name!r} must be finite and below 2^63")
        return float(value)

    def finite(self, name: str) -> float:
        """A sum of many, which may be beyond 2^63."""
        value = self._number(name)
        if not -sys.float_info.max <= value <= sys.float_info.max:
            # Also true of NaN, and of an integer that no float holds.
            raise ValueError(f"{self._where}: {name!r} must be finite")
        return float(value)

    def _number(self, name: str) -> int | float:
        value = self._take(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number", value)
        return value

    def optional_number(self, name: str) -> float | None:
        return None if self.is_null(name) else self.number(name)

    def optional_text(self, name: str) -> str | None:
        return None if self.is_null(name) else self.text(name)

    def table(self, name: str) -> dict[str, object]:
        value = self._take(name)
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise self._wrong(name, "an object", value)
        # A timeline repeats its names every second: kept once, they save a quarter of the memory.
        return {sys.intern(str(key)): inner for key, inner in value.items()}

    def counts(self, name: str) -> dict[str, int]:
        where = f"{self._where}, {name}"
        return {key: whole_number(value, key, where, 0) for key, value in self.table(name).items()}

    def numbers(self, name: str) -> dict[str, float]:
        inner = Fields(self.table(name), f"{self._where}, {name}")
        return {key: inner.number(key) for key in inner._data}

    def items(self, name: str) -> list[object]:
        value = self._take(name)
        if not isinstance(value, list | tuple):
            raise self._wrong(name, "a list", value)
        return list(value)

    def wholes(self, name: str) -> list[int]:
        where = f"{self._where}, {name}"
        return [whole_number(value, "entry", where, 0) for value in self.items(name)]

    def number_list(self, name: str) -> list[float]:
        where = f"{self._where}, {name}"
        return [Fields({"entry": v}, where).number("entry") for v in self.items(name)]

    def row(self, name: str, length: int) -> list[object]:
        values = self.items(name)
        if len(values) != length:
            raise ValueError(
                f"{self._where}: {name!r} must have {length} entries, not {len(values)}"
            )
        return values

    def pairs(self, name: str) -> dict[int, int]:
        """A list of [whole number, count] as a dict; a key that occurs twice adds up."""
        where = f"{self._where}, {name}"
        found: dict[int, int] = {}
        for item in self.items(name):
            if not isinstance(item, list | tuple) or len(item) != 2:
                raise ValueError(f"{where}: a pair of numbers is expected, not {_kind(item)}")
            at = whole_number(item[0], "key", where)
            found[at] = found.get(at, 0) + whole_number(item[1], "count", where, 0)
        return found


def whole_number(value: object, name: str, where: str, least: int | None = None) -> int:
    """The value of the field `name` at `where`, as `Fields.whole` reads it."""
    # By its type, since true and false are integers to Python.
    if type(value) is not int:
        raise ValueError(f"{where}: {name!r} must be a whole number, not {_kind(value)}")
    if not -LARGEST <= value <= LARGEST:
        raise ValueError(f"{where}: {name!r} is beyond 2^63")
    if least is not None and value < least:
        raise ValueError(f"{where}: {name!r} must be at least {least}, not {value}")
    return value


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__
