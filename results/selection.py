"""Selections of endpoints: all, one by its name, or those that a pattern with `*` and `?` takes in.

Statistics, checks over time and checks of a run that goes on ask here, so that they cannot come to
count different requests. This module must not know checks or windows.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache


@lru_cache(maxsize=4096)
def is_about(selection: str | None, name: str) -> bool:
    """Whether a selection of endpoints holds the one of that name; None holds all.

    A pattern that is an endpoint's own name, as `GET /a*` may be, holds that and all it takes in.
    """
    return selection is None or name == selection or fnmatchcase(name, selection)
