"""The register checker: right reads pass, each kind of wrong one is told apart."""

from __future__ import annotations

import pytest

from locustfiles.harness.register import REMEMBERED_VERSIONS, Register, Seen


@pytest.fixture
def register() -> Register:
    made = Register(["a", "b"])
    made.wrote("a", 1, True)
    made.wrote("a", 2, False)
    return made


@pytest.mark.parametrize(
    ("version", "value", "seen", "expected"),
    [
        (1, True, 0, Seen.RIGHT),
        (2, False, 1, Seen.RIGHT),
        (2, False, 2, Seen.RIGHT),
        (2, True, 0, Seen.WRONG_VALUE),
        (1, True, 2, Seen.WENT_BACK),
        (3, True, 2, Seen.UNKNOWN),
        (0, False, 0, Seen.UNKNOWN),
    ],
)
def test_a_read_is_judged_by_its_version(
    register: Register, version: int, value: bool, seen: int, expected: Seen
) -> None:
    assert register.judge("a", version, value, seen=seen) is expected


def test_paths_have_versions_of_their_own(register: Register) -> None:
    assert register.judge("b", 1, True, seen=0) is Seen.UNKNOWN


def test_a_version_has_one_value(register: Register) -> None:
    assert register.wrote("a", 3, True)
    assert register.wrote("a", 3, True), "a retry"
    assert not register.wrote("a", 3, False)
    assert register.judge("a", 3, True, seen=0) is Seen.RIGHT


@pytest.mark.parametrize("step", [1, 2])
def test_memory_is_bounded_also_when_others_write_between(step: int) -> None:
    register = Register(["a"])
    versions = range(1, 1 + step * (REMEMBERED_VERSIONS + 1), step)
    for version in versions:
        assert register.wrote("a", version, version)
    assert register.judge("a", 1, 1, seen=0) is Seen.UNKNOWN
    assert register.judge("a", versions[1], versions[1], seen=0) is Seen.RIGHT
    assert register.judge("a", versions[-1], versions[-1], seen=0) is Seen.RIGHT
