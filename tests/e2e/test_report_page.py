"""The report in a real browser with the network off: drawn, shaded, readable, and asking nobody.

Without a browser these tests are skipped, and say so. What the page holds is tested without one in
tests/unit/results/report.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from results.report.__main__ import build
from results.run_folder import RunFolder, create_run
from tests.e2e.chromium import CHROMIUM, FLAGS, missing
from tests.e2e.scenario import wait_until
from tests.unit.results.builder import write
from tests.unit.results.report.hostile import hostile_manifest, hostile_timeline, hostile_verdict
from tests.unit.results.report.stormy_run import stormy_run

PATIENCE_MS = 30_000

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=missing("THE REPORT"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        try:
            yield started
        finally:
            started.close()


class Opened:
    """A report in a page that is offline. Keeps what it asked for and complained of."""

    def __init__(self, browser: Browser, report: Path, **context: Any) -> None:
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.context = browser.new_context(offline=True, **context)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.goto(report.as_uri())
        self.page.wait_for_selector("#plot .main-svg")
        self.page.wait_for_selector(".tools:not([hidden])")

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def value(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def wait_for(self, expression: str) -> None:
        """Asked from outside: the page's policy forbids playwright's own way of waiting."""
        wait_until(lambda: bool(self.value(expression)), expression)

    def is_wider_than_its_window(self) -> bool:
        return bool(self.value("document.documentElement.scrollWidth > innerWidth"))

    def assert_quiet(self, report: Path) -> None:
        assert self.asked == [report.as_uri()]
        assert self.complaints == []


@pytest.fixture(scope="module")
def stormy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(stormy_run(tmp_path_factory.mktemp("runs")).path)


def test_a_report_is_drawn_and_shaded_without_a_network(browser: Browser, stormy: Path) -> None:
    with Opened(browser, stormy) as opened:
        assert opened.page.locator("#verdict h2").inner_text().endswith("FAIL")
        curves = "#plot .scatterlayer .trace path.js-line"
        assert opened.count(curves) > 15, "planned, started, ended, users, latencies, nodes"
        assert opened.value(
            f"[...document.querySelectorAll('{curves}')].filter((p) => p.getBBox().width > 500)"
            ".length > 10"
        )
        shades = opened.value("plot.layout.shapes.filter((s) => s.name).map((s) => s.name)")
        assert shades.count("shade-phase") == 4
        assert shades.count("shade-fault") == shades.count("shade-recovery") == 2
        drawn = "#plot .shapelayer path"
        assert opened.count(drawn) == opened.value("plot.layout.shapes.length")
        names = opened.page.locator("#plot .shape-label").all_text_contents()
        assert {"steady", "burst", "peak", "kill"} <= set(names)
        assert not opened.is_wider_than_its_window()
        opened.assert_quiet(stormy)


def test_pointing_at_a_second_tells_all_its_figures(browser: Browser, stormy: Path) -> None:
    with Opened(browser, stormy) as opened:
        pane = opened.page.locator("#plot .nsewdrag").nth(1)
        pane.scroll_into_view_if_needed()
        box = pane.bounding_box()
        assert box is not None
        opened.page.mouse.move(box["x"] + box["width"] * 85.5 / 301, box["y"] + 20)
        opened.page.locator("#plot .hoverlayer .legend").wait_for()
        said = opened.page.locator("#plot .hoverlayer").text_content() or ""
        for what in ("burst · fault kill node-2", "planned", " users", "p99", "refused", "node-1"):
            assert what in said


def test_the_scale_is_switched_and_a_zoom_taken_back(browser: Browser, stormy: Path) -> None:
    with Opened(browser, stormy) as opened:
        axis = "plot.layout[drawn.panes.find((p) => p.log).axis].type"
        assert opened.value(axis) == "linear"
        opened.page.click("#scale")
        opened.wait_for(f"{axis} === 'log'")
        assert opened.page.get_attribute("#scale", "aria-pressed") == "true"
        whole = opened.value("drawn.layout.xaxis.range")
        opened.value("Plotly.relayout(plot, {'xaxis.range': [drawn.x0, drawn.x0 + 60000]})")
        opened.page.click("#whole")
        opened.wait_for(
            f"plot.layout.xaxis.range.map(Number).join() === '{','.join(map(str, whole))}'"
        )
        opened.assert_quiet(stormy)


def test_a_table_is_sorted_by_its_columns(browser: Browser, stormy: Path) -> None:
    with Opened(browser, stormy) as opened:
        table = opened.page.locator("table", has_text="Every window")
        column = table.get_by_role("button", name="Error rate")
        column.click()
        assert table.locator("tbody th").first.inner_text() == "fault:kill-1"
        assert table.locator("th[aria-sort=descending]").count() == 1
        column.click()
        assert table.locator("tbody th").last.inner_text() == "fault:kill-1"


def test_a_report_is_usable_on_a_phone_and_in_the_dark(browser: Browser, stormy: Path) -> None:
    phone = {"width": 390, "height": 844}
    with Opened(browser, stormy, viewport=phone, has_touch=True, color_scheme="dark") as opened:
        assert not opened.is_wider_than_its_window()
        assert opened.value("plot.clientWidth") < 390
        background = "getComputedStyle(document.body).backgroundColor"
        assert opened.value(background) == "rgb(15, 20, 26)"
        assert opened.value("plot.layout.paper_bgcolor") == "#171e27"
        opened.page.emulate_media(color_scheme="light")
        opened.wait_for("plot.layout.paper_bgcolor === '#ffffff'")
        assert opened.value(background) == "rgb(246, 247, 249)"
        opened.assert_quiet(stormy)


def test_text_of_strangers_does_nothing_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    run: RunFolder = create_run(tmp_path, "hostile")
    write(run.timeline, hostile_timeline())
    run.write_manifest(hostile_manifest())
    run.write_verdict(hostile_verdict())
    report = build(run.path)
    with Opened(browser, report) as opened:
        assert opened.value("window.stolen") is None
        assert opened.count("#plot a, #plot b, #plot img") == 0
        assert not opened.is_wider_than_its_window()
        opened.assert_quiet(report)


def test_a_page_that_asks_the_network_would_be_seen(browser: Browser, stormy: Path) -> None:
    """The positive control: the policy stops it, and the browser says so."""
    asking = stormy.with_name("asking.html")
    slip = "<script>window.stolen = 1</script><img src='http://127.0.0.1:9/x.png'></main>"
    asking.write_text(stormy.read_text().replace("</main>", slip))
    with Opened(browser, asking) as opened:
        assert opened.value("window.stolen") is None
        assert len([said for said in opened.complaints if "Content Security Policy" in said]) == 2
