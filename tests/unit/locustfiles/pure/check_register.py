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


def test_memory_is_bounded() -> None:
    register = Register(["a"])
    for version in range(1, REMEMBERED_VERSIONS + 2):
        register.wrote("a", version, version)
    assert register.judge("a", 1, 1, seen=0) is Seen.UNKNOWN
    assert register.judge("a", 2, 2, seen=0) is Seen.RIGHT
