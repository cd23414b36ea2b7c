"""The page as a whole: one document that shows everything and obeys nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from results.document import Document
from results.report import library, page
from results.report.panes import sketch
from results.report.record import KeptFile, Record
from results.run_folder import RunFolder
from results.series import series
from results.timeline import Header, Timeline
from tests.unit.results.builder import planned_requests, timeline
from tests.unit.results.report.hostile import (
    TEXTS,
    hostile_manifest,
    hostile_timeline,
    hostile_verdict,
)

VOID = {"meta", "link", "br", "img", "input", "hr"}
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "a", "header", "p", "h1", "h2", "h3"),
    *("nav", "ul", "li", "main", "section", "span", "dl", "div", "dt", "dd", "button", "noscript"),
    *("script", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    *("code", "strong", "footer", "bdi"),
}
"""All that the page is made of."""

TARGETS = {
    *("#verdict", "#plot-section", "#checks", "#faults", "#traffic", "#audit", "#generator"),
    *("#environment", "#files"),
}


class Reader(HTMLParser):
    """Tags, attributes, text outside of scripts and styles, and the scripts themselves."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.open: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data
        elif self.open[-1:] != ["style"]:
            self.text.append(data)

    @property
    def figure(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.scripts[0][1])
        return found


def made(record: Record, files: tuple[KeptFile, ...] = ()) -> str:
    drawn = sketch(record.timeline, series(record.timeline), record.verdict)
    return page.page(record, drawn, files)


def record_of(
    verdict: object, *, of: Timeline | None = None, manifest: object = None, **more: Any
) -> Record:
    of = of or timeline(planned_requests())
    return Record(RunFolder(Path("r")), Document(manifest), of, Document(verdict), **more)


@pytest.fixture(scope="module")
def hostile() -> Iterator[Reader]:
    record = record_of(
        hostile_verdict(),
        of=hostile_timeline(),
        manifest=hostile_manifest(),
        recomputed=TEXTS[0],
        doubts=TEXTS,
    )
    yield Reader(made(record, tuple(KeptFile(text, 1) for text in TEXTS)))


def foreign(reader: Reader) -> list[str]:
    """Whatever is in the page that we did not put there."""
    found = [f"open {tag}" for tag in reader.open]
    found += [tag for tag, _ in reader.tags if tag not in TAGS]
    for _, attributes in reader.tags:
        found += [name for name in attributes if name.startswith("on") or name in ("src", "style")]
        target = attributes.get("href")
        found += [target] if target is not None and target not in TARGETS else []
    found += ["script"] * (len(reader.scripts) - 3)
    return found


def test_text_of_strangers_makes_no_tag_and_no_attribute(hostile: Reader) -> None:
    assert foreign(hostile) == []


@pytest.mark.parametrize(
    ("slip", "seen"),
    [
        ("<script>window.stolen = 1</script>", ["script"]),
        ("<img src=x>", ["img", "src"]),
        ("<p onclick=x></p>", ["onclick"]),
        ('<a href="javascript:x"></a>', ["javascript:x"]),
    ],
)
def test_text_that_slipped_through_would_be_seen(slip: str, seen: list[str]) -> None:
    text = made(record_of({})).replace("</main>", f"{slip}</main>")
    assert foreign(Reader(text)) == seen


def test_text_of_strangers_is_there_to_be_read(hostile: Reader) -> None:
    text = "".join(hostile.text)
    for one in TEXTS[:2]:
        assert text.count(one) > 5
    assert "right \\u202eto left" in text
    assert "\\x00\\x1b[31mred\\x07" in text
    assert "=HYPERLINK" in text
    assert "مرحبا" in text
    assert "{{ 7 * 7 }}" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e]", text)


def test_a_name_of_ten_thousand_characters_is_cut_and_told_when_pointed_at(
    hostile: Reader,
) -> None:
    assert max(len(word) for word in "".join(hostile.text).split()) < 1_100
    titles = [found["title"] or "" for tag, found in hostile.tags if found.get("class") == "cut"]
    assert any(title.startswith("x" * 600) and len(title) == 1_000 for title in titles)


