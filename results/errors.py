"""What can go wrong while results are written, read or judged.

Messages name the place and the remedy. This module must not import anything of ours.
"""

from __future__ import annotations


class ResultsError(Exception):
    """Root of the operating errors of `results`."""


class HistogramError(ResultsError):
    """An encoded histogram is not one of ours: damaged, or made with another range."""


class TimelineError(ResultsError):
    """A timeline line cannot be read; the message names the file and the line."""


class LedgerError(ResultsError):
    """The ledger cannot be written or read; the message names the file, and the byte or line."""


class AuditError(ResultsError):
    """An audit cannot be carried out, recorded or read back; the message names the file."""


class RunFolderError(ResultsError):
    """A run's folder cannot be made, or lacks what was asked for."""


class BundleError(ResultsError):
    """A run's folder cannot be sealed, or its digests cannot be read."""


class ExpositionError(ResultsError):
    """A page of metrics is larger than what is read once a second."""


class CheckError(ResultsError, ValueError):
    """A check's text, or a file of checks, makes no sense; the message names line and column."""
