"""Whether a request of somebody else's client was redirected, and where it went first.

A redirect may follow what was stored, so that what the last request of a chain ended in says
nothing of the first one; and a write is looked for where it was sent. Clients tell of the chain
where they got an answer, and of a failure only the last request. Pure; this module must not import
a client.
"""

from __future__ import annotations

_SENDING = "_send_request_safe_mode"
"""The method of Locust's HttpSession and FastHttpSession from which a request's failures come: its
`url` is the one that was asked for."""


def was_redirected(request_type: object, response: object) -> bool:
    """By what the client says: its history, or another method than was asked for. A redirect that
    keeps the method (307, 308) hands the write itself on."""
    if getattr(response, "history", None):
        return True
    method = getattr(getattr(response, "request", None), "method", None)
    if not isinstance(method, str) or not isinstance(request_type, str):
        return False
    return method.upper() != request_type.upper()


def first_url(response: object, url: object) -> object:
    """Where a failed request went first; `url`, which Locust's event says, where nobody knows.

    That is the last one's, of an HttpUser: `requests` names the request that failed, and only the
    frames that the exception has left still have the first.
    """
    error = getattr(response, "error", None)
    trace = error.__traceback__ if isinstance(error, BaseException) else None
    while trace is not None:
        if trace.tb_frame.f_code.co_name == _SENDING:
            return trace.tb_frame.f_locals.get("url", url)
        trace = trace.tb_next
    return url
