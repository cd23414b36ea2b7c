"""What can be wrong with a run before its load starts."""

from __future__ import annotations


class BadConfiguration(Exception):
    """The run cannot start as asked: exit code 4. The message names the remedy."""
