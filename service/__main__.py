"""`python -m service`: one Foundation node from the command line.

Reads the settings once and hands them to `server.run`. Exit codes: 0 stopped cleanly, 1 failed,
2 wrong usage, 4 bad configuration, 6 address not free, 7 storage not usable.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from service.errors import ConfigurationError
from service.settings import load

_HELP = """Run one Foundation node.

Every setting is also an environment variable, FOUNDATION_<NAME>; docs/node.md lists them all.
Options go before the environment. Tokens are read from the environment only.
"""


def main() -> None:
    typer.run(node)


def node(
    name: Annotated[str | None, typer.Option(help="Name of the node [node-1]")] = None,
    host: Annotated[str | None, typer.Option(help="Address to bind [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind, 0 for a free one [8001]")] = None,
    data: Annotated[Path | None, typer.Option(help="Directory of the database [data]")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Role, may be repeated [app]")] = None,
    advertised_url: Annotated[
        str | None, typer.Option(help="URL under which others reach the node [its bind address]")
    ] = None,
    emulated_latency: Annotated[
        float | None, typer.Option(help="Scale of emulated waits, 0 turns them off [1]")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error [info]")
    ] = None,
) -> None:
    given: dict[str, Any] = {
        "name": name,
        "host": host,
        "port": port,
        "data": data,
        "roles": tuple(role) if role else None,
        "advertised_url": advertised_url,
        "emulated_latency": emulated_latency,
        "log_level": log_level,
    }
    from service.server import NodeExit, run  # --help need not wait for FastAPI

    try:
        settings = load(**{key: value for key, value in given.items() if value is not None})
    except ConfigurationError as error:
        typer.echo(f"cannot start: {error}", err=True)
        raise typer.Exit(NodeExit.CONFIGURATION) from None
    raise typer.Exit(run(settings, ready=lambda url: typer.echo(f"serving at {url}")))


node.__doc__ = _HELP

if __name__ == "__main__":
    main()
