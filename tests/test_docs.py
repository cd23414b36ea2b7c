"""The docs say what the code does: every scenario, option, setting and endpoint, and no other."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from results.text.slo import read_slo

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
NODE_DOC = (ROOT / "docs/node.md").read_text()
LOCUSTFILES = sorted(ROOT.glob("locustfiles/[!_]*.py"))


def fields_of(path: Path) -> dict[str, str]:
    """The `Name: text` lines of a locustfile's docstring, continued lines joined."""
    fields: dict[str, str] = {}
    name = ""
    for line in (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines():
        start = re.match(r"([A-Z][a-z]+(?: [a-z]+)?): (.*)", line)
        if start:
            name = start[1]
            fields[name] = start[2]
        elif not line.strip():
            name = ""
        elif name:
            fields[name] += " " + line.strip()
    return fields


def table_after(heading: str, text: str) -> list[list[str]]:
    """The cells of the first table that follows a heading."""
    rows: list[list[str]] = []
    for line in text.split(heading, 1)[1].splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            break
    return [rows[0], *rows[2:]]


def test_readme_has_a_row_for_every_scenario_that_says_what_its_docstring_says() -> None:
    header, *rows = table_after("## Scenarios", README)
    by_id = {row[0].strip("`"): row for row in rows}
    assert sorted(by_id) == [path.stem for path in LOCUSTFILES]
    for path in LOCUSTFILES:
        fields = fields_of(path)
        assert by_id[path.stem][1:] == [fields[name] for name in header[1:]]


def test_readme_lists_the_options_that_locust_is_given_and_no_other() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("foundation"), "options"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    group = done.stdout.split("Foundation options:")[1]
    offered = set(re.findall(r"^  (--[a-z-]+)", group, re.MULTILINE))
    listed = {
        option
        for row in table_after("## Options", README)
        for option in re.findall("--[a-z-]+", row[0])
    }
    assert offered == listed
    assert "--time-scale" in offered


def test_readme_names_every_exit_code() -> None:
    code = "from results.verdict import ExitCode; print([int(c) for c in ExitCode])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    rows = table_after("## Verdict and exit codes", README)[1:]
    assert [int(row[0]) for row in rows] == sorted(ast.literal_eval(done.stdout))


def test_readme_maps_every_folder_of_code() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    rows = table_after("## Map of the code", README)[1:]
    assert {row[0].strip("`/") for row in rows} == folders


@pytest.mark.parametrize("target", ["run", "test", "check", "bench", "fault"])
def test_readme_names_every_make_target_and_the_makefile_has_it(target: str) -> None:
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_links_of_the_docs_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_node_page_lists_every_endpoint_and_no_other() -> None:
    code = (
        "import json; from service.openapi import document;"
        "print(json.dumps([[m.upper(), p] for p, ms in document()['paths'].items() for m in ms]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    offered = {f"{method} {path}" for method, path in ast.literal_eval(done.stdout)}
    listed = set(re.findall(r"`((?:GET|POST|PUT|DELETE) /[^`?\s]*)", NODE_DOC))
    assert listed == offered


def test_the_node_page_lists_every_setting_and_no_other() -> None:
    code = "from service.settings import Settings; print(sorted(Settings.model_fields))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    offered = {f"FOUNDATION_{name.upper()}" for name in ast.literal_eval(done.stdout)}
    listed = set(re.findall(r"`(FOUNDATION_[A-Z_]+)`", NODE_DOC))
    assert listed == offered


def test_the_bundle_page_names_every_results_command_and_option_and_no_other() -> None:
    code = (
        "import typer; from deploy.results_cli import app; group = typer.main.get_command(app);"
        "print({name: [o for p in c.params for o in p.opts if o[0] == '-']"
        " for name, c in group.commands.items()})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    offered: dict[str, list[str]] = ast.literal_eval(done.stdout)
    text = (ROOT / "docs/bundle.md").read_text()
    assert set(re.findall(r"foundation results ([a-z]+)", text)) == set(offered)
    for options in offered.values():
        for option in options:
            assert re.search(rf"`[^`]*{option}\b[^`]*`|^ .*{option}\b", text, re.MULTILINE), option
    limits = {
        option for row in table_after("## List", text) for option in re.findall("--[a-z-]+", row[0])
    }
    assert limits == set(offered["prune"]) - {"--dir"}


def test_readmes_commands_on_results_exist_with_their_options() -> None:
    page = (ROOT / "docs/bundle.md").read_text()
    used = re.findall(r"foundation results (\w+)([^#`\n]*)", (ROOT / "README.md").read_text())
    assert {command for command, _ in used} >= {"list", "show", "verify", "report", "prune"}
    for command, rest in used:
        assert f"foundation results {command}" in page
        for option in re.findall(r"--[a-z-]+", rest):
            assert option in page, f"{command} {option}"


def test_readmes_file_of_checks_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (tmp_path / "slo.yaml").write_text(block)
    written = [line[4:] for line in block.splitlines() if line.startswith("  - ")]
    slo = read_slo(str(tmp_path / "slo.yaml"))
    assert [one.expression for one in slo.checks] == written
    assert len(written) >= 5


def test_the_bundle_page_has_a_row_for_every_file_of_a_run() -> None:
    code = (
        "from pathlib import Path; from results.run_folder import RunFolder as F;"
        "p = [n for n, v in vars(F).items() if isinstance(v, property) and n != 'run_id'];"
        "print(sorted(getattr(F(Path('x')), n).name for n in p))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    rows = table_after("## The files", (ROOT / "docs/bundle.md").read_text())[1:]
    listed = sorted(row[0].strip("`/") for row in rows)
    assert listed == ast.literal_eval(done.stdout)
