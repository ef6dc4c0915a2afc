"""How open interest is divided: statistics with known values, and parts that add up."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.analytics.concentration import concentration, divided, part, spread
from plimsoll.errors import UnknownSymbol
from truths.interest import EFFECTIVE, GINI, HHI, SHARES

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SCHEMA = {
    "time": pl.Datetime("us", "UTC"),
    "exchange": pl.String,
    "symbol": pl.String,
    "amount": pl.Float64,
    "value_usd": pl.Float64,
}


def reports(*rows):
    """Rows of (minutes after START, exchange, symbol, amount, value)."""
    return pl.DataFrame(
        [(START + minutes * MINUTE, *rest) for minutes, *rest in rows], schema=SCHEMA, orient="row"
    )


def venues(*rows):
    """Rows of (minutes after START, exchange, value), all of one symbol."""
    return reports(*((at, venue, "BTC/USDT:USDT", None, value) for at, venue, value in rows))


def test_concentration_of_the_textbook_shares():
    hhi, effective, gini = concentration(SHARES)
    assert hhi == pytest.approx(HHI)
    assert effective == pytest.approx(EFFECTIVE, abs=5e-5)
    assert gini == pytest.approx(GINI)


@given(st.lists(st.floats(0.01, 1e9), min_size=1, max_size=20), st.floats(1e-3, 1e3))
def test_concentration_does_not_depend_on_the_unit(values, scale):
    assert concentration(values) == pytest.approx(
        concentration(np.array(values) * scale), rel=1e-9, abs=1e-12
    )


@given(st.integers(1, 50), st.floats(0.1, 1e9))
def test_equal_holders_are_as_many_as_they_are(count, each):
    hhi, effective, gini = concentration([each] * count)
    assert hhi == pytest.approx(1 / count)
    assert effective == pytest.approx(count)
    assert gini == pytest.approx(0, abs=1e-9)


@given(st.lists(st.floats(0.01, 1e6), min_size=2, max_size=12))
def test_gini_is_half_the_mean_difference_over_the_mean(values):
    array = np.array(values)
    differences = np.abs(array[:, None] - array[None, :]).mean()
    assert concentration(values).gini == pytest.approx(
        differences / (2 * array.mean()), rel=1e-9, abs=1e-12
    )


def test_concentration_of_the_unknown_is_unknown():
    assert np.isnan(concentration([1, float("nan")])).all()
    assert np.isnan(concentration([0, 0])).all()
    with pytest.raises(ValueError, match="none of them negative"):
        concentration([1, -1])
    with pytest.raises(ValueError, match="one value or more"):
        concentration([])


def test_venues_are_concentrated_as_their_dollars_are():
    frame = venues(
        *[(0, name, v) for name, v in zip("abcd", (40.0, 30.0, 20.0, 10.0), strict=True)],
        (60, "a", 50.0),
        (60, "b", 50.0),
    )
    first, second = spread(frame, HOUR, 30 * MINUTE).iter_rows(named=True)
    assert first["hhi"] == pytest.approx(0.30)
    assert first["effective"] == pytest.approx(3.3333, abs=5e-5)
    assert first["gini"] == pytest.approx(0.25)
    assert (first["coverage"], first["parts"]) == (1, 4)
    assert second["effective"] == pytest.approx(2)
    assert (second["coverage"], second["parts"]) == (0.5, 2)


def test_venues_that_are_all_silent_have_no_concentration():
    frame = venues((0, "a", 1.0), (120, "a", 1.0))
    silent = spread(frame, HOUR, 30 * MINUTE).row(1, named=True)
    assert (silent["hhi"], silent["effective"], silent["gini"]) == (None, None, None)
    assert silent["parts"] == 0


CHAIN = (
    (0, "binance", "BTC/USDT:USDT", 6.0, 600.0),
    (0, "binance", "BTC/USD:BTC", 1.0, 100.0),
    (0, "bybit", "BTC/USDT:USDT", 2.0, 200.0),
    (0, "okx", "BTC/USDT:USDT-260327", 1.0, 100.0),
)


@pytest.mark.parametrize(
    ("by", "shares"),
    [
        ("exchange", {"binance": 0.7, "bybit": 0.2, "okx": 0.1}),
        ("margin", {"coin": 0.1, "stablecoin": 0.9}),
        (
            "symbol",
            {"BTC/USD:BTC": 0.1, "BTC/USDT:USDT": 0.8, "BTC/USDT:USDT-260327": 0.1},
        ),
        ("expiry", {"2026-03-27": 0.1, "perpetual": 0.9}),
        ("coin", {"BTC": 1.0}),
    ],
)
def test_parts_have_the_shares_one_counts_by_hand(by, shares):
    frame = divided(reports(*CHAIN), by, HOUR, HOUR)
    assert dict(frame.select("part", "share").iter_rows()) == pytest.approx(shares)
    assert frame["amount"].sum() == 10
    (row,) = spread(reports(*CHAIN), HOUR, HOUR, by).iter_rows(named=True)
    assert row["hhi"] == pytest.approx(sum(share**2 for share in shares.values()))
    assert row["parts"] == len(shares)


def test_margin_is_what_is_deposited():
    assert part("BTC/USD:BTC-260327", "margin") == "coin"
    assert part("BTC/USD:USD", "margin") == "dollars"
    assert [part(f"ETH/USD:{c}", "margin") for c in ("USDC", "USDT", "FDUSD", "DAI")] == (
        ["stablecoin"] * 4
    )
    assert part("ETH/USD:BTC", "margin") == "other"
    with pytest.raises(UnknownSymbol, match="BTCUSDT"):
        part("BTCUSDT", "margin")
    with pytest.raises(ValueError, match="not 'colour'"):
        part("BTC/USDT:USDT", "colour")


def test_all_in_one_exchange_is_as_concentrated_as_can_be():
    (row,) = spread(venues((0, "a", 5.0), (0, "b", 0.0)), HOUR, HOUR).iter_rows(named=True)
    assert (row["hhi"], row["effective"], row["parts"]) == (1, 1, 2)


def test_a_part_that_is_silent_has_no_amount_and_the_rest_all_shares():
    frame = venues((0, "a", 3.0), (0, "b", 1.0), (120, "a", 3.0))
    last = divided(frame, "exchange", HOUR, HOUR).filter(pl.col("time") == START + 2 * HOUR)
    assert last["value_usd"].to_list() == [3, None]
    assert last["share"].to_list() == [1, None]
    assert last["coverage_usd"].to_list() == [1, 0]


def test_a_future_that_expired_is_no_silent_part():
    frame = reports(
        (0, "okx", "BTC/USDT:USDT-260101", 1.0, 100.0),
        (0, "okx", "BTC/USDT:USDT", 1.0, 100.0),
        (1_500, "okx", "BTC/USDT:USDT", 1.0, 100.0),
    )
    last = spread(frame, HOUR, HOUR, "expiry").row(-1, named=True)
    assert (last["coverage"], last["parts"]) == (1, 1)


histories = st.lists(
    st.tuples(
        st.integers(0, 120),
        st.sampled_from(["binance", "bybit", "okx"]),
        st.sampled_from(["BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDT:USDT-260327"]),
        st.floats(0, 1e6) | st.none(),
        st.floats(0, 1e9) | st.none(),
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda row: row[:3],
)
divisions = st.sampled_from(["exchange", "margin", "symbol", "expiry", "coin"])


@given(histories, divisions, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_order_of_reports_does_not_matter(rows, by, chance):
    mixed = chance.sample(rows, len(rows))
    for measure in (
        lambda frame: divided(frame, by, 7 * MINUTE, 15 * MINUTE),
        lambda frame: spread(frame, 7 * MINUTE, 15 * MINUTE, by),
    ):
        one, other = measure(reports(*rows)), measure(reports(*mixed))
        assert one.with_columns(pl.selectors.float().round_sig_figs(9)).equals(
            other.with_columns(pl.selectors.float().round_sig_figs(9))
        )


@given(histories, divisions, st.integers(0, 120))
@settings(max_examples=50)
def test_cutting_off_the_future_changes_no_part_before_it(rows, by, cut):
    past = [row for row in rows if row[0] <= cut]
    then = START + cut * MINUTE
    for measure in (
        lambda frame: divided(frame, by, 7 * MINUTE, 15 * MINUTE),
        lambda frame: spread(frame, 7 * MINUTE, 15 * MINUTE, by),
    ):
        full, seen = measure(reports(*rows)), measure(reports(*past))
        assert full.filter(pl.col("time") <= then).head(seen.height).equals(seen)


def test_nothing_has_no_parts():
    assert spread(reports(), HOUR, HOUR).height == 0
    assert divided(reports(), "margin", HOUR, HOUR).height == 0
