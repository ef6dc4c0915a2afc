from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tests.fakes.chains import START, name, quotes

from plimsoll.analytics.chain import chain
from plimsoll.analytics.options import (
    MONEYNESS,
    TENORS,
    leverage,
    max_pain,
    moneyness,
    pain,
    put_call,
    spread,
    strikes,
    tenor,
)

NOW = pl.Series([START], dtype=pl.Datetime("us", "UTC"))
DAY = timedelta(days=1)


def made(*rows: tuple[str, float, str, dict[str, float | None]]) -> pl.DataFrame:
    """Return a chain of one moment; each option by day of expiry, strike and kind."""
    written = [{"symbol": name(day, k, kind), **fields} for day, k, kind, fields in rows]
    return chain(quotes(*written, underlying_price=60_000.0, index_price=60_000.0), NOW, DAY)


def test_max_pain_of_the_worked_example():
    """Pay-outs at 50, 60, 70: 300, 150, 400."""
    assert max_pain([50, 60, 70], [10, 20, 30], [30, 20, 5]) == 60
    assert max_pain([70, 50, 60], [30, 10, 20], [5, 30, 20]) == 60


def test_max_pain_at_its_edges():
    assert max_pain([60], [3], [0]) == 60  # all open interest in one strike
    assert np.isnan(max_pain([50, 60], [0, 0], [0, 0]))
    assert np.isnan(max_pain([], [], []))
    assert max_pain([50, 60, 70], [5, 1, 0], [0, 0, 0]) == 50  # calls alone: at the lowest
    with pytest.raises(ValueError, match="known and not negative"):
        max_pain([50, 60], [1, np.nan], [0, 0])
    with pytest.raises(ValueError, match="known and not negative"):
        max_pain([50, 60], [1, -1], [0, 0])


@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.integers(0, 99), st.integers(0, 99)),
        min_size=1,
        max_size=12,
        unique_by=lambda one: one[0],
    ),
    st.sampled_from([0.5, 2.0, 8.0]),
)
def test_max_pain_pays_least_and_moves_with_the_unit_of_price(rows, scale):
    strike, calls, puts = (np.array(column, dtype=float) for column in zip(*rows, strict=True))

    def paid(price: float) -> float:
        above = calls @ np.maximum(price - strike, 0)
        return float(above + puts @ np.maximum(strike - price, 0))

    found = max_pain(strike, calls, puts)
    if calls.sum() + puts.sum() == 0:
        assert np.isnan(found)
        return
    assert paid(found) == min(paid(price) for price in strike)
    # Pay-outs are convex between strikes: no price between them pays less.
    assert paid(found) <= min(paid(price) for price in np.linspace(0, 60, 121)) + 1e-9
    assert max_pain(strike * scale, calls, puts) == found * scale
    assert max_pain(strike, calls * scale, puts * scale) == found


def test_four_ratios_of_a_small_chain():
    found = put_call(
        made(
            ("260331", 65_000, "C", {"open_interest": 10.0, "volume": 4.0, "mark_price": 0.04}),
            ("260331", 70_000, "C", {"open_interest": 10.0, "volume": 0.0, "mark_price": 0.02}),
            ("260331", 55_000, "P", {"open_interest": 15.0, "volume": 6.0, "mark_price": 0.03}),
        ).with_columns(delta=pl.Series([-0.3, 0.4, 0.2]))
    ).row(0, named=True)
    assert (found["calls"], found["puts"]) == (20, 15)
    assert found["put_call_open_interest"] == 0.75
    assert found["put_call_volume"] == 1.5
    assert found["put_call_premium"] == pytest.approx(0.45 / 0.6)  # 15·.03 over 10·.04 + 10·.02
    assert found["put_call_delta"] == pytest.approx(4.5 / 6)
    assert (found["coverage"], found["priced"]) == (1, 1)


def test_what_is_not_known_is_left_out_and_said():
    found = put_call(
        made(
            ("260331", 65_000, "C", {"open_interest": 10.0, "mark_price": 0.04, "delta": 0.4}),
            ("260331", 70_000, "C", {"open_interest": None, "mark_price": 0.02, "delta": 0.2}),
            ("260331", 55_000, "P", {"open_interest": 30.0, "mark_price": None, "delta": -0.3}),
        )
    ).row(0, named=True)
    assert found["put_call_open_interest"] == 3
    assert found["coverage"] == pytest.approx(2 / 3)
    assert found["put_call_premium"] is None
    assert found["priced"] == 0.25
    assert found["put_call_volume"] is None


def test_one_sided_strikes_have_no_ratio():
    calls = put_call(made(("260331", 65_000, "C", {"open_interest": 10.0}))).row(0, named=True)
    assert (calls["calls"], calls["puts"], calls["put_call_open_interest"]) == (10, None, None)
    puts = put_call(made(("260331", 65_000, "P", {"open_interest": 10.0}))).row(0, named=True)
    assert puts["put_call_open_interest"] is None
    empty = made(
        ("260331", 65_000, "C", {"open_interest": 0.0}),
        ("260331", 65_000, "P", {"open_interest": 5.0}),
    )
    assert put_call(empty)["put_call_open_interest"].to_list() == [None]


def test_by_expiry_and_by_strike():
    whole = made(
        ("260331", 65_000, "C", {"open_interest": 1.0}),
        ("260331", 65_000, "P", {"open_interest": 2.0}),
        ("260424", 65_000, "C", {"open_interest": 4.0}),
        ("260424", 70_000, "P", {"open_interest": 8.0}),
    )
    assert put_call(whole, "expiry")["put_call_open_interest"].to_list() == [2, 2]
    assert strikes(whole).drop("at").rows() == [(65_000, 5, 2), (70_000, 0, 8)]
    assert strikes(whole, "expiry").drop("at", "expiry").rows() == [
        (65_000, 1, 2),
        (65_000, 4, 0),
        (70_000, 0, 8),
    ]
    assert pain(whole)["max_pain"].to_list() == [65_000, 70_000]


