"""Reads a JSON document leniently: what is absent or of another type is as if it were not there.

Bundles of before lack keys, and those of strangers hold anything; a report shows what it
understands. Verdicts are recomputed by strict readers (`results.field`), never with this. This
module must not know any format.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from results.errors import RunFolderError
from results.run_folder import read_json


class Document:
    """One JSON object."""

    __slots__ = ("_data",)

    def __init__(self, data: object = None) -> None:
        self._data: Mapping[object, object] = data if isinstance(data, Mapping) else {}

    def __bool__(self) -> bool:
        return bool(self._data)

    def has(self, name: str) -> bool:
        return self._data.get(name) is not None

    def text(self, name: str) -> str:
        """Empty without one."""
        value = self._data.get(name)
        return value if isinstance(value, str) else ""

    def truth(self, name: str) -> bool | None:
        value = self._data.get(name)
        return value if isinstance(value, bool) else None

    def number(self, name: str) -> float | None:
        return _number(self._data.get(name))

    def table(self, name: str) -> Document:
        return Document(self._data.get(name))

    def tables(self) -> Iterator[tuple[str, Document]]:
        """Each entry that is an object."""
        for name, value in self._data.items():
            if isinstance(value, Mapping):
                yield str(name), Document(value)

    def numbers(self) -> dict[str, float]:
        """Each entry that is a number."""
        found = ((str(name), _number(value)) for name, value in self._data.items())
        return {name: value for name, value in found if value is not None}

    def texts(self) -> dict[str, str]:
        """Every entry as text, the inner ones as JSON."""
        return {str(name): as_text(value) for name, value in self._data.items()}

    def rows(self, name: str) -> list[Document]:
        """The objects of a list."""
        return [Document(item) for item in self._list(name) if isinstance(item, Mapping)]

    def lines(self, name: str) -> list[str]:
        """The texts of a list."""
        return [item for item in self._list(name) if isinstance(item, str)]

    def pairs(self, name: str) -> list[tuple[float, float]]:
        """The pairs of numbers of a list."""
        found = []
        for item in self._list(name):
            if isinstance(item, list) and len(item) == 2:
                first, second = _number(item[0]), _number(item[1])
                if first is not None and second is not None:
                    found.append((first, second))
        return found

    def figures(self, name: str) -> list[float]:
        """The numbers of a list."""
        return [n for n in map(_number, self._list(name)) if n is not None]

    def _list(self, name: str) -> list[object]:
        value = self._data.get(name)
        return value if isinstance(value, list) else []


def read_document(path: Path) -> Document | None:
    """None when there is no such file. Raises RunFolderError that names it."""
    if not path.exists() and not path.is_symlink():
        return None
    found = read_json(path)
    if not isinstance(found, dict):
        raise RunFolderError(f"{path} holds no JSON object")
    return Document(found)


def as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
