"""The page in a real browser, on a simulated market behind a real server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ui.conftest import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from ui.conftest import Opened, Served

VIEWS = ("market", "symbol", "options", "funding", "data")
AXE = Path(__file__).resolve().parents[2] / "ui" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of screenshots: PLIMSOLL_PICTURES if it is set."""
    named = os.environ.get("PLIMSOLL_PICTURES")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def shows(page: Page, words: str) -> None:
    page.wait_for_function("(words) => document.body.innerText.includes(words)", arg=words)


def drawn_cells(page: Page) -> int:
    """How many differing colours the price pane shows: an empty chart has a handful."""
    return page.evaluate(
        """() => {
            const canvas = document.querySelector('.chart-host canvas');
            const { width, height } = canvas;
            const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
            const seen = new Set();
            for (let at = 0; at < data.length; at += 4 * 97) {
                seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
            }
            return seen.size;
        }"""
    )


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("view", VIEWS)
def test_each_view_loads_and_the_console_stays_silent(
    view: str, theme: str, opened: Opened, pictures: Path
) -> None:
    page = opened.go(f"?view={view}&theme={theme}")
    assert page.locator(".panel").count() >= 1
    assert page.locator(".panel[data-state=failed]").count() == 0
    page.screenshot(path=pictures / f"{view}-{theme}.png")
    assert opened.said == []


def test_the_map_is_drawn_under_the_candles(opened: Opened) -> None:
    page = opened.go("?view=symbol&symbol=BTC")
    with_map = drawn_cells(page)
    page.keyboard.press("m")
    page.wait_for_timeout(500)
    assert with_map > 200 > drawn_cells(page)


def test_leverages_are_chosen_by_keyboard_and_kept_in_the_address(opened: Opened) -> None:
    page = opened.go("?view=symbol&symbol=SOL")

    def total() -> str:
        return page.locator("canvas.profile").get_attribute("aria-label") or ""

    whole, clusters = total(), page.locator(".clusters").inner_text()
    page.keyboard.press("x")
    page.wait_for_selector("details[data-menu=leverage][open]")
    page.keyboard.press("Enter")  # the first tier, 2x
    page.wait_for_url("**leverage=3,5,10,20,25,50**")
    opened.settle()
    shows(page, "only leverage 3, 5, 10, 20, 25, 50 of it")
    assert total() != whole
    assert page.evaluate("document.activeElement.dataset.key") == "leverage-2"
    page.get_by_role("button", name="10×", exact=True).click()
    page.wait_for_url("**leverage=3,5,20,25,50**")
    opened.settle()
    page.wait_for_function(
        "(before) => document.querySelector('.clusters').innerText !== before", arg=clusters
    )
    page.reload()
    opened.settle()
    shows(page, "only leverage 3, 5, 20, 25, 50 of it")
    page.keyboard.press("L")
    page.wait_for_selector("details[data-menu=leverage]")
    shows(page, "杠杆 5/7")
    assert opened.said == []


def test_a_fit_says_how_far_it_is_over_the_map_that_is_not_fitted_yet(opened: Opened) -> None:
    page = opened.page
    page.goto(opened.url + "?view=symbol&symbol=SOL&model=fitted&range=3d")
    page.wait_for_selector(".progress:not([hidden])")
    shows(page, "Not fitted yet")
    seen = page.locator(".progress").get_attribute("aria-valuetext") or ""
    assert any(word in seen for word in ("reading", "moving", "comparing", "fitting", "drawing"))
    shows(page, "leverage mix is a prior, not fitted")  # the map that is shown meanwhile
    assert drawn_cells(page) > 200
    page.wait_for_function(
        "() => document.querySelector('.said').innerText.includes('fitted to their')",
        timeout=4 * PATIENCE,
    )
    page.wait_for_selector(".progress", state="hidden")
    assert opened.said == []


def test_the_walk_of_a_new_user(opened: Opened, browser: Browser) -> None:
    page = opened.go()
    page.get_by_role("button", name="BTC", exact=True).first.click()
    opened.settle()
    assert "view=symbol" in page.url
    chart = page.locator(".chart-host")
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 150)
    page.mouse.wheel(0, -600)
    page.wait_for_url("**span=**")
    page.locator(".cluster").first.click()
    shows(page, "Where it was entered")
    assert "cell=" in page.url
    page.get_by_role("button", name="Options", exact=True).click()
    opened.settle()
    assert "view=options" in page.url
    page.go_back()
    shows(page, "Where it was entered")
    shared = page.url
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    other = context.new_page()
    other.goto(shared)
    other.wait_for_selector(".panel[data-state=ready]")
    shows(other, "Where it was entered")
    other.wait_for_timeout(1_000)
    assert other.url == shared
    context.close()
    assert opened.said == []


def test_the_walk_by_keyboard_alone(opened: Opened) -> None:
    page = opened.go()
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    page.keyboard.press("/")
    page.keyboard.type("BTC")
    page.keyboard.press("Enter")
    page.wait_for_url("**view=symbol**")
    opened.settle()
    for key in ("+", "+", "ArrowLeft"):
        page.keyboard.press(key)
    page.wait_for_url("**span=**")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "cluster":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**cell=**")
    shows(page, "Where it was entered")
    page.keyboard.press("Escape")
    page.wait_for_function("() => !location.search.includes('cell=')")
    page.keyboard.press("3")
    page.wait_for_url("**view=options**")
    page.keyboard.press("t")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'light'")
    page.keyboard.press("L")
    shows(page, "期权")
    assert opened.said == []


def test_news_arrive_without_reload(opened: Opened, served: Served) -> None:
    page = opened.go("?view=market")
    before = page.locator(".fresh").inner_text()
    row = page.locator("tr.opens").first.inner_text()
    served.live(4)
    page.wait_for_function(
        "(before) => document.querySelector('.fresh').innerText !== before", arg=before
    )
    page.wait_for_function("(row) => document.querySelector('tr.opens').innerText !== row", arg=row)
    assert opened.said == []


def test_a_server_that_was_killed_is_said_and_missed_no_longer_when_it_is_back(
    opened: Opened, served: Served
) -> None:
    page = opened.go("?view=symbol&symbol=SOL")
    served.kill()
    page.wait_for_selector(".banner:not([hidden])")
    shows(page, "The server does not answer")
    assert drawn_cells(page) > 200  # what is known stays
    served.start()
    page.wait_for_selector(".banner", state="hidden")
    opened.settle()
    assert page.locator(".panel[data-state=ready]").count() == 1
    page.wait_for_selector(".fresh[data-state=live]")


@pytest.mark.parametrize("view", VIEWS)
def test_a_telephone_can_use_it(
    view: str, browser: Browser, served: Served, pictures: Path
) -> None:
    from ui.conftest import Opened  # noqa: PLC0415 (for types elsewhere)

    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    opened = Opened(context.new_page(), served.url)
    page = opened.go(f"?view={view}")
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.screenshot(path=pictures / f"{view}-narrow.png")
    assert wide == 360
    assert page.get_by_role("navigation").is_visible()
    assert opened.said == []
    context.close()


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_serious(view: str, theme: str, opened: Opened) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not there: npm --prefix ui ci")
    page = opened.go(f"?view={view}&theme={theme}")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    serious = [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]
    assert serious == []
