"""Every error that a node can answer with, in one tree.

`problem.py` turns a `FoundationError` into problem+json in one place; drivers' errors (SQLite,
JSON) are translated into this tree where they arise and nowhere else. This module must not import
anything of the service: the load side reads the codes too.
"""

from __future__ import annotations


class FoundationError(Exception):
    """Root of all operating errors.

    `code` is stable and machine-readable, `status` the HTTP status, `retry_after_s` (seconds, or
    None) becomes the Retry-After header. The message names the place and the remedy.
    """

    code = "internal"
    status = 500
    retry_after_s: int | None = None


class ConfigurationError(FoundationError):
    """A setting is unknown or out of range; the node does not start."""

    code = "bad_configuration"


class MalformedRequest(FoundationError):
    """What arrived is not HTTP, so nothing of it was looked at."""

    code = "malformed_request"
    status = 400


class InvalidInput(FoundationError):
    """The request is well-formed HTTP, but its content is not what the endpoint takes."""

    code = "invalid_input"
    status = 422


class MalformedJson(InvalidInput):
    """The body is not JSON, or is deeper than 64 levels, or holds an integer of 2^63 or more."""

    code = "malformed_json"
    status = 400


class UnsupportedMediaType(FoundationError):
    code = "unsupported_media_type"
    status = 415


class PayloadTooLarge(FoundationError):
    code = "payload_too_large"
    status = 413


class HeadersTooLarge(FoundationError):
    code = "headers_too_large"
    status = 431


class RequestTimeout(FoundationError):
    """Headers or body did not arrive before their deadline."""

    code = "request_timeout"
    status = 408


class Unauthorized(FoundationError):
    code = "unauthorized"
    status = 401


class Forbidden(FoundationError):
    code = "forbidden"
    status = 403


class NotFound(FoundationError):
    code = "not_found"
    status = 404


class MethodNotAllowed(FoundationError):
    """`allow` becomes the Allow header: the methods that the path takes."""

    allow = b""
    code = "method_not_allowed"
    status = 405


class EventNotFound(NotFound):
    code = "event_not_found"


class ConfigNotFound(NotFound):
    """No default and no change has given this path a value."""

    code = "config_not_found"


class NotUpdatable(Forbidden):
    """The path is not on the allowlist of what clients may change."""

    code = "not_updatable"


class Conflict(FoundationError):
    code = "conflict"
    status = 409


class IdConflict(Conflict):
    """The id is taken by an event with other content (D3)."""

    code = "id_conflict"


class VersionConflict(Conflict):
    """`expected_version` is not the stream's version (G4)."""

    code = "version_conflict"


class ConfigFull(Conflict):
    """The configuration has as many paths or bytes as it may have."""

    code = "config_full"


class AlreadyRegistered(Conflict):
    """Another owner holds the name, and its lease has not ended (X-23)."""

    code = "already_registered"


class NotOwner(Conflict):
    """Only the owner of a registration may end it."""

    code = "not_owner"


class RegistrationEnded(Conflict):
    """This id registered before, and that registration has ended: it cannot come back."""

    code = "registration_ended"


class RegistryFull(Conflict):
    """The registry has as many entries or bytes as it may have."""

    code = "registry_full"


class BackupsUnusable(FoundationError):
    """Backups cannot be kept, and waiting for the disk does not help; said by a job, not HTTP."""

    code = "backups_unusable"


class Overloaded(FoundationError):
    """A bounded queue is full; nothing of the request was stored (G13)."""

    code = "overloaded"
    status = 503
    retry_after_s = 1


class ShuttingDown(Overloaded):
    code = "shutting_down"


class PassRunning(Overloaded):
    """One analytics pass at a time; nothing of this one was done."""

    code = "pass_running"


class NoUpstream(FoundationError):
    """No other node could be reached, so nothing was sent."""

    code = "no_upstream"
    status = 503
    retry_after_s = 1


class BadGateway(FoundationError):
    """Another node answered something that makes no sense; what it did is unknown."""

    code = "bad_gateway"
    status = 502


class PeerLost(BadGateway):
    """Another node's connection ended before its answer was complete; what it did is unknown."""

    code = "peer_lost"


class GatewayTimeout(FoundationError):
    """Another node took the request and did not answer in time; what it did is unknown (G10)."""

    code = "gateway_timeout"
    status = 504


class LoopDetected(FoundationError):
    """A gateway's request came back to a gateway."""

    code = "loop_detected"
    status = 508


class QueryTimeout(FoundationError):
    """A query that no index serves ran past its time limit."""

    code = "query_timeout"
    status = 503
    retry_after_s = 1


class StorageError(FoundationError):
    """The database refused: disk full, I/O error. Nothing of the request was acknowledged (G11)."""

    code = "storage_error"
    status = 503
    retry_after_s = 5
