"""What decides the load of a process, as hashes: versions, sources, options.

Taken once in each process of a distributed run, at its hello (hello.py), and compared in the
master: workers that would send another load must not join. Hashes are the first 12 hex digits of
SHA-256 over a file's bytes, line ends made alike; paths are relative, so that a checkout and an
installed package are equal. This module must not send anything, nor decide what follows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import locust
from locust import argument_parser
from locust.env import Environment

from locustfiles.harness.options import parsed_options
from shapes.locust_shape import PhasedShape

SUITE = "foundation-load"
HASH_DIGITS = 12

PACKAGES = ("locustfiles.harness", "shapes", "results")
SCHEMA = "service"
"""Of the service the load side has the wire models alone (`schema*.py`)."""

OWNERS_OWN = frozenset(
    (
        "cluster_size",
        "run_id",
        "results_dir",
        "target_metrics",
        "allow_target",
        "slo",
        "foundation_plan",
    )
)
"""Options that only the process which owns the run reads: a worker may give them or not."""

STRICT = "config_users"
"""Applied by each process to its own classes, and not handed out: must be equal."""

SECRET = "secret:"
"""Before the hash of a secret option's value. It is compared and never shown."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Hashes by file in `suite`, `locustfiles` (those named with -f) and `imported` (what they
    imported from their own folder so far).

    `load` is the hash of the planned load as declared, unscaled; empty without a phased shape.
    `options` holds values as text: in a worker those that it was given itself, in the master all.
    """

    locust: str
    python: str
    version: str
    suite: Mapping[str, str]
    locustfiles: Mapping[str, str]
    imported: Mapping[str, str]
    users: tuple[str, ...]
    load: str
    options: Mapping[str, str]

    def as_wire(self) -> dict[str, Any]:
        """For msgpack."""
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: object) -> Fingerprint:
        """Raises ValueError for what is none, as a worker with another suite may send."""
        if not isinstance(wire, dict) or wire.keys() != cls.__dataclass_fields__.keys():
            raise ValueError("a fingerprint has other fields")
        texts = [wire[name] for name in ("locust", "python", "version", "load")]
        maps = [wire[name] for name in ("suite", "locustfiles", "imported", "options")]
        users = wire["users"]
        if not all(isinstance(one, dict) for one in maps) or not isinstance(users, list | tuple):
            raise ValueError("a fingerprint's files and options are tables, its users a list")
        texts += [*users, *(text for one in maps for pair in one.items() for text in pair)]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("a fingerprint holds texts alone")
        return cls(**{**wire, "users": tuple(users)})


def fingerprint(environment: Environment) -> Fingerprint:
    """Of this process, at init. Reads some hundred files, in about 20 ms.

    A worker's options are those that were given to it, anywhere; the master's are all.
    """
    paths = [Path(path) for path in environment.parsed_locustfiles or ()]
    roots = [Path(root) for package in PACKAGES for root in _roots(package)]
    parsed = vars(parsed_options(environment))
    given = given_options(sys.argv[1:]) if parsed.get("worker") else parsed
    return Fingerprint(
        locust=locust.__version__,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        version=_suite_version(),
        suite=suite_hashes(),
        locustfiles={path.name: _hash_of(path) for path in paths},
        imported=_imported({path.resolve().parent for path in paths}, roots),
        users=tuple(sorted(one.__name__ for one in environment.user_classes)),
        load=_load_hash(environment.shape_class),
        options=_shown(given) | {STRICT: _text(parsed.get(STRICT))},
    )


def _suite_version() -> str:
    try:
        return version(SUITE)
    except PackageNotFoundError:
        return "not installed"


def _roots(package: str) -> Sequence[str]:
    __import__(package)
    return list(sys.modules[package].__path__)


@cache
def suite_hashes() -> dict[str, str]:
    """By file, read once. Call it before Locust forks (--processes): what was imported until then
    is what every process runs, whatever is edited later."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        for root in map(Path, _roots(package)):
            for path in _sources(root):
                found[f"{package.replace('.', '/')}/{path.relative_to(root)}"] = _hash_of(path)
    for root in map(Path, _roots(SCHEMA)):
        found |= {f"{SCHEMA}/{path.name}": _hash_of(path) for path in root.glob("schema*.py")}
    return dict(sorted(found.items()))


def _sources(folder: Path) -> Iterator[Path]:
    """Of a package and the packages in it; folders without `__init__.py`, as runs/, are none."""
    yield from folder.glob("*.py")
    for inner in folder.iterdir():
        if inner.is_dir() and (inner / "__init__.py").exists():
            yield from _sources(inner)


def _imported(folders: Iterable[Path], suite: Sequence[Path]) -> dict[str, str]:
    """Modules that are loaded from the locustfiles' folders, the suite and packages apart."""
    prefixes = (f"{sys.prefix}{os.sep}", f"{sys.base_prefix}{os.sep}")
    installed = (*map(Path, prefixes), *suite)
    found: dict[str, str] = {}
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if not isinstance(name, str) or not name.endswith(".py") or name.startswith(prefixes):
            continue
        path = Path(name).resolve()
        if any(path.is_relative_to(root) for root in installed):
            continue
        for folder in folders:
            if path.is_relative_to(folder) and path.exists():
                found[path.relative_to(folder).as_posix()] = _hash_of(path)
    return dict(sorted(found.items()))


def _load_hash(shape: object) -> str:
    """Of all profiles, compiled to lines: whatever they were made from, a file for example."""
    if not isinstance(shape, PhasedShape):
        return ""
    profiles = {"": shape.profile} if shape.profile is not None else {}
    profiles |= {one.__name__: profile for one, profile in (shape.profiles or {}).items()}
    return _hash(
        repr(
            [
                (name, profile.unit.value, profile.lines(), profile.phases())
                for name, profile in sorted(profiles.items())
            ]
        ).encode()
    )


def _hash_of(path: Path) -> str:
    # Locust hands out locustfiles (-f -) as text, with other line ends than the file may have.
    return _hash(path.read_bytes().replace(b"\r\n", b"\n"))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:HASH_DIGITS]


# Options


def given_options(arguments: Sequence[str]) -> dict[str, Any]:
    """Options that were given, on the command line, in the environment or a configuration file."""
    parser = argument_parser.get_parser()
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    parser._defaults.clear()
    given: argparse.Namespace = parser.parse_known_args(list(arguments))[0]
    return vars(given)


def _shown(options: Mapping[str, Any]) -> dict[str, str]:
    """Those that shape the load: all but Locust's own and the owner's. Secrets only as hashes."""
    actions = argument_parser.get_parser()._actions
    secret = {one.dest for one in actions if getattr(one, "is_secret", False)}
    others = argument_parser.default_args_dict().keys() | OWNERS_OWN
    return {
        name: SECRET + _hash(_text(value).encode()) if name in secret else _text(value)
        for name, value in sorted(options.items())
        if name not in others
    }


def _text(value: object) -> str:
    """A value that the same text stands for in every process."""
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError):
        return f"a {type(value).__name__}"
