"""The surface of a chain: what is fitted, what is read off it, and where it says nothing."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from plimsoll.analytics import black, surface, svi

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
CURVE = np.array([0.0, 0.12, -0.3, 0.01, 0.22])
"""Of a year; variance grows in proportion to time."""
WIDE = np.linspace(0.6, 1.6, 21)


def chain(days, *, strikes=WIDE, curve=CURVE, at=AT, spread=0.02, **columns):
    """A chain priced on a smile: calls and puts of each strike."""
    years = days / 365
    level = np.asarray(strikes) * 60_000.0
    iv = np.sqrt(svi.total_variance(curve, np.log(level / 60_000.0)))
    calls = [
        pl.DataFrame(
            {
                "at": at,
                "exchange": "deribit",
                "family": "BTC/USD:BTC",
                "expiry": at + timedelta(days=days),
                "strike": level,
                "kind": kind,
                "inverse": True,
                "years": years,
                "forward": 60_000.0,
                "iv": iv,
                "mark": black.price(60_000.0, level, years, iv, kind == "call") / 60_000.0,
            }
        )
        for kind in ("call", "put")
    ]
    rows = pl.concat(calls).with_columns(
        bid=pl.col("mark") * (1 - spread / 2), ask=pl.col("mark") * (1 + spread / 2)
    )
    return rows.with_columns(**columns)


def near_the_money(count):
    return 1 + 0.02 * (np.arange(count) - count // 2)


def test_the_smile_is_found_and_read():
    """At the money by the curve itself; the 25Δ strikes as roots of N(d1), by bisection here."""
    (row,) = surface.fit(chain(30)).iter_rows(named=True)
    assert (row["method"], row["quotes"], row["why_none"]) == ("svi", 21, None)
    assert row["error"] < 1e-5
    years = 30 / 365

    def iv(k):
        return math.sqrt(svi.total_variance(CURVE, k))

    def call_delta(k):
        deviation = iv(k) * math.sqrt(years)
        return norm.cdf(-k / deviation + deviation / 2)

    def strike(wanted):
        low, high = -1.0, 1.0
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if call_delta(middle) > wanted else (low, middle)
        return low

    call, put = iv(strike(0.25)), iv(strike(0.75))
    assert row["atm"] == pytest.approx(iv(0.0), abs=2e-5)
    assert row["call_25"] == pytest.approx(call, abs=2e-5)
    assert row["put_25"] == pytest.approx(put, abs=2e-5)
    assert row["risk_reversal"] == pytest.approx(call - put, abs=4e-5)
    assert row["strangle"] == pytest.approx((call + put) / 2 - iv(0.0), abs=4e-5)


def test_marks_imply_the_volatility_they_were_made_with():
    found = surface.implied(chain(30, strikes=np.linspace(0.85, 1.2, 8)))
    assert found["implied"].to_numpy() == pytest.approx(found["iv"].to_numpy(), abs=1e-9)
    assert found["why_none"].null_count() == found.height


def test_what_has_no_volatility_says_why():
    rows = chain(30, strikes=[1.0, 1.1]).with_columns(
        mark=pl.Series([0.0, None, 0.02, 0.05]), forward=pl.Series([60_000.0, 60_000, None, 60_000])
    )
    assert surface.implied(rows)["why_none"].to_list() == [
        "the price is zero",
        "the price is missing",
        "the forward is missing",
        "the price is below intrinsic value",
    ]


def test_only_two_sided_quotes_out_of_the_money_count():
    rows = chain(30, strikes=[0.8, 0.9, 1.0, 1.1, 1.2])
    assert rows.height == 10
    told = surface.quotes(rows)
    assert told["strike"].to_list() == [48_000, 54_000, 60_000, 66_000, 72_000]
    spoiled = {
        48_000: {"bid": None},
        54_000: {"bid": 0.0},
        60_000: {"bid": 0.05, "ask": 0.04},
        66_000: {"bid": 0.005, "ask": 0.009},
    }
    for strike, change in spoiled.items():
        here = pl.col("strike") == strike
        rows = rows.with_columns(
            pl.when(here).then(pl.lit(value, pl.Float64)).otherwise(name).alias(name)
            for name, value in change.items()
        )
    assert surface.quotes(rows)["strike"].to_list() == [72_000]


def test_an_expiry_of_few_quotes_takes_the_form_of_the_others():
    rows = pl.concat([chain(10), chain(30, strikes=near_the_money(3)), chain(90), chain(180)])
    found = surface.fit(rows)
    assert found["method"].to_list() == ["svi", "ssvi", "svi", "svi"]
    assert found["quotes"].to_list() == [21, 3, 21, 21]
    assert found["atm"][1] == pytest.approx(found["atm"][0], abs=5e-3)
    assert found["risk_reversal"][1] is None


def test_few_quotes_alone_say_nothing():
    (row,) = surface.fit(chain(30, strikes=near_the_money(3))).iter_rows(named=True)
    assert row["method"] is None
    assert row["atm"] is None
    assert row["why_none"] == "fewer than 6 quotes, of all expiries together"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"forward": pl.lit(None, pl.Float64)}, "the forward is missing"),
        ({"bid": 0.0}, "no option out of the money has both a bid and an ask"),
        ({"bid": 2 * pl.col("ask")}, "no option out of the money has both a bid and an ask"),
    ],
)
def test_an_expiry_without_quotes_stands_there_with_its_reason(change, reason):
    found = surface.fit(pl.concat([chain(30), chain(60, **change)]))
    assert found["why_none"].to_list() == [None, reason]
    assert found["method"].to_list() == ["svi", None]
    assert found["quotes"].to_list() == [21, 0]


def test_a_chain_without_any_quote_has_a_row_for_each_expiry_and_no_curve():
    found = surface.fit(pl.concat([chain(30, bid=0.0), chain(60, ask=0.0)]))
    assert found["method"].to_list() == found["atm"].to_list() == [None, None]
    assert found["why_none"].null_count() == 0
    assert surface.term_structure(found)["atm"].null_count() == len(surface.MATURITIES)


def test_one_sided_strikes_have_no_volatility_at_the_money():
    (row,) = surface.fit(chain(30, strikes=np.linspace(1.02, 1.6, 30))).iter_rows(named=True)
    assert row["method"] is not None
    assert row["atm"] is None
    assert row["put_25"] is None
    assert row["risk_reversal"] is None
    assert row["call_25"] is not None


def test_crossing_expiries_are_named_and_mended():
    """The later expiry is given a tenth of the volatility: its total variance falls short."""
    low = CURVE * np.array([1, 0.05, 1, 1, 1])
    found = surface.fit(pl.concat([chain(30), chain(60, curve=low)]))
    assert found["method"].to_list() == ["svi", "penalized"]
    assert found["plain_crossing"].to_list() == [None, pytest.approx(0.9, abs=0.01)]
    assert found["crossing"][1] <= 0
    assert found["butterfly"].min() >= 0
    assert found["error"][1] > found["plain_error"][1]


def test_an_hour_to_expiry_is_fitted_like_any_other():
    strikes = 1 + 0.001 * np.arange(-8, 9)
    (row,) = surface.fit(chain(1 / 24, strikes=strikes)).iter_rows(named=True)
    assert row["atm"] == pytest.approx(math.sqrt(svi.total_variance(CURVE, 0.0)), abs=1e-4)


def test_moments_and_markets_do_not_touch():
    later = chain(60, at=AT + timedelta(hours=6), curve=CURVE * np.array([1, 0.3, 1, 1, 1]))
    other = chain(45).with_columns(family=pl.lit("BTC/USDC:USDC"))
    whole = surface.fit(pl.concat([chain(30), later, other]))
    alone = pl.concat([surface.fit(one) for one in (chain(30), other, later)])
    assert whole.sort("at", "family").equals(alone.sort("at", "family"), null_equal=True)


def test_the_term_structure_is_linear_in_total_variance():
    """0.5 and 0.4 at 20 and 60 days: at 30 days, w = 0.5²·20 + ¼(0.4²·60 - 0.5²·20)."""
    slices = pl.DataFrame(
        {
            "at": AT,
            "exchange": "deribit",
            "family": "BTC/USD:BTC",
            "expiry": [AT + timedelta(days=20), AT + timedelta(days=60)],
            "years": [20 / 365, 60 / 365],
            "atm": [0.5, 0.4],
            "call_25": [0.5, 0.4],
            "put_25": [0.6, None],
        }
    )
    found = surface.term_structure(slices, (7, 20, 30, 90))
    w = 0.5**2 * 20 + (0.4**2 * 60 - 0.5**2 * 20) / 4
    assert found["days"].to_list() == [7, 20, 30, 90]
    assert found["atm"].to_list() == [
        None,
        pytest.approx(0.5),
        pytest.approx(math.sqrt(w / 30)),
        None,
    ]
    assert found["risk_reversal"].to_list() == [None, pytest.approx(-0.1), None, None]
    assert found["strangle"].to_list() == [None, pytest.approx(0.05), None, None]
