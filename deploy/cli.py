"""The console script `foundation`: words and tables around what other modules do.

Imports stay light: help must be instant, and the supervisor is started before anything heavy is
imported here. This module must not reach asyncio, FastAPI or the service.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from deploy import lifecycle, results_cli
from deploy.client import NodeInfo
from deploy.errors import ClusterError
from deploy.local import START_TIMEOUT_S, LocalCluster
from deploy.state import default_path, remove
from results.errors import ResultsError
from results.printable import printable

DEFAULT_ROLES = ("gateway", "app", "app", "jobs", "analytics")
"""P1-1's five nodes; a smaller cluster takes the first of them, a larger one has more `app`."""

_OPERATING_ERROR = 1
_WATCH_INTERVAL_S = 1.0

app = typer.Typer(
    help="Foundation: load tests with an honest verdict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cluster_app = typer.Typer(help="A local cluster of Foundation nodes.", no_args_is_help=True)
app.add_typer(cluster_app, name="cluster")
shape_app = typer.Typer(help="What a locustfile plans.", no_args_is_help=True)
app.add_typer(shape_app, name="shape")
app.add_typer(results_cli.app, name="results")

StateFile = Annotated[
    Path | None,
    typer.Option("--state", help="State file; one for each cluster of a user.", dir_okay=False),
]


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except ClusterError as error:
        print(f"foundation: {error}", file=sys.stderr)
        sys.exit(_OPERATING_ERROR)
    except ResultsError as error:
        print(f"foundation: {printable(str(error), None)}", file=sys.stderr)
        sys.exit(results_cli.BAD_INPUT)


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def node(context: typer.Context) -> NoReturn:
    """Run one node in this terminal (all options: foundation node --help)."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "service", *context.args])


@app.command()
def options() -> NoReturn:
    """What the suite adds to Locust's command line, whose own --help ends before it reads -f."""
    code = "from locustfiles.harness.options import main; main()"
    os.execv(sys.executable, [sys.executable, "-P", "-c", code])


@shape_app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def show(context: typer.Context) -> NoReturn:
    """Draw the load that a locustfile plans, without running it (foundation shape show --help)."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "deploy.shape_show", *context.args])


@cluster_app.command()
def up(
    size: Annotated[
        int | None, typer.Option(min=1, max=20, help="Number of nodes; 5 by default.")
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            help="Roles of the next node, with commas between them; repeat it for each node. "
            f"By default {', '.join(DEFAULT_ROLES)}."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Keep the databases here; they are temporary otherwise.")
    ] = None,
    logs: Annotated[
        Path | None, typer.Option(help="Keep the logs here; they are temporary otherwise.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, help="Port of node-1, the others follow; free ports otherwise."
        ),
    ] = None,
    emulated_latency: Annotated[
        float | None, typer.Option(min=0, help="Scale of the emulated waits; 0: none.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=600, help="Seconds until all nodes are healthy.")
    ] = START_TIMEOUT_S,
    detach: Annotated[
        bool, typer.Option("--detach/--foreground", help="Leave it running, or wait for Ctrl-C.")
    ] = False,
    state: StateFile = None,
) -> None:
    """Start a cluster: all nodes healthy, or none."""
    roles, count = _layout(size, role)
    with _terminable():
        cluster, started = lifecycle.up(
            path := state or default_path(),
            lambda: LocalCluster.start(
                size=count,
                roles=roles,
                data_dir=data,
                log_dir=logs,
                first_port=port,
                emulated_latency=emulated_latency,
                timeout_s=timeout,
            ),
        )
        if detach:
            cluster.detach()
            _print_cluster(cluster.nodes)
            print("End it with `foundation cluster down`.")
            return
        try:
            _print_cluster(cluster.nodes)
            print("Press Ctrl-C to end it.", flush=True)
            code = _watch(cluster)
        except KeyboardInterrupt:
            code = 0
            print("\nEnding the cluster.", flush=True)
        finally:
            cluster.stop()
            remove(path, started)
    if code:
        raise ClusterError(
            f"the supervisor ended with exit code {code}, and its nodes with it: start the cluster "
            "anew, with --logs DIR to keep its log",
            code="supervisor_failed",
        )


@cluster_app.command()
def status(state: StateFile = None) -> None:
    """Show the nodes; exit 1 unless all are running."""
    supervisor, nodes = lifecycle.status(state or default_path())
    _print_cluster(nodes)
    print(f"Supervisor {supervisor.pid}, logs in {supervisor.log_dir}.")
    if any(node.state != "running" for node in nodes):
        sys.exit(_OPERATING_ERROR)


@cluster_app.command()
def down(state: StateFile = None) -> None:
    """End the cluster; temporary data goes with it."""
    lifecycle.down(state or default_path())
    print("The cluster is down.")


def _layout(size: int | None, role: Sequence[str] | None) -> tuple[tuple[str, ...], int]:
    """Roles by node, and the number of nodes. Raises ClusterError when they contradict."""
    if role:
        if size is not None and len(role) > size:
            raise ClusterError(
                f"{len(role)} times --role for --size {size}: leave --size out, or raise it",
                code="invalid_input",
            )
        return tuple(role), size or len(role)
    count = size or len(DEFAULT_ROLES)
    return DEFAULT_ROLES[:count], count


@contextlib.contextmanager
def _terminable() -> Generator[None, None, None]:
    """Within, SIGTERM and SIGHUP end this process as Ctrl-C does: through its `finally` blocks."""

    def interrupt(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch(cluster: LocalCluster) -> int:
    """Waits until the supervisor ends, for instance by `cluster down`; returns its exit code."""
    while (code := cluster.wait(_WATCH_INTERVAL_S)) is None:
        pass
    return code


def _print_cluster(nodes: Sequence[NodeInfo]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("node", "roles", "url", "state", "pid", "restarts", box=None, pad_edge=False)
    for each in nodes:
        state = each.state if each.exit_code is None else f"{each.state} ({each.exit_code})"
        table.add_row(
            each.name,
            ",".join(each.roles),
            each.url,
            state,
            str(each.pid or "-"),
            str(each.restarts),
        )
    Console(highlight=False).print(table)
    urls = ",".join(each.url for each in nodes)
    # Not through rich: a line that is to be copied must not be wrapped.
    print(f"\nlocust -f locustfiles/p1_saas.py --headless --nodes {urls}\n")
