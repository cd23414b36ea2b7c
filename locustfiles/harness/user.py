"""The base class of Foundation scenarios' users: a ScenarioUser that knows the run's nodes.

This module must not know any scenario.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from locust.env import Environment

from locustfiles.harness.client import FoundationClient
from locustfiles.harness.load_side import LoadSide
from locustfiles.harness.scenario_user import ScenarioUser
from locustfiles.harness.target.target import client_token


class FoundationUser(ScenarioUser):
    """`self.foundation` is the typed client, `self.nodes` the URLs that this user may load.

    `target_role` narrows them to the nodes with that role.
    """

    abstract = True
    target_role: ClassVar[str] = "app"

    def __init__(self, environment: Environment) -> None:
        self.nodes = LoadSide.of(environment).plan.urls_with_role(self.target_role)
        self.host = self.nodes[0]
        super().__init__(environment)
        self.foundation = FoundationClient(self.client, self.nodes, client_token())

    @property
    def origins(self) -> Sequence[str]:
        return self.nodes
