"""Bearer tokens: who may call what (D10).

A node has up to two tokens: the client's opens everything but peer routes, the peers' only those.
/health is open, so that a supervisor or load balancer needs no secret. This module must not log.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from service.errors import Forbidden, Unauthorized

_OPEN_PATHS = frozenset({"/health"})
_PEER_PREFIX = "/v1/cluster/"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of this node as bytes; None means not set."""

    client: bytes | None
    peer: bytes | None

    @staticmethod
    def of(client: SecretStr | None, peer: SecretStr | None) -> Tokens:
        return Tokens(
            *(None if t is None else t.get_secret_value().encode() for t in (client, peer))
        )

    def check(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Raises Unauthorized without the right token, Forbidden where peers have none."""
        if path in _OPEN_PATHS:
            return
        if path.startswith(_PEER_PREFIX):
            if self.peer is None:
                raise Forbidden("peer routes are closed: set FOUNDATION_PEER_TOKEN on every node")
            self._compare(self.peer, headers, "peer")
        elif self.client is not None:
            self._compare(self.client, headers, "client")

    @staticmethod
    def _compare(expected: bytes, headers: Mapping[bytes, bytes], whose: str) -> None:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), expected):
            raise Unauthorized(f"send the {whose} token: Authorization: Bearer <token>")
