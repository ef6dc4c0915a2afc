from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import plimsoll
from plimsoll.errors import NoSuchData
from plimsoll.validation.option_recovery import gamma_recovery, intent_recovery

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("options") / "store"
    plimsoll.open(root).simulate("bull", coins=("BTC",), days=16, seed=2)
    return root


def test_true_shares_lie_between_what_is_told_and_what_may_be(store: Path) -> None:
    found = intent_recovery(store, "BTC")
    owners = found.head(3)
    assert owners["owner"].to_list() == ["hedge", "speculation", "overwriting"]
    assert owners["true_share"].sum() == pytest.approx(1)
    for row in owners.iter_rows(named=True):
        assert row["told_share"] <= row["true_share"] + 0.03
        assert row["true_share"] <= row["most"]
    assert (found["precision"] > 0.85).all()


def test_takers_tell_the_gamma_that_writers_have_and_the_naive_sign_does_not(store: Path) -> None:
    found = gamma_recovery(store, "BTC")
    seen = found.filter(found["taker_coverage"] > 0.5)
    assert seen.height >= 3
    told, true = (seen[name].to_numpy() for name in ("taker_usd", "taker_true_usd"))
    assert np.abs(told / true - 1).max() < 0.15
    assert (true < 0).all()  # clients buy on balance: the writers are short of gamma
    assert (seen["naive_usd"] > 0).all()


def test_a_store_without_truth_or_without_options_tells_nothing(tmp_path: Path) -> None:
    with pytest.raises(NoSuchData, match="no truth is known"):
        intent_recovery(tmp_path, "BTC")
    root = tmp_path / "store"
    plimsoll.open(root).simulate("calm", coins=("SOL",), days=1)
    with pytest.raises(NoSuchData, match="no option_trades are known of SOL"):
        intent_recovery(root, "SOL")
    with pytest.raises(NoSuchData, match="no options are known of SOL"):
        gamma_recovery(root, "SOL")
