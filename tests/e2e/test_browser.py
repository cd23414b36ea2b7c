"""The web UI in a real browser: P1 with its shape, stopped, started again, and ad hoc.

Debian's chromium, driven by playwright; `.ci/run` installs it. Without one the test is skipped, and
says so. What the pages are asked for without a browser is in test_web_ui.py.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.e2e.chromium import CHROMIUM, FLAGS, missing
from tests.e2e.scenario import P1, Finished, wait_until
from tests.e2e.test_interruption import all_gone
from tests.e2e.web_session import WebSession, assert_passed, nodes_of

PATIENCE_MS = 30_000

SHORT = ("--time-scale", f"{1 / 40}", "--load-scale", "0.1")
"""P1 in 7.5 seconds. What so short a run achieves varies too much to hold it to a PASS."""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None,
    reason=missing("THE WEB UI"),
)


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a browser with a fresh profile, which asked nobody but the loopback."""
    asked: set[str | None] = set()
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.set_default_timeout(PATIENCE_MS)
            page.on("request", lambda request: asked.add(urlsplit(request.url).hostname))
            page.on("pageerror", lambda error: errors.append(str(error)))
            yield page
        finally:
            browser.close()
    assert asked <= {"127.0.0.1", None, ""}
    assert not errors


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def expect_status(page: Page, *states: str) -> None:
    """One of these in the header, which shows it in capitals."""
    said = re.compile("|".join(states))
    expect(page.locator("header")).to_contain_text(said, timeout=PATIENCE_MS)


def choice_of_shape(page: Page) -> str:
    """The label of the chosen entry."""
    return page.locator("select[name=shapeClass] option:checked").inner_text()


def show(page: Page, tab: str) -> None:
    page.get_by_role("tab", name=tab).click()


def rows(page: Page) -> Locator:
    return page.locator("tbody tr")


def test_a_browser_starts_stops_and_restarts_with_the_shape_and_without(
    tmp_path: Path, page: Page
) -> None:
    with WebSession(tmp_path / "runs", *SHORT, locustfile=P1) as ui:
        nodes = ui.node_processes()
        page.goto(f"http://127.0.0.1:{ui.port}/")
        first = start_and_stop_the_shape(ui, page)
        second = start_the_shape_again(ui, page)
        third = run_any_number_of_users(ui, page)
        assert len({tuple(nodes_of(done)) for done in (first, second, third)}) == 1
        assert len(nodes_of(first)) == 5
        assert ui.node_processes() == nodes
        family = ui.family()
        ui.interrupt(signal.SIGINT)
        done = ui.finish()
        assert done.exit_code == 5, "the worst of the three was stopped before its end"
        assert "Traceback" not in done.stderr
        wait_until(lambda: all_gone(family), "processes outlived the run")


def start_and_stop_the_shape(ui: WebSession, page: Page) -> Finished:
    # The form presets the shape, and its fields are not for it.
    expect(page.locator("input[name=userCount]")).to_be_disabled()
    assert choice_of_shape(page) == "SaasShape: the scenario as it is planned"
    button(page, "Start").click()
    expect_status(page, "running", "spawning")
    expect(button(page, "Edit")).to_be_disabled()
    expect(rows(page).filter(has_text="/v1/saas/actions/").first).to_be_visible()
    expect(page.locator("header").get_by_text("Users")).to_be_visible()
    show(page, "Charts")
    expect(page.locator("canvas, svg").first).to_be_visible()
    show(page, "Verdict")
    expect(rows(page)).to_contain_text(["no run has ended yet"])
    # A page that is loaded anew knows that a shape runs.
    page.reload()
    expect(button(page, "Edit")).to_be_disabled()
    button(page, "Stop").click()
    expect_status(page, "stopped")
    show(page, "Verdict")
    expect(rows(page).first).to_contain_text("ABORTED")
    done = ui.judged(1)
    assert done.verdict["verdict"] == "ABORTED"
    return done


def start_the_shape_again(ui: WebSession, page: Page) -> Finished:
    button(page, "New").click()
    assert choice_of_shape(page).startswith("SaasShape")
    page.locator("form").get_by_role("button", name="Start").click()
    expect_status(page, "running", "spawning")
    # It ends by itself; the page follows it to its verdict.
    expect_status(page, "stopped")
    done = ui.judged(2)
    assert done.timeline("end")[0]["reason"] == "completed"
    expect(rows(page).first).to_contain_text(done.verdict["verdict"])
    return done


def run_any_number_of_users(ui: WebSession, page: Page) -> Finished:
    button(page, "New").click()
    page.select_option("select[name=shapeClass]", "Default")
    assert choice_of_shape(page).startswith("no shape: the number of users below")
    # An edit that were refused would hold up the start.
    page.get_by_role("row").filter(has_text="GatewayUser").get_by_role("button").click()
    page.fill("input[name=weight]", "49")
    button(page, "Save").click()
    for unwanted in ("JobUser", "AnalyticsUser"):
        page.get_by_role("row").filter(has_text=unwanted).get_by_role("checkbox").click()
    page.fill("input[name=userCount]", "12")
    page.fill("input[name=spawnRate]", "12")
    page.locator("form").get_by_role("button", name="Start").click()
    expect_status(page, "running", "spawning")
    ui.wait_for_users(12)
    button(page, "Edit").click()
    page.fill("input[name=userCount]", "20")
    button(page, "Update").click()
    ui.wait_for_users(20)
    expect(page.locator("header").get_by_text("20", exact=True)).to_be_visible()
    expect(rows(page).first).to_contain_text("a run goes on")
    button(page, "Stop").click()
    expect_status(page, "stopped")
    expect(rows(page).filter(has_text="ad hoc")).to_have_count(1)
    done = ui.judged(3)
    assert_passed(done)
    assert max(line["users"] for line in done.timeline("progress")) == 20
    assert not done.timeline("plan")
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert manifest["ad_hoc"] is True
    assert manifest["users"] == ["GatewayUser", "SaasUser"]
    # What was edited is not what the shape plans.
    button(page, "New").click()
    page.locator("form").get_by_role("button", name="Start").click()
    expect(page.get_by_text("GatewayUser has weight 49, declared is 1")).to_be_visible()
    return done
