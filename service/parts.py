"""Which parts a node has, in the order in which they start; they end in the same order.

The one place to add a subsystem. Opens nothing, so that the OpenAPI document can be made of it.
"""

from __future__ import annotations

import hmac

from service.cluster.cluster_part import ClusterPart
from service.config.config_part import ConfigPart
from service.part import Base, Part
from service.registry.registry_part import RegistryPart
from service.settings import Settings
from service.telemetry.telemetry_part import TelemetryPart
from service.workloads.analytics_part import AnalyticsPart
from service.workloads.dev import DevPart
from service.workloads.gateway_part import GatewayPart
from service.workloads.jobs_part import JobsPart
from service.workloads.saas_part import SaasPart


def build_parts(base: Base) -> tuple[Part, ...]:
    """Every subsystem of a node."""
    saas = SaasPart(base, session_secret(base.settings))
    cluster = ClusterPart(base)
    return (
        saas,
        GatewayPart(base, cluster.peers, cluster.upstream, saas.act),
        AnalyticsPart(base, cluster.peers, cluster.upstream),
        TelemetryPart(base),
        ConfigPart(base),
        RegistryPart(base),
        DevPart(base),
        JobsPart(base),
        cluster,
    )


def session_secret(settings: Settings) -> bytes:
    """The sessions' secret: the one that is set, else one that nodes set up alike share (D12).

    It then follows from the peers' or clients' token. A node without any token listens on loopback
    only and lets everybody do everything, so a secret would guard nothing there.
    """
    if settings.session_secret is not None:
        return settings.session_secret.get_secret_value().encode()
    token = settings.peer_token or settings.client_token
    key = b"" if token is None else token.get_secret_value().encode()
    return hmac.digest(key, b"foundation sessions", "sha256")
