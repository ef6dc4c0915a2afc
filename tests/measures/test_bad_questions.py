"""Questions that have no answer: each is told what to do, and nothing is made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import plimsoll
from plimsoll import cli
from plimsoll.errors import NoSuchData
from plimsoll.totals import together

START = datetime(2026, 3, 28, 20, tzinfo=UTC)  # Europe's clocks go forward five hours later
HOUR = timedelta(hours=1)
BTC = "BTC/USDT:USDT"
SPAN = {"since": "2026-04-02", "until": "2026-04-01"}
QUESTIONS = {
    "open_interest": "BTC",
    "divided_interest": "BTC",
    "interest_candles": "BTC",
    "turnover": "BTC",
    "consensus": "BTC",
    "quadrant": "BTC",
    "positioning": "BTC",
    "long_short": "BTC",
    "flow": "BTC",
    "funding": "BTC",
    "weighted_funding": "BTC",
    "funding_persistence": "BTC",
    "funding_dispersion": "BTC",
    "basis": "BTC",
    "fair_value": "BTC",
    "arbitrage": "BTC",
    "option_history": "BTC",
    "liquidations": "BTC",
    "bursts": "BTC",
    "macro": "BTC",
    "read": "candle",
}


def written(path, rows):
    frame = pl.DataFrame(rows).with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))
    frame.write_parquet(path)
    return path


def candle(at, **values):
    named = {"time": START + at * HOUR, "exchange": "binance", "symbol": BTC, "interval": 3600}
    prices = {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0 + at % 2}
    return named | prices | {"volume": 10.0, "taker_buy_volume": 5.0} | values


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    named = {"exchange": "binance", "symbol": BTC}
    hours = [{"time": START + at * HOUR, **named} for at in range(60)]
    held = [row | {"amount": 100.0 + at} for at, row in enumerate(hours)]
    files = [
        written(folder / "held.parquet", held),
        written(folder / "candles.parquet", [candle(at) for at in range(60)]),
        written(
            folder / "funding.parquet",
            [row | {"rate": 0.0001, "status": "settled"} for row in hours[::8]],
        ),
    ]
    opened = plimsoll.open(folder / "store")
    assert opened.import_files(files).failed == []
    return opened


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_span_that_ends_before_it_begins_is_refused(session, question):
    with pytest.raises(ValueError, match="the first has to be the earlier"):
        getattr(session, question)(QUESTIONS[question], **SPAN)


def test_a_coin_that_is_not_stored_is_told_how_to_find_one(session):
    for ask in (session.funding, session.heatmap, session.clusters):
        with pytest.raises(NoSuchData, match="did you mean BTC"):
            ask("btc")
    with pytest.raises(NoSuchData, match="plimsoll status"):
        session.open_interest("NOPE")


def test_what_is_asked_of_a_span_without_rows_is_told_so(session):
    for ask in (session.consensus, session.quadrant):
        with pytest.raises(NoSuchData, match="in that span of time"):
            ask("BTC", since="2030-01-01")
    for ask in (session.funding, session.funding_dispersion):
        with pytest.raises(NoSuchData, match="no funding of BTC is stored in that span"):
            ask("BTC", as_of="2001-01-01")


def test_a_step_longer_than_all_that_is_stored_is_told_so(session):
    with pytest.raises(NoSuchData, match="shorter ones"):
        session.consensus("BTC", every="4000d")


def test_one_market_makes_no_pair(session):
    with pytest.raises(NoSuchData, match="a pair needs two markets"):
        session.arbitrage("BTC")


def test_a_single_candle_is_no_movement(session):
    found = session.macro("BTC", until=START + HOUR)
    assert found["institutional"] is None or found["institutional"].is_empty()


def test_a_contract_of_which_nothing_is_stored_is_not_shown(session, capfd, monkeypatch):
    monkeypatch.setenv("PLIMSOLL_STORE", str(session.path))
    with pytest.raises(SystemExit) as left:
        cli.main(["show", "NOPE/USDT:USDT"])
    assert left.value.code == 3
    assert "plimsoll status" in capfd.readouterr().err


def test_a_correction_of_the_past_leaves_the_present_where_it_was(tmp_path):
    """What is known half a year late stands for no present, and makes no rows until today."""
    held = {"time": START, "exchange": "binance", "symbol": BTC, "amount": 7.0}
    opened = plimsoll.open(tmp_path / "store")
    last = held | {"time": START + 3 * HOUR, "amount": 9.0}
    opened.import_files([written(tmp_path / "one.parquet", [held, last])])
    opened.import_files([written(tmp_path / "two.parquet", [held | {"amount": 8.0}])])
    assert opened.status()["revisions"].to_list() == [1]
    assert opened.open_interest("BTC")["time"].max() == START + 3 * HOUR
    assert opened.open_interest("BTC")["amount"][-1] == 9


def test_takers_that_bought_more_than_was_traded_are_rejected(tmp_path):
    rows = [candle(0), candle(1, taker_buy_volume=50.0), candle(2, taker_buy_volume=None)]
    opened = plimsoll.open(tmp_path / "store")
    opened.import_files([written(tmp_path / "candles.parquet", rows)])
    assert opened.read("candle")["time"].to_list() == [START, START + 2 * HOUR]
    flow = opened.flow("BTC")
    assert flow["futures_delta"].to_list() == [0, None]


def test_a_market_that_tells_no_dollars_does_not_lower_the_price(tmp_path):
    """100 coins of 500 dollars on one exchange, 300 coins without a value on another."""
    named = {"time": START, "symbol": BTC}
    told = {**named, "exchange": "binance", "amount": 100.0, "value_usd": 50_000.0}
    mute = {**named, "exchange": "bybit", "amount": 300.0, "value_usd": None}
    share = {**named, "exchange": "bybit", "population": "accounts", "long_share": 0.6}
    opened = plimsoll.open(tmp_path / "store")
    opened.import_files(
        [
            written(tmp_path / "held.parquet", [told, mute]),
            written(tmp_path / "ls.parquet", [share]),
        ]
    )
    row = opened.overview().row(0, named=True)
    assert row["price"] == 500
    # Of a share of 0.6 the ratio is 0.6 / 0.4.
    assert row["long_short"] == pytest.approx(1.5)
    alone = opened.overview(exchange="bybit").row(0, named=True)
    assert (alone["price"], alone["open_interest_usd"]) == (None, None)


def test_a_coin_that_nothing_is_left_of_makes_no_number_up():
    coins = pl.DataFrame(
        {
            "time": [START, START],
            "open_interest_usd": [110.0, 0.0],
            "open_interest_change": [0.1, -1.0],
            "funding_apr": [None, None],
            "load": [None, None],
            "long_short": [None, None],
        },
        schema_overrides=dict.fromkeys(("funding_apr", "load", "long_short"), pl.Float64),
    )
    assert together(coins)["open_interest_change"] == pytest.approx(0.1)