def test_far_expiries_and_how_many_there_are():
    """7, 54 and 117 days away: 1, 1 and 2 of 4 coins."""
    whole = made(
        ("260308", 65_000, "C", {"open_interest": 1.0}),
        ("260424", 65_000, "C", {"open_interest": 0.5}),
        ("260424", 60_000, "P", {"open_interest": 0.5}),
        ("260626", 65_000, "C", {"open_interest": 2.0}),
        ("260925", 65_000, "C", {"open_interest": 0.0}),
    )
    found = spread(whole).row(0, named=True)
    assert (found["beyond_30"], found["beyond_90"], found["expiries"]) == (0.75, 0.5, 3)
    assert found["hhi"] == 0.375  # 1/16 + 1/16 + 1/4
    assert found["effective"] == pytest.approx(8 / 3)
    nothing = spread(made(("260331", 65_000, "C", {"open_interest": 0.0}))).row(0, named=True)
    assert (nothing["beyond_30"], nothing["hhi"], nothing["expiries"]) == (None, None, 0)


def test_hidden_leverage_of_the_worked_example_is_its_elasticity():
    """F 60,000, K 65,000, 30 days, 60 %: premium .0372978 coin, omega 9.4436."""
    one = made(
        (
            "260331",
            65_000,
            "C",
            {"open_interest": 100.0, "mark_iv": 0.6, "mark_price": 2237.868155 / 60_000},
        )
    )
    found = leverage(one).row(0, named=True)
    assert found["leverage"] == pytest.approx(9.4436, abs=5e-5)
    assert found["elasticity"] == pytest.approx(9.4436, abs=5e-5)
    assert found["delta_usd"] == pytest.approx(0.352226 * 100 * 60_000, rel=2e-6)
    assert found["premium_usd"] == pytest.approx(223_786.8155)
    assert found["notional_usd"] == 6_000_000


def test_leverage_is_of_the_portfolio_and_elasticity_of_the_average_contract():
    """Omega 5 with premium 3,000 and 100 with premium 30: 15,000 + 3,000 over 3,030."""
    whole = made(
        ("260331", 65_000, "C", {"open_interest": 1.0, "mark_price": 0.05, "delta": 0.25}),
        ("260331", 90_000, "C", {"open_interest": 1.0, "mark_price": 0.0005, "delta": 0.05}),
        ("260331", 95_000, "C", {"open_interest": 2.0, "mark_price": 0.0, "delta": 0.0}),
    )
    found = leverage(whole).row(0, named=True)
    assert found["leverage"] == pytest.approx(18_000 / 3_030)
    assert found["elasticity"] == pytest.approx(52.5)
    assert found["priced"] == 0.5
    free = leverage(whole.filter(pl.col("strike") == 95_000)).row(0, named=True)
    assert (free["leverage"], free["elasticity"], free["priced"]) == (None, None, 0)


def test_spans_of_time_and_of_delta():
    frame = pl.DataFrame(
        {"days": [0.5, 7.0, 7.1, 30.0, 90.5, None], "delta": [-0.1, 0.11, 0.4, -0.6, 0.99, None]}
    )
    found = frame.select(tenor(), moneyness())
    near, month, _, far = TENORS
    assert found["tenor"].to_list() == [near, near, month, month, far, None]
    out, low, mid, half, deep = MONEYNESS
    assert found["moneyness"].to_list() == [out, low, mid, half, deep, None]


OPTION = st.tuples(
    st.sampled_from(["260308", "260331", "260626"]),
    st.sampled_from([50_000, 60_000, 70_000]),
    st.sampled_from("CP"),
    st.fixed_dictionaries(
        {
            "open_interest": st.integers(0, 1_000).map(float),
            "volume": st.integers(0, 1_000).map(float),
            "mark_price": st.floats(0.0001, 0.5),
            "mark_iv": st.floats(0.2, 2),
        }
    ),
)
CHAINS = st.lists(OPTION, min_size=1, max_size=18, unique_by=lambda one: one[:3])


@given(CHAINS, st.randoms(use_true_random=False), st.sampled_from([0.25, 4.0]))
def test_measures_do_not_depend_on_order_and_ratios_not_on_size(rows, random, scale):
    whole = made(*rows)
    mixed = whole.sample(fraction=1, shuffle=True, seed=random.randrange(1_000))
    larger = whole.with_columns(pl.col("open_interest", "volume") * scale)
    for measure, sizes in (
        (put_call, ["calls", "puts"]),
        (spread, []),
        (pain, []),
        (leverage, ["open_interest", "notional_usd", "delta_usd", "premium_usd"]),
    ):
        found = measure(whole)
        assert_near(found, measure(mixed))
        assert_near(found.with_columns(pl.col(sizes) * scale), measure(larger))


def assert_near(left: pl.DataFrame, right: pl.DataFrame) -> None:
    assert_frame_equal(left, right, rel_tol=1e-9)


@given(CHAINS)
def test_shares_and_sums_add_up(rows):
    whole = made(*rows)
    total = put_call(whole)
    each = put_call(whole, "expiry")
    for side in ("calls", "puts"):
        assert each[side].sum() == pytest.approx(total[side].item() or 0)
    tables = strikes(whole)
    assert tables["calls"].sum() == pytest.approx(total["calls"].item() or 0)
    found = spread(whole).row(0, named=True)
    if found["hhi"] is not None:
        assert 1 <= found["effective"] <= found["expiries"] + 1e-9
        assert 0 <= found["beyond_90"] <= found["beyond_30"] <= 1
