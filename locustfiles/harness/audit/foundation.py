"""Looks writes up on Foundation's nodes: `POST /v1/events/audit`, with the clients' token.

An answer is believed only when it tells of every id that was asked for, and of no other. This
module must not know the ledger or what becomes of a write.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import requests

from locustfiles.harness.http.origin import parse_origin
from results.auditor import Found, UnreadableError
from results.ledger.ledger import DIGEST_BYTES

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 10.0
"""For the first byte, and between bytes; a node takes some 20 ms."""

MAX_ANSWER_BYTES_PER_ID = 1000
"""An entry has about 150."""

MAX_ANSWER_BYTES = 100_000
"""Beside what the ids take."""

_PIECE_BYTES = 2**18

_BUSY = frozenset({408, 429, 502, 503, 504})
"""Answers of a node, or of what is before it, that will do better in a while."""

_TEXT_SHOWN = 100


class FoundationAuditor:
    """An `Auditor` of these nodes, and of no others: the token is for nobody else."""

    def __init__(self, nodes: Sequence[str], token: str | None) -> None:
        self._urls = {parse_origin(node).url for node in nodes}
        self._token = token

    def find(self, node: str, ids: Sequence[bytes]) -> Iterable[Found]:
        """Raises UnreadableError."""
        if node not in self._urls:
            raise UnreadableError("it is none of the run's nodes, so it was not asked")
        body = orjson.dumps({"ids": [id.hex() for id in ids]})
        limit = MAX_ANSWER_BYTES + MAX_ANSWER_BYTES_PER_ID * len(ids)
        text = self._answer(f"{node}/v1/events/audit", body, limit)
        try:
            return _found(orjson.loads(text), ids)
        except orjson.JSONDecodeError:
            raise UnreadableError("its answer is no JSON") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnreadableError(f"its answer is not an audit's ({_shown(error)})") from None

    def _answer(self, url: str, body: bytes, limit: int) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            # A session of its own: a connection that a restart has broken is never used again.
            with requests.Session() as session:
                session.trust_env = False
                with session.post(
                    url,
                    data=body,
                    headers=headers,
                    timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                    allow_redirects=False,
                    stream=True,
                ) as answer:
                    if answer.status_code != 200:
                        reason = f"it answered {answer.status_code}"
                        raise UnreadableError(reason, passes=answer.status_code in _BUSY)
                    return _body(answer, limit)
        except requests.RequestException as error:
            raise UnreadableError(_plain(error), passes=True) from None


def _body(answer: requests.Response, limit: int) -> bytes:
    text = bytearray()
    for piece in answer.iter_content(_PIECE_BYTES):
        text += piece
        if len(text) > limit:
            raise UnreadableError(f"its answer has more than {limit:,} bytes")
    said = answer.headers.get("Content-Length", "")
    if said.isdecimal() and "Content-Encoding" not in answer.headers and int(said) != len(text):
        raise UnreadableError("its answer was cut off", passes=True)
    return bytes(text)


def _found(answer: Any, ids: Sequence[bytes]) -> list[Found]:
    """Raises KeyError, TypeError, ValueError or AttributeError for another answer."""
    entries = [_entry(one) for one in answer["found"]]
    missing = [unhexlify(text.replace("-", "")) for text in answer["missing"]]
    found = {entry.id for entry in entries}
    asked = set(ids)
    if found | set(missing) != asked or not found.isdisjoint(missing):
        raise ValueError("it does not tell of just those ids that it was asked for")
    return entries


def _entry(entry: Any) -> Found:
    seq, hash_, origin = entry["seq"], entry["content_hash"], entry["origin"]
    if type(seq) is not int or type(origin) is not str or len(origin) > 500:
        raise TypeError("seq or origin")
    digest = unhexlify(hash_)
    if len(digest) < DIGEST_BYTES:
        raise ValueError("content_hash")
    return Found(unhexlify(entry["id"].replace("-", "")), digest[:DIGEST_BYTES], str(seq), origin)


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_TEXT_SHOWN]


def _plain(error: requests.RequestException) -> str:
    """The innermost reason, such as `Connection refused`, without pool and object addresses."""
    if isinstance(error, requests.Timeout):
        return f"no answer within {READ_TIMEOUT_S:g} s"
    reason: BaseException = error
    while reason.__context__ is not None:
        reason = reason.__context__
    return str(getattr(reason, "strerror", None) or reason)[:_TEXT_SHOWN]
