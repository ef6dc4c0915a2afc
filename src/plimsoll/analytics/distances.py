r"""How far from their entry positions are liquidated, measured, in the place of leverage tiers.

An isolated position of one leverage is liquidated at its entry price times a constant (see
`liquidation.distance_factor`). Each measured position has such a ratio; the leverage that gives it
on the market to be mapped is its *effective* leverage, which says as much of added margin and
crossed wallets as of the slider. Effective leverages are gathered in tiers, three to a doubling,
whose borders are no round numbers; a tier has the mean of the initial margin :math:`1/L` in it,
weighted by dollars.

Weights are of new positions, so each counts once, as it was when it was first seen. Those that
were opened and closed between two looks are missing, which are mostly of high leverage; those of
the first look may be old. Longs and shorts are pooled: `Parameters` has one mix for both. What part
of the open interest can be liquidated is told by what stands at last, unread wallets taken to be
like the read ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from msgspec.structs import replace

from plimsoll.analytics.liquidation import distance_leverage
from plimsoll.analytics.measured import STALE
from plimsoll.analytics.positions import held, opened

if TYPE_CHECKING:
    from plimsoll.analytics.inventory import Parameters

__all__ = ["FARTHEST", "LEAST", "Distances", "distances"]

FARTHEST = 0.9
"""What is liquidated farther from its entry than this, as a fraction of it, is taken for never."""
LEAST = 30.0
"""How many positions are needed, as many as would be as sure if all were of one size."""
_TIERS = 3
_SIDES: tuple[Literal["long"], Literal["short"]] = ("long", "short")


@dataclass(frozen=True, kw_only=True, eq=False)
class Distances:
    r"""Measured distances of liquidation, and the model they make.

    Attributes
    ----------
    parameters : Parameters
        With a tier for each distance; all else as before.
    tiers : DataFrame
        `side`, `leverage` (effective, of the tier), `distance` (mean of liquidation price over
        entry price, less one), and of that side's dollars in tiers `new` (first seen) and
        `standing` (at last): what stands longest has the larger share of the second.
    positions : int
        First seen with a distance.
    effective : float
        As many positions of one size would be as sure: :math:`(\sum w)^2 / \sum w^2`.
    wallets : int
    exchanges : tuple of str
        Where they were measured.
    """

    parameters: Parameters
    tiers: pl.DataFrame
    positions: int
    effective: float
    wallets: int
    exchanges: tuple[str, ...]

    def describe(self) -> dict[str, object]:
        """Return what a reader has to know of it."""
        return {
            "positions": self.positions,
            "effective_positions": self.effective,
            "wallets": self.wallets,
            "exchanges": self.exchanges,
            "tiers": self.tiers.to_dicts(),
        }


def distances(positions: pl.DataFrame, prior: Parameters) -> Distances:
    """Return a model whose leverage mix is that of measured positions.

    Parameters
    ----------
    positions : DataFrame
        Rows of the `position` table, of one coin, of any exchanges; all that are given are
        learnt from, so give none that were not known yet.
    prior : Parameters
        Of the market to be mapped: its settlement and maintenance.

    Returns
    -------
    Distances

    Raises
    ------
    ValueError
        If they are worth fewer than `LEAST` positions of one size.
    """
    new = _placed(opened(positions), prior)
    last = positions.select(pl.coalesce("known_at", "time").max()).to_series()
    standing = _placed(held(positions, last, STALE), prior)
    known = new.filter(pl.col("tier").is_not_null())
    usd = known["usd"].to_numpy()
    effective = float(usd.sum() ** 2 / (usd**2).sum()) if usd.any() else 0.0
    if effective < LEAST:
        raise ValueError(
            f"the {len(usd)} measured positions tell of distances as surely as {effective:.1f} of "
            f"one size would; {LEAST:.0f} are needed: record more wallets, or for longer"
        )
    pooled = known.group_by("tier").agg(_LEVERAGE, pl.col("usd").sum()).sort("tier")
    weights = pooled["usd"] / pooled["usd"].sum()
    seen, reached = (
        float(rows["usd"].sum()) for rows in (standing, standing.filter("liquidatable"))
    )
    return Distances(
        parameters=replace(
            prior,
            leverage=tuple(pooled["leverage"]),
            weights=tuple(weights),
            liquidatable=reached / seen if seen else prior.liquidatable,
        ),
        tiers=_table(pooled, known, standing),
        positions=len(known),
        effective=effective,
        wallets=positions["wallet"].n_unique(),
        exchanges=tuple(positions["exchange"].unique().sort()),
    )


_LEVERAGE = (pl.col("usd").sum() / (pl.col("usd") / pl.col("effective")).sum()).alias("leverage")


def _placed(rows: pl.DataFrame, prior: Parameters) -> pl.DataFrame:
    """Return positions with their dollars, ratio, effective leverage and tier.

    No tier has a position that is never liquidated, or so near or beyond its entry that it cannot
    have been opened so; of these the last can be liquidated all the same.
    """
    ratio = (rows["liquidation_price"] / rows["entry_price"]).to_numpy()
    effective = [
        distance_leverage(
            ratio, prior.maintenance, side=side, settlement=prior.settlement, fee=prior.fee
        )
        for side in _SIDES
    ]
    is_long = (rows["side"] == "long").to_numpy()
    near = (pl.col("ratio") - 1).abs() < FARTHEST
    possible = near & (pl.col("effective") > 1)
    return rows.with_columns(
        usd=pl.coalesce("value_usd", pl.col("amount") * pl.col("entry_price")),
        ratio=pl.Series(ratio, nan_to_null=True),
        effective=pl.Series(np.where(is_long, *effective), nan_to_null=True),
    ).with_columns(
        liquidatable=(near & (pl.col("effective").fill_null(np.inf) > 1)).fill_null(value=False),
        tier=pl.when(possible).then((pl.col("effective").log(2) * _TIERS).round().cast(pl.Int64)),
    )


def _table(pooled: pl.DataFrame, new: pl.DataFrame, standing: pl.DataFrame) -> pl.DataFrame:
    """Return each side's shares by tier, of what is new and of what stands."""
    distance = ((pl.col("ratio") - 1) * pl.col("usd")).sum() / pl.col("usd").sum()

    def shares(rows: pl.DataFrame, name: str) -> pl.DataFrame:
        sums = rows.drop_nulls("tier").group_by("side", "tier").agg(pl.col("usd").sum(), distance)
        return sums.select(
            "side",
            "tier",
            pl.col("ratio").alias(f"{name}_distance"),
            (pl.col("usd") / pl.col("usd").sum().over("side")).alias(name),
        )

    both = shares(new, "new").join(shares(standing, "standing"), on=("side", "tier"), how="left")
    return (
        both.join(pooled.select("tier", "leverage"), on="tier")
        .sort("side", "tier")
        .select(
            "side",
            "leverage",
            pl.col("new_distance").alias("distance"),
            "new",
            pl.col("standing").fill_null(0.0),
        )
    )
