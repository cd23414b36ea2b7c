"""The plot as plain data for the plots' library."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from results.report.figure import figure, thinned
from results.report.sketch import Band, BandKind, Curve, Mark, Pane, Sketch, Thinning

BANDS = (
    Band(BandKind.PHASE, "steady", 0, 5),
    Band(BandKind.PHASE, "burst", 5, 10),
    Band(BandKind.FAULT, "kill node-2", 6, 7, "kill"),
    Band(BandKind.RECOVERY, "after kill node-2", 7, 9, "after kill"),
)


def sketch(*curves: Curve, bands: tuple[Band, ...] = BANDS, marks: tuple[Mark, ...] = ()) -> Sketch:
    return Sketch(0, 10.0, (Pane("Rate", curves, "/s"),), bands, marks)


def drawn(of: Sketch) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(figure(of), allow_nan=False))
    return found


def test_every_band_is_shaded_behind_all_panes_and_named_in_the_lane() -> None:
    shapes = drawn(sketch(Curve("ended", [1.0] * 10, "#000000")))["layout"]["shapes"]
    behind = [shape for shape in shapes if shape["yref"] == "paper"]
    assert [shape["name"] for shape in behind] == [
        "shade-phase",
        "shade-phase",
        "shade-fault",
        "shade-recovery",
    ]
    named = [shape["names"] for shape in shapes if "names" in shape]
    assert named == [
        ["steady"],
        ["burst"],
        ["kill node-2", "kill"],
        ["after kill node-2", "after kill"],
    ]
    fault, recovery = behind[2], behind[3]
    assert fault["opacity"] > recovery["opacity"]
    assert fault["x1"] - fault["x0"] == 1_000


def test_a_phase_keeps_its_colour_when_it_comes_again() -> None:
    again = (*BANDS[:2], Band(BandKind.PHASE, "steady", 10, 15))
    behind = [s for s in drawn(sketch(bands=again))["layout"]["shapes"] if s["yref"] == "paper"]
    assert behind[0]["fillcolor"] == behind[2]["fillcolor"] != behind[1]["fillcolor"]


def test_a_point_lies_in_the_middle_of_its_second() -> None:
    found = drawn(sketch(Curve("ended", [1.0] * 10, "#000000")))
    assert found["x0"] - found["layout"]["xaxis"]["range"][0] == 500
    assert found["dx"] == 1_000


def test_a_gap_stays_a_gap_and_a_lonely_second_is_seen() -> None:
    trace = drawn(sketch(Curve("p99", [1.0, None, 3.0, None], "#000000")))["traces"][-1]
    assert trace["y"] == [1, None, 3, None]
    assert trace["connectgaps"] is False
    assert "markers" in trace["mode"]
    joined = drawn(sketch(Curve("p99", [1.0, 2.0, None], "#000000")))["traces"][-1]
    assert joined["mode"] == "lines"


def test_pointing_at_a_second_tells_its_phase_and_fault() -> None:
    pointer = drawn(sketch())["traces"][0]
    assert pointer["text"][0] == "steady"
    assert pointer["text"][6] == "burst · fault kill node-2"
    assert pointer["text"][8] == "burst · after kill node-2"


def test_a_mark_is_a_line_through_all_panes_and_told_when_it_is_pointed_at() -> None:
    found = drawn(sketch(marks=(Mark(3.5, "note: <i>deployed</i>"),)))
    (marks,) = [trace for trace in found["traces"] if trace["mode"] == "markers"]
    assert marks["text"] == ["0:03.5 note: &lt;i&gt;deployed&lt;/i&gt;"]
    assert [s["type"] for s in found["layout"]["shapes"]].count("line") == 1


def test_names_from_elsewhere_carry_no_markup() -> None:
    evil = "<b>x</b></script>"
    made = sketch(
        Curve(evil, [1.0], "#000000"),
        bands=(Band(BandKind.PHASE, evil, 0, 5), Band(BandKind.FAULT, evil, 1, 2)),
        marks=(Mark(1.0, evil),),
    )
    # What we write ourselves: the name in bold, and that there is no second name.
    ours = json.dumps(figure(made)).replace("<b>%{text}</b>", "").replace("<extra></extra>", "")
    assert "<" not in ours


def test_a_scale_of_decades_begins_logarithmic() -> None:
    def starts(values: list[float | None]) -> bool:
        pane = Pane("ms", (Curve("p99", values, "#000000"),), logarithmic=True)
        found: bool = drawn(Sketch(0, 10.0, (pane,)))["panes"][1]["starts_log"]
        return found

    assert not starts([10.0, 20.0, 30.0, None])
    assert starts([10.0, 20.0, 30.0, 5_000.0])
    assert not starts([])
    assert not starts([None, 0.0])


def test_a_day_and_more_have_a_clock_with_days() -> None:
    def ticks(end_s: float) -> str:
        found: str = drawn(Sketch(0, end_s, ()))["layout"]["xaxis"]["tickformat"]
        return found

    assert ticks(300) == "%-M:%S"
    assert ticks(7_200) == "%-H:%M:%S"
    assert ticks(200_000) == "day %-d, %-H:%M:%S"


def test_a_long_run_is_drawn_with_about_a_point_for_each_pixel() -> None:
    values: list[float | None] = [1.0] * 10_001
    values[5_000] = 77.0
    made = Sketch(0, 10_001.0, (Pane("ms", (Curve("p99", values, "#000000"),)),))
    found = drawn(made)
    trace = found["traces"][-1]
    assert made.step_s == 6
    assert found["dx"] == 6_000
    assert len(trace["y"]) == 1_667
    assert max(trace["y"]) == 77


@given(
    st.lists(st.none() | st.floats(0, 1e9), max_size=200),
    st.integers(1, 30),
)
def test_thinning_keeps_the_largest_and_invents_nothing(
    values: list[float | None], step: int
) -> None:
    most = thinned(values, step, Thinning.MOST)
    mean = thinned(values, step, Thinning.MEAN)
    assert len(most) == len(mean) == math.ceil(len(values) / step)
    seen = [v for v in values if v is not None]
    assert max((v for v in most if v is not None), default=None) == max(seen, default=None)
    for n, (highest, middle) in enumerate(zip(most, mean, strict=True)):
        part = [v for v in values[n * step : (n + 1) * step] if v is not None]
        assert (highest is None) == (middle is None) == (not part)
        if highest is not None and middle is not None:
            assert highest in part
            assert middle <= highest * (1 + 1e-12)


def test_a_run_of_nothing_is_drawn_empty() -> None:
    found = drawn(Sketch(0, 1.0, ()))
    assert len(found["panes"]) == 1
    assert found["layout"]["shapes"] == []
