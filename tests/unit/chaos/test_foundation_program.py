"""The supervisor checks a node's configuration before it forks: a bad one is told at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaos.supervisor.errors import InvalidNode
from chaos.supervisor.foundation import FoundationProgram
from chaos.supervisor.spec import NodeSpec


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("FOUNDATION_"):
            monkeypatch.delenv(name)


def spec(config_file: Path) -> NodeSpec:
    return NodeSpec(
        name="node-1",
        roles=("app",),
        port=1,
        data_dir="data",
        log_path="log",
        options={"config_file": str(config_file)},
    )


def test_a_bad_configuration_file_is_refused_before_any_node_starts(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    with pytest.raises(InvalidNode, match=f"node-1: .*{file} cannot be read"):
        FoundationProgram().check(spec(file))
    file.write_text("[values]\nx = nan")
    with pytest.raises(InvalidNode, match="values: x: is not a finite number"):
        FoundationProgram().check(spec(file))
    file.write_text("[values]\nx = 1.5")
    FoundationProgram().check(spec(file))
