from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

import plimsoll
from plimsoll.errors import NoSuchData
from plimsoll.validation.recovery import MAPS, recovery

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", [1, 2])
def test_mixes_that_are_known_recover_more_than_equal_weights(tmp_path: Path, seed: int) -> None:
    root = tmp_path / "store"
    plimsoll.open(root).simulate("bull", coins=("BTC",), days=16, seed=seed)
    found = recovery(root, "BTC")
    assert found["map"].to_list() == list(MAPS) * 3
    assert found["exchange"].unique(maintain_order=True).to_list() == ["sim-a", "sim-b", "sim-c"]
    assert found["midnights"].min() == 9
    mean = dict(found.group_by("map").agg(pl.col("overlap").mean()).iter_rows())
    rank = dict(found.group_by("map").agg(pl.col("rank_correlation").mean()).iter_rows())
    for known in ("true mix", "measured distances"):
        assert mean[known] > mean["equal weights"] + 0.02
        assert rank[known] > rank["equal weights"] + 0.05
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
