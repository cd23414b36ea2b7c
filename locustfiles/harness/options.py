"""The command-line options that the harness adds to Locust, and their validation.

Each is also an environment variable `FOUNDATION_…` and a key of Locust's configuration file
(design.md, "Interfaces that are fixed"). A value that makes no sense ends the process with exit
code 4 and a message that names the option, before anything is started. This module must not start
or open anything.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.http.origin import parse_origin, split_absolute
from locustfiles.harness.target.allowed_target import Allowance, allowed_targets
from results.verdict import ExitCode

MAX_CLUSTER_SIZE = 20
MAX_METRICS_URLS = 20
MAX_SCALE = 1000.0
LOOPBACK = "127.0.0.1"

_PREFIX = "foundation-"
"""Of an option of ours whose name the locustfile has taken for one of its own."""

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for, validated. `nodes` is empty unless a target was named.

    `target_metrics` are whole URLs of Prometheus text, one per host and port. `allow_target` are
    hosts beyond this machine and private networks that may be loaded. `slo` names a file of checks.
    """

    nodes: tuple[str, ...]
    cluster_size: int | None
    time_scale: float
    load_scale: float
    seed: int
    run_id: str | None
    results_dir: str
    target_metrics: tuple[str, ...] = ()
    allow_target: tuple[str, ...] = ()
    slo: str | None = None

    @classmethod
    def of(cls, environment: Environment, *, loads_nodes: bool = True) -> Options:
        """From Locust's options; `--host` names a single node when `--nodes` is absent.

        A scenario that does not load Foundation's nodes takes `--host` as Locust does. Raises
        BadConfiguration for a host that is no node's URL, and for options that it has no use for.
        """
        given = _own_values(parsed_options(environment))
        host = parsed_options(environment).host
        nodes: list[str] = list(given["nodes"] or ())
        if not loads_nodes:
            _refuse_options_of_nodes(given)
        elif not nodes and host:
            try:
                nodes = node_urls(host)
            except argparse.ArgumentTypeError as error:
                raise BadConfiguration(f"argument --host: {error}") from None
        return cls(
            nodes=tuple(nodes),
            cluster_size=given["cluster_size"],
            time_scale=given["time_scale"],
            load_scale=given["load_scale"],
            seed=secrets.randbits(32) if given["seed"] is None else given["seed"],
            run_id=given["run_id"],
            results_dir=given["results_dir"],
            target_metrics=tuple(given["target_metrics"] or ()),
            allow_target=tuple(itertools.chain(*(given["allow_target"] or ()))),
            slo=given["slo"],
        )

    @property
    def allowance(self) -> Allowance:
        """The hosts that may be loaded."""
        return Allowance.of(self.allow_target)

    def as_dict(self) -> dict[str, Any]:
        """For the manifest. A query is left out: it may hold a key."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return values | {"target_metrics": [url.partition("?")[0] for url in self.target_metrics]}


def parsed_options(environment: Environment) -> argparse.Namespace:
    """Locust's own, all options included. They exist wherever Locust's command line ran."""
    parsed: argparse.Namespace | None = environment.parsed_options
    assert parsed is not None, "the harness runs under Locust's command line"
    return parsed


def _own_values(parsed: argparse.Namespace) -> dict[str, Any]:
    """Ours by name, also those whose name the locustfile has taken."""
    taken = _PREFIX.replace("-", "_")
    values = vars(parsed)
    return {name: values.get(taken + name, values.get(name)) for name in Options.__slots__}


def _refuse_options_of_nodes(given: dict[str, Any]) -> None:
    for name in ("nodes", "cluster_size"):
        if given[name] is not None:
            raise BadConfiguration(
                f"--{name.replace('_', '-')} is for scenarios that load Foundation's own nodes: "
                "name a service of your own with --host http://host:port"
            )


def node_urls(text: str) -> list[str]:
    """`http://a:1,http://b:2` -> its URLs without a trailing slash. Raises ArgumentTypeError."""
    urls = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        if "@" in part:
            # Not repeated here: what stands before it is a password.
            raise argparse.ArgumentTypeError(
                "a node's URL holds no user or password: leave out what is before the '@', and "
                "set FOUNDATION_CLIENT_TOKEN to the nodes' client token"
            )
        try:
            url = urlsplit(part)
            port_is_valid = url.port is None or url.port > 0
        except ValueError:
            port_is_valid = False
        if not port_is_valid or url.scheme not in ("http", "https") or not url.hostname:
            raise argparse.ArgumentTypeError(
                f"{part!r} is not a node's URL: write it as http://host:port"
            )
        if url.path.strip("/") or url.query or url.fragment:
            raise argparse.ArgumentTypeError(
                f"{part!r} has more than scheme, host and port: leave out what follows the port"
            )
        urls.append(f"{url.scheme}://{url.netloc}")
    if not urls:
        raise argparse.ArgumentTypeError("no URL given: write http://host:port,http://host:port")
    if len(set(urls)) < len(urls):
        raise argparse.ArgumentTypeError("a node is named twice")
    return urls


def metrics_urls(text: str) -> list[str]:
    """`http://a:1,https://b/stats/prometheus` -> its URLs, with `/metrics` where no path is given.

    Raises ArgumentTypeError; what it says holds neither a password nor a query.
    """
    urls, labels = [], set()
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        shown = part.partition("?")[0]
        if "@" in part.split("://", 1)[-1].partition("/")[0]:
            raise argparse.ArgumentTypeError(
                "the URL of a metrics endpoint holds no user or password: leave out what is before "
                "the '@', and let the service serve its metrics to this machine"
            )
        if "#" in part or not part.isprintable() or " " in part:
            raise argparse.ArgumentTypeError(f"{shown!r} has a '#', a space or a control character")
        try:
            origin = parse_origin(part)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{shown!r} is not the URL of a metrics endpoint: write it as "
                "http://host:port/metrics"
            ) from None
        if origin.label in labels:
            raise argparse.ArgumentTypeError(
                f"{origin.label} is named twice: its samples could not be told apart"
            )
        labels.add(origin.label)
        target = split_absolute(part)[1]
        urls.append(origin.url + (target if target.startswith("/") else f"/metrics{target}"))
    if not urls:
        raise argparse.ArgumentTypeError("no URL given: write http://host:port/metrics")
    if len(urls) > MAX_METRICS_URLS:
        raise argparse.ArgumentTypeError(
            f"{len(urls)} URLs are too many: at most {MAX_METRICS_URLS} are sampled"
        )
    return urls


def scale(text: str) -> float:
    """A factor above 0, at most 1,000. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= MAX_SCALE:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a factor above 0 and at most {MAX_SCALE:g}, such as 0.2"
        )
    return value


