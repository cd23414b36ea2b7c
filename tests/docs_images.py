"""Draws the pictures of docs/shapes.md: one for each builder of `shapes.profile`.

    python -m tests.docs_images

writes docs/images/shape-NAME.png. Needs the extra `plot`. Each picture carries the digest of what
it shows, by which a test sees one that is stale.
"""

from __future__ import annotations

from pathlib import Path

from shapes.profile import (
    Profile,
    at,
    burst,
    diurnal,
    jitter,
    overlay,
    per_s,
    ramp,
    repeat,
    scale,
    sequence,
    soak,
    spike,
    stairs,
    steady,
    stress,
    trace,
    wave,
)
from shapes.sketch import Sketch

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"

RECORDED = ((0, 40), (60, 55), (120, 90), (180, 160), (240, 130), (300, 145), (360, 70), (420, 45))

EXAMPLES: dict[str, tuple[str, Profile]] = {
    "steady": ("steady(200, 300)", steady(200, 300)),
    "ramp": ("ramp(20, 200, 300)", ramp(20, 200, 300)),
    "stairs": ("stairs(50, 250, 60, steps=5)", stairs(50, 250, 60, steps=5)),
    "burst": (
        "overlay(steady(200, 180), at(60, burst(800, 30)))",
        overlay(steady(200, 180), at(60, burst(800, 30))),
    ),
    "spike": ("spike(900, 20, 60, base=100)", spike(900, 20, 60, base=100)),
    "wave": ("wave(per_s(20), per_s(15), 120, 360)", wave(per_s(20), per_s(15), 120, 360)),
    "diurnal": ("diurnal(100)", diurnal(100)),
    "soak": ("soak(300, 7200, ramp_s=300)", soak(300, 7200, ramp_s=300)),
    "stress": ("stress(100, 100, 60, up_to=800)", stress(100, 100, 60, up_to=800)),
    "trace": ("trace(rows)", trace(RECORDED)),
    "sequence": (
        "sequence(ramp(0, 300, 60), steady(300, 120), ramp(300, 50, 60, phase='down'))",
        sequence(ramp(0, 300, 60), steady(300, 120), ramp(300, 50, 60, phase="down")),
    ),
    "overlay": (
        "overlay(steady(200, 300), at(30, burst(2000, 60)), at(90, steady(1000, 180, …)))",
        overlay(
            steady(200, 300),
            at(30, burst(2000, 60)),
            at(90, steady(1000, 180, phase="peak")),
        ),
    ),
    "repeat": (
        "repeat(sequence(steady(50, 60), burst(200, 30)), 4)",
        repeat(sequence(steady(50, 60), burst(200, 30)), 4),
    ),
    "scale": (
        "scale(sequence(steady(50, 60), burst(200, 30)), time=2, load=0.5)",
        scale(sequence(steady(50, 60), burst(200, 30)), time=2, load=0.5),
    ),
    "jitter": (
        "jitter(steady(per_s(50), 300), 0.2, every_s=5, seed=1)",
        jitter(steady(per_s(50), 300), 0.2, every_s=5, seed=1),
    ),
}
"""By the builder that a picture is about: its title, and the profile."""


def sketch_of(name: str) -> Sketch:
    """What the picture of a builder shows."""
    title, profile = EXAMPLES[name]
    return Sketch.of_profile(title, profile)


def path_of(name: str) -> Path:
    return IMAGES / f"shape-{name}.png"


def main() -> None:
    from shapes.png_plot import png

    IMAGES.mkdir(exist_ok=True)
    for name in EXAMPLES:
        path_of(name).write_bytes(png(sketch_of(name)))
        print(path_of(name).relative_to(IMAGES.parent.parent))


if __name__ == "__main__":
    main()
