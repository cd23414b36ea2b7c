"""Checks in a YAML file, as `--slo` names it: the same grammar, and errors with line and column.

    checks:
      - p99 < 250ms
      - {check: errors < 0.1%, endpoint: GET /cart, window: "phase:*", abort: true}

The file is composed, not constructed: what it says stays text with a place. Aliases are refused, so
that a few lines cannot stand for millions. This module must not know whether a run has the windows.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from results.criterion import Check
from results.errors import CheckError
from results.grammar import ABORT_AFTER_S, Clause, built, clause, parsed
from results.text.source import Source, nearest, shown

MAX_BYTES = 64 * 1024
"""Some five hundred checks, which is more than anybody reads."""

MAX_CHECKS = 200
"""Each is evaluated in each of its windows, and is a row of the summary."""

_MAX_DEPTH = 4
"""The file, its list, a check, and one more for the error to be about what is wrong there."""

_CLAUSES: Mapping[str, str] = {
    "endpoint": "of",
    "window": "in",
    "over": "over",
    "for": "for",
    "abort": "abort",
}
"""Of the grammar, by the key of a check that is a mapping."""

_EXAMPLE = "write it as\nchecks:\n  - p99 < 250ms\n  - errors < 0.1%"

_STRING = "tag:yaml.org,2002:str"
_BOOL = "tag:yaml.org,2002:bool"
_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True)
class Slo:
    """A file of checks as read. `places` has line and column of each check, by its id, and of its
    window where one is named, by id and `"in"`."""

    path: str
    sha256: str
    checks: tuple[Check, ...]
    places: Mapping[tuple[str, str], str]

    def place(self, check: Check, part: str = "") -> str | None:
        """`slo.yaml: line 4, column 12` of a check, or of a part; None of one that is not here."""
        found = self.places.get((check.id, part)) or self.places.get((check.id, ""))
        return None if found is None else f"{self.path}: {found}"

    def over(self, checks: Iterable[Check]) -> tuple[Check, ...]:
        """These checks with the file's: one of the same id takes its place, others follow."""
        own = {check.id: check for check in self.checks}
        kept = [own.pop(check.id, check) for check in checks]
        return (*kept, *own.values())


def read_slo(path: str) -> Slo:
    """Raises CheckError that names the file, and the line and column where there is one."""
    name = path if path.isprintable() and path else repr(path)
    if not path:
        raise CheckError("--slo names no file: name a file of checks, or leave it out")
    try:
        content = _content(Path(path))
        placed = _checks(content)
    except CheckError as error:
        raise CheckError(f"{name}: {error}") from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise CheckError(f"{name}: cannot be read ({why}): name a file of checks") from None
    places = {(check.id, part): place for check, parts in placed for part, place in parts.items()}
    digest = hashlib.sha256(content.encode()).hexdigest()
    return Slo(name, digest, tuple(check for check, _ in placed), places)


def _content(path: Path) -> str:
    if "\0" in str(path):
        raise CheckError("cannot be read: a file's name has no NUL")
    # A pipe would keep us waiting for somebody to write.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CheckError("is no file: name a file of checks")
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise CheckError(f"is larger than {MAX_BYTES // 1024} KiB, so it is no file of checks")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CheckError(
            f"is not UTF-8 (byte {error.start} is 0x{data[error.start]:02x}): save it as UTF-8"
        ) from None


def _checks(content: str) -> list[tuple[Check, dict[str, str]]]:
    """Each check with the places of its parts."""
    entries = _entries(_root(content))
    found: list[tuple[Check, dict[str, str]]] = []
    seen: dict[str, str] = {}
    for node in entries:
        check, parts = _check(node, content)
        if check.id in seen:
            raise _error(
                node, f"the check {check.id!r} is the same as that of {seen[check.id]}: keep one"
            )
        seen[check.id] = parts[""]
        found.append((check, parts))
    return found


