"""What goes wrong between a controller and its cluster, as one exception."""

from __future__ import annotations


class ClusterError(Exception):
    """The cluster could not do what it was asked; the message carries the remedy.

    `code` is stable and machine-readable (the supervisor's codes, and `supervisor_failed`,
    `supervisor_gone`, `timeout_starting_supervisor`, `already_up`, `not_up`, `bad_state_file`).
    `log_tail` holds the last lines of the log that tells why, or is empty.
    """

    def __init__(self, message: str, *, code: str, log_tail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.log_tail = log_tail

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n--- end of its log ---\n{self.log_tail}" if self.log_tail else message
