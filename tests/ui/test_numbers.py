"""What the page shows is what Python says, to the last digit, and can be taken away."""

from __future__ import annotations

import csv
import io
import math
import random
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from ui.conftest import Opened, Served


SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "bn": 1e9}


def taken(page: Page, panel: str, form: str) -> bytes:
    """What a panel gives: its numbers, or its picture."""
    place = page.locator(f"section[aria-labelledby=panel-{panel}]")
    with page.expect_download() as download:
        place.get_by_role("button", name=form).click()
    path: Path = download.value.path()
    return path.read_bytes()


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_the_table_of_coins_is_that_of_the_session(opened: Opened, served: Served) -> None:
    page = opened.go()
    found = {row["coin"]: row for row in rows(taken(page, "coins", "CSV"))}
    known = served.session.overview()
    assert set(found) == set(known["coin"])
    numbers = [name for name in next(iter(found.values())) if name in known.columns]
    for row in known.iter_rows(named=True):
        for name in random.sample(numbers, 8):
            if name == "coin" or name.endswith("_history"):
                continue
            shown = found[row["coin"]][name]
            assert shown == "" if row[name] is None else float(shown) == row[name], name


def test_the_map_is_that_of_the_session(opened: Opened, served: Served) -> None:
    page = opened.go("?view=symbol&symbol=SOL&range=24h")
    found = [row for row in rows(taken(page, "symbol-SOL", "CSV")) if row["price_low"]]
    asked = page.evaluate(
        "performance.getEntriesByType('resource').map((one) => one.name)"
        ".filter((one) => one.includes('/heatmap?')).at(-1)"
    )
    since = asked.split("since=")[1].split("&")[0].replace("%3A", ":")
    drawn = served.session.heatmap("SOL", since=since, interval="5m", rows=480)
    last = int(drawn.known.nonzero()[0][-1])
    assert len(found) == int((drawn.long_usd[last] + drawn.short_usd[last] > 0).sum())
    for row in random.sample(found, 30):
        at = int((abs(drawn.edges - float(row["price_low"]))).argmin())
        assert math.isclose(drawn.edges[at], float(row["price_low"]))
        assert float(row["long_usd"]) == pytest.approx(drawn.long_usd[last][at], rel=1e-6)
        assert float(row["short_usd"]) == pytest.approx(drawn.short_usd[last][at], rel=1e-6)


def test_liquidations_under_the_pointer_are_those_of_the_session(
    opened: Opened, served: Served
) -> None:
    page = opened.go("?view=symbol&symbol=SOL&range=7d&panes=liquidations")
    asked = page.evaluate(
        "performance.getEntriesByType('resource').map((one) => one.name)"
        ".filter((one) => one.includes('/liquidations?')).at(-1)"
    )
    every = asked.split("every=")[1].split("&")[0]
    told = served.session.liquidations("SOL", every=every, by="all")
    known = {row["time"].strftime("%Y-%m-%d %H:%M"): row for row in told.iter_rows(named=True)}
    box = page.locator(".chart-host").bounding_box()
    assert box is not None
    compared = 0
    for at in range(40, int(box["width"]) - 120, 12):
        page.mouse.move(box["x"] + at, box["y"] + 150)
        time = page.locator(".legend").first.locator("span").first.inner_text()
        pane = page.locator(".legend").last
        if (row := known.get(time)) is None or not (row["long_usd"] and row["long_most_usd"]):
            continue
        figures = re.findall(r"\$([\d.]+)(k|m|bn)?", pane.locator(".long").inner_text())
        shown = [float(figure) * SCALES[scale] for figure, scale in figures]
        exact = row["long_usd"] == row["long_most_usd"]
        right = [row["long_usd"]] if exact else [row["long_usd"], row["long_most_usd"]]
        assert shown == pytest.approx(right, rel=0.006)
        assert row["completeness"] in pane.inner_text()
        compared += 1
    assert compared >= 3


@pytest.mark.parametrize(
    ("view", "panel"), [("market", "coins"), ("symbol", "symbol-BTC"), ("funding", "funding")]
)
def test_a_panel_gives_its_picture(view: str, panel: str, opened: Opened) -> None:
    page = opened.go(f"?view={view}")
    picture = taken(page, panel, "PNG")
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 5_000
    assert opened.said == []


def test_prices_follow_the_wheel_with_shift_and_a_double_click_fits_them(opened: Opened) -> None:
    page = opened.go("?view=symbol&symbol=BTC")
    box = page.locator(".chart-host").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 120)
    page.keyboard.down("Shift")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Shift")
    page.wait_for_url("**prices=**")
    low, high = page.url.split("prices=")[1].split("&")[0].replace("%7E", "~").split("~")
    assert float(low) < float(high)
    page.mouse.dblclick(box["x"] + 300, box["y"] + 120)
    page.wait_for_function("() => !location.search.includes('prices=')")


def test_a_symbol_of_script_is_no_symbol(opened: Opened) -> None:
    page = opened.go("?view=symbol&symbol=<img src=x onerror=alert(1)>")
    assert page.locator("h2").first.inner_text().startswith("BTC")
    assert opened.said == []
