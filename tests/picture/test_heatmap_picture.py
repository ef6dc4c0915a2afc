"""The heat map as a picture: files that are what they say, whatever the map holds."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest

from plimsoll.analytics.heatmap import Parameters, liquidation_map
from plimsoll.picture.heatmap import draw

START = datetime(2026, 1, 1, tzinfo=UTC)


def market(n=120, price=40_000.0, unknown=()):
    random = np.random.default_rng(3)
    close = price * np.exp(np.cumsum(random.normal(0, 0.006, n)))
    open_ = np.append(price, close[:-1])
    interest = [None if i in unknown else 60_000.0 + 100 * i for i in range(n)]
    return pl.DataFrame(
        {
            "time": [START + timedelta(hours=i) for i in range(n)],
            "open": open_,
            "high": np.maximum(open_, close) * 1.002,
            "low": np.minimum(open_, close) * 0.998,
            "close": close,
            "volume": [2_000.0] * n,
            "taker_buy": [None] * n,
            "open_interest": interest,
            "open_interest_usd": [None] * n,
        },
        schema_overrides={"time": pl.Datetime("us", "UTC"), "taker_buy": pl.Float64},
    )


def pixels(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


@pytest.mark.parametrize("size", [(1920, 1080), (1600, 900)])
def test_picture_has_the_size_asked_for(tmp_path, size):
    draw(liquidation_map(market()), tmp_path / "map.png", title="BTC", size=size)
    assert pixels(tmp_path / "map.png") == size


def svg(folder, found, **options):
    with mpl.rc_context({"svg.fonttype": "none"}):
        draw(found, folder / "map.svg", **{"title": "BTC", **options})
    return (folder / "map.svg").read_text(encoding="utf-8")


def test_picture_says_what_it_is_and_that_it_is_an_estimate(tmp_path):
    title, source = "BTC/USDT perpetual, Binance", "Data: a test."
    words = svg(tmp_path, liquidation_map(market()), title=title, source=source)
    for said in (title, source, "An estimate", "a prior, not fitted", "not scored", "UTC"):
        assert said in words
    assert "Columns of 1 h, candles of 1 h." in words
    assert "50 % of open interest taken as liquidatable" in words
    apart = Parameters(liquidatable_shorts=0.25)
    words = svg(tmp_path, liquidation_map(market(), apart), title=title, source=source)
    assert "50 % (longs) and 25 % (shorts) of open interest taken as liquidatable" in words


def test_each_unknown_stretch_is_hatched(tmp_path):
    whole = svg(tmp_path, liquidation_map(market()))
    holes = svg(tmp_path, liquidation_map(market(unknown=(30, 31, 60))))
    assert whole.count("fill: url(#h") == 1  # the first column, which nothing precedes
    assert holes.count("fill: url(#h") == 3


@pytest.mark.parametrize("price", [0.07, 3.5, 150.0, 2e6])
def test_price_of_any_size_is_drawn(tmp_path, price):
    draw(liquidation_map(market(price=price)), tmp_path / "map.png", title="coin")
    assert pixels(tmp_path / "map.png") == (1920, 1080)


def test_many_columns_are_drawn_with_their_candles_joined(tmp_path):
    words = svg(tmp_path, liquidation_map(market(n=700), rows=50))
    assert "Columns of 1 h, candles of 3 h." in words


def test_map_without_a_known_column_is_refused(tmp_path):
    found = liquidation_map(market(n=10), every=10)
    with pytest.raises(ValueError, match="nothing to draw"):
        draw(found, tmp_path / "map.png", title="BTC")
    assert not list(tmp_path.iterdir())
