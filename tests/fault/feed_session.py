"""Subscribers of a feed that are killed at random, and what each of them saw (G8).

A subscriber is a process of its own that notes every event in a file before it takes the next. The
position that survives it is the last whole line of that file, or an older one: what a subscriber
had not yet made durable. `compare_feed`, pure, holds every session against the node's log.

    python -m tests.fault.feed_session PORT AFTER FILE
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from uuid import UUID

import orjson

from tests.fault.ledger import StoredEvent
from tests.fault.node_process import ROOT
from tests.fault.writers import content_of

IDLE_TIMEOUT_S = 30.0
"""Three of the node's heartbeats."""

_END_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as a subscriber noted it."""

    seq: int
    id: UUID
    digest: str


@dataclass(frozen=True, slots=True)
class Session:
    """One life of a subscriber: it asked for everything behind `after` and got `events`."""

    after: int
    events: tuple[Seen, ...]


class Subscriber:
    """A subscriber process; a new object for each life."""

    def __init__(self, port: int, after: int, path: Path) -> None:
        self.after = after
        self._path = path
        path.touch()
        arguments = ("-m", "tests.fault.feed_session", str(port), str(after), str(path))
        self._process = subprocess.Popen(
            (sys.executable, *arguments), cwd=ROOT, stdin=subprocess.DEVNULL
        )

    def count(self) -> int:
        return self._path.read_bytes().count(b"\n")

    def kill(self) -> Session:
        """SIGKILL, if it has not ended with its node; what it had noted until then."""
        self._process.kill()
        self._process.wait(_END_TIMEOUT_S)
        whole = self._path.read_text().rpartition("\n")[0]
        return Session(self.after, tuple(_seen(line) for line in whole.splitlines()))


def _seen(line: str) -> Seen:
    seq, id_, digest = line.split()
    return Seen(int(seq), UUID(id_), digest)


def compare_feed(sessions: Sequence[Session], log: Sequence[StoredEvent]) -> list[str]:
    """Each way in which a session is not exactly the log's next events behind its position, and
    whether the log's end was reached. Empty when the feed kept G8."""
    faults = [fault for session in sessions for fault in _differences(session, log)]
    reached = max((seen.seq for session in sessions for seen in session.events), default=0)
    if log and reached < log[-1].seq:
        faults.append(f"unfinished: seq {reached} was the last of {log[-1].seq}")
    return faults


def _differences(session: Session, log: Sequence[StoredEvent]) -> Iterator[str]:
    due = iter([event for event in log if event.seq > session.after])
    position = session.after
    for seen in session.events:
        if seen.seq <= position:
            yield f"repeated or out of order: seq {seen.seq} after {position}"
            continue
        expected = next(due, None)
        while expected is not None and expected.seq < seen.seq:
            yield f"gap: seq {expected.seq} is missing behind {position}"
            expected = next(due, None)
        if expected is None or expected.seq != seen.seq:
            yield f"invented: seq {seen.seq}"
        elif (expected.id, digest(expected.content)) != (seen.id, seen.digest):
            yield f"altered: seq {seen.seq}"
        position = seen.seq


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def follow(port: int, after: int, path: Path) -> None:
    """Notes each event of the feed in `path`, until the node or a signal ends it."""
    connection = HTTPConnection("127.0.0.1", port, timeout=IDLE_TIMEOUT_S)
    with path.open("ab", buffering=0) as notes:
        connection.request("GET", "/v1/events/feed", headers={"Last-Event-ID": str(after)})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        seq = b""
        while line := response.readline():
            if line.startswith(b"id: "):
                seq = line[4:].strip()
            elif line.startswith(b"data: "):
                event = orjson.loads(line[6:])
                note = f"{event['id']} {digest(content_of(event))}\n"
                notes.write(seq + b" " + note.encode())


if __name__ == "__main__":
    try:
        follow(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    except (OSError, HTTPException) as error:
        sys.exit(f"the feed ended: {error!r}")
