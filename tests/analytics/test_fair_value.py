"""What perpetuals would be worth: published forms, and roots found without them."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plimsoll.analytics.fair_value import KAPPA, fair_values, frictionless
from plimsoll.analytics.funding_formula import FORMULAS, rate
from truths import carry as truths

NOW = datetime(2026, 1, 1, 8, tzinfo=UTC)
EIGHT_HOURS_A_YEAR = 365 * 24 / 8


def quotes(exchange="gate", price=100.0, spot=100.0, cost=0.05, time=NOW, symbol="BTC/USDT:USDT"):
    named = {"time": time, "exchange": exchange, "symbol": symbol, "source": "mark", "quoted": time}
    schema = dict.fromkeys(("price", "spot", "cost"), pl.Float64)
    return pl.DataFrame(
        [{**named, "price": price, "spot": spot, "cost": cost}], schema_overrides=schema
    )


def fair(**known):
    return fair_values(quotes(**known)).row(0, named=True)


@pytest.mark.parametrize(("cost", "interest", "points"), truths.FAIR)
def test_the_frictionless_form_is_the_published_one(cost, interest, points):
    assert 1e4 * frictionless(cost, interest) == pytest.approx(points, abs=5e-4)


def bisected(excess):
    """Return where an increasing function is zero."""
    low, high = -0.5, 0.5
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return low


@given(st.sampled_from(["gate", "deribit", "hyperliquid", "binance"]), st.floats(-1, 1))
def test_at_the_fair_premium_funding_pays_what_holding_costs(exchange, cost):
    """Found by halving, with the rate that the exchange itself would make of each premium."""
    formula = FORMULAS[exchange]
    assume(abs(cost - formula.interest * EIGHT_HOURS_A_YEAR) > 0.01)
    root = bisected(
        lambda premium: rate(premium, formula) * EIGHT_HOURS_A_YEAR - cost * (1 + premium)
    )
    found = fair(exchange=exchange, cost=cost)
    assert found["fair"] == pytest.approx(root, abs=1e-9)
    assert found["fair_price"] == pytest.approx(100 * (1 + root))


def test_a_perpetual_that_pays_the_interest_lies_beyond_its_band():
    """Dollars at 5 %, and 0.01 % each 8 hours: (0.05 - 1095 · 0.0005) / 1094.95 = -4.544 points.

    Bought at the index it is 4.544 points too dear, which 1095 times a year is 49.75 %.
    """
    found = fair()
    assert 1e4 * found["fair"] == pytest.approx(-4.544, abs=5e-4)
    assert 1e4 * found["frictionless"] == pytest.approx(-0.543, abs=5e-4)
    assert found["deviation"] == -found["fair"]
    assert found["annual"] == pytest.approx(KAPPA * 4.544e-4, abs=1e-4)
    dear = fair(cost=0.20)  # (0.2 + 0.5475) / 1094.8
    assert 1e4 * dear["fair"] == pytest.approx(6.828, abs=5e-4)


def test_where_holding_costs_what_the_interest_pays_the_middle_of_the_band_is_fair():
    found = fair(cost=truths.NEUTRAL_SIMPLE)
    assert found["fair"] == pytest.approx(0.0001, abs=1e-7)
    assert found["frictionless"] == 0


@pytest.mark.parametrize(
    ("unknown", "reason"),
    [
        ({"spot": None}, "no index or spot price was known then"),
        ({"exchange": "kraken"}, "how the exchange makes its funding is not known"),
        ({"exchange": "dydx"}, "how the exchange makes its funding is not known"),
        (
            {"exchange": "okx", "time": datetime(2025, 4, 15, tzinfo=UTC)},
            "how the exchange makes its funding is not known",
        ),
        ({"cost": None}, "no dated future tells what holding costs then; give a rate"),
    ],
)
def test_of_what_is_not_known_nothing_is_made_up(unknown, reason):
    found = fair(**unknown)
    assert found["deviation"] is None
    assert found["annual"] is None
    assert found["reason"] == reason
    assert fair()["reason"] is None


def test_okx_passed_all_of_the_premium_on_before_it_changed_its_formula():
    """Without interest and band both forms are one: 0.05 / 1094.95 = 0.457 basis points."""
    found = fair(exchange="okx", time=NOW - timedelta(days=365))
    assert found["fair"] == found["frictionless"] == pytest.approx(0.457e-4, abs=5e-8)
