"""LeanHttpUser: Locust's HTTP user at half the CPU of FastHttpUser."""

from locustfiles.harness.http.connection import Limits
from locustfiles.harness.http.response import BadStatus, Response
from locustfiles.harness.http.session import LeanHttpSession
from locustfiles.harness.http.streamed import StreamedResponse
from locustfiles.harness.http.user import LeanHttpUser

__all__ = [
    "BadStatus",
    "LeanHttpSession",
    "LeanHttpUser",
    "Limits",
    "Response",
    "StreamedResponse",
]