def test_labels_of_the_plot_have_no_markup(hostile: Reader) -> None:
    ours = json.dumps(hostile.figure).replace("<b>%{text}</b>", "").replace("<extra></extra>", "")
    assert "<" not in ours


def test_the_policy_forbids_the_network_and_every_script_but_ours(hostile: Reader) -> None:
    (policy,) = [
        found["content"] or ""
        for tag, found in hostile.tags
        if found.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data: blob:"
    assert not {"connect-src", "font-src", "media-src", "frame-src"} & rules.keys()
    run = [text for found, text in hostile.scripts if found.get("type") is None]
    digests = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in run]
    assert rules["script-src"] == " ".join(f"'sha256-{digest}'" for digest in digests)


def test_tables_are_for_everybody() -> None:
    reader = Reader(made(record_of(hostile_verdict())))
    tags = [tag for tag, _ in reader.tags]
    assert tags.count("table") == tags.count("caption") == tags.count("thead") > 5
    assert dict(reader.tags)["html"] == {"lang": "en"}
    assert tags.count("h1") == 1
    assert all(found.get("scope") for tag, found in reader.tags if tag == "th")
    regions = [found for tag, found in reader.tags if found.get("role") == "region"]
    assert all(found["aria-label"] and found["tabindex"] == "0" for found in regions)


def test_a_verdict_of_nothing_known_still_makes_a_page() -> None:
    unknown: tuple[dict[str, object], ...] = (
        {},
        {"verdict": None, "windows": 5, "checks": {}, "audit": []},
    )
    for verdict in unknown:
        reader = Reader(made(record_of(verdict)))
        text = "".join(reader.text)
        assert "NO VERDICT" in text
        assert "No checks were declared" in text
        assert not reader.open


def test_an_empty_timeline_makes_a_page() -> None:
    empty = Timeline(Header("run-1", "s", 0))
    assert "No request was recorded." in made(record_of({}, of=empty))


def test_the_page_says_when_the_verdict_is_not_the_runs_own() -> None:
    told = record_of({"verdict": "ABORTED"}, recomputed="The run wrote no verdict.")
    assert "The run wrote no verdict." in made(told)


def test_only_what_is_shaded_is_explained() -> None:
    plain = made(record_of({}, of=timeline(planned_requests(), plan=None)))
    assert "Shaded:" not in plain
    phases = made(record_of({}))
    assert '<span class="swatch phase"></span> phases.' in phases
    assert "swatch fault" not in phases.split("<body>")[1].split("<script")[0]


def test_a_page_that_would_be_too_large_has_fewer_rows_and_says_so() -> None:
    endpoints = {
        f"GET /{n}": {"requests": n, "raw_ms": {"p50": 1.0, "p99": 2.0}, "errors": {}}
        for n in range(500)
    }
    windows = [{"name": f"w{n}", "endpoints": endpoints} for n in range(80)]
    text = made(record_of({"windows": [{"name": "run", "endpoints": endpoints}, *windows]}))
    assert len(text.encode()) <= page.LARGEST_BYTES
    assert re.search(r"4\d\d more rows are in csv/endpoints\.csv", text)
    assert "GET /499" in text, "what was asked for most is shown"
    small = made(record_of({"windows": [{"name": "run", "endpoints": endpoints}]}))
    assert "300 more rows are in csv/endpoints.csv" in small


def test_many_phases_faults_and_marks_fit_as_well() -> None:
    stormy = hostile_timeline()
    many = tuple(replace(stormy.annotations[0], t_s=n / 1_000) for n in range(5_000))
    text = made(record_of({}, of=replace(stormy, annotations=many)))
    assert len(text.encode()) <= page.LARGEST_BYTES


def test_the_library_cannot_end_its_own_script() -> None:
    assert "</script" not in library.script()
    assert "<!--" not in library.script()


def test_styles_load_nothing() -> None:
    reader = made(record_of({}))
    style = reader[reader.index("<style>") : reader.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style
