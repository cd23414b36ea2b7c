"""The peers and the way to them, as a part of the node that ends after all that use them."""

from __future__ import annotations

from service.cluster.peers import Peers
from service.cluster.upstream import Upstream
from service.part import Base, Part


class ClusterPart(Part):
    """Owns the node's one client session and its account of the other nodes."""

    name = "cluster"

    def __init__(self, base: Base) -> None:
        settings = base.settings
        token = settings.client_token
        self.upstream = Upstream(None if token is None else token.get_secret_value())
        self.peers = Peers(settings.peers, self.upstream, settings.name, base.log)

    async def close(self) -> None:
        await self.peers.close()
        await self.upstream.close()
