"""Digests of a folder's files, in the format of `sha256sum`.

`sha256sum --check digests.txt` in the folder says the same as this module does. What is read is
what a walk over the folder found, never a path that a file names, and no link is followed: nothing
outside of the folder is opened. This module must not know what the files mean.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from results.errors import BundleError
from results.printable import printable
from results.regular_file import open_regular
from results.run_folder import PART

DIGESTS = "digests.txt"

MAX_DIGESTS_BYTES = 1024 * 1024
"""Some ten thousand files; a run has twenty."""

MAX_LINE_BYTES = 4_096
DEEPEST = 8

_LINE = re.compile(rb"(\\?)([0-9a-f]{64}) [ *](.+)")
_PART = re.compile(rf"\..+\.[0-9]+{re.escape(PART)}", re.DOTALL)
"""As `run_folder.write_bytes` names them; others of such an end are files like any."""
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"\\(.?)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Found:
    """What lies below a folder, by its path there with `/`: regular files, and what is none.

    `parts` are files that are being written, or whose writing was cut off.
    """

    files: Mapping[str, Path]
    strange: Mapping[str, str]
    parts: tuple[str, ...] = ()


def files_below(folder: Path) -> Found:
    """Everything but `digests.txt` itself and parts of files that are being written.

    `strange` says what each thing is that is not read. Raises BundleError.
    """
    files: dict[str, Path] = {}
    strange: dict[str, str] = {}
    parts: list[str] = []
    waiting = [(folder, "", 0)]
    try:
        while waiting:
            here, prefix, depth = waiting.pop()
            with os.scandir(here) as entries:
                for entry in sorted(entries, key=lambda one: one.name):
                    name = prefix + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if depth >= DEEPEST:
                            strange[name] = f"a folder more than {DEEPEST} levels deep"
                        else:
                            waiting.append((Path(entry.path), f"{name}/", depth + 1))
                    elif not entry.is_file(follow_symlinks=False):
                        is_link = entry.is_symlink()
                        strange[name] = "a symbolic link" if is_link else "not a regular file"
                    elif _PART.fullmatch(entry.name):
                        parts.append(name)
                    elif name != DIGESTS:
                        files[name] = Path(entry.path)
    except OSError as error:
        raise BundleError(f"cannot look through {here}: {error.strerror}") from error
    return Found(dict(sorted(files.items())), dict(sorted(strange.items())), tuple(sorted(parts)))


def digest_of(path: Path) -> str:
    """SHA-256 of a regular file, in hex. Raises BundleError."""
    try:
        # A link or a pipe may have taken the file's place since it was found.
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"cannot read {printable(str(path))}: {error.strerror}") from error


def as_text(digests: Iterable[tuple[str, str]]) -> bytes:
    """The content of `digests.txt` for (path, digest). Raises BundleError when it is too long."""
    text = b"".join(_line(path, digest) for path, digest in digests)
    if len(text) > MAX_DIGESTS_BYTES:
        raise BundleError(
            f"the folder holds too many files: their digests take {len(text):,} bytes, of which "
            f"there may be {MAX_DIGESTS_BYTES:,}: move what is not of the run out of it"
        )
    return text


def _line(path: str, digest: str) -> bytes:
    escaped = "".join(_ESCAPES.get(one, one) for one in path)
    mark = "\\" if escaped != path else ""
    line = os.fsencode(f"{mark}{digest}  {escaped}\n")
    if len(line) > MAX_LINE_BYTES:
        raise BundleError(f"a file's path is too long to be listed: {printable(path)}")
    return line


def read_digests(path: Path) -> dict[str, str]:
    """Digest by path, as listed. Raises BundleError that names the line.

    Paths lead nowhere but below the folder, and none is listed twice.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(_lines(path), 1):
        where = f"{path}, line {number}"
        name, digest = _read_line(line, where)
        if name in found:
            raise BundleError(f"{where}: {printable(name)} is listed twice")
        found[name] = digest
    if not found:
        raise BundleError(f"{path} is empty: seal the run anew")
    return found


def _lines(path: Path) -> list[bytes]:
    try:
        with open_regular(path) as file:
            data = file.read(MAX_DIGESTS_BYTES + 1)
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_DIGESTS_BYTES:
        raise BundleError(f"{path} is longer than {MAX_DIGESTS_BYTES:,} bytes: it is none of ours")
    if data and not data.endswith(b"\n"):
        count = data.count(b"\n") + 1
        raise BundleError(f"{path}, line {count}: the line is torn: the file was cut off")
    return data.split(b"\n")[:-1]


def _read_line(line: bytes, where: str) -> tuple[str, str]:
    if len(line) >= MAX_LINE_BYTES:
        raise BundleError(f"{where}: longer than {MAX_LINE_BYTES:,} bytes")
    match = _LINE.fullmatch(line)
    if match is None:
        shown = printable(line.decode(errors="replace"), 60)
        raise BundleError(f"{where}: not 64 hex digits, two blanks and a path: {shown!r}")
    mark, digest, rest = match.groups()
    name = os.fsdecode(rest)
    if mark:
        name = _unescaped(name, where)
    _require_inside(name, where)
    return name, digest.decode()


def _unescaped(name: str, where: str) -> str:
    back = {escape[1]: one for one, escape in _ESCAPES.items()}

    def original(match: re.Match[str]) -> str:
        if match[1] not in back:
            raise BundleError(f"{where}: {printable(match[0])!r} is no escape of sha256sum's")
        return back[match[1]]

    return _ESCAPED.sub(original, name)


def _require_inside(name: str, where: str) -> None:
    parts = name.split("/")
    if "\0" in name or PurePosixPath(name).is_absolute() or {"", ".", ".."} & set(parts):
        raise BundleError(f"{where}: {printable(name)!r} does not lead to a file in the folder")
    if name == DIGESTS:
        raise BundleError(f"{where}: {DIGESTS} cannot list itself")
