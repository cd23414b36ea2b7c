"""The SaaS workload as a part of the node: its hot route, the route's documented twin, recovery."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, get_args

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from service.dispatch import FastRoute
from service.part import Base, Part
from service.schema import SaasAction, SaasReply, SaasRequest
from service.twin import Twin, problems
from service.workloads.saas import SaasWorkload
from service.workloads.saas_session import EndedSessions, SessionSigner

ENDED_SESSIONS = 100_000
ACT: Final = "POST /v1/saas/actions/{action}"


class SaasPart(Part):
    """P1's seven actions on one node; `secret` signs the sessions."""

    name = "saas"

    def __init__(self, base: Base, secret: bytes) -> None:
        settings = base.settings
        self._saas = SaasWorkload(
            base.store,
            base.meter,
            base.emulation,
            SessionSigner(secret, settings.session_ttl_s),
            EndedSessions(ENDED_SESSIONS),
            node=settings.name,
            require_session=settings.saas_require_session,
            clock_us=base.clock_us,
        )
        self.act = self._saas.act

    def fast_routes(self) -> dict[tuple[str, str], FastRoute]:
        return {
            ("POST", f"/v1/saas/actions/{action}"): (ACT, partial(self._saas.act, action))
            for action in get_args(SaasAction)
        }

    def bodies(self) -> dict[str, type[BaseModel]]:
        return {ACT: SaasRequest}

    async def recover(self) -> None:
        await self._saas.recover()

    def begin_shutdown(self) -> None:
        self._saas.begin_shutdown()

    def routers(self) -> Sequence[APIRouter]:
        router = APIRouter(prefix="/v1/saas", tags=["workloads"])
        saas = self._saas

        @router.post(
            "/actions/{action}",
            status_code=201,
            response_model=SaasReply,
            responses={
                200: {"model": SaasReply, "description": "a retry"},
                **problems(403, 404, 409, 413, 415),
            },
        )
        async def act(action: SaasAction) -> Response:
            """Do one action (P1-5): real work, the event `user_action` on disk, then what is left
            of the prescribed time (P1-6) as emulated latency, stated in Server-Timing.

            `X-Session` carries the session that login returned; without one the action is served
            too.
            """

            return Twin(lambda request: saas.act(action, request))

        return (router,)
