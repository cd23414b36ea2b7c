"""Reads a reply's fields with their types: what a node sends is not trusted.

Every error is a ValueError, KeyError or TypeError, as `Caller.send` expects, which makes it a
failed check: a wrong type that passed here would raise in the scenario, far from its cause. The
functions are small, since a load calls some of them for each request. This module must not know any
endpoint.
"""

from __future__ import annotations

from typing import Any

import orjson

from locustfiles.harness.http.response import Response
from results.figure import LARGEST_VALUE

Fields = dict[str, Any]


def document(reply: Response) -> Fields:
    """The body, which must be a JSON object."""
    return _object(orjson.loads(reply.content))


def text(fields: Fields, name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise TypeError
    return value


def whole(fields: Fields, name: str) -> int:
    """A count or version: an integer of at least 0, which `true` is not."""
    value = fields[name]
    if type(value) is not int:
        raise TypeError
    if not 0 <= value <= LARGEST_VALUE:
        raise ValueError
    return value


def number(fields: Fields, name: str) -> float:
    """A finite number that a figure can hold."""
    value = fields[name]
    if type(value) is not int and type(value) is not float:
        raise TypeError
    if not -LARGEST_VALUE <= value <= LARGEST_VALUE:
        # Also true of what is no number.
        raise ValueError
    return value


def table(fields: Fields, name: str) -> Fields:
    return _object(fields[name])


def rows(fields: Fields, name: str) -> list[Fields]:
    """A list of objects."""
    return [_object(each) for each in _list(fields[name])]


def texts(fields: Fields, name: str) -> list[str]:
    """A list of texts."""
    values = _list(fields[name])
    if not all(isinstance(each, str) for each in values):
        raise TypeError
    return values


def _object(value: object) -> Fields:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value
