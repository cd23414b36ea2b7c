"""From a scenario and its options to the target that a run loads, before any load.

What can be wrong is found here, in this order: a host that may not be loaded, metrics that cannot
be read, a service or a node that does not answer, a cluster that does not start. Nothing is
contacted before every host is known to be allowed (D17).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from locust import User
from locust.env import Environment

from locustfiles.harness.failure import BadConfiguration
from locustfiles.harness.http import LeanHttpUser
from locustfiles.harness.options import Options
from locustfiles.harness.scenario import Scenario
from locustfiles.harness.target.sampler import endpoints, require_readable
from locustfiles.harness.target.service_host import (
    ServiceHost,
    hosts_of,
    require_answers,
    service_url,
    without_host,
)
from locustfiles.harness.target.target import Node, Target, client_token, reach, start_cluster


def acquire_target(
    scenario: Scenario,
    options: Options,
    environment: Environment,
    *,
    log_dir: Path,
    say: Callable[[str], None],
) -> Target:
    """Raises BadConfiguration. `say` is told of what takes a while."""
    hosts = service_hosts(scenario, environment) if scenario.cluster is None else ()
    urls = [*options.nodes, *(host.url for host in hosts), *options.target_metrics]
    options.allowance.require(urls)
    require_readable(endpoints((), None, options.target_metrics))
    if scenario.cluster is None:
        require_answers(hosts)
        return Target(tuple(Node(host.shown, host.shown, ()) for host in hosts))
    if options.nodes:
        return reach(options.nodes, client_token())
    size = options.cluster_size or scenario.cluster.size
    say(f"starting an embedded cluster of {size} nodes")
    return start_cluster(size=size, roles=scenario.cluster.of_size(size), log_dir=log_dir)


def service_hosts(scenario: Scenario, environment: Environment) -> tuple[ServiceHost, ...]:
    """Where the users of a scenario without a cluster send. Raises BadConfiguration.

    Those of a locustfile that was written without the suite are taken as they are: without a host
    it gets Locust's own error.
    """
    users = _classes(environment)
    if not scenario.is_existing:
        if missing := without_host(users, environment.host):
            raise BadConfiguration(
                f"{scenario.id} loads a service of your own, and {', '.join(missing)} has no host: "
                "name it with --host http://host:port"
            )
        _require_sound(users, environment.host)
    return hosts_of(users, environment.host)


def _classes(environment: Environment) -> list[type[User]]:
    """All that can be started: in the web UI a person picks of all that there are."""
    if environment.web_ui is None:
        return list(environment.user_classes)
    # Locust says that it holds users; it holds their classes.
    available: dict[str, type[User]] = dict(environment.available_user_classes or {})  # type: ignore[arg-type]
    return list(available.values())


def _require_sound(users: list[type[User]], given: str | None) -> None:
    for user in users:
        host = given or user.host
        if host and issubclass(user, LeanHttpUser):
            try:
                service_url(host)
            except ValueError as error:
                where = "argument --host" if given else f"the host of {user.__name__}"
                raise BadConfiguration(f"{where}: {error}") from None
