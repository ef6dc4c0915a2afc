"""Ten years of real funding, spot against perpetuals, and the curve of real options' forwards."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

import plimsoll

pytestmark = pytest.mark.real

LONDON = ZoneInfo("Europe/London")
NAMES = {"BTC/USDT": "BTC/USDT:USDT", "BTCUSDT": "BTC/USDT:USDT", "BTCUSDCM": "BTC/USD:BTC"}


@pytest.fixture(scope="module")
def session(real, tmp_path_factory):
    opened = plimsoll.open(tmp_path_factory.mktemp("carry") / "store")
    files = [*real.glob("funding_*.parquet"), *real.glob("spot_perp_*"), *real.glob("option_*")]
    assert opened.import_files(sorted(files)).failed == []
    return opened


@pytest.fixture(scope="module")
def by_year(session):
    return session.funding_persistence("BTC", by_year=True)


def share(by_year, exchange, symbol, year, column):
    (found,) = by_year.filter(exchange=exchange, symbol=symbol, year=year)[column]
    return found


def counted(real, year):
    """BitMEX' settlements of a year, counted in the file itself."""
    rows = pl.read_parquet(real / "funding_8h_binance_bitmex.parquet")
    return rows.filter((pl.col("exchange") == "bitmex") & (pl.col("time").dt.year() == year))[
        "rate"
    ].to_list()


@pytest.mark.parametrize("year", range(2016, 2025))
def test_shares_are_those_of_the_file(real, by_year, year):
    rates = counted(real, year)
    market = ("bitmex", "BTC/USD:BTC", year)
    # Settlements within seconds of midnight count in the year their stamp names.
    assert share(by_year, *market, "settlements") == len(rates)
    assert share(by_year, *market, "positive") == sum(r > 0 for r in rates) / len(rates)
    assert share(by_year, *market, "at_neutral") == sum(r == 0.0001 for r in rates) / len(rates)


def test_caps_that_changed_are_counted_year_by_year(real, session):
    """BitMEX' cap was lower from 2017 on than its first rates: of all years, 140 were at one."""
    years = [counted(real, year) for year in range(2016, 2025)]
    capped = 0
    for rates in years:
        for edge in {max(rates), min(rates)} - {0.0001}:
            capped += rates.count(edge) if rates.count(edge) >= 3 else 0
    assert capped == 140
    told = session.funding_persistence("BTC", exchange="bitmex")["at_cap"].item()
    assert told == pytest.approx(capped / sum(map(len, years)))


def test_funding_is_mostly_positive_but_not_as_a_rule(by_year):
    """BitMEX tells of more than 92 % positive in 2025; here only early 2024 had as much there."""
    bitmex = by_year.filter(exchange="bitmex")
    assert (bitmex["positive"] > 0.5).all()
    assert bitmex.filter(pl.col("positive") > 0.92)["year"].to_list() == [2024]
    binance = by_year.filter(exchange="binance", symbol="BTC/USDT:USDT")
    assert binance["positive"].min() == pytest.approx(0.7107, abs=1e-4)


def test_exactly_neutral_is_common_and_less_so_since_2025(by_year):
    """BitMEX tells of 78.19 % at exactly 0.01 %; its own history here never exceeds 61 %."""
    assert by_year.filter(exchange="bitmex")["at_neutral"].max() == pytest.approx(0.6056, abs=1e-4)
    binance = by_year.filter(exchange="binance", symbol="BTC/USDT:USDT")
    shares = dict(binance.select("year", "at_neutral").iter_rows())
    assert min(shares[year] for year in range(2019, 2025)) > 0.30
    assert shares[2025] < 0.16
    assert shares[2026] < 0.03


def test_bitcoins_funding_decays_within_days(session):
    found = session.funding_persistence("BTC").filter(pl.col("interval_hours") == 8)
    assert found["half_life_hours"].is_between(2, 36).all()
    assert found.filter(exchange="binance", symbol="BTC/USDT:USDT")["half_life_hours"][
        0
    ] == pytest.approx(24.2, abs=0.1)


