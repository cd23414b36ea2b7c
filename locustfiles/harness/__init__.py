"""What a scenario straps into: users, declaration, and the call that runs it."""

from locustfiles.harness.arrivals.arrival_user import ArrivalUser, FoundationArrivalUser
from locustfiles.harness.judge import judge
from locustfiles.harness.notes import fault_began, fault_healed, note
from locustfiles.harness.scenario import Cluster, Scenario
from locustfiles.harness.scenario_user import ScenarioUser
from locustfiles.harness.strap import strap_in
from locustfiles.harness.user import FoundationUser

__all__ = [
    "ArrivalUser",
    "Cluster",
    "FoundationArrivalUser",
    "FoundationUser",
    "Scenario",
    "ScenarioUser",
    "fault_began",
    "fault_healed",
    "judge",
    "note",
    "strap_in",
]
