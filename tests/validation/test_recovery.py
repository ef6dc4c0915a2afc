from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

import plimsoll
from plimsoll.errors import NoSuchData
from plimsoll.validation.recovery import MAPS, banded, overlap, rank_correlation, recovery

if TYPE_CHECKING:
    from pathlib import Path


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


def test_the_true_mix_recovers_more_than_equal_weights(tmp_path: Path) -> None:
    root = tmp_path / "store"
    plimsoll.open(root).simulate("bull", coins=("BTC",), days=16)
    found = recovery(root, "BTC")
    assert found["map"].to_list() == list(MAPS) * 3
    assert found["exchange"].unique(maintain_order=True).to_list() == ["sim-a", "sim-b", "sim-c"]
    assert found["midnights"].min() == 9
    mean = dict(found.group_by("map").agg(pl.col("overlap").mean()).iter_rows())
    assert mean["true mix"] > mean["equal weights"] + 0.02
    rank = dict(found.group_by("map").agg(pl.col("rank_correlation").mean()).iter_rows())
    assert rank["true mix"] > rank["equal weights"] + 0.05
    assert found["overlap"].is_between(0.2, 0.9).all()


def test_a_store_without_truth_has_no_score(tmp_path: Path) -> None:
    with pytest.raises(NoSuchData, match="no truth is known"):
        recovery(tmp_path, "BTC")
    root = tmp_path / "store"
    plimsoll.open(root).simulate("calm", coins=("SOL",), days=3)
    with pytest.raises(ValueError, match="needs 10 days or more; got 3"):
        recovery(root, "SOL")
    with pytest.raises(NoSuchData, match="no positions are known of BTC"):
        recovery(root, "BTC")
