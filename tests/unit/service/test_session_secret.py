"""Nodes that are set up alike accept each other's sessions (D12), without another setting."""

from __future__ import annotations

from pathlib import Path

from service.parts import session_secret
from service.settings import load

TOKEN = "0123456789abcdef"
OTHER = "fedcba9876543210"


def test_loopback_nodes_without_tokens_share_it(tmp_path: Path) -> None:
    assert session_secret(load(data=tmp_path / "a")) == session_secret(load(data=tmp_path / "b"))


def test_it_follows_from_the_peer_token_before_the_client_token(tmp_path: Path) -> None:
    clients = session_secret(load(data=tmp_path, client_token=TOKEN))
    peers = session_secret(load(data=tmp_path, client_token=OTHER, peer_token=TOKEN))
    assert clients == session_secret(load(data=tmp_path / "b", client_token=TOKEN))
    assert clients != session_secret(load(data=tmp_path, client_token=OTHER))
    assert clients != session_secret(load(data=tmp_path))
    assert peers != session_secret(load(data=tmp_path, client_token=OTHER))
    assert TOKEN.encode() not in clients


def test_one_that_is_set_wins(tmp_path: Path) -> None:
    given = load(data=tmp_path, client_token=TOKEN, session_secret=OTHER)
    assert session_secret(given) == OTHER.encode()