@pytest.fixture(scope="module")
def raw(real):
    """The three exchanges' table as it is, with its British local time told in UTC by hand."""
    rows = pl.read_parquet(real / "spot_perp_8h_three_venues_raw.parquet")
    found = {}
    for row in rows.filter(pl.col("crypto") == "bitcoin").iter_rows(named=True):
        local = datetime.strptime(row["time"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=LONDON)
        kind = "spot" if row["contract"] == "spot" else NAMES[row["pair"]]
        found[row["exchange"], kind, local.astimezone(UTC)] = row
    return found


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT", "BTC/USD:BTC"])
def test_realised_carry_is_the_sum_of_settlements_to_the_last_digit(session, raw, exchange, symbol):
    earned = session.carry(symbol, exchange, until="2024-06-30", spot_fee=0.0, perpetual_fee=0.0)
    opened, closed = earned["time"][0], earned["time"][-1]
    paid = {
        time: row["funding rate"]
        for (where, kind, time), row in raw.items()
        if (where, kind) == (exchange, symbol) and opened < time <= closed
    }
    last = earned.row(-1, named=True)
    assert last["missing"] == 0
    assert last["settlements"] == len(paid) > 1_600
    assert last["rates"] == math.fsum(paid.values())
    if symbol == "BTC/USD:BTC":
        assert last["funding"] == last["rates"]
    assert last["net"] == last["funding"] + last["basis"]


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
@pytest.mark.parametrize("symbol", ["BTC/USDT", "BTC/USDT:USDT", "BTC/USD:BTC"])
def test_bars_close_when_they_say(session, real, exchange, symbol):
    """Another file has Binance's closes of each hour: an hour away they are far apart."""
    hourly = pl.read_parquet(real / "candles_1h_binance.parquet").filter(symbol="BTC/USDT:USDT")
    ends = hourly.select(end=pl.col("time") + pl.duration(hours=1), hourly="close")
    bars = session.read("candle", symbol, exchange=exchange).filter(interval=28_800)
    closes = bars.select("close", end=pl.col("time") + pl.duration(hours=8))
    apart = (pl.col("close") / pl.col("hourly") - 1).abs().median()
    assert closes.join(ends, on="end").select(apart).item() < 0.0006
    for hours in (-1, 1):
        moved = closes.with_columns(pl.col("end") + pl.duration(hours=hours))
        assert moved.join(ends, on="end").select(apart).item() > 0.0015


def test_eighteen_months_of_basis_are_small_beside_their_funding(session):
    last = session.carry("BTC/USD:BTC", "binance", spot_fee=0.0, perpetual_fee=0.0).row(
        -1, named=True
    )
    assert abs(last["basis"]) < 0.01 * last["rates"]


def test_perpetuals_lay_where_their_formula_puts_them(session):
    """With a band they lay well below spot, on OKX, which had none then, above it."""
    found = session.fair_value("BTC", rate=0.05).filter(symbol="BTC/USDT:USDT")
    columns = ("premium", "fair", "frictionless")
    medians = found.group_by("exchange").agg(pl.col(columns).median() * 1e4)
    points = {exchange: values for exchange, *values in medians.iter_rows()}
    for exchange in ("binance", "bybit"):
        premium, fair, frictionless = points[exchange]
        assert premium < -2
        assert abs(premium - fair) < 0.7 * abs(premium - frictionless)
    premium, fair, frictionless = points["okx"]
    assert fair == frictionless
    assert premium == pytest.approx(fair, abs=0.25)


def test_the_forwards_of_real_options_make_a_curve(session):
    found = session.basis("BTC", every="1d")
    fixed = found.filter(kind="constant").drop_nulls("log")
    year = dict(fixed.group_by("maturity").agg(pl.col("log").median()).iter_rows())
    assert 0.02 < year["90d"] < 0.06
    assert 0.02 < year["180d"] < 0.06
    # The farther, the less a moment between index and future matters.
    spread = dict(fixed.group_by("maturity").agg(pl.col("log").std()).iter_rows())
    assert spread["7d"] > spread["30d"] > spread["90d"] > spread["180d"]


def test_the_forward_of_an_expiry_within_a_day_is_spot(session):
    found = session.basis("BTC", every="6h").filter(pl.col("days") < 1)
    assert found.height > 200
    assert found["basis"].abs().median() < 0.0005


@pytest.mark.parametrize("hour", [0, 8, 16])
def test_funding_by_volume_is_that_of_the_files(real, session, hour):
    """Of the settlement of an hour, though Binance stamps it milliseconds after Bybit."""
    session.import_files([real / f"candles_1h_{name}.parquet" for name in ("binance", "bybit")])
    at = datetime(2026, 2, 1, hour, tzinfo=UTC)
    paid = pl.read_parquet(real / "funding_binance_bybit_2025.parquet").filter(
        pl.col("symbol") == "BTC/USDT:USDT", pl.col("time").dt.round("1h") == at
    )
    rates = dict(paid.select("exchange", "rate").iter_rows())
    traded = {}
    for name in rates:
        bars = pl.read_parquet(real / f"candles_1h_{name}.parquet").filter(
            pl.col("symbol") == "BTC/USDT:USDT",
            pl.col("time").is_between(at - timedelta(days=1), at, closed="left"),
        )
        traded[name] = (bars["volume"] * bars["close"]).sum()
    mean = sum(traded[name] * rates[name] * 3 * 365 for name in rates) / sum(traded.values())
    told = session.weighted_funding("BTC", since=at, until=at + timedelta(hours=1), weight="volume")
    assert sorted(rates) == ["binance", "bybit"]
    assert told["markets"].to_list() == [2]
    assert told["apr"].item() == pytest.approx(mean, rel=1e-12)
