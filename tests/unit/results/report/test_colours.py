"""Colours can be told from their background, on a light page and on a dark one (WCAG 2.1)."""

from __future__ import annotations

import json
import re
from importlib import resources

import pytest

from results.report import panes
from results.report.figure import figure
from results.report.sketch import Band, BandKind, Sketch

STYLE = (resources.files("results.report") / "template" / "style.css").read_text()
GRAPHICS, TEXT = 3.0, 4.5
"""The least contrast that success criteria 1.4.11 and 1.4.3 ask for."""


def luminance(colour: str) -> float:
    shares = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def variables(block: str) -> dict[str, str]:
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})", block))
    return {n: c if len(c) == 7 else "#" + "".join(2 * x for x in c[1:]) for n, c in found.items()}


LIGHT = variables(STYLE.split("@media")[0])
DARK = variables(STYLE.split("@media")[1])


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_curves_and_texts_stand_out(theme: dict[str, str]) -> None:
    for colour in {*panes.NODE_COLOURS, *panes.ERROR_COLOURS.values(), panes.GREY, panes.SKY}:
        assert contrast(colour, theme["card"]) >= GRAPHICS, colour
    for name in ("ink", "soft", "link", "pass", "fail", "doubt", "aborted"):
        for background in ("page", "card", "stripe"):
            assert contrast(theme[name], theme[background]) >= TEXT, (name, background)
    assert contrast(theme["doubt"], theme["doubt-back"]) >= TEXT


def test_names_of_bands_stand_out() -> None:
    phases = [Band(BandKind.PHASE, f"phase {n}", n, n + 1) for n in range(6)]
    others = [Band(kind, kind.value, 1, 2) for kind in BandKind if kind is not BandKind.PHASE]
    made = figure(Sketch(0, 6.0, (), (*phases, *others)))
    shapes = json.loads(json.dumps(made))["layout"]["shapes"]
    named = [shape for shape in shapes if "names" in shape]
    assert len(named) == 9
    for shape in named:
        assert contrast(shape["label"]["font"]["color"], shape["fillcolor"]) >= TEXT, shape


def test_a_colour_that_fades_into_its_page_would_be_seen() -> None:
    assert contrast("#ffffff", "#ffffff") == 1
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#94a3b8", LIGHT["card"]) < GRAPHICS
