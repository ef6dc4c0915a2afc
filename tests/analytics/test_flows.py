from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.analytics.flows import believed, moves
from plimsoll.analytics.inventory import Parameters
from plimsoll.analytics.inventory_state import OPEN_INTEREST, TAKER_BUY, VOLUME

HOUR = timedelta(hours=1)


def array(closes, interest=None, volume=100.0):
    """Bars of an hour that open at 100; open interest and volume as given."""
    bars = np.full((len(closes), 7), np.nan)
    bars[:, 0] = 100
    bars[:, 3] = closes
    bars[:, 1], bars[:, 2] = np.fmax(100, bars[:, 3]), np.fmin(100, bars[:, 3])
    bars[:, VOLUME], bars[:, TAKER_BUY] = volume, 0.4 * volume
    bars[:, OPEN_INTEREST] = 1_000.0 if interest is None else interest
    return bars


@st.composite
def histories(draw):
    n = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    closes, interest = 100 * np.exp(rng.normal(0, 0.01, n)), rng.gamma(9, 100, n)
    bars = array(closes, interest, rng.gamma(1, 50, n))
    bars[rng.random(n) < 0.2, :4] = np.nan
    for column in (VOLUME, TAKER_BUY, OPEN_INTEREST):
        bars[rng.random(n) < 0.2, column] = np.nan
    return bars


def test_without_a_choice_the_bars_are_the_same():
    bars = array([101.0, 99.0])
    assert believed(bars, Parameters(), HOUR) is bars


def test_open_interest_is_followed_as_an_exponential_mean():
    # A step from 1,000 to 2,000, followed over two hours: 2,000 - 1,000 exp(-t / 2).
    bars = array([100.0] * 5, [1_000, 2_000, 2_000, 2_000, 2_000])
    found = believed(bars, Parameters(memory=2.0), HOUR)[:, OPEN_INTEREST]
    assert found == pytest.approx([2_000 - 1_000 * math.exp(-t / 2) for t in range(5)])


def test_hours_without_open_interest_pass_as_well():
    # Known every third bar only: three hours of the step above, not one, lie between.
    bars = array([100.0] * 7, [1_000, np.nan, np.nan, 2_000, np.nan, np.nan, 2_000])
    found = believed(bars, Parameters(memory=2.0), HOUR)[:, OPEN_INTEREST]
    assert np.isnan(found[[1, 2, 4, 5]]).all()
    wanted = [1_000, 2_000 - 1_000 * math.exp(-1.5), 2_000 - 1_000 * math.exp(-3)]
    assert found[[0, 3, 6]] == pytest.approx(wanted)


def test_moves_are_held_against_the_mean_of_those_before():
    closes = [100 * math.exp(move) for move in (0.01, -0.03, 0.04, 0.0, 0.02)]
    # Means of the two before: none; 1; (1 + 3) / 2; (3 + 4) / 2; (4 + 0) / 2 per cent.
    assert moves(array(closes), 2) == pytest.approx([1, 3, 2, 0, 1])


def test_without_anything_to_compare_with_a_move_is_one():
    closes = [np.nan, 100.0, 100.0, 101.0, np.nan]
    assert moves(array(closes), 3).tolist() == [1, 1, 1, 1, 1]


def test_volume_follows_the_moves_and_takers_their_share_of_it():
    closes = [100 * math.exp(move) for move in (0.01, 0.03, 0.001)]
    found = believed(array(closes), Parameters(moves=True), HOUR)
    assert found[:, VOLUME] == pytest.approx([100, 300, 5])
    assert found[:, TAKER_BUY] == pytest.approx([40, 120, 2])


def test_the_mean_is_of_a_week():
    closes = [100 * math.exp(move) for move in [0.5] + [0.01] * 168 + [0.02]]
    share = believed(array(closes), Parameters(moves=True), HOUR)[:, VOLUME] / 100
    assert share[168] == pytest.approx(0.01 / ((0.5 + 167 * 0.01) / 168))
    assert share[169] == pytest.approx(2)


@given(histories(), st.sampled_from([0.0, 0.5, 12.0]), st.booleans(), st.data())
def test_cutting_off_the_future_changes_no_bit_of_the_past(bars, memory, moving, data):
    parameters = Parameters(memory=memory, moves=moving)
    n = data.draw(st.integers(1, len(bars)))
    whole, part = (believed(rows, parameters, HOUR) for rows in (bars, bars[:n].copy()))
    assert np.array_equal(whole[:n], part, equal_nan=True)


@given(histories(), st.floats(0.1, 100))
def test_what_is_unknown_stays_so_and_open_interest_within_its_range(bars, memory):
    found = believed(bars, Parameters(memory=memory, moves=True), HOUR)
    assert np.array_equal(np.isnan(found), np.isnan(bars))
    interest = bars[:, OPEN_INTEREST]
    if not np.isnan(interest).all():
        low, high = np.nanmin(interest), np.nanmax(interest)
        followed = found[~np.isnan(interest), OPEN_INTEREST]
        assert ((followed >= low * (1 - 1e-12)) & (followed <= high * (1 + 1e-12))).all()
