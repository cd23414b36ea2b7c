"""Keeps a LeanHttpUser on targets that may be loaded, wherever a URL or a redirect leads it.

The hosts that are named at the start are checked there. A task may request any other by an absolute
URL, a redirect may lead anywhere, and a name may resolve to other addresses later: so each look-up
is held to the same rule (D17). A request to what is not allowed is not sent, and fails. This module
must not decide what is allowed.
"""

from __future__ import annotations

from locustfiles.harness.http.origin import Origin
from locustfiles.harness.http.resolver import Address, Resolver
from locustfiles.harness.http.transport_error import NeverSent
from locustfiles.harness.target.allowed_target import Allowance


class TargetNotAllowed(NeverSent):
    """The host is neither of this machine nor of a private network, and was not allowed."""


class GuardedResolver(Resolver):
    """A resolver that gives no address outside of an allowance."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__()
        self._allowance = allowance
        self._passed: dict[tuple[str, int], tuple[Address, ...]] = {}

    def addresses(self, origin: Origin, timeout_s: float) -> tuple[Address, ...]:
        """As Resolver's. Raises TargetNotAllowed, too."""
        found = super().addresses(origin, timeout_s)
        key = (origin.host, origin.port)
        if self._passed.get(key) is not found:
            reason = self._allowance.why_not(
                origin.host, lambda _: [str(address.sockaddr[0]) for address in found]
            )
            if reason is not None:
                raise TargetNotAllowed(origin.label, f"is not an allowed target: {reason}")
            self._passed[key] = found
        return found