def cluster_size(text: str) -> int:
    """A count of nodes, 1 to 20. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_CLUSTER_SIZE:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of nodes from 1 to {MAX_CLUSTER_SIZE}"
        )
    return int(text)


def seed(text: str) -> int:
    """A whole number from 0 to 2^63 - 1. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2^63 - 1")
    return int(text)


def run_id(text: str) -> str:
    """A folder's name. Raises ArgumentTypeError."""
    if not _RUN_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a run id: use up to 100 letters, digits, '.', '_' and '-', "
            "starting with a letter or digit"
        )
    return text


def add_options(parser: LocustArgumentParser, *, is_existing: bool = False) -> None:
    """Add the harness's options; from here on any bad option ends with exit code 4.

    Locust's own ports listen on the loopback alone unless told otherwise (D17). A locustfile that
    `is_existing` may count on chance, such as for names that it registers, so its seed is another
    one each time unless it is given. An option that the locustfile has under the same name stays
    the locustfile's; ours is then `--foundation-…`.
    """
    taken = {
        option for action in parser._actions for option in (*action.option_strings, action.dest)
    }
    parser.set_defaults(master_bind_host=LOOPBACK, web_host=LOOPBACK)
    group = parser.add_argument_group(
        "Foundation options",
        "With neither --host nor --nodes an embedded cluster is started for the run. "
        "Exit codes: 0 PASS, 1 FAIL, 3 INCONCLUSIVE, 4 bad configuration, 5 ABORTED.",
    )

    def add(flag: str, **kwargs: Any) -> None:
        variable = f"FOUNDATION_{flag.replace('-', '_').upper()}"
        if {f"--{flag}", flag.replace("-", "_")} & taken:
            flag = _PREFIX + flag
        action = group.add_argument(f"--{flag}", env_var=variable, **kwargs)
        # Locust's own add_argument sets this; its argument groups do not go through it.
        action.include_in_web_ui = False

    add(
        "nodes",
        type=node_urls,
        metavar="URL,URL",
        help="Test these running nodes instead of an embedded cluster.",
    )
    add(
        "cluster-size",
        type=cluster_size,
        metavar="N",
        help="Nodes of the embedded cluster (default: what the scenario declares).",
    )
    add(
        "time-scale",
        type=scale,
        default=1.0,
        metavar="F",
        help="Stretch or shrink the scenario's phases; 0.2 runs a fifth of the length. "
        "Processing and think times never scale.",
    )
    add(
        "load-scale",
        type=scale,
        default=1.0,
        metavar="F",
        help="Multiply the scenario's user counts.",
    )
    add(
        "seed",
        type=seed,
        default=None if is_existing else 1,
        metavar="N",
        help="Seed of every random choice of the load (default: 1; another one each time for a "
        "locustfile that is only judged).",
    )
    add(
        "run-id",
        type=run_id,
        metavar="ID",
        help="Name of the run's folder (default: time, scenario and a random part).",
    )
    add(
        "results-dir",
        default="results/runs",
        metavar="DIR",
        help="Where run folders are written (default: results/runs).",
    )
    add(
        "target-metrics",
        type=metrics_urls,
        metavar="URL,URL",
        help="Also sample these Prometheus endpoints every second (a service of your own, a "
        "database); the path is /metrics unless the URL has one.",
    )
    add(
        "allow-target",
        type=allowed_targets,
        action="append",
        metavar="HOST",
        help="Load this host, address or network although it is neither of this machine nor of a "
        "private network. May be given again, or as a list with commas.",
    )
    add(
        "slo",
        metavar="FILE",
        help="Checks in a YAML file, in addition to the scenario's; one of the same id takes the "
        "place of the scenario's.",
    )
    _exit_with_bad_configuration(parser)


def _exit_with_bad_configuration(parser: LocustArgumentParser) -> None:
    """argparse exits 2 on a bad option; the suite's code for bad configuration is 4."""
    original = parser.exit

    def exit_(status: int = 0, message: str | None = None) -> Any:
        original(int(ExitCode.BAD_CONFIGURATION) if status == 2 else status, message)

    parser.exit = exit_


def main() -> None:
    """Print the options, for `foundation options`."""
    parser = LocustArgumentParser(
        prog="locust -f LOCUSTFILE", usage="%(prog)s [options]", add_help=False
    )
    add_options(parser)
    parser.print_help()
