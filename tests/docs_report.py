"""Takes the picture of docs/report.md: the top of a report on a made-up run, in Chromium.

    python -m tests.docs_report

writes docs/images/report.png. Needs a chromium, as tests/e2e/test_report_page.py does.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, sync_playwright

from results.report.__main__ import build
from tests.docs_images import IMAGES
from tests.e2e.chromium import CHROMIUM, FLAGS
from tests.unit.results.report.stormy_run import stormy_run

PICTURE = IMAGES / "report.png"
WIDTH_PX = 1200
COLOURS = 256
"""Of a palette: a third of the size, and nobody sees it."""


def shot(report: Path) -> bytes:
    """Verdict, figures and plot, as a PNG."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        try:
            context = browser.new_context(
                offline=True, viewport={"width": WIDTH_PX, "height": 1000}, color_scheme="light"
            )
            page = context.new_page()
            page.goto(report.as_uri())
            page.wait_for_selector(".tools:not([hidden])")
            plot = page.locator("#plot").bounding_box()
            assert plot is not None
            clip: FloatRect = {
                "x": 0,
                "y": 0,
                "width": WIDTH_PX,
                "height": plot["y"] + plot["height"],
            }
            return page.screenshot(clip=clip, full_page=True)
        finally:
            browser.close()


def main() -> None:
    assert CHROMIUM is not None, "install a chromium first: apt-get install chromium"
    with tempfile.TemporaryDirectory() as folder:
        picture = Image.open(io.BytesIO(shot(build(stormy_run(Path(folder)).path))))
    picture.convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)
    print(PICTURE.relative_to(IMAGES.parent.parent))


if __name__ == "__main__":
    main()
