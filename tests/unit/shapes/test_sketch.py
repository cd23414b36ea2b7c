"""What a drawing shows, and how it looks as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from shapes.level import Unit
from shapes.load import Load, Part
from shapes.profile import at, burst, overlay, per_s, ramp, repeat, sequence, steady, stress
from shapes.sketch import Sketch
from shapes.text_plot import LEAST_WIDTH, clock, drawn, level, tick_step_s
from tests.docs_images import EXAMPLES, IMAGES, path_of, sketch_of

MIXED = Load(
    (
        Part(overlay(steady(200, 300), at(60, burst(800, 30))), {"Browser": 3, "Reader": 1}),
        Part(ramp(5, 20, 300), {"Editor": 1}),
        Part(steady(per_s(12.5), 200), {"Checkout": 4, "Refund": 1}),
    ),
    {"Watcher": 2},
)
SKETCH = Sketch.of("Mixed", MIXED, ["ends where it breaks"])


def test_a_sketch_has_a_curve_for_each_profile_and_class_and_their_sums() -> None:
    labels = [(curve.label, curve.unit.value, curve.is_sum) for curve in SKETCH.curves]
    assert labels == [
        ("Browser, Reader", "users", False),
        ("Editor", "users", False),
        ("sum", "users", True),
        ("Checkout", "arrivals", False),
        ("Refund", "arrivals", False),
        ("sum", "arrivals", True),
    ]
    whole = SKETCH.whole(Unit.USERS)
    assert whole is not None and whole.is_sum
    for t_s in (0, 59.5, 60, 89.5, 90, 299):
        assert whole.highest(t_s, t_s + 0.5) == pytest.approx(
            MIXED.peak(t_s, t_s + 0.5 - 1e-6), abs=1e-6
        )
    assert whole.total(0, 300) == MIXED.integral(0, 300)
    open_whole = SKETCH.whole(Unit.ARRIVALS)
    assert open_whole is not None
    assert (open_whole.top, open_whole.total(0, 300)) == (12.5, 2500)


def test_classes_have_their_share_of_the_highest_level() -> None:
    found = {one.name: (one.level, one.unit.value, one.how) for one in SKETCH.classes}
    assert found == {
        "Browser": (750, "users", "weight 3 of 4"),
        "Reader": (250, "users", "weight 1 of 4"),
        "Editor": (20, "users", "closed"),
        "Checkout": (10.0, "arrivals", "open"),
        "Refund": (2.5, "arrivals", "open"),
        "Watcher": (2, "users", "fixed_count, beside the profile"),
    }


def test_a_sketch_is_the_same_after_its_way_to_another_process() -> None:
    again = Sketch.from_text(SKETCH.as_text())
    assert again == SKETCH
    assert again.digest() == SKETCH.digest()


def test_a_digest_changes_with_what_is_drawn() -> None:
    one = Sketch.of_profile("a", steady(5, 10))
    others = [
        Sketch.of_profile("a", steady(6, 10)),
        Sketch.of_profile("b", steady(5, 10)),
        Sketch.of_profile("a", steady(5, 10, phase="other")),
        Sketch.of_profile("a", steady(per_s(5), 10)),
    ]
    assert len({sketch.digest() for sketch in (one, *others)}) == 5


def text_of(*args: object, **kwargs: object) -> list[str]:
    return drawn(*args, **kwargs).splitlines()  # type: ignore[arg-type]


def test_text_shows_the_load_its_phases_and_their_table() -> None:
    profile = sequence(steady(2, 60), steady(8, 60, phase="burst"), ramp(8, 0, 120))
    lines = text_of(Sketch.of_profile("Shape", profile), width=50)
    assert lines[0] == "Shape: 4:00 in 3 phases"
    assert lines[2] == "  users"
    rows = lines[3:13]
    assert rows[0] == "8 │           █████████████▆▃"
    assert rows[5] == "4 │           █████████████████████████▅▂"
    # Two of eight users are two rows and a half.
    assert rows[7].startswith("  │▄▄▄▄▄▄▄▄▄▄▄███")
    assert rows[8].startswith("  │██████████████")
    assert lines[13] == "0 └" + "─" * 47
    assert lines[14].split() == ["0:00", "1:00", "2:00", "3:00"]
    assert lines[15] == "   |steady    |burst      |ramp"
    assert lines[17:] == [
        "phase   from    to  peak users  user-seconds",
        "steady  0:00  1:00           2           120",
        "burst   1:00  2:00           8           480",
        "ramp    2:00  4:00           8           480",
        "all     0:00  4:00           8         1,080",
    ]


@pytest.mark.parametrize("width", [LEAST_WIDTH, 80, 200])
def test_text_fits_its_width(width: int) -> None:
    simple = Sketch.of_profile("Shape", repeat(sequence(steady(50, 60), burst(200, 30)), 4))
    assert max(map(len, text_of(simple, width=width))) <= width
    if width >= 80:
        assert max(map(len, text_of(SKETCH, width=width))) <= width


def test_every_bar_stands_for_the_highest_level_of_its_time() -> None:
    """A spike that is narrower than a column shows all the same."""
    narrow = overlay(steady(1, 3600), at(1800, burst(99, 1)))
    lines = text_of(Sketch.of_profile("Shape", narrow), width=60)
    assert lines[3].count("█") == 1


def test_a_level_above_zero_is_never_drawn_as_none() -> None:
    lines = text_of(Sketch.of_profile("Shape", sequence(steady(1, 60), burst(9999, 60))), width=60)
    assert "▁▁▁▁" in lines[12]


def test_plain_text_is_ascii_and_has_the_same_numbers() -> None:
    plain = drawn(SKETCH, width=80, plain=True)
    assert plain.isascii()
    assert "#####" in plain
    assert plain.splitlines()[-12:] == drawn(SKETCH, width=80).splitlines()[-12:]


def test_numbers_are_never_cut_where_names_are_long() -> None:
    long = Sketch.of_profile("Shape", steady(123_456, 3600, phase="p" * 50))
    line = next(line for line in text_of(long, width=50) if line.startswith("pp"))
    assert line.startswith("ppppppp.. ")
    assert line.endswith("444,441,600")


def test_users_and_arrivals_have_a_table_each_where_one_is_too_wide() -> None:
    wide, narrow = text_of(SKETCH, width=80), text_of(SKETCH, width=60)
    headers = [line for line in narrow if line.startswith("phase ")]
    assert [header.split()[3:] for header in headers] == [
        ["peak", "users", "user-seconds"],
        ["peak", "arrivals/s", "arrivals"],
    ]
    assert len([line for line in wide if line.startswith("phase ")]) == 1
    assert max(map(len, narrow)) <= 60


def test_many_phases_are_told_up_to_a_bound() -> None:
    lines = text_of(Sketch.of_profile("Shape", stress(1, 1, 10, up_to=100)), width=80)
    assert lines[0] == "Shape: 16:40 in 100 phases"
    assert "... and 60 more phases" in lines
    assert lines[-1].startswith("all ")
    assert max(map(len, lines)) <= 80


def test_notes_are_wrapped_below_the_title() -> None:
    sketch = Sketch.of("Shape", Load((Part(steady(1, 9), {"A": 1}),)), ["word " * 20])
    lines = text_of(sketch, width=50)
    assert " ".join(lines[1:3]).split() == ["word"] * 20


def test_a_load_of_nothing_is_drawn() -> None:
    lines = text_of(Sketch.of_profile("Shape", steady(0, 60)), width=60)
    assert not any("█" in line for line in lines)
    assert lines[-1].split() == ["all", "0:00", "1:00", "0", "0"]


@pytest.mark.parametrize(
    ("t_s", "text"),
    [(0, "0:00"), (90, "1:30"), (2.5, "0:02.5"), (3600, "1:00:00"), (100_800, "28:00:00"),
     (59.9999, "1:00"), (0.001, "0:00.001"), (3599.9999, "1:00:00")],
)  # fmt: skip
def test_times_read_like_a_clock(t_s: float, text: str) -> None:
    assert clock(t_s) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (2200, "2,200"), (12.5, "12.5"), (0.25, "0.25"), (12345.678, "12,346")],
)
def test_levels_are_told_in_four_digits_and_whole_ones_in_all(value: float, text: str) -> None:
    assert level(value) == text


def test_ticks_are_round() -> None:
    steps = [tick_step_s(least) for least in (0.0004, 0.3, 7, 61, 2000, 50_000, 10**9)]
    assert steps == [0.001, 0.5, 10, 120, 3600, 86_400, 86_400 * 2**14]


# The pictures of the docs

DOC = (IMAGES.parent / "shapes.md").read_text()
DIGEST_BEGINS = b"tEXtSketch\0"


def digest_in(path: Path) -> str:
    """The text chunk of that name: length, type, keyword, NUL, text, checksum."""
    data = path.read_bytes()
    start = data.index(DIGEST_BEGINS) + len(DIGEST_BEGINS)
    return data[start : start + 16].decode("ascii")


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_builder_has_a_picture_that_is_fresh_small_and_shown(name: str) -> None:
    path = path_of(name)
    assert digest_in(path) == sketch_of(name).digest(), "stale: run python -m tests.docs_images"
    assert path.stat().st_size < 30_000
    assert f"(images/{path.name})" in DOC


def test_every_builder_that_is_exported_has_a_picture_and_no_other_is_there() -> None:
    import shapes.profile as builders

    made = {
        name
        for name in builders.__all__
        if callable(getattr(builders, name)) and name.islower() and name not in ("at", "per_s")
    }
    assert made == set(EXAMPLES)
    assert {path.name for path in IMAGES.glob("shape-*.png")} == {
        path_of(name).name for name in EXAMPLES
    }


def test_a_picture_of_another_sketch_is_stale() -> None:
    """The control."""
    assert digest_in(path_of("steady")) != sketch_of("ramp").digest()
