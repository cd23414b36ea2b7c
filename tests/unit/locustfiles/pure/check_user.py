"""What a scenario's users are given unless they say otherwise."""

from __future__ import annotations

from dataclasses import fields

from locustfiles.harness.scenario import Scenario
from locustfiles.harness.user import FoundationUser


def test_a_request_times_out_before_its_stopped_user_is_killed() -> None:
    defaults = {field.name: field.default for field in fields(Scenario)}
    stop_timeout_s = defaults["stop_timeout_s"]
    assert isinstance(stop_timeout_s, float)
    assert 0 < FoundationUser.timeout_s < stop_timeout_s
