"""Whether wrong reports are found and others are not accused, and what flows say of positions."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

import plimsoll
from plimsoll.simulation.scenarios import SCENARIOS
from plimsoll.validation.faults import faults
from plimsoll.validation.netting import netting
from plimsoll.validation.rate_faults import rate_faults

__all__ = ["run"]

DAYS = 14
COIN = "BTC"
SEEDS = (1, 2)


def run() -> dict[str, object]:
    """Simulate each scenario, plant faults in each perpetual in turn, and count who is named."""
    named, rates, recovered = [], [], []
    for name in SCENARIOS:
        for seed in SEEDS:
            with TemporaryDirectory() as folder:
                plimsoll.open(folder).simulate(name, coins=(COIN,), days=DAYS, seed=seed)
                found = faults(Path(folder), COIN)
                named.append(found.with_columns(scenario=pl.lit(f"{name}, seed {seed}")))
                rates.append(rate_faults(Path(folder), COIN))
                recovered.append(netting(Path(folder), COIN))
    planted = (
        pl.concat(named)
        .group_by("fault", maintain_order=True)
        .agg(
            planted=pl.len(),
            named=(pl.col("grade") == "D").sum(),
            accused=pl.col("accused").sum(),
            hours=pl.col("hours").max(),
            error=pl.col("error").max().round(6),
            missed=pl.format("{}: {}", "scenario", "exchange").filter(
                (pl.col("grade") != "D") & (pl.col("fault") != "none")
            ),
        )
    )
    columns = ("within", "width", "net", "longs", "shorts", "naive")
    means = (
        pl.concat(recovered)
        .group_by("scenario", maintain_order=True)
        .agg(pl.col("hours").sum(), pl.col(columns).mean().round(3))
    )
    return {
        "compared": f"{DAYS} days of {COIN} on three exchanges, six scenarios, seeds {SEEDS}",
        "aim": "each fault named, no other market accused",
        "faults": planted.to_dicts(),
        "rates": _rates(pl.concat(rates)).to_dicts(),
        "net_positions": means.to_dicts(),
    }


def _rates(found: pl.DataFrame) -> pl.DataFrame:
    """Return how many faults of funding and of each population's ratio were named."""
    return found.group_by("metric", "population", "fault", maintain_order=True).agg(
        planted=pl.len(), named=pl.col("named").sum(), accused=pl.col("accused").sum()
    )
