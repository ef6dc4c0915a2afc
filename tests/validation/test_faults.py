"""Faults planted in a simulated market are named, and no sound exchange is accused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

import plimsoll
from plimsoll.errors import NoSuchData
from plimsoll.validation.faults import FAULTS, faults
from plimsoll.validation.netting import netting
from plimsoll.validation.rate_faults import FUNDING_FAULTS, RATIO_FAULTS, rate_faults

if TYPE_CHECKING:
    from pathlib import Path

MARKETS = [("sim-a", "BTC/USDT:USDT"), ("sim-b", "BTC/USD:BTC"), ("sim-c", "BTC/USDT:USDT")]


@pytest.mark.parametrize(("scenario", "seed"), [("calm", 11), ("squeeze", 12)])
def test_each_fault_is_named_and_none_spoils_the_sum(
    tmp_path: Path, scenario: str, seed: int
) -> None:
    root = tmp_path / "store"
    plimsoll.open(root).simulate(scenario, coins=("BTC",), days=8, seed=seed)
    found = faults(root, "BTC")
    sound = found.row(0, named=True)
    assert (sound["fault"], sound["grade"], sound["accused"]) == ("none", "A", 0)
    planted = found[1:]
    assert planted.select("exchange", "symbol").unique().sort("exchange").rows() == MARKETS
    assert planted["fault"].unique(maintain_order=True).to_list() == list(FAULTS)
    assert planted["grade"].unique().to_list() == ["D"]
    assert planted["accused"].sum() == 0
    assert planted["error"].max() == pytest.approx(0, abs=1e-12)
    words = planted.with_columns(said=pl.col("reasons").list.join("; ")).select("fault", "said")
    for fault, said in words.iter_rows():
        assert _NAMED[fault] in said, (fault, said)

    _rates_are_named(rate_faults(root, "BTC"))

    scored = netting(root, "BTC")
    within = dict(scored.select("exchange", "within").iter_rows())
    assert within["sim-a"] == within["sim-c"] == 1
    assert within["sim-b"] > 0.98  # its open interest is two minutes old, its trades are not
    assert scored["net"].min() > 0.98
    assert scored["width"].min() > 3  # the sum of longs and shorts is hardly known: it is said so


def _rates_are_named(found: pl.DataFrame) -> None:
    assert found["accused"].sum() == 0
    funding = found.filter(pl.col("metric") == "funding", pl.col("fault") != "none")
    named = dict(funding.group_by("fault").agg(pl.col("named").sum()).iter_rows())
    assert named.keys() == FUNDING_FAULTS.keys()
    surely = ("sign turned", "percent for a fraction", "another interval stated")
    assert {named[fault] for fault in (*surely, "rate of another interval")} == {3}
    ratios = found.filter(pl.col("metric") == "long_short", pl.col("fault") != "none")
    named = dict(ratios.group_by("fault").agg(pl.col("named").sum()).iter_rows())
    assert named.keys() == RATIO_FAULTS.keys()
    # What only the others could tell is not told where they hardly move together.
    hard = {"shorts for longs", "an hour late"}
    assert {count for fault, count in named.items() if fault not in hard} == {9}


_NAMED = {
    "stale": "stale",
    "stale since a day": "stale",
    "contracts as coins": "wrong unit",
    "amount and value times 1000": "wrong unit",
    "amount and value by 1000": "wrong unit",
    "both sides counted": "counted double",
    "both sides counted since a day": "counted double",
    "an hour late": "lagging",
}


def test_a_store_without_truth_has_no_figures(tmp_path: Path) -> None:
    with pytest.raises(NoSuchData, match="no truth is known"):
        netting(tmp_path, "BTC")
    with pytest.raises(NoSuchData):
        faults(tmp_path, "BTC")
    with pytest.raises(NoSuchData):
        rate_faults(tmp_path, "BTC")
