"""The workloads' routes in FastAPI: for now the twin of the SaaS action."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from service.schema import SaasAction, SaasReply
from service.twin import Twin, problems
from service.workloads.saas import SaasWorkload


def workload_routes(saas: SaasWorkload) -> APIRouter:
    router = APIRouter(prefix="/v1/saas", tags=["workloads"])

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
        """Do one action (P1-5): real work, the event `user_action` on disk, then what is left of
        the prescribed time (P1-6) as emulated latency, stated in Server-Timing.

        `X-Session` carries the session that login returned; without one the action is served too.
        """

        return Twin(lambda request: saas.act(action, request))

    return router
