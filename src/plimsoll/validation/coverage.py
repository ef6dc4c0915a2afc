"""How often the truth lies where a fitted map says it does, on a market whose truth is known.

A fitted map states intervals: of each tier's share of new positions, and of what stands in each
bucket and in each range of 0.5 %. The truth of a simulation says what was really opened, and what
really stood at each midnight. An interval of eight tenths should hold it in about eight of ten
cases. Most buckets are empty and easily held; so the share of empty ones stands beside, and the
same figure for the buckets of which the map does not say that they are empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plimsoll.analytics.averaged import Averaged
from plimsoll.analytics.bands import bands, of_range
from plimsoll.analytics.inventory_state import OPEN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from plimsoll.analytics.cells import Trial
    from plimsoll.analytics.fitting import Fitted
    from plimsoll.analytics.inventory import Parameters

    Floats = NDArray[np.float64]
    Small = NDArray[np.float32]
    Ints = NDArray[np.int64]
    Parts = Sequence[tuple[float, Parameters]]
    _Held = tuple[Floats, Floats | Small, Floats, Floats]
    """Of some cells: distance, limits, what is expected and what is real."""

__all__ = [
    "DISTANCES",
    "NEAR",
    "REACH",
    "Midnights",
    "band_coverage",
    "columns",
    "midnights",
    "mix_coverage",
    "opened_mix",
]

NEAR, REACH = 0.002, 0.20
"""Log price from the mark: the buckets looked at."""
DISTANCES = (0.0, 0.02, 0.05, 0.10)
"""Where classes of distance from the mark begin, log price."""
_RANGE = 5
"""Buckets of a range."""
_YOUNG = timedelta(hours=6)


@dataclass(frozen=True, kw_only=True, eq=False)
class Midnights:
    """What really stood at the midnights of a trial.

    Attributes
    ----------
    bar : ndarray of int, shape (midnights,)
        The bar that opens then.
    mark : ndarray, shape (midnights,), quote per base
    real : ndarray, shape (midnights, 2, rows), base units or dollars of inverse contracts
        By side and by bucket of the liquidation price, in the trial's grid.
    """

    bar: Ints
    mark: Floats
    real: Floats

    def since(self, bar: int) -> Midnights:
        """Return those from a bar on."""
        kept = self.bar >= bar
        return Midnights(bar=self.bar[kept], mark=self.mark[kept], real=self.real[kept])


def midnights(trial: Trial, positions: pl.DataFrame) -> Midnights:
    """Return what really stood at each midnight at which a bar opens.

    Parameters
    ----------
    trial : Trial
    positions : DataFrame
        Of the truth, of one instrument; side 1 is long, −1 short.
    """
    when = positions["time"].dt.epoch("us")
    found, marks, real = [], [], []
    for moment in when.unique().sort():
        at = int(np.searchsorted(trial.time, moment))
        if at == len(trial.time) or trial.time[at] != moment:
            continue  # the last midnight ends the last bar
        now = positions.filter(when == moment)
        found.append(at)
        marks.append(float(now["mark_price"][0]))
        real.append(_cells(trial, now.filter(pl.col("liquidation_price").is_not_null())))
    return Midnights(
        bar=np.array(found, dtype=np.int64),
        mark=np.array(marks),
        real=np.array(real).reshape(len(found), 2, trial.grid.rows),
    )


def _cells(trial: Trial, held: pl.DataFrame) -> Floats:
    grid = trial.grid
    row = np.floor(np.log(held["liquidation_price"].to_numpy()) / grid.step) - grid.first
    inside = (row >= 0) & (row < grid.rows)
    side = np.where(held["side"].to_numpy() > 0, 0, 1)
    amount = (held["lots"] * held["lot"]).to_numpy()
    cells = np.zeros((2, grid.rows))
    np.add.at(cells, (side[inside], row[inside].astype(np.int64)), amount[inside])
    return cells


def opened_mix(positions: pl.DataFrame, liquidations: pl.DataFrame) -> dict[float, float]:
    """Return what share of the money in new positions was opened with each leverage.

    New are positions that stand at a midnight and are less than six hours old, and those that were
    opened in these hours and liquidated before it. What was closed by hand in between is missing.

    Parameters
    ----------
    positions, liquidations : DataFrame
        Of the truth, of one instrument.
    """
    age = pl.col("time") - pl.col("opened")
    stand = positions.filter(age <= _YOUNG)
    to_midnight = (pl.col("opened") - timedelta(microseconds=1)).dt.truncate("1d") + timedelta(1)
    gone = liquidations.filter(
        to_midnight - pl.col("opened") <= _YOUNG, pl.col("time") < to_midnight
    )
    lots = pl.concat([one.select("leverage", "lots") for one in (stand, gone)])
    by_tier = lots.group_by("leverage").agg(pl.col("lots").sum()).drop_nulls().sort("leverage")
    total = by_tier["lots"].sum()
    return {leverage: held / total for leverage, held in by_tier.iter_rows()}


def columns(trial: Trial, parts: Parts, shown: Ints, *, by_tier: bool = False) -> Floats:
    """Return what a map shows at the open of some bars.

    Parameters
    ----------
    trial : Trial
    parts : sequence of (float, Parameters)
        Whose mean the map is; see `Fitted.parts`.
    shown : ndarray of int
        Bars, rising.
    by_tier : bool

    Returns
    -------
    ndarray, shape (bars, 2, rows) or (bars, 2, tiers, rows)
    """
    mask = np.zeros(len(trial.bars), dtype=np.bool_)
    mask[shown] = True
    moved = Averaged(parts, trial.bars, trial.crossing, interval=trial.interval, grid=trial.grid)
    record = moved.advance(mask, by_tier=by_tier)
    return record.tiers.astype(np.float64) if by_tier else record.columns


def band_coverage(trial: Trial, made: Fitted, truth: Midnights) -> pl.DataFrame:
    """Return how often the truth lies between the tenth and the ninth tenth of a map.

    Parameters
    ----------
    trial : Trial
    made : Fitted
        To what was known before the first of these midnights.
    truth : Midnights

    Returns
    -------
    DataFrame
        A row for each midnight, side, `scope` (a bucket or a range) and `distance` from the mark,
        log price, rounded down to one of `DISTANCES`: `cells`, of them `inside`, `below` and
        `above` the band, really `empty`, and `claimed`, those whose ninth tenth is above nothing,
        with `claimed_inside`; what the map expects, `mass`, and what is `real`, in orders. Columns
        that the map does not know are left out.
    """
    tiers = columns(trial, made.parts, truth.bar, by_tier=True)
    inverse = trial.parameters.settlement == "inverse"
    price = np.ones(len(truth.bar)) if inverse else trial.bars[truth.bar, OPEN]
    order = made.unit / price
    cells = bands(tiers.astype(np.float32), made.draws, made.cell_size, order)
    middle = (np.arange(trial.grid.rows) + 0.5 + trial.grid.first) * trial.grid.step
    expected, rows = made.draws.mean(axis=0), []
    for at, mark in enumerate(truth.mark):
        for side, name in enumerate(("long", "short")):
            if np.isnan(tiers[at, side]).any():
                continue
            distance = (middle - np.log(mark)) * (-1 if side == 0 else 1)
            near = (distance > NEAR) & (distance < REACH)
            mass, real = expected @ tiers[at, side], truth.real[at, side]
            bucket = distance[near], cells[:, at, side, near], mass[near], real[near]
            wide = _ranges(tiers[at, side], real, distance, (made, order[at]))
            rows += [
                {"midnight": at, "side": name, "scope": scope} | tally
                for scope, held in (("bucket", bucket), ("range", wide))
                for tally in _tallies(held, order[at])
            ]
    return pl.DataFrame(rows)


def _ranges(tiers: Floats, real: Floats, distance: Floats, known: tuple[Fitted, float]) -> _Held:
    """Return distance, limits, mass and truth of ranges, the one that touches the mark left out."""
    made, order = known
    width = _RANGE * made.parameters.step
    which = np.floor(distance / width).astype(np.int64)
    every = np.arange(1, round(REACH / width))
    masses = [tiers[:, which == one].T for one in every]
    sizes = made.cell_size, order, made.common_size
    limits = [of_range(one, made.draws, *sizes) for one in masses]
    mass = np.array([one.sum(axis=0) for one in masses]) @ made.draws.mean(axis=0)
    held = np.array([real[which == one].sum() for one in every])
    starts = np.asarray(every * width, dtype=np.float64)
    return starts, np.array(limits).T, mass, held


def _tallies(held: _Held, order: float) -> list[dict[str, Any]]:
    distance, limits, mass, real = held
    least = 1e-6 * order  # single precision
    below, above = real < limits[0] - least, real > limits[2] + least
    inside, claimed = ~below & ~above, limits[2] > 0
    of = np.searchsorted(DISTANCES, distance, side="right") - 1
    return [
        {
            "distance": start,
            "cells": int((of == at).sum()),
            "inside": int(inside[of == at].sum()),
            "below": int(below[of == at].sum()),
            "above": int(above[of == at].sum()),
            "empty": int((real == 0)[of == at].sum()),
            "claimed": int(claimed[of == at].sum()),
            "claimed_inside": int((claimed & inside)[of == at].sum()),
            "mass": float(mass[of == at].sum() / order),
            "real": float(real[of == at].sum() / order),
        }
        for at, start in enumerate(DISTANCES)
    ]


def mix_coverage(mix: pl.DataFrame, truth: Mapping[float, float]) -> pl.DataFrame:
    """Return whether each tier's interval holds its true share.

    Parameters
    ----------
    mix : DataFrame
        As `Fitted.mix` makes it.
    truth : mapping of float to float
        Share by leverage. A tier that no trader can choose is left out.

    Returns
    -------
    DataFrame
        `leverage`, `share`, `low`, `high`, `identified`, `real`, `inside`.
    """
    known = mix.filter(pl.col("leverage").is_in([float(tier) for tier in truth]))
    real = pl.Series("real", [truth[tier] for tier in known["leverage"]], dtype=pl.Float64)
    return known.select("leverage", "share", "low", "high", "identified", real).with_columns(
        inside=pl.col("real").is_between("low", "high")
    )
