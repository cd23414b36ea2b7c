"""Headers in both directions: compiled once on the way out, parsed only when asked on the way in.

Formatting and parsing headers is a good part of what an ordinary client spends on a request. So
what is sent may be prepared as a `HeaderBlock`, and what is received stays bytes until somebody
looks at it. This module must not import Locust or gevent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_FRAMING = frozenset({"content-length", "transfer-encoding", "expect", "upgrade"})
"""The session frames its messages itself; a second opinion on the length desynchronises them."""

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """Header lines ready to send, each ending in CRLF, and their names in lower case."""

    text: str = ""
    names: frozenset[str] = frozenset()

    def without(self, names: frozenset[str]) -> HeaderBlock:
        """The block less the lines of `names` (lower case)."""
        if self.names.isdisjoint(names):
            return self
        return HeaderBlock(lines_without(self.text, names), self.names - names)

    def plus(self, name: str, value: str) -> HeaderBlock:
        """The block and one more line, which the caller vouches for."""
        return HeaderBlock(f"{self.text}{name}: {value}\r\n", self.names | {name.lower()})


def lines_without(text: str, names: frozenset[str]) -> str:
    """Header lines less those of `names` (lower case)."""
    lines = text.split("\r\n")
    return "\r\n".join(line for line in lines if line.partition(":")[0].lower() not in names)


def compile_headers(headers: Mapping[str, str | bytes]) -> HeaderBlock:
    """Format and check headers. Raises TypeError or ValueError that names the header.

    Line breaks in a value would let it forge further headers, so they are refused, as is what is
    not latin-1 (encode it yourself and pass bytes) and any header that the session itself sets.
    """
    lines = []
    names = set()
    for name, value in headers.items():
        lower = name.lower()
        if not lower or not _TOKEN.issuperset(lower):
            raise ValueError(f"{name!r} is not a header name")
        if lower in _FRAMING:
            raise ValueError(f"leave out the header {name}: the session sets the framing itself")
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        elif not isinstance(value, str):
            raise TypeError(f"header {name} is {type(value).__name__}: pass str or bytes")
        if "\r" in value or "\n" in value or "\0" in value:
            raise ValueError(f"header {name} holds a line break or NUL")
        lines.append(f"{name}: {value}\r\n")
        names.add(lower)
    text = "".join(lines)
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("a header is not latin-1: encode it and pass bytes") from None
    return HeaderBlock(text, frozenset(names))


def final_head(raw: bytes) -> bytes:
    """The last response head in `raw`, status line included: interim 1xx heads are skipped."""
    start = 0
    while True:
        end = raw.find(b"\r\n\r\n", start)
        head = raw[start:] if end < 0 else raw[start:end]
        status = head[: head.find(b"\r\n")].split(b" ", 2)
        interim = len(status) > 1 and status[1][:1] == b"1"
        if end < 0 or not interim:
            return head
        start = end + 4


class ResponseHeaders(Mapping[str, str]):
    """Case-insensitive view of a response's headers; repeated ones are joined with a comma."""

    __slots__ = ("_values",)

    def __init__(self, raw: bytes = b"") -> None:
        values: dict[str, tuple[str, list[str]]] = {}
        last: list[str] | None = None
        for line in final_head(raw).decode("latin-1").split("\r\n")[1:]:
            if line[:1] in (" ", "\t"):
                if last:
                    last[-1] = f"{last[-1]} {line.strip()}"
                continue
            name, colon, value = line.partition(":")
            if colon:
                last = values.setdefault(name.lower(), (name, []))[1]
                last.append(value.strip(" \t"))
        self._values = values

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()][1])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._values.values())

    def __len__(self) -> int:
        return len(self._values)

    def get_all(self, name: str) -> list[str]:
        """Every value of a repeated header, in order; empty when there is none."""
        return list(self._values.get(name.lower(), ("", []))[1])

    def __repr__(self) -> str:
        return f"ResponseHeaders({dict(self)!r})"


def lower_head(raw: bytes) -> bytes:
    """The final head in lower case, for `in` and the functions below: the cheap look at headers."""
    if raw[9:10] == b"1":
        return final_head(raw).lower()
    return raw[: raw.find(b"\r\n\r\n")].lower()


def emulated_us(lower: bytes) -> int:
    """The wait that a node declared, `Server-Timing: emulated;dur=<ms>`, in microseconds.

    0 when there is none or it makes no sense (design D9). Works on `lower_head`'s bytes: parsing
    all headers would cost more than the rest of a sample.
    """
    at = lower.find(b"\r\nserver-timing:")
    while at >= 0:
        end = lower.find(b"\r\n", at + 2)
        for metric in lower[at + 16 : end if end >= 0 else None].split(b","):
            name, _, parameters = metric.partition(b";")
            if name.strip() == b"emulated":
                return _duration_us(parameters)
        at = lower.find(b"\r\nserver-timing:", at + 16)
    return 0


def _duration_us(parameters: bytes) -> int:
    for parameter in parameters.split(b";"):
        key, _, value = parameter.partition(b"=")
        if key.strip() == b"dur":
            try:
                duration_ms = float(value.strip(b' \t"'))
            except ValueError:
                return 0
            return round(duration_ms * 1000) if 0 <= duration_ms < math.inf else 0
    return 0
