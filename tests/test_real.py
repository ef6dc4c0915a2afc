"""The whole way on real market data, where it lies beside the repository."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

import plimsoll
from plimsoll.analytics.funding_venues import sign_agreement

pytestmark = pytest.mark.real

BTC = "BTC/USDT:USDT"


@pytest.fixture(scope="module")
def session(real, tmp_path_factory):
    opened = plimsoll.open(tmp_path_factory.mktemp("real") / "store")
    report = opened.import_files([real])
    assert report.failed == []
    assert report.total("rejected") == report.total("revisions") == 0
    return opened


def test_everything_imports_and_the_audit_is_clean(session, real):
    counts, findings = session.audit()
    assert findings == []
    tables = [pl.scan_parquet(path) for path in real.glob("open_interest*.parquet")]
    rows = pl.concat(tables).select(pl.len()).collect().item()
    assert session.read("open_interest").height == rows == 222_048
    assert counts["rows"] == session.status()["rows"].sum()


def test_a_second_import_adds_nothing(session, real):
    report = session.import_files([real])
    assert report.total("added") == 0
    statuses = {outcome.status for outcome in report.outcomes}
    assert statuses == {"known", "unrecognised"}


def test_status_shows_span_rows_and_gaps(session):
    status = session.status().filter(
        (pl.col("kind") == "candle") & (pl.col("symbol") == BTC) & (pl.col("detail") == "1h trade")
    )
    row = status.filter(pl.col("exchange") == "binance").row(0, named=True)
    assert (row["rows"], row["gaps"]) == (28_890, 0)
    assert row["first"] == datetime(2023, 1, 1, tzinfo=UTC)
    assert row["last"] == datetime(2026, 4, 18, 17, tzinfo=UTC)


@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL", "DOGE"])
def test_the_price_open_interest_implies_lies_in_the_hourly_candle(session, coin):
    """Stamps on the hour may lie in the candle before or after: they are the border of both."""
    symbol = f"{coin}/USDT:USDT"
    interest = session.read("open_interest", symbol, exchange="binance")
    candles = session.read("candle", symbol, exchange="binance").filter(pl.col("interval") == 3_600)
    hours = candles.select("time", "low", "high").sort("time")
    spans = hours.with_columns(
        before_low=pl.col("low").shift(1), before_high=pl.col("high").shift(1)
    )
    stamps = (
        interest.select("time", implied=pl.col("value_usd") / pl.col("amount"))
        .with_columns(hour=pl.col("time").dt.truncate("1h"))
        .join(spans, left_on="hour", right_on="time")
    )
    border = pl.col("time") == pl.col("hour")
    low = pl.when(border).then(pl.min_horizontal("low", "before_low")).otherwise("low")
    high = pl.when(border).then(pl.max_horizontal("high", "before_high")).otherwise("high")
    inside = stamps.select(pl.col("implied").is_between(low, high).mean()).item()
    assert stamps.height > 20_000
    assert inside >= 0.999


@pytest.mark.parametrize(
    ("day", "low"),
    [("2020-03-13", 3_622), ("2021-05-19", 28_688), ("2025-10-10", 101_516.5)],
)
def test_the_lows_of_known_crashes(session, day, low):
    since = datetime.fromisoformat(day).replace(tzinfo=UTC)
    candles = session.read(
        "candle", BTC, exchange="binance", since=since, until=since + timedelta(days=1)
    ).filter(pl.col("interval") == 14_400)
    assert candles["low"].min() == pytest.approx(low, abs=0.5)


@pytest.mark.parametrize(
    ("exchange", "symbol", "hours"),
    [
        ("binance", BTC, 8.0),
        ("binance", "ETH/USDT:USDT", 8.0),
        ("bitmex", "BTC/USD:BTC", 8.0),
        ("gate", BTC, 8.0),
        ("dydx", "BTC/USD:USD", 1.0),
        ("hyperliquid", "BTC/USDC:USDC", 1.0),
    ],
)
def test_the_interval_is_read_off_the_settlements(session, exchange, symbol, hours):
    found = session.funding(symbol, exchange=exchange)
    assert set(found["interval_hours"]) == {hours}


def test_funding_agrees_between_exchanges_more_often_than_not(session):
    binance = session.read("funding", BTC, exchange="binance", until="2024-03-16T09:00Z")
    bitmex = session.read("funding", "BTC/USD:BTC", exchange="bitmex")
    by_year = sign_agreement(binance, bitmex, timedelta(hours=5))
    assert by_year["year"].to_list() == [2019, 2020, 2021, 2022, 2023, 2024]
    assert by_year["pairs"].sum() == binance.height
    assert (by_year["equal_sign"] > 0.5).all()
    assert (by_year["left_positive"] > 0.75).all()
    assert by_year["pairs"].to_list() == [338, 1_098, 1_095, 1_095, 1_095, 227]


def test_three_sources_of_one_funding_history_agree_to_the_last_digit(session):
    """One of them is stamped in British local time: a wrong hour would contradict the others."""
    assert session.status()["revisions"].sum() == 0


@pytest.fixture(scope="module")
def winter(session):
    return session.heatmap(BTC, exchange="binance", since="2025-12-01", until="2026-04-01")


def test_each_side_of_the_map_is_within_open_interest(winter):
    for side in (winter.long_usd, winter.short_usd):
        assert (side[winter.known].sum(axis=1) <= winter.open_interest_usd[winter.known]).all()
        assert (side[winter.known] >= 0).all()
    assert winter.known.mean() > 0.99


def test_no_cell_of_the_map_is_on_the_wrong_side_of_the_price(winter):
    price = winter.open[:, None]
    assert not ((winter.long_usd > 0) & (winter.edges[None, 1:] > price)).any()
    assert not ((winter.short_usd > 0) & (winter.edges[None, :-1] <= price)).any()


def test_more_history_after_the_last_candle_changes_nothing_before_it(session):
    """Candles end on 2026-04-18, open interest goes on to June."""
    maps = [
        session.heatmap(BTC, exchange="binance", since="2026-04-10", until=until)
        for until in ("2026-04-18T12:00Z", "2026-04-25")
    ]
    assert maps[0].prices == maps[1].prices == "candles of 1:00:00"
    size, low = len(maps[0]), max(drawn.edges[0] for drawn in maps)
    high = min(drawn.edges[-1] for drawn in maps)
    rows = [(d.edges[:-1] >= low * (1 - 1e-9)) & (d.edges[1:] <= high * (1 + 1e-9)) for d in maps]
    for side in ("long_usd", "short_usd"):
        short, long = (getattr(d, side)[:size][:, r] for d, r in zip(maps, rows, strict=True))
        assert np.array_equal(short, long, equal_nan=True)


@pytest.mark.parametrize("until", ["2025-12-21", "2026-02-05T13:00Z", "2026-03-31"])
def test_the_future_cut_off_leaves_the_past_of_the_map_as_it_was(session, winter, until):
    cut = session.heatmap(BTC, exchange="binance", since="2025-12-01", until=until)
    shared = winter.time[: len(cut)]
    assert (cut.time == shared).all()
    keys = ["time", "side", "price_low", "price_high"]
    end = pl.Series(cut.time[-1:]).dt.replace_time_zone("UTC").item()
    whole = winter.to_frame().filter(pl.col("time") <= end)
    inside = whole.join(cut.to_frame(), on=keys, how="inner", suffix="_cut")
    assert inside.height > 10_000
    assert np.array_equal(inside["usd"].to_numpy(), inside["usd_cut"].to_numpy())
