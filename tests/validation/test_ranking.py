from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from plimsoll.validation.ranking import auc, auc_within, precision_at

cells = st.lists(st.tuples(st.integers(-30, 30), st.booleans(), st.integers(0, 4)), max_size=60)


def columns(rows):
    score, hit, other = zip(*rows, strict=True) if rows else ((), (), ())
    return np.array(score, float), np.array(hit, bool), np.array(other, int)


def test_auc_of_four_cells():
    # scikit-learn's documentation of roc_auc_score gives 0.75 for these
    score, hit = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1], bool)
    assert auc(score, hit) == 0.75
    assert auc(-score, hit) == 0.25
    assert auc(np.ones(4), hit) == 0.5


@given(cells)
def test_auc_is_the_statistic_of_mann_and_whitney(rows):
    score, hit, _ = columns(rows)
    hits, misses = score[hit], score[~hit]
    if len(hits) and len(misses):
        pairs = len(hits) * len(misses)
        u = stats.mannwhitneyu(hits, misses, method="asymptotic").statistic
        assert auc(score, hit) == pytest.approx(u / pairs)
    else:
        assert math.isnan(auc(score, hit))


@given(cells)
def test_auc_does_not_change_under_a_monotone_map_of_scores(rows):
    score, hit, group = columns(rows)
    for mapped in (score**3, np.exp(score), 5 * score - 7):
        assert auc(mapped, hit) == pytest.approx(auc(score, hit), nan_ok=True)
        assert auc_within(mapped, hit, group) == pytest.approx(
            auc_within(score, hit, group), nan_ok=True
        )


@given(cells)
def test_a_weight_is_so_many_equal_cells(rows):
    score, hit, weight = columns(rows)
    repeated = auc(np.repeat(score, weight), np.repeat(hit, weight))
    assert auc(score, hit, weight) == pytest.approx(repeated, nan_ok=True)


@given(cells)
def test_auc_within_groups_is_the_mean_weighted_by_pairs(rows):
    score, hit, group = columns(rows)
    won = pairs = 0.0
    for one in set(group.tolist()):
        inside = group == one
        of = float(hit[inside].sum() * (~hit[inside]).sum())
        won, pairs = won + (of * auc(score[inside], hit[inside]) if of else 0), pairs + of
    wanted = won / pairs if pairs else math.nan
    assert auc_within(score, hit, group) == pytest.approx(wanted, nan_ok=True)


def test_days_may_be_dates_and_their_level_does_not_count():
    day = np.array(["2026-01-01", "2026-01-01", "2026-01-02", "2026-01-02"], "datetime64[D]")
    score, hit = np.array([2.0, 1.0, 9.0, 8.0]), np.array([True, False, True, False])
    assert auc_within(score, hit, day) == 1
    assert auc(score, hit) == 0.75


def test_precision_of_a_quarter_of_a_hundred_has_wilsons_limits():
    # 25 of 100 have a lower limit of 0.1755
    score = np.arange(1000.0)
    hit = np.zeros(1000, bool)
    hit[:300] = True
    hit[-25:] = True
    found = precision_at(score, hit, 0.10)
    assert found.value == 0.25
    assert found.low == pytest.approx(0.1755, abs=5e-5)


def test_precision_shares_the_room_at_the_limit_among_equals():
    score = np.array([5.0, 3.0, 3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    hit = np.array([0, 1, 0, 0, 0, 1, 1, 1, 1, 1], bool)
    assert precision_at(score, hit, 0.3).value == pytest.approx((0 + 2 * 1 / 4) / 3)
    assert precision_at(score[::-1], hit[::-1], 0.3) == precision_at(score, hit, 0.3)
    assert precision_at(np.zeros(10), hit, 0.2).value == pytest.approx(0.6)
    assert precision_at(score, hit, 1.0).value == 0.6
    assert precision_at(score, hit, 0.01).value == 0  # one cell at least


def test_without_a_cell_nothing_is_ranked():
    none, no = np.zeros(0), np.zeros(0, bool)
    assert math.isnan(auc(none, no))
    assert math.isnan(auc_within(none, no, none))
    assert math.isnan(precision_at(none, no).value)


def test_bad_input_is_refused():
    score, hit = np.ones(2), np.array([True, False])
    with pytest.raises(ValueError, match="one score and one hit"):
        auc(np.ones(3), hit)
    with pytest.raises(ValueError, match="without a score"):
        precision_at(np.array([1, math.nan]), hit)
    with pytest.raises(ValueError, match="must be booleans, such as n > 0"):
        auc(score, np.array([2, 0]))
    with pytest.raises(ValueError, match="weights must be"):
        auc(score, hit, -score)
    with pytest.raises(ValueError, match="each cell needs its group"):
        auc_within(score, hit, np.ones(3))
    for share in (0, 1.5, math.nan):
        with pytest.raises(ValueError, match="share must be above zero"):
            precision_at(score, hit, share)
