"""Kinds of data that end before the newest row: the page says where, and leads there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import plimsoll
from plimsoll.market.events import Funding, OpenInterest
from plimsoll.store.writer import Writer
from ui.conftest import Opened, Served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

START = datetime(2025, 1, 1, tzinfo=UTC)
HOURS = 24 * 40
"""Of open interest, told each hour; of funding the first ten days."""


@pytest.fixture(scope="module")
def ended(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    del chromium  # without one nothing need be served
    session = plimsoll.open(tmp_path_factory.mktemp("ends") / "store")
    with Writer(session.path) as writer:
        for coin in ("SOL", "ETH"):
            writer.append([interest(coin, hour) for hour in range(HOURS)])
        writer.append([interest("BTC", hour) for hour in (0, HOURS + 24 * 400)])
        writer.append([funding(hour) for hour in range(8, 241, 8)])
        writer.seal()
    server = Served(session, None)
    yield server
    server.kill()


def stamps(coin: str, hour: int) -> dict[str, object]:
    when = int((START + timedelta(hours=hour)).timestamp()) * 1_000_000_000
    symbol = f"{coin}/USDT:USDT"
    return {
        "exchange": "binance",
        "symbol": symbol,
        "time": when,
        "received": when,
        "known_at": when,
    }


def interest(coin: str, hour: int) -> OpenInterest:
    amount, price = 1_000.0 + hour % 50, 100.0 + hour % 7
    return OpenInterest(**stamps(coin, hour), amount=amount, value_usd=amount * price)


def funding(hour: int) -> Funding:
    return Funding(**stamps("SOL", hour), rate=0.0002, interval_hours=8.0)


@pytest.fixture
def opened(browser: Browser, ended: Served) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield Opened(context.new_page(), ended.url)
    context.close()


def test_a_click_on_where_data_end_shows_the_range_that_ends_there(opened: Opened) -> None:
    page = opened.go("?view=symbol&symbol=SOL")
    assert opened.said == []  # though another coin goes on for a year
    page.get_by_role("button", name="what is stored ends 2025-01-11 00:00").click()
    page.mouse.move(5, 5)  # the line on top tells the bar under the pointer, else the last
    page.wait_for_url(f"**end={int((START + timedelta(hours=241)).timestamp())}*")
    opened.settle()
    funded = page.locator(".legend", has_text="Funding, a year")
    assert funded.inner_text().split() == ["Funding,", "a", "year", "+21.9%"]  # 0.02 % × 1,095
    assert page.locator(".legend").first.inner_text().startswith("2025-01-1")
    page.reload()
    opened.settle()
    assert page.locator(".legend").first.inner_text().startswith("2025-01-1")
    page.get_by_role("button", name="until 2025-01-11 01:00").click()
    page.wait_for_url(lambda url: "end=" not in url)
    opened.settle()
    assert page.locator(".legend").first.inner_text().startswith("2025-02-09")
    assert opened.said == []


def test_where_data_end_holds_for_one_coin_alone(opened: Opened) -> None:
    page = opened.go("?view=funding&symbol=SOL&end=1736557200")
    page.get_by_role("button", name="until 2025-01-11 01:00").wait_for()
    page.get_by_label("Coin or contract", exact=True).select_option("ETH")
    page.wait_for_url("**symbol=ETH*")
    assert "end=" not in page.url
    page.get_by_label("Coin or contract", exact=True).select_option("SOL")
    opened.settle()
    page.get_by_role("button", name="last known: 2025-01-11").first.click()
    page.wait_for_url("**end=1736557200*")
    opened.settle()
    markets = page.locator(".panel", has_text="Funding by market")
    assert markets.get_by_role("row", name="binance SOL/USDT:USDT").count() == 1
    assert opened.said == []
