"""Entries recovered from flows, on a market whose positions are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import plimsoll
from plimsoll.errors import NoSuchData
from plimsoll.validation.entered import entered

if TYPE_CHECKING:
    from pathlib import Path


def test_the_estimate_knows_more_of_entries_than_where_volume_was_traded(tmp_path: Path) -> None:
    root = tmp_path / "store"
    plimsoll.open(root).simulate("calm", coins=("BTC",), days=12, seed=21)
    found = entered(root, "BTC")
    assert found.select("exchange", "side").rows() == [
        (venue, side) for venue in ("sim-a", "sim-c") for side in ("long", "short")
    ]
    assert found["overlap"].is_between(0.5, 1).all()
    assert found["overlap"].mean() > found["volume"].mean()


def test_a_store_without_truth_has_no_entries(tmp_path: Path) -> None:
    with pytest.raises(NoSuchData, match="no truth is known"):
        entered(tmp_path, "BTC")
