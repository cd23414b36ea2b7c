"""The program that the supervisor runs by default: one Foundation node.

The only file of chaos that imports the node. Import it before the zygote is forked: that import
is what the zygote exists to have behind it.
"""

from __future__ import annotations

from collections.abc import Callable

from chaos.supervisor.errors import InvalidNode
from chaos.supervisor.reservation import LOOPBACK
from chaos.supervisor.spec import NodeSpec
from service.config.defaults import read_defaults
from service.errors import ConfigurationError
from service.server import run
from service.settings import Settings, load


class FoundationProgram:
    """Implements `Program`. The environment's FOUNDATION_* count too, what the spec says first."""

    def check(self, spec: NodeSpec) -> None:
        if taken := sorted(spec.options.keys() & _own(spec).keys()):
            raise InvalidNode(
                f"{', '.join(taken)}: set for each node by the supervisor, leave it out of the "
                "cluster's settings",
                node=spec.name,
            )
        try:
            read_defaults(_settings(spec).config_file)
        except ConfigurationError as error:
            raise InvalidNode(f"{spec.name}: {error}", node=spec.name) from error

    def run(self, spec: NodeSpec, ready: Callable[[str], None]) -> int:
        return run(_settings(spec), ready=ready)


def _settings(spec: NodeSpec) -> Settings:
    return load(**{**spec.options, **_own(spec)})


def _own(spec: NodeSpec) -> dict[str, object]:
    """The settings that belong to one node; they come before the environment's."""
    return {
        "name": spec.name,
        "roles": spec.roles,
        "host": LOOPBACK,
        "port": spec.port,
        "advertised_url": f"http://{LOOPBACK}:{spec.port}",
        "reuse_port": True,
        "data": spec.data_dir,
    }
