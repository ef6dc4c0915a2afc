from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

import plimsoll
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def candles(exchange: str, days: int) -> pl.DataFrame:
    time = [START + day * DAY for day in range(days)]
    prices = dict.fromkeys(("open", "high", "low", "close"), 60_000.0)
    fixed = {"exchange": exchange, "symbol": "BTC/USDT:USDT", "interval": 86_400, "volume": 10.0}
    return pl.DataFrame({"time": time}).with_columns(
        price_kind=pl.lit("trade"), **{k: pl.lit(v) for k, v in {**fixed, **prices}.items()}
    )


def test_a_bound_after_everything_changes_nothing_of_what_is_beyond_the_market(
    tmp_path: Path,
) -> None:
    """What the longest history is, is asked with a bound and without one."""
    for exchange, days in (("binance", 60), ("bybit", 30)):
        candles(exchange, days).write_parquet(tmp_path / f"candle_{exchange}.parquet")
    session = plimsoll.open(tmp_path / "store")
    report = session.import_files(sorted(tmp_path.glob("*.parquet")))
    assert report.failed == []
    bare, bounded = session.macro("BTC"), session.macro("BTC", until=START + 400 * DAY)
    assert bare.keys() == bounded.keys()
    for name, part in bare.items():
        other = bounded[name]
        assert (part is None) == (other is None)
        assert part is None or (other is not None and part.equals(other))


def marks(exchange: str, yearly: float, days: int) -> pl.DataFrame:
    """Marks of two dated futures and their index, paying so much a year."""
    rows = []
    for day in range(days):
        for expiry in ("260130", "260327"):
            date = datetime.strptime(f"{expiry}08", "%y%m%d%H").replace(tzinfo=UTC)
            time = START + day * DAY
            years = (date - time) / timedelta(days=365)
            rows.append((time, f"BTC/USD:BTC-{expiry}", 60_000 * math.exp(yearly * years)))
    named = pl.DataFrame(rows, schema=["time", "symbol", "mark_price"], orient="row")
    return named.with_columns(exchange=pl.lit(exchange), index_price=pl.lit(60_000.0))


def test_the_basis_of_regulated_futures_is_a_part_where_it_is_stored(tmp_path: Path) -> None:
    marks("deribit", 0.05, 40).write_parquet(tmp_path / "mark_price_deribit.parquet")
    elsewhere = plimsoll.open(tmp_path / "elsewhere")
    assert elsewhere.import_files(sorted(tmp_path.glob("*.parquet"))).failed == []
    assert elsewhere.macro("BTC")["institutional"] is None
    marks("cme", 0.08, 40).write_parquet(tmp_path / "mark_price_cme.parquet")
    session = plimsoll.open(tmp_path / "both")
    assert session.import_files(sorted(tmp_path.glob("*.parquet"))).failed == []
    found = session.macro("BTC")["institutional"]
    assert found is not None
    assert found["basis_gap"].to_numpy() == pytest.approx(0.03, abs=1e-9)
    assert found["known"][-1] == 1
    assert found["coverage"][-1] == pytest.approx(1 / 7)
    assert found["score"].null_count() == 29


def test_blocks_in_a_simulated_market_are_the_share_that_was_put_there(tmp_path: Path) -> None:
    """The simulated exchange trades on the screen alone; of its trades each third is made a block.

    Once nine days are there, the last seven that are over are the second to the eighth.
    """
    session = plimsoll.open(tmp_path / "simulated")
    session.simulate("calm", coins=("BTC",), days=9)
    found = session.macro("BTC")["institutional"]
    assert found is not None
    assert found["block_share"].to_list()[-2:] == [0.0, 0.0]
    reader = Reader(tmp_path / "simulated")
    trades = reader.read("trade", symbol="BTC/USD:BTC").with_row_index("n")
    marked = trades.with_columns(
        origin=pl.when(pl.col("n") % 3 == 0).then(pl.lit("block")).otherwise("origin")
    ).drop("n")
    quotes = reader.read("option_quote", symbol="BTC/USD:BTC")
    quotes.write_parquet(tmp_path / "option_quote.parquet")
    marked.write_parquet(tmp_path / "trade.parquet")
    other = plimsoll.open(tmp_path / "marked")
    assert other.import_files(sorted(tmp_path.glob("*.parquet"))).failed == []
    told = other.macro("BTC")["institutional"]
    assert told is not None
    last = told["time"].max()
    assert isinstance(last, datetime)
    week = marked.filter(pl.col("time").is_between(last - 7 * DAY, last, closed="left"))
    blocks = week.filter(pl.col("origin") == "block")["amount"].sum() / week["amount"].sum()
    assert 0.2 < blocks < 0.5
    assert told["block_share"][-1] == pytest.approx(blocks)
