"""Puts the page together: tables, plot and the scripts, in one HTML text that needs no network.

Everything that comes from a run is quoted by the template engine, and the page's own policy lets
the browser run the two scripts of ours alone and load nothing. This module must not read files of
the run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources

from jinja2 import BaseLoader, Environment, StrictUndefined
from markupsafe import Markup

from results.report import disruption, library, outcome, surroundings, traffic
from results.report.figure import figure
from results.report.record import KeptFile, Record
from results.report.sketch import BandKind, Sketch
from results.report.table import Table
from results.report.text import LONGEST, LONGEST_TITLE, shortened, visible

_TEMPLATES = resources.files("results.report") / "template"


LARGEST_BYTES = 6_000_000
"""Of a page, 4.9 MB of which are the plots' library: what a mail server takes."""

DETAIL = ((200, 2_000), (40, 1_000), (8, 300))
"""Rows of each table and points of each curve. A run with so many windows, endpoints or nodes that
the page would be too large is shown with fewer; every row says which file has the rest."""


def page(record: Record, sketch: Sketch, files: Sequence[KeptFile]) -> str:
    """The whole document, with as much detail as fits."""
    content = _content(record, files)
    text = ""
    for most_rows, most_points in DETAIL:
        text = _rendered(_cut(content, most_rows), replace(sketch, most_points=most_points))
        if len(text.encode()) <= LARGEST_BYTES:
            break
    return text


def _rendered(content: Mapping[str, object], sketch: Sketch) -> str:
    own = _template("page.js")
    plots = library.script()
    environment = Environment(
        loader=_Loader(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    environment.filters["told"] = told
    return environment.get_template("page.html.j2").render(
        **content,
        step_s=sketch.step_s,
        shaded=_shaded(sketch),
        figure=Markup(_as_json(figure(sketch))),
        policy=_policy(plots, own),
        style=Markup(_template("style.css")),
        library=Markup(plots),
        script=Markup(own),
    )


_SHADES = {
    BandKind.PHASE: "phases",
    BandKind.FAULT: "faults",
    BandKind.RECOVERY: "recoveries after them",
    BandKind.UNFIT: "times in which the generator was not fit",
}


def _shaded(sketch: Sketch) -> list[tuple[str, str]]:
    """Class and meaning of each kind of band that there is."""
    kinds = {band.kind for band in sketch.bands}
    return [(kind.value, meaning) for kind, meaning in _SHADES.items() if kind in kinds]


def _cut(content: Mapping[str, object], most: int) -> dict[str, object]:
    """Every table, and every list of them, with so many entries at most."""
    found: dict[str, object] = {}
    for name, value in content.items():
        if isinstance(value, Table):
            found[name] = value.cut(most)
        elif isinstance(value, tuple) and value and isinstance(value[0], Table):
            found[name] = tuple(table.cut(most) for table in value[:most])
        else:
            found[name] = value
    return found


def _content(record: Record, files: Sequence[KeptFile]) -> Mapping[str, object]:
    """By the names that the template uses."""
    generator = record.verdict.table("generator")
    endpoints = traffic.endpoint_tables(record)
    audit = disruption.audit_section(record)
    return {
        "run_id": record.timeline.header.run_id,
        "headline": outcome.headline(record),
        "tiles": outcome.tiles(record),
        "facts": surroundings.facts(record),
        "checks": outcome.check_table(record),
        "faults": disruption.fault_table(record),
        "windows": traffic.window_table(record),
        "endpoints": endpoints.whole,
        "endpoints_of_parts": endpoints.parts,
        "errors": traffic.error_table(record),
        "arrivals": traffic.arrival_table(record),
        "figures": traffic.figure_table(record),
        "audit": audit,
        "audit_tables": () if audit is None else audit.tables,
        "fit": generator.truth("fit"),
        "findings": [finding.text("text") for finding in generator.rows("findings")],
        "health": surroundings.health_table(record),
        "target": surroundings.target_table(record),
        "events": surroundings.event_table(record),
        "environment": surroundings.environment_tables(record),
        "files": surroundings.file_table(files),
        "doubts": record.doubts,
    }


def shown(text: str, longest: int = LONGEST) -> Markup:
    """Quoted, escapes for what is invisible, cut when it is long, and apart from its surroundings
    in which direction it is written."""
    quoted = Markup.escape(visible(shortened(text, longest)))
    if not text.isascii():
        quoted = Markup("<bdi>{}</bdi>").format(quoted)
    if len(text) <= longest:
        return quoted
    return Markup('<span class="cut" title="{}">{}</span>').format(told(text), quoted)


def told(text: str) -> str:
    """For an attribute, which holds no markup; the engine quotes it."""
    return visible(shortened(text, LONGEST_TITLE))


def _as_json(value: object) -> str:
    """Between script tags: no tag can begin in it, and no line separator ends a line."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(*scripts: str) -> str:
    """A Content-Security-Policy: our scripts by their hashes, no connection to anybody.

    The plots' library writes styles, and pictures that are saved go through `data:` and `blob:`.
    """
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


class _Loader(BaseLoader):
    """Reads templates from this package, wherever it is installed."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, None, None]:
        return _template(template), None, None
