"""How well option trades tell what they were for, and gamma exposure what writers hold."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

import plimsoll
from plimsoll.simulation.scenarios import SCENARIOS
from plimsoll.validation.option_recovery import gamma_recovery, intent_recovery

__all__ = ["run"]

DAYS = 40
COIN = "BTC"
_ENOUGH = 0.5


def run() -> dict[str, object]:
    """Simulate each scenario into a store of its own, and hold what is told against the truth."""
    found = []
    for name in SCENARIOS:
        with TemporaryDirectory() as folder:
            plimsoll.open(folder).simulate(name, coins=(COIN,), days=DAYS)
            intents = intent_recovery(Path(folder), COIN)
            gamma = gamma_recovery(Path(folder), COIN)
        rounded = intents.with_columns(pl.selectors.float().round(3))
        found.append({"scenario": name, "intents": rounded.to_dicts(), "gamma": _told(gamma)})
    return {
        "compared": f"{DAYS} days of {COIN} on one exchange, seed 1: what its trades are told to "
        f"be for, and midnights at which {_ENOUGH:.0%} of open interest is explained by trades",
        "aim": "none; the figures are reported whatever they are",
        "rows": found,
    }


def _told(gamma: pl.DataFrame) -> dict[str, Any]:
    """Return how often the sign is right, and by how much takers' exposure misses."""
    true = pl.col("true_usd")
    miss = (pl.col("taker_usd") / true - 1).abs().median()
    missed = (pl.col("taker_usd") / pl.col("taker_true_usd") - 1).abs().median()
    told = gamma.filter(pl.col("taker_coverage") >= _ENOUGH).select(
        midnights=pl.len(),
        naive_sign=(pl.col("naive_usd") * true > 0).mean().round(3),
        taker_sign=(pl.col("taker_usd") * true > 0).mean().round(3),
        taker_miss=missed.round(3),
        taker_miss_of_all=miss.round(3),
    )
    return told.row(0, named=True)
