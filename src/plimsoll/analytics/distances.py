r"""How far from their entry positions are liquidated, measured, in the place of leverage tiers.

An isolated position of one leverage is liquidated at its entry price times a constant (see
`liquidation.distance_factor`). Each measured position has such a ratio; the leverage that gives it
on a contract settled as its own is its *effective* leverage, which says as much of added margin and
crossed wallets as of the slider. It is the leverage that traders take from one contract to another,
not the distance: at 2x a linear long is liquidated 50 % away, an inverse one 33 %. It is found, and
put back, with the maintenance of the smallest position, so that the distance is kept whatever the
size: at the rate of its own size, positions of one leverage and of many distances would share a
tier. Effective leverages are gathered in tiers, three to a doubling, whose borders are no round
numbers; a tier has the mean of the initial margin :math:`1/L` in it, weighted by dollars.

Weights are of new positions, so each counts once, as it was when it was first seen. Those that
were opened and closed between two looks are missing, which are mostly of high leverage; those of
the first look may be old. Longs and shorts have their own mix as far as it is no chance that they
differ: of counts by side and tier with :math:`G^2` over those of both together at d degrees of
freedom the share :math:`1 - d / G^2` is each side's own, and the rest that of both (see `ageing`,
which also has what age makes of the mix). A side that is worth fewer than `LEAST` positions has the
mix of both. What part of each side's open interest can be liquidated is told likewise, by what
stands at last, unread wallets taken to be like the read ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from msgspec.structs import replace

from plimsoll.analytics.ageing import aged, apart, effective
from plimsoll.analytics.inventory import ALIKE
from plimsoll.analytics.liquidation import distance_leverage
from plimsoll.analytics.margins import smallest
from plimsoll.analytics.measured import STALE
from plimsoll.analytics.positions import followed, held, opened
from plimsoll.analytics.statements import english
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plimsoll.analytics.inventory import Parameters

__all__ = ["FARTHEST", "LEAST", "Distances", "distances"]

FARTHEST = 0.9
"""What is liquidated farther from its entry than this, as a fraction of it, is taken for never."""
BY_SIDE, BOTH_ALIKE = "by side", "of both sides alike"
TOO_FEW = {
    ("long",): "by side, but longs as all together (too few)",
    ("short",): "by side, but shorts as all together (too few)",
    ("long", "short"): "of both sides together (too few of each)",
}
BY_AGE, ANY_AGE = "by age", "of any age"
"""Whose mix it is, in words."""
LEAST = 30.0
"""How many positions are needed, as many as would be as sure if all were of one size."""
_TIERS = 3
_SETTLEMENTS: tuple[Literal["linear"], Literal["inverse"]] = ("linear", "inverse")
_SIDES: tuple[Literal["long"], Literal["short"]] = ("long", "short")


@dataclass(frozen=True, kw_only=True, eq=False)
class Distances:
    r"""Measured distances of liquidation, and the model they make.

    Attributes
    ----------
    parameters : Parameters
        With a tier for each effective leverage; all else as before.
    pooled : Parameters
        The same with one mix for both sides, of any age.
    tiers : DataFrame
        `side`, `leverage` (effective, of the tier), `distance` (mean of liquidation price over
        entry price, less one), and of that side's dollars in tiers `new` (first seen) and
        `standing` (at last): what stands longest has the larger share of the second.
    sides : DataFrame
        `side`, how many of one size would be as sure (`effective`), what share of its mix is its
        `own`, and the rest that of both; and the part `liquidatable` of it.
    ages : DataFrame or None
        As `ageing.aged` has it; None where no prices were given.
    positions : int
        First seen with a distance.
    effective : float
        As many positions of one size would be as sure: :math:`(\sum w)^2 / \sum w^2`.
    wallets : int
    exchanges : tuple of str
        Where they were measured.
    """

    parameters: Parameters
    pooled: Parameters
    tiers: pl.DataFrame
    sides: pl.DataFrame
    ages: pl.DataFrame | None
    positions: int
    effective: float
    wallets: int
    exchanges: tuple[str, ...]

    @property
    def statement(self) -> dict[str, object]:
        """Where the mix is from; see `statements.MAPPED`."""
        sides = BY_SIDE
        if few := tuple(self.sides.filter(pl.col("effective") < LEAST)["side"].sort()):
            sides = TOO_FEW[few]
        elif not (self.sides["own"] > 0).any():
            sides = BOTH_ALIKE
        aged = self.ages is not None and (self.ages["own"] > 0).any()
        return {
            "code": "measured",
            "positions": self.positions,
            "exchanges": ", ".join(self.exchanges),
            "sides": sides,
            "age": BY_AGE if aged else ANY_AGE,
        }

    @property
    def said(self) -> str:
        """Where the mix is from, in words."""
        return english([self.statement])[0]

    def describe(self) -> dict[str, object]:
        """Return what a reader has to know of it."""
        return {
            "positions": self.positions,
            "effective_positions": self.effective,
            "wallets": self.wallets,
            "exchanges": self.exchanges,
            "tiers": self.tiers.to_dicts(),
            "sides": self.sides.to_dicts(),
            "ages": None if self.ages is None else self.ages.to_dicts(),
        }


def distances(
    positions: pl.DataFrame, prior: Parameters, bars: pl.DataFrame | None = None
) -> Distances:
    """Return a model whose leverage mix is that of measured positions.

    Parameters
    ----------
    positions : DataFrame
        Rows of the `position` table, of one coin, of any exchanges; all that are given are
        learnt from, so give none that were not known yet.
    prior : Parameters
        Of the market to be mapped: its settlement and maintenance.
    bars : DataFrame, optional
        Its prices, `time`, `low` and `high`: without them, all are taken to last alike.

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
    sure = effective(known["usd"].to_numpy())
    if sure < LEAST:
        raise ValueError(
            f"the {len(known)} measured positions tell of distances as surely as {sure:.1f} of "
            f"one size would; {LEAST:.0f} are needed: record more wallets, or for longer"
        )
    tiers = known.group_by("tier").agg(_LEVERAGE, pl.col("usd").sum()).sort("tier")
    seen, reached = (
        float(rows["usd"].sum()) for rows in (standing, standing.filter("liquidatable"))
    )
    pooled = replace(
        prior,
        leverage=tuple(tiers["leverage"]),
        weights=tuple(tiers["usd"] / tiers["usd"].sum()),
        liquidatable=reached / seen if seen else prior.liquidatable,
        sizes=None,
        **ALIKE,
    )
    parameters, sides = _apart(pooled, known.join(_numbers(tiers), on="tier"), standing)
    ages = None
    if bars is not None:
        rows = _placed(followed(positions, STALE), prior).join(_numbers(tiers), on="tier")
        ratios, ages = aged(rows, bars, parameters)
        lasting = tuple(tuple(map(tuple, side)) for side in ratios.tolist())
        parameters = replace(parameters, lasting=lasting)
    return Distances(
        parameters=parameters,
        pooled=pooled,
        tiers=_table(tiers, known, standing),
        sides=sides,
        ages=ages,
        positions=len(known),
        effective=sure,
        wallets=positions["wallet"].n_unique(),
        exchanges=tuple(positions["exchange"].unique().sort()),
    )


