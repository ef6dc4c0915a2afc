"""Funding over markets: means, how far apart they lie, and where two agree."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.analytics.funding_venues import (
    dispersion,
    oi_weighted,
    sign_agreement,
    turnover,
    volume_weighted,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIME = pl.Datetime("us", "UTC")


def settlements(hours, rates=None, exchange="binance"):
    return pl.DataFrame(
        {
            "time": pl.Series([START + hour * HOUR for hour in hours], dtype=TIME),
            "exchange": pl.Series([exchange] * len(hours), dtype=pl.String),
            "symbol": pl.Series(["BTC/USDT:USDT"] * len(hours), dtype=pl.String),
            "rate": pl.Series(rates or [0.0001] * len(hours), dtype=pl.Float64),
        }
    )


def open_interest(*rows):
    return pl.DataFrame(
        [(START + hour * HOUR, exchange, "BTC/USDT:USDT", value) for hour, exchange, value in rows],
        schema={"time": TIME, "exchange": pl.String, "symbol": pl.String, "value_usd": pl.Float64},
        orient="row",
    )


def rated(hours, rate, exchange, interval=8.0):
    frame = settlements(hours, [rate] * len(hours), exchange)
    return frame.with_columns(interval_hours=pl.lit(interval))


def test_funding_is_weighted_by_open_interest():
    # 10.95% on three quarters of the dollars, 21.9% on one quarter: 13.6875%.
    funding = pl.concat([rated([0, 8], 0.0001, "binance"), rated([0, 4, 8], 0.0001, "okx", 4.0)])
    held = open_interest((0, "binance", 3e9), (0, "okx", 1e9), (8, "binance", 3e9), (8, "okx", 1e9))
    mean = oi_weighted(funding, held, 4 * HOUR, 8 * HOUR)
    assert mean["apr"].to_list() == pytest.approx([0.136875] * 3)
    assert mean["coverage"].to_list() == [1, 1, 1]
    assert mean["markets"].to_list() == [2, 2, 2]


def test_a_market_without_open_interest_lowers_the_coverage():
    funding = pl.concat([rated([0, 8], 0.0001, "binance"), rated([0, 8], 0.0003, "okx")])
    mean = oi_weighted(funding, open_interest((0, "binance", 1e9)), 8 * HOUR, HOUR)
    assert mean["apr"].to_list() == [pytest.approx(0.1095), None]
    assert mean["coverage"].to_list() == [0.5, 0]


def test_a_rate_stands_for_two_of_its_intervals():
    funding = pl.concat([rated([0, 8, 16, 24], 0.0001, "binance"), rated([0], 0.0001, "dydx", 1.0)])
    held = open_interest(*((hour, name, 1e9) for hour in range(25) for name in ("binance", "dydx")))
    coverage = oi_weighted(funding, held, HOUR, HOUR)["coverage"].to_list()
    assert coverage[:5] == [1, 1, 1, 0.5, 0.5]


def test_weighted_funding_never_looks_ahead():
    funding = rated(range(0, 48, 8), 0.0001, "binance")
    held = open_interest(*((hour, "binance", 1e9 + hour) for hour in range(48)))
    cut = START + 24 * HOUR
    full = oi_weighted(funding, held, HOUR, HOUR)
    seen = oi_weighted(
        funding.filter(pl.col("time") <= cut), held.filter(pl.col("time") <= cut), HOUR, HOUR
    )
    assert full.filter(pl.col("time") <= cut).equals(seen)


def test_weighted_funding_refuses_a_mix_of_settled_and_predicted():
    funding = rated([0, 8], 0.0001, "binance").with_columns(
        status=pl.Series(["settled", "predicted"])
    )
    with pytest.raises(ValueError, match="filter to one status"):
        oi_weighted(funding, open_interest((0, "binance", 1.0)), HOUR, HOUR)


def candles(hours, volume, *, exchange="binance", interval=1, close=100.0, quote=None):
    return pl.DataFrame(
        {
            "time": pl.Series([START + hour * HOUR for hour in hours], dtype=TIME),
            "exchange": exchange,
            "symbol": "BTC/USDT:USDT",
            "interval": interval * 3_600,
            "price_kind": "trade",
            "close": close,
            "volume": pl.Series([volume] * len(hours), dtype=pl.Float64),
            "quote_volume": pl.Series([quote] * len(hours), dtype=pl.Float64),
        }
    )


def test_turnover_is_that_of_a_whole_day():
    traded = turnover(candles(range(48), 2.0))
    # 24 candles of two coins at 100.
    assert traded["turnover"].to_list() == [None] * 23 + [4_800.0] * 25
    assert traded["time"][0] == START + HOUR
    assert turnover(candles(range(24), 2.0, quote=7.0))["turnover"][-1] == 24 * 7


def test_turnover_is_of_the_shortest_candles_and_null_beside_a_hole():
    both = pl.concat([candles(range(24), 2.0), candles([0, 8, 16], 16.0, interval=8)])
    assert turnover(both)["turnover"].to_list()[-1] == 4_800
    holed = candles([hour for hour in range(30) if hour != 5], 2.0)
    assert turnover(holed)["turnover"].drop_nulls().to_list() == [4_800]
    assert turnover(candles(range(30), None))["turnover"].null_count() == 30


def test_funding_is_weighted_by_volume():
    # Three quarters of the turnover at 10.95 %, one quarter at 32.85 %.
    funding = pl.concat([rated([24, 32], 0.0001, "binance"), rated([24, 32], 0.0003, "okx")])
    traded = turnover(pl.concat([candles(range(40), 3.0), candles(range(40), 1.0, exchange="okx")]))
    mean = volume_weighted(funding, traded, 8 * HOUR, HOUR)
    assert mean["apr"].to_list() == pytest.approx([0.164250] * 2)
    assert mean["markets"].to_list() == [2, 2]


def test_dispersion_names_who_lies_farthest():
    funding = pl.concat(
        [
            rated([0, 8], 0.0001, "binance"),
            rated([0, 8], 0.0003, "bybit"),
            rated([0, 8], -0.0001, "deribit"),
        ]
    )
    far = dispersion(funding, 8 * HOUR)
    row = far.row(-1, named=True)
    assert row["median"] == pytest.approx(0.1095)
    assert (row["lowest"], row["highest"]) == pytest.approx((-0.1095, 0.3285))
    assert row["spread"] == pytest.approx(0.438)
    assert row["lowest_market"] == "deribit BTC/USDT:USDT"
    assert row["highest_market"] == "bybit BTC/USDT:USDT"
    assert row["at_neutral"] == pytest.approx(1 / 3)
    assert (row["coverage"], row["markets"]) == (1, 3)


def test_one_market_has_no_dispersion():
    far = dispersion(rated([0, 8], 0.0001, "elsewhere"), 8 * HOUR)
    assert far["median"].to_list() == pytest.approx([0.1095] * 2)
    for name in ("spread", "lowest", "highest", "lowest_market", "at_neutral"):
        assert far[name].to_list() == [None, None]


def test_a_venue_that_leaves_is_no_longer_counted():
    stays = rated(range(0, 56, 8), 0.0001, "binance")
    far = dispersion(pl.concat([stays, rated([0, 8], -0.001, "bybit")]), 8 * HOUR)
    assert far["markets"].to_list() == [2, 2, 2, 2, 1, 1, 1]
    assert far["coverage"].to_list() == [1, 1, 1, 1, 0.5, 0.5, 0.5]
    assert far["spread"].to_list()[4:] == [None] * 3
    assert far["median"].to_list()[4:] == pytest.approx([0.1095] * 3)


def test_the_same_cost_at_another_interval_is_no_dispersion():
    funding = pl.concat([rated([0, 8], 0.0008, "binance"), rated([0, 8], 0.0004, "bybit", 4.0)])
    assert dispersion(funding, 8 * HOUR)["spread"].to_list() == pytest.approx([0, 0])


@given(st.lists(st.floats(-0.01, 0.01), min_size=12, max_size=12), st.integers(1, 5))
def test_dispersion_never_looks_ahead(rates, known):
    funding = pl.concat(
        [
            settlements(range(0, 48, 8), rates[:6]),
            settlements(range(0, 48, 8), rates[6:], exchange="bybit"),
        ]
    ).with_columns(interval_hours=8.0)
    cut = START + 8 * known * HOUR
    seen = dispersion(funding.filter(pl.col("time") <= cut), 4 * HOUR)
    full = dispersion(funding, 4 * HOUR).filter(pl.col("time") <= cut)
    assert seen.equals(full)


def test_a_stamp_that_is_milliseconds_late_is_of_its_hour():
    """0.01 % and 0.03 % at 08:00, both 0.02 % eight hours before: 2 · 1095 / 100 percent apart."""
    late = rated([0, 8], 0.0002, "binance").with_columns(
        pl.col("time") + timedelta(milliseconds=12), rate=pl.Series([0.0002, 0.0001])
    )
    other = rated([0, 8], 0.0002, "bybit").with_columns(rate=pl.Series([0.0002, 0.0003]))
    assert dispersion(pl.concat([late, other]), 8 * HOUR)["spread"].to_list() == pytest.approx(
        [0, 0.219]
    )
    held = open_interest(*((hour, name, 1e9) for hour in (0, 8) for name in ("binance", "bybit")))
    mean = oi_weighted(pl.concat([late, other]), held, 8 * HOUR, HOUR)
    assert mean["apr"].to_list() == pytest.approx([0.219, 0.219])


def test_what_is_known_minutes_late_counts_from_then():
    paid = rated([0, 8], 0.0002, "binance").with_columns(
        known_at=pl.col("time") + timedelta(minutes=5), rate=pl.Series([0.0002, 0.0001])
    )
    other = rated([0, 8], 0.0002, "bybit").with_columns(known_at=pl.col("time"))
    spread = dispersion(pl.concat([paid, other]), HOUR).filter(pl.col("markets") == 2)
    assert spread.filter(pl.col("time") == START + 8 * HOUR)["spread"].item() == 0


def test_signs_are_compared_pair_by_pair():
    left = settlements([0, 8, 16, 24], [0.1, -0.1, 0.1, 0.0])
    right = settlements([1, 9, 17, 25], [0.2, 0.2, 0.3, 0.0], exchange="bitmex")
    (row,) = sign_agreement(left, right, 2 * HOUR).iter_rows(named=True)
    assert row == {
        "year": 2026,
        "pairs": 4,
        "equal_sign": 0.75,
        "left_positive": 0.5,
        "right_positive": 0.75,
    }


def test_zero_agrees_with_zero_alone():
    left, right = settlements([0, 8], [0.0, 0.0]), settlements([0, 8], [0.1, -0.1])
    assert sign_agreement(left, right, HOUR)["equal_sign"].to_list() == [0]


def test_of_two_as_near_the_earlier_is_taken():
    # Four hours before and four after, whatever the milliseconds say.
    left = settlements([8.00001], [0.1])
    right = settlements([4, 12], [0.1, -0.1])
    assert sign_agreement(left, right, 5 * HOUR)["equal_sign"].to_list() == [1]


def test_each_settlement_is_paired_once():
    left = settlements([0, 1, 2], [-0.1, -0.1, 0.1])
    right = settlements([3], [0.1])
    agreement = sign_agreement(left, right, 5 * HOUR)
    assert agreement["pairs"].to_list() == [1]
    assert agreement["equal_sign"].to_list() == [1]  # the nearest keeps it


def test_settlements_too_far_apart_or_unknown_are_not_paired():
    left = settlements([0, 8], [0.1, None])
    right = settlements([6, 8], [0.1, 0.1])
    assert sign_agreement(left, right, 5 * HOUR).height == 0


def test_years_are_those_of_the_left_in_utc():
    left = settlements([-1, 0], [0.1, 0.1])
    right = settlements([-1, 0], [0.1, -0.1])
    agreement = sign_agreement(left, right, timedelta(0))
    assert agreement["year"].to_list() == [2025, 2026]
    assert agreement["equal_sign"].to_list() == [1, 0]


def test_sign_agreement_is_between_two_markets():
    one = settlements([0])
    several = pl.concat([one, settlements([0], exchange="okx")])
    with pytest.raises(ValueError, match="right holds several markets"):
        sign_agreement(one, several, HOUR)
    with pytest.raises(ValueError, match="left has two rates for one hour"):
        sign_agreement(settlements([0, 0.01]), one, HOUR)
