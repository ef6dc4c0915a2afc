"""The API on real market data: its numbers are the session's."""

from __future__ import annotations

import asyncio
import random

import httpx
import pytest

import plimsoll
from plimsoll.server.app import create_app

pytestmark = pytest.mark.real

FILES = ("open_interest_5m_binance", "candles_1h_binance", "funding_seven_venues")
MAP = {"symbol": "BTC/USDT:USDT", "exchange": "binance", "rows": 200}


@pytest.fixture(scope="module")
def session(real, tmp_path_factory):
    opened = plimsoll.open(tmp_path_factory.mktemp("real") / "store")
    opened.import_files([real / f"{name}.parquet" for name in FILES])
    return opened


def asked(session, path: str, query: dict) -> dict:
    async def work() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(session))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as one:
            return await one.get(f"/api/v1/{path}", params=query, timeout=300)

    answer = asyncio.run(work())
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_map_over_http_is_the_map_in_python_cell_by_cell(session) -> None:
    expected, columns = session.heatmap(**MAP), asked(session, "heatmap", MAP)["columns"]
    chance = random.Random(1)
    shape = expected.long_usd.shape
    for _ in range(2_000):
        column, row = chance.randrange(shape[0]), chance.randrange(shape[1])
        for name in ("long_usd", "short_usd"):
            value = getattr(expected, name)[column, row]
            assert columns[name][column][row] == (None if value != value else value)  # noqa: PLR0124


def test_funding_over_http_is_that_in_python(session) -> None:
    query = {"symbol": "BTC"}
    expected = session.funding(**query)
    assert expected.height > 90
    columns = asked(session, "funding", query)["columns"]
    assert columns["rate"] == expected["rate"].to_list()
    assert columns["exchange"] == expected["exchange"].to_list()
