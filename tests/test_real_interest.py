"""Open interest and positioning on real market data, where it lies beside the repository."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import plimsoll
from plimsoll.analytics import grading, grading_funding
from plimsoll.market.schema import TABLES

pytestmark = pytest.mark.real

BTC = "BTC/USDT:USDT"
HOUR = timedelta(hours=1)
_NO_MARKS = pl.DataFrame(schema=TABLES["mark_price"].schema)


@pytest.fixture(scope="module")
def session(real, tmp_path_factory):
    opened = plimsoll.open(tmp_path_factory.mktemp("real") / "store")
    names = (
        "open_interest_5m_binance.parquet",
        "long_short_accounts_okx.parquet",
        "candles_1h_binance.parquet",
        "candles_1h_bybit.parquet",
    )
    assert opened.import_files([real / name for name in names]).failed == []
    return opened


@pytest.fixture(scope="module")
def raw(real):
    return pl.read_parquet(real / "open_interest_5m_binance.parquet").sort("time")


@pytest.mark.parametrize("symbol", [BTC, "ETH/USDT:USDT", "SOL/USDT:USDT", "DOGE/USDT:USDT"])
def test_what_binance_publishes_is_believed(session, symbol):
    found = session.consensus(symbol, until="2026-04-18")
    assert found.grades.filter(metric="open_interest")["grade"].to_list() == ["A"]
    assert found.total["left_out"].explode().drop_nulls().is_empty()


@pytest.mark.parametrize("symbol", [BTC, "ETH/USDT:USDT"])
@pytest.mark.parametrize("until", ["2026-02-07", "2026-04-18"])
def test_real_open_interest_moves_by_no_more_than_was_traded(session, symbol, until):
    found = session.consensus(symbol, until=until, every="1h")
    (row,) = found.grades.filter(metric="open_interest").iter_rows(named=True)
    assert (row["grade"], row["impossible"], row["lag_minutes"]) == ("A", 0, 0)
    assert row["price_ratio"] == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize(("factor", "words"), [(1_000.0, "wrong unit"), (2.0, "wrong unit")])
def test_real_amounts_in_another_unit_are_named(session, factor, words):
    held = session.read("open_interest", BTC, since="2026-04-01", until="2026-04-10")
    held = held.with_columns(pl.col("amount") * factor)
    closes = session.read("candle", BTC, since="2026-04-01").select(
        pl.col("time") + HOUR, "exchange", "symbol", volume=pl.lit(None, pl.Float64), close="close"
    )
    panel = grading.panel(held, closes, HOUR, 2 * HOUR)
    (row,) = grading.grades(panel, ("open_interest",)).iter_rows(named=True)
    assert row["grade"] == "D"
    assert words in row["reasons"][0]
    assert row["price_ratio"] == pytest.approx(1 / factor, rel=0.01)


@pytest.fixture(scope="module")
def funding(real, tmp_path_factory):
    opened = plimsoll.open(tmp_path_factory.mktemp("funding") / "store")
    assert opened.import_files(sorted(real.glob("funding_*.parquet"))).failed == []
    return opened.read("funding", "BTC/USDT:USDT"), opened


@pytest.mark.parametrize("month", [5, 8, 11])
@pytest.mark.parametrize("year", [2021, 2022, 2023])
def test_what_seven_exchanges_settled_is_believed(funding, year, month):
    until = datetime(year, month, 1, tzinfo=UTC)
    settled = funding[0].filter(pl.col("time").is_between(until - timedelta(days=40), until))
    grades = grading_funding.funding_grades(settled, grading_funding.hourly_premium(_NO_MARKS))
    assert grades.height >= 5
    assert set(grades["grade"]) <= {"A", "B"}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (-pl.col("rate"), "the sign is turned"),
        (pl.col("rate") * 100, "as percent for a fraction"),
        (pl.col("rate") * 8, "wrong interval: 8 times too large"),
    ],
)
def test_real_rates_that_are_told_wrong_are_named(funding, fault, words):
    # March 2021: funding was high, and moved together.
    until = datetime(2021, 3, 20, tzinfo=UTC)
    settled = funding[0].filter(pl.col("time").is_between(until - timedelta(days=31), until))
    own = pl.col("exchange") == "binance"
    told = settled.with_columns(pl.when(own).then(fault).otherwise("rate").alias("rate"))
    grades = grading_funding.funding_grades(told, grading_funding.hourly_premium(_NO_MARKS))
    assert words in "; ".join(grades.filter(own)["reasons"].item())
    assert set(grades.filter(~own)["grade"]) <= {"A", "B"}


def test_one_interest_does_not_explain_where_mexc_rests(funding):
    rates = funding[0].filter(exchange="mexc")["rate"].round(8)
    counts = [int((rates == rest).sum()) for rest in (0.0001, 0.00015, 0.00005)]
    assert counts == [440, 409, 266]


def test_a_store_of_funding_alone_has_its_grades(funding):
    found = funding[1].consensus("BTC", until="2021-03-20")
    assert found.total.is_empty()
    assert set(found.grades["metric"]) == {"funding"}
    assert set(found.grades["grade"]) <= {"A", "B"}


def test_a_daily_candle_is_what_lies_in_its_day(session, raw):
    candles = session.interest_candles(
        BTC, "1d", every="5m", since="2026-01-10", until="2026-01-12"
    )
    day = raw.filter(
        pl.col("symbol") == BTC,
        pl.col("time").is_between(
            pl.datetime(2026, 1, 10, time_zone="UTC"), pl.datetime(2026, 1, 11, time_zone="UTC")
        ),
    )["amount"]
    told = candles.row(0, named=True)
    assert [told[n] for n in ("open", "high", "low", "close")] == (
        [day[0], day.max(), day.min(), day[-1]]
    )
    assert told["instants"] == len(day) == 289


def test_marks_are_first_reached_when_the_reports_reach_them(session, raw):
    marks = session.interest_milestones(BTC, every="5m")
    own = raw.filter(symbol=BTC)
    for mark, time, _, above in marks.iter_rows():
        assert own.filter(pl.col("value_usd") >= mark)["time"][0] == time
        assert above == (own["value_usd"][-1] >= mark)


def test_a_share_of_accounts_and_its_ratio_are_one_fact(session):
    found = session.long_short("BTC")
    assert found["exchange"].unique().to_list() == ["okx"]
    share, ratio = found["long_share"], found["ratio"]
    assert (share / (1 - share) - ratio).abs().max() < 0.02  # both are rounded as published
    assert found["percentile"].drop_nulls().is_between(0, 1).all()


def test_without_takers_no_state_is_named(session):
    found = session.quadrant(BTC, since="2026-03-01", until="2026-03-10")
    assert found["state"].null_count() == found.height > 200
    assert {tuple(e) for e in found["evidence"]} >= {("takers are not known",)}
    assert found["price_z"].null_count() == found["interest_z"].null_count() == 0


def test_the_entries_of_a_day_lie_between_the_prices_of_the_months_before(session):
    found = session.entries(BTC, until="2026-04-18")
    candles = session.read("candle", BTC, since="2026-03-01", until="2026-04-18")
    low, high = candles["low"].min(), candles["high"].max()
    held = found.filter((pl.col("price_high") > low) & (pl.col("price_low") < high))
    assert held["long_usd"].sum() > 0.99 * found["long_usd"].sum()
    assert held["short_usd"].sum() > 0.99 * found["short_usd"].sum()


def test_turnover_is_of_the_markets_whose_open_interest_is_stored(session, real, raw):
    """Bybit traded beside Binance, but only Binance's open interest is here: added from files."""
    end = datetime(2026, 2, 1, tzinfo=UTC)
    row = session.turnover(BTC, until="2026-02-01T00:01Z").filter(time=end).row(0, named=True)
    day = pl.read_parquet(real / "candles_1h_binance.parquet").filter(
        pl.col("symbol") == BTC,
        pl.col("time").is_between(end - timedelta(days=1), end, closed="left"),
    )
    held = raw.filter(pl.col("symbol") == BTC, pl.col("time") == end)["amount"].item()
    assert day.height == 24
    assert row["volume"] == pytest.approx(day["volume"].sum(), rel=1e-12)
    assert row["turnover"] == pytest.approx(day["volume"].sum() / held, rel=1e-12)
