"""Tests on the architecture itself: what import-linter cannot see, and the habits of the house."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("chaos", "deploy", "locustfiles", "results", "service", "shapes")
LOCUSTFILES = sorted(ROOT.glob("locustfiles/[!_]*.py"))
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
DOCSTRING_FIELDS = ("Question", "Workload", "Shape", "Roles", "Faults", "Passes when")

LOADED_BY = """
import importlib, runpy, sys
sys.argv = ["locust"]
for name in {modules!r}:
    importlib.import_module(name)
print(sorted(name for name in {banned!r} if name in sys.modules))
"""


def loaded_of(banned: list[str], by: list[str]) -> list[str]:
    code = LOADED_BY.format(modules=by, banned=banned)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    names: list[str] = ast.literal_eval(done.stdout.strip().splitlines()[-1])
    return names


def shapes_defined_in(path: Path) -> list[str]:
    """Names of the classes in a locustfile whose base is a shape."""
    tree = ast.parse(path.read_text())
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any("Shape" in ast.unparse(base) for base in node.bases)
    ]


def test_a_locustfile_loads_neither_database_nor_web_framework() -> None:
    """The process is the border between gevent and asyncio: indirect imports count too."""
    modules = [f"locustfiles.{path.stem}" for path in LOCUSTFILES]
    banned = ["aiosqlite", "sqlalchemy", "fastapi", "starlette", "uvicorn", "uvloop", "service.app"]
    assert loaded_of(banned, by=modules) == []


def test_the_import_check_sees_an_indirect_import() -> None:
    assert loaded_of(["sqlalchemy"], by=["service.events.tables"]) == ["sqlalchemy"]


def test_the_node_and_the_supervisor_load_neither_locust_nor_gevent() -> None:
    modules = ["service.server", "chaos.supervisor.__main__"]
    assert loaded_of(["locust", "gevent"], by=modules) == []


def test_the_command_starts_light() -> None:
    assert loaded_of(["fastapi", "sqlalchemy", "locust"], by=["deploy.cli"]) == []


@pytest.mark.parametrize("path", LOCUSTFILES, ids=lambda path: path.stem)
def test_a_locustfile_has_one_concrete_shape(path: Path) -> None:
    assert len(shapes_defined_in(path)) == 1


@pytest.mark.parametrize("path", LOCUSTFILES, ids=lambda path: path.stem)
def test_a_scenarios_id_is_its_file_and_begins_with_its_tier(path: Path) -> None:
    call = next(
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Scenario"
    )
    declared = {one.arg: ast.unparse(one.value).strip("'") for one in call.keywords}
    assert declared["id"] == path.stem
    assert declared["tier"][0] == path.stem[0]


@pytest.mark.parametrize("path", sorted(ROOT.glob("locustfiles/f*.py")), ids=lambda path: path.stem)
def test_a_scenario_of_the_foundation_tier_reads_like_a_page(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 120


@pytest.mark.parametrize("path", LOCUSTFILES, ids=lambda path: path.stem)
def test_a_locustfile_states_its_fields_in_order(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    found = [line.split(":")[0] for line in docstring.splitlines() if ":" in line]
    assert [field for field in found if field in DOCSTRING_FIELDS] == list(DOCSTRING_FIELDS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_and_stays_within_400_lines(path: Path) -> None:
    text = path.read_text()
    assert path.stem not in BANNED_NAMES
    if path.name == "__init__.py":
        assert len(text.splitlines()) <= 40, "an __init__ stays empty or re-exports a short __all__"
        return
    assert ast.get_docstring(ast.parse(text)), "a module starts with what it is"
    assert len(text.splitlines()) <= 400


def test_an_init_that_exports_says_so_in_all() -> None:
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        if path.name != "__init__.py" or not any(isinstance(n, ast.ImportFrom) for n in tree.body):
            continue
        imported = {
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module != "__future__"
            for alias in node.names
        }
        exported = next(
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        )
        assert set(exported) == imported, path


def test_the_lock_files_name_no_host_and_hash_every_version() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert pins
        assert all("==" in line and line.endswith("\\") for line in pins), name