def _numbers(tiers: pl.DataFrame) -> pl.DataFrame:
    return tiers.with_row_index("at").select("tier", "at")


def _apart(
    pooled: Parameters, new: pl.DataFrame, standing: pl.DataFrame
) -> tuple[Parameters, pl.DataFrame]:
    """Return the model with what each side has of its own, and how much that is."""
    (longs, shorts), sure, own = _mixed(new, "at", len(pooled.weights))
    parameters = replace(pooled, weights=tuple(longs), shorts=tuple(shorts))
    if standing["usd"].sum():
        (longs, shorts), _, _ = _mixed(standing, "liquidatable", 2)
        parameters = replace(parameters, liquidatable=longs[1], liquidatable_shorts=shorts[1])
    told = {"side": _SIDES, "effective": sure, "own": own, "liquidatable": parameters.reachable}
    return parameters, pl.DataFrame(told)


def _mixed(
    rows: pl.DataFrame, name: str, kinds: int
) -> tuple[list[list[float]], list[float], list[float]]:
    """Return how the dollars of each side divide by kind, how sure that is, and what is its own."""
    usd = np.zeros((2, kinds))
    side = (rows["side"] == "short").cast(pl.Int64).to_numpy()
    np.add.at(usd, (side, rows[name].cast(pl.Int64).to_numpy()), rows["usd"].to_numpy())
    sure = np.array([effective(rows.filter(side=one)["usd"].to_numpy()) for one in _SIDES])
    both = usd.sum(axis=0) / usd.sum()
    mixes = usd / np.maximum(usd.sum(axis=1, keepdims=True), 1e-300)
    share = apart(mixes * sure[:, None], np.outer(sure, both), kinds - 1)
    own = np.where(sure >= LEAST, share, 0.0)[:, None]
    mixed = own * mixes + (1 - own) * both
    return mixed.tolist(), sure.tolist(), own[:, 0].tolist()


_LEVERAGE = (pl.col("usd").sum() / (pl.col("usd") / pl.col("effective")).sum()).alias("leverage")


def _placed(rows: pl.DataFrame, prior: Parameters) -> pl.DataFrame:
    """Return positions with their dollars, ratio, effective leverage and tier.

    No tier has a position that is never liquidated, or so near or beyond its entry that it cannot
    have been opened so; of these the last can be liquidated all the same.
    """
    ratio = (rows["liquidation_price"] / rows["entry_price"]).to_numpy()
    is_long, inverse = (rows["side"] == "long").to_numpy(), _inverse(rows["symbol"])
    leverages, rate = np.full(len(rows), math.nan), smallest(prior.maintenance)
    for settlement in _SETTLEMENTS:
        for side in _SIDES:
            whose = (is_long == (side == "long")) & (inverse == (settlement == "inverse"))
            leverages[whose] = distance_leverage(
                ratio[whose], rate, side=side, settlement=settlement, fee=prior.fee
            )
    near = (pl.col("ratio") - 1).abs() < FARTHEST
    possible = near & (pl.col("effective") > 1)
    return rows.with_columns(
        usd=pl.coalesce("value_usd", pl.col("amount") * pl.col("entry_price")),
        ratio=pl.Series(ratio, nan_to_null=True),
        effective=pl.Series(leverages, nan_to_null=True),
    ).with_columns(
        liquidatable=(near & (pl.col("effective").fill_null(np.inf) > 1)).fill_null(value=False),
        tier=pl.when(possible).then((pl.col("effective").log(2) * _TIERS).round().cast(pl.Int64)),
    )


def _inverse(symbols: pl.Series) -> NDArray[np.bool_]:
    """Return which contracts are settled in base."""
    names = symbols.unique()
    inverse = [name for name in names if Symbol.parse(name).settlement == "inverse"]
    return symbols.is_in(inverse).to_numpy()


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
