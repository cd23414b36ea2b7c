"""The verdict's exit code has the last word.

A locustfile may set Locust's exit code in a listener of `quitting`, as Locust's documentation shows
it. Such a code would contradict the verdict in the same output, so the verdict's is put back, and a
line says so. This module must not know how a verdict comes about.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from locust.env import Environment

logger = logging.getLogger(__name__)


def keep_exit_code(environment: Environment, code: Callable[[], int]) -> None:
    """After all other listeners of `quitting`, whenever they were or will be added."""

    def restore(**_: Any) -> None:
        own, found = code(), environment.process_exit_code
        if found != own:
            logger.warning(
                "the locustfile set the exit code %s; the verdict's, %d, takes precedence: make a "
                "check of what it looks at",
                *(found, own),
            )
            environment.process_exit_code = own

    quitting: Any = environment.events.quitting
    # Locust fires this event in reverse, and reads the code when the last listener has returned.
    quitting._handlers.insert(0, restore)
