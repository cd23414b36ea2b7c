"""Which ids were counted before, so that a retry is not counted again (D11).

Telemetry is not in the log: what is remembered is the last ids of this process, and a retry that
comes later than that, or after a restart, counts again. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import orjson

from service.errors import IdConflict

REMEMBERED_IDS = 10_000
"""At P1's 4,917 requests a second that is two seconds of a client that sends an id with each."""

HASH_BYTES = 16

Named = tuple[bytes, bytes]
"""An id, and the hash of what came with it."""


class CountedIds:
    """The last `capacity` ids with their contents, the oldest forgotten first."""

    def __init__(self, capacity: int = REMEMBERED_IDS) -> None:
        self._capacity = capacity
        self._contents: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._contents)

    def sift(self, samples: Sequence[Named | None]) -> list[bool]:
        """For each sample whether it is new; None is one without an id, which always is.

        Those that are new are remembered from now on. Raises IdConflict for an id that came with
        another content, before or among `samples`; nothing is remembered then.
        """
        coming: dict[bytes, bytes] = {}
        found = []
        for index, sample in enumerate(samples):
            if sample is None:
                found.append(True)
                continue
            id, content = sample
            known = self._contents.get(id) or coming.get(id)
            if known is not None and known != content:
                place = f"[{index}]." if len(samples) > 1 else ""
                raise IdConflict(
                    f"{place}id: it was counted with another path, tags or value: use a new id"
                )
            found.append(known is None)
            coming[id] = content
        self._contents.update(coming)
        while len(self._contents) > self._capacity:
            del self._contents[next(iter(self._contents))]
        return found


def content_hash(kind: str, path: str, tags: Mapping[str, str], value: float) -> bytes:
    """What a retry must repeat: 1 and 1.0 are one value, tags have no order."""
    text = orjson.dumps([kind, path, sorted(tags.items()), float(value)])
    return blake2b(text, digest_size=HASH_BYTES).digest()
