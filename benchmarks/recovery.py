"""How well the heat map recovers the truth of each scenario; no rival, but two baselines."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

import plimsoll
from plimsoll.simulation.scenarios import SCENARIOS
from plimsoll.validation.recovery import recovery

__all__ = ["run"]

DAYS = 40
COIN = "BTC"


def run() -> dict[str, object]:
    """Simulate each scenario into a store of its own, and score its maps."""
    found = []
    for name in SCENARIOS:
        with TemporaryDirectory() as folder:
            plimsoll.open(folder).simulate(name, coins=(COIN,), days=DAYS)
            found.append(recovery(Path(folder), COIN))
    columns = ("rank_correlation", "overlap")
    means = (
        pl.concat(found)
        .group_by("scenario", "map", maintain_order=True)
        .agg(pl.col(columns).mean().round(3), pl.col("midnights").sum())
    )
    return {
        "compared": f"{DAYS} days of {COIN} on three exchanges, seed 1, each midnight after the "
        "first week: dollars of positions by band of 0.5 % within 20 % of the price",
        "aim": "none; the figures are reported whatever they are",
        "rows": means.to_dicts(),
    }