def _root(content: str) -> yaml.MappingNode:
    try:
        _refuse_expansion(content)
        root = yaml.compose(content, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark, problem = error.problem_mark, error.problem or "it cannot be read"
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise CheckError(f"{where}this is no YAML: {problem}") from None
    except yaml.YAMLError as error:
        raise CheckError(f"is no YAML: {str(error).splitlines()[0]}") from None
    if root is None:
        raise CheckError(f"is empty: {_EXAMPLE}")
    if not isinstance(root, yaml.MappingNode):
        raise _error(root, f"a mapping with 'checks' is expected, not {_kind(root)}: {_EXAMPLE}")
    return root


def _refuse_expansion(content: str) -> None:
    """Before anything is composed, which goes as deep as the file does."""
    depth = 0
    for event in yaml.parse(content, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _error(event, "an alias is not taken: write the check out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise _error(event, f"this is nested too deeply: {_EXAMPLE}")


def _entries(root: yaml.MappingNode) -> list[yaml.Node]:
    entries = _table(root, ("checks",))
    if "checks" not in entries:
        raise CheckError(f"has no 'checks': {_EXAMPLE}")
    checks = entries["checks"]
    if not isinstance(checks, yaml.SequenceNode):
        raise _error(checks, f"'checks' is a list, not {_kind(checks)}: {_EXAMPLE}")
    if not checks.value:
        raise _error(checks, f"the list of checks is empty: {_EXAMPLE}")
    if len(checks.value) > MAX_CHECKS:
        raise _error(checks.value[MAX_CHECKS], f"at most {MAX_CHECKS} checks are taken")
    return list(checks.value)


def _check(node: yaml.Node, content: str) -> tuple[Check, dict[str, str]]:
    if isinstance(node, yaml.MappingNode):
        return _from_table(node, content)
    source = _source(node, content, "a check is text, such as p99 < 250ms, or a mapping")
    comparison, clauses = parsed(source)
    return built(comparison, clauses), _places(node, clauses)


def _from_table(node: yaml.MappingNode, content: str) -> tuple[Check, dict[str, str]]:
    entries = _table(node, ("check", *_CLAUSES))
    if "check" not in entries:
        raise _error(node, "a check has a key 'check', such as check: p99 < 250ms")
    comparison, clauses = parsed(
        _source(entries["check"], content, "'check' is text, such as p99 < 250ms")
    )
    for key, name in _CLAUSES.items():
        value = entries.get(key)
        if value is None:
            continue
        if name in clauses:
            raise _error(value, f"{key!r} is given twice: it is in the text of the check already")
        if name == "abort" and value.tag == _BOOL:
            if str(value.value).lower() in ("true", "yes", "on"):
                clauses[name] = Clause(ABORT_AFTER_S, Source("", *_at(value)), 0)
            continue
        clauses[name] = clause(name, _source(value, content, f"{key!r} is text", plain=True))
    return built(comparison, clauses), _places(entries["check"], clauses)


def _places(node: yaml.Node, clauses: Mapping[str, Clause]) -> dict[str, str]:
    line, column = _at(node)
    found = {"": f"line {line}, column {column}"}
    if (window := clauses.get("in")) is not None:
        found["in"] = window.source.place(window.offset)
    return found


def _table(node: yaml.MappingNode, known: tuple[str, ...]) -> dict[str, yaml.Node]:
    """Its entries by key. Raises CheckError for unknown keys and those that come twice."""
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else None
        if name not in known:
            what = _kind(key) if name is None else shown(name)
            quote = " (a check with a ': ' is put in quotes)" if " " in (name or "") else ""
            raise _error(key, f"unknown key {what}{nearest(name or '', known)}{quote}")
        if name in found:
            raise _error(key, f"the key {name!r} is given twice")
        found[name] = value
    return found


def _source(node: yaml.Node, content: str, wanted: str, *, plain: bool = False) -> Source:
    """The text of a scalar and where it stands; `plain` takes a number for text as well."""
    is_text = node.tag == _STRING or (plain and node.tag != _NULL)
    if not isinstance(node, yaml.ScalarNode) or not is_text:
        raise _error(node, f"{wanted}, not {_kind(node)}")
    text = str(node.value)
    quote = 1 if node.style in ("'", '"') else 0
    assert node.start_mark is not None, "it was read from a text"
    begins = node.start_mark.index + quote
    line, column = _at(node)
    is_literal = content[begins : begins + len(text)] == text
    return Source(text, line, column + (quote if is_literal else 0), is_literal)


def _at(node: yaml.Node | yaml.Event) -> tuple[int, int]:
    assert node.start_mark is not None, "it was read from a text"
    return node.start_mark.line + 1, node.start_mark.column + 1


def _error(node: yaml.Node | yaml.Event, problem: str) -> CheckError:
    line, column = _at(node)
    return CheckError(f"line {line}, column {column}: {problem}")


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "nothing" if node.tag == _NULL else shown(str(node.value))
