"""Every code and every call of the supervisor is in docs/cluster.md."""

from __future__ import annotations

from chaos.supervisor import errors
from chaos.supervisor.errors import SupervisorError
from tests.unit.chaos.process import ROOT

_PAGE = (ROOT / "docs" / "cluster.md").read_text()


def test_every_error_of_the_supervisor_is_documented() -> None:
    codes = {
        error.code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, SupervisorError)
    }
    assert len(codes) > 10
    assert [code for code in sorted(codes) if f"`{code}`" not in _PAGE] == []


def test_every_call_of_the_api_is_documented() -> None:
    source = (ROOT / "chaos" / "supervisor" / "api.py").read_text()
    for path in ("/v1/supervisor", "/v1/supervisor/detach", "/v1/supervisor/stop", "/v1/nodes"):
        assert f'"{path}"' in source and f"{path}`" in _PAGE
    for word in ("kill", "stop", "pause", "continue", "restart"):
        assert f'"{word}":' in source and f"`POST /v1/nodes/{{name}}/{word}`" in _PAGE
