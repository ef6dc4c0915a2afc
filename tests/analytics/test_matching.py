from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from plimsoll.analytics.matching import banded, overlap, rank_correlation


def test_bands_are_half_a_percent_of_log_price() -> None:
    price = 100 * np.exp([-0.1999, -0.0051, -0.0049, 0.0049, 0.0051, 0.3])
    found = banded(price, np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.0]), 100.0)
    assert len(found) == 80
    assert found[[0, 38, 39, 40, 41]].tolist() == [1, 2, 3, 4, 5]
    assert found.sum() == 15


def test_rank_correlation_is_spearmans() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        guess, real = random.integers(0, 9, (2, 30)).astype(float)  # with ties
        assert rank_correlation(guess, real) == pytest.approx(spearmanr(guess, real).statistic)


def test_overlap_is_the_mass_in_the_right_band() -> None:
    assert overlap(np.array([1.0, 2.0]), np.array([2.0, 4.0])) == 1
    assert overlap(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 0
    assert overlap(np.array([0.5, 0.5, 0]), np.array([1.0, 1.0, 2.0])) == 0.5
    assert np.isnan(overlap(np.zeros(2), np.ones(2)))
