"""Reads the configuration's defaults from a TOML file, and refuses one with any fault in it.

A node must not start with less than its file says, so that unknown keys, values that JSON cannot
hold and paths that no request could name are errors, with file, key and remedy. This module reads
one file and does nothing else.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Final

from service.config.model import (
    MAX_PATHS,
    MAX_TABLE_BYTES,
    MAX_VALUE_BYTES,
    Defaults,
    canonical,
    path_fault,
    pattern_fault,
)
from service.errors import ConfigurationError
from service.schema import MAX_INTEGER

BUILT_IN: Final = Path(__file__).with_name("defaults.toml")
MAX_FILE_BYTES: Final = 2 * MAX_TABLE_BYTES
MAX_PATTERNS: Final = 100
MAX_DEPTH: Final = 32
_KEYS: Final = ("updatable", "values")


def read_defaults(file: Path | None) -> Defaults:
    """The defaults in `file`, the built-in ones for None. Raises ConfigurationError."""
    path = file or BUILT_IN
    try:
        with path.open("rb") as content:
            raw = content.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _fault(path, f"cannot be read: {error.strerror}") from None
    if len(raw) > MAX_FILE_BYTES:
        raise _fault(path, f"has more than {MAX_FILE_BYTES} bytes")
    return parse(raw, path)


def parse(raw: bytes, path: Path) -> Defaults:
    """The defaults that the text of `path` gives. Raises ConfigurationError."""
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _fault(path, f"is not TOML in UTF-8: {error}") from None
    for key in document:
        if key not in _KEYS:
            raise _fault(path, f"{key!r} is not a key of it: use updatable and [values]")
    table = document.get("values", {})
    if not isinstance(table, dict):
        raise _fault(path, "values: make it a table, such as [values.features]")
    values = dict(_values(path, table, "", 0))
    if len(values) > MAX_PATHS:
        raise _fault(path, f"values: {len(values)} paths, at most {MAX_PATHS}")
    if sum(len(name) + len(value) for name, value in values.items()) > MAX_TABLE_BYTES:
        raise _fault(path, f"values: more than {MAX_TABLE_BYTES} bytes in all")
    return Defaults(values, _patterns(path, document.get("updatable", [])))


def _patterns(path: Path, patterns: object) -> tuple[str, ...]:
    if not isinstance(patterns, list) or len(patterns) > MAX_PATTERNS:
        raise _fault(path, f"updatable: make it a list of at most {MAX_PATTERNS} patterns")
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise _fault(path, f"updatable: {pattern!r} is not a text such as 'features/*'")
        if (fault := pattern_fault(pattern)) is not None:
            raise _fault(path, f"updatable: {pattern!r} {fault}")
    return tuple(patterns)


def _values(
    path: Path, table: Mapping[str, object], above: str, level: int
) -> Iterator[tuple[str, bytes]]:
    """(path, JSON text) of each value; a table is a level of the path, never a value."""
    if above and not table:
        raise _fault(path, f"values: {above} is an empty table: give it a value or leave it out")
    for key, value in table.items():
        name = f"{above}/{key}" if above else key
        if "/" in key:
            raise _fault(path, f"values: {name!r}: write a table for each level, not a slash")
        if isinstance(value, dict):
            if level == MAX_DEPTH:
                raise _fault(path, f"values: {name!r} is nested too deep")
            yield from _values(path, value, name, level + 1)
            continue
        if (fault := path_fault(name)) is not None:
            raise _fault(path, f"values: {name!r}: {fault}")
        if (fault := _value_fault(value, 0)) is not None:
            raise _fault(path, f"values: {name}: {fault}")
        text = canonical(value)
        if len(text) > MAX_VALUE_BYTES:
            raise _fault(path, f"values: {name}: {len(text)} bytes, at most {MAX_VALUE_BYTES}")
        yield name, text


def _value_fault(value: object, level: int) -> str | None:
    """What no JSON of this node can hold."""
    if level > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH} levels"
    if isinstance(value, list):
        faults = (_value_fault(one, level + 1) for one in value)
        return next((fault for fault in faults if fault is not None), None)
    if isinstance(value, dict):
        return _value_fault(list(value.values()), level + 1)
    if isinstance(value, float) and not isfinite(value):
        return "is not a finite number: JSON has no other"
    if isinstance(value, bool | str | float):
        return None
    if isinstance(value, int):
        inside = -MAX_INTEGER - 1 <= value <= MAX_INTEGER
        return None if inside else "is outside -2^63 to 2^63-1: write it as a text"
    return f"is a {type(value).__name__}, which JSON does not know: write it as a text"


def _fault(path: Path, text: str) -> ConfigurationError:
    return ConfigurationError(
        f"the configuration file {path} {text} (FOUNDATION_CONFIG_FILE names it; "
        "see docs/configuration.md)"
    )
