"""How unusual a smile is: against its own past only, each maturity by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.analytics.skew import FEWEST, NAMES, ranked

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def past(values, days=30.0, **other):
    """Constant maturities of consecutive days, the same value for each figure."""
    count = len(values)
    figures = {name: other.get(name, values) for name in NAMES}
    at = pl.Series([START + n * DAY for n in range(count)], dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame(
        {"at": at, "exchange": "x", "family": "BTC/USD:BTC", "days": days, **figures}
    )


def test_a_value_among_whole_numbers_has_the_z_of_a_hand():
    # 0, 1, ..., 38 and then 100: the median is 19.5, the deviations from it 0.5 to 19.5 twice but
    # for the last, 80.5 in place of 19.5: their median is (9.5 + 10.5) / 2 = 10. z = 80.5 / 14.826.
    found = ranked(past([float(n) for n in range(39)] + [100.0]))
    row = found.row(0, named=True)
    assert row["atm_z"] == pytest.approx(80.5 / 14.826)
    assert row["atm_percentile"] == pytest.approx(39.5 / 40)
    assert row["atm_observations"] == 40


def test_too_short_a_history_and_an_unknown_value_have_neither():
    short = ranked(past([float(n) for n in range(FEWEST - 1)])).row(0, named=True)
    assert short["strangle_z"] is short["strangle_percentile"] is None
    assert short["strangle_observations"] == FEWEST - 1
    enough = ranked(past([float(n) for n in range(FEWEST)])).row(0, named=True)
    assert enough["strangle_percentile"] == pytest.approx((FEWEST - 0.5) / FEWEST)
    unknown = ranked(past([float(n) for n in range(40)] + [None])).row(0, named=True)
    assert unknown["atm"] is unknown["atm_z"] is unknown["atm_percentile"] is None


def test_what_never_moved_has_a_rank_in_the_middle_and_no_z():
    row = ranked(past([0.5] * 40)).row(0, named=True)
    assert row["risk_reversal_z"] is None
    assert row["risk_reversal_percentile"] == 0.5


def test_what_is_older_than_90_days_is_forgotten():
    recent = [float(n) for n in range(90)]
    long = ranked(past([1e6] * 60 + recent))
    assert long.drop("at").equals(ranked(past(recent)).drop("at"))


def test_each_maturity_is_held_against_itself():
    near, far = past(list(range(40)), 7.0), past([-float(n) for n in range(40)], 180.0)
    both = ranked(pl.concat([near.with_columns(pl.col(NAMES).cast(pl.Float64)), far]))
    assert both["days"].to_list() == [7.0, 180.0]
    assert both["atm_percentile"].to_list() == pytest.approx([39.5 / 40, 0.5 / 40])
    assert both["atm_z"][0] == pytest.approx(-both["atm_z"][1])


@given(st.integers(0, 100), st.integers(35, 110))
@settings(max_examples=20)
def test_cutting_off_the_future_changes_no_rank_before_it(seed, cut):
    draw = np.random.default_rng(seed)
    columns = {name: draw.normal(0, 1, 120).tolist() for name in NAMES}
    whole = past([0.0] * 120, **columns)
    then = whole["at"][cut]
    seen = whole.filter(pl.col("at") <= then)
    assert ranked(seen).equals(ranked(whole.head(cut + 1)))
    values = np.array(columns["atm"][max(0, cut - 89) : cut + 1])
    middle = np.median(values)
    z = (values[-1] - middle) / (1.4826 * np.median(np.abs(values - middle)))
    assert ranked(seen)["atm_z"].item() == pytest.approx(z)


def test_nothing_has_no_ranks():
    assert ranked(past([0.0]).clear()).is_empty()
