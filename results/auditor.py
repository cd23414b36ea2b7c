"""The port through which the writes of a run are looked up: who asks, and what comes back.

Foundation's own auditor is in `locustfiles.harness.audit`; a service of the user's own brings its
own (docs/ledger.md). This module must not ask anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

LONGEST_ORIGIN = 500


class UnreadableError(Exception):
    """A node could not be read, or its answer is not to be trusted; the message says why.

    `passes` says that the node may well be back in a while, as one that restarts: it is asked
    again for longer than one that answers and answers wrongly. What is never read is unverified,
    never lost.
    """

    passes: bool = False

    def __init__(self, reason: str, *, passes: bool = False) -> None:
        super().__init__(reason)
        self.passes = passes


class Found(NamedTuple):
    """One stored copy of a write, as a node told it. A NamedTuple: there are a million of them.

    `id` is the write's 16 bytes. `digest` is the first 8 bytes of the hash of what is stored, made
    as the load side made its own; None: not known, so that the content is not compared. `place`
    tells copies on one node apart (a row number): two places are a duplicate. `origin` is the node
    that first took the write, a name of at most `LONGEST_ORIGIN` characters; a replica on another
    node has the same.
    """

    id: bytes
    digest: bytes | None = None
    place: str = ""
    origin: str = ""


class Auditor(Protocol):
    """Looks writes up where they are stored."""

    def find(self, node: str, ids: Sequence[bytes]) -> Iterable[Found]:
        """Every copy that `node` has of any of `ids`; an id that is not in the answer is not there.

        `node` is an origin such as `http://127.0.0.1:8001`, as in the samples of the writes; empty
        where a client told no URL. Raises UnreadableError when that cannot be told for all of
        `ids`. Called in the process that owns the run, for several nodes at once, in greenlets: it
        may block in sockets, and has a minute.
        """
        ...
