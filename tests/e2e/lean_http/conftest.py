"""Fixtures: the client process (one per test worker) and scripted servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.lean_http.scripted import Client, Script, ScriptedServer


@pytest.fixture(scope="session")
def client_process() -> Iterator[Client]:
    client = Client()
    yield client
    client.end()


@pytest.fixture
def client(client_process: Client) -> Iterator[Client]:
    """The client with a fresh session."""
    client_process.new()
    yield client_process
    client_process.close_session()


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    """Start a server that runs a script; it is closed with the test."""
    servers: list[ScriptedServer] = []

    def start(script: Script, **options: Any) -> ScriptedServer:
        servers.append(ScriptedServer(script, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
