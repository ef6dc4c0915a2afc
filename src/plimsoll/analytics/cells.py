"""Where the price went, what a map said stood there, and what was liquidated there.

A *cell* is a bar, a side and a price bucket that the bar's price newly touched: positions of that
side liquidated in that bucket had to go. Scores are made of cells alone. That the price went there
is given, so a map earns nothing for it; that something stood there is what it has to know.

A realised liquidation belongs to the touched cell of its bar and side that is nearest to its price.
Where the exchange tells the bankruptcy price B, the price that triggered it is recovered with the
maintenance rate m of an order of that size: B / (1 ∓ m) of linear contracts, B (1 ± m) of inverse.
What happened in bars that touched no cell of its side is *outside*, and counted. Dollars are
counted in *orders*: divided by their mean, and rounded.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec.structs import replace

from plimsoll.analytics.bars import in_contracts
from plimsoll.analytics.flows import believed
from plimsoll.analytics.inventory import Grid, Inventory, Parameters
from plimsoll.analytics.inventory_laws import on_arrival
from plimsoll.analytics.inventory_numba import touched_cells
from plimsoll.analytics.inventory_state import (
    HIGH,
    LOW,
    OPEN,
    OPEN_INTEREST,
    VOLUME,
    marks,
    matrix,
)
from plimsoll.analytics.margins import effective_rate, in_force

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Trial", "trial"]

_DAY = 86_400 * 1_000_000
_AROUND = 0.40
"""Over how much of log price the background spreads the open interest: 20 % on either side."""
_ROOM = 1.6


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One instrument's bars, the cells its price touched, and the liquidations counted in them.

    Attributes
    ----------
    bars : ndarray, shape (bars, 7)
        As `inventory.matrix` makes them; base units, or dollars of inverse contracts.
    time : ndarray of int, shape (bars,), microseconds since 1970
        When each bar opens.
    interval : timedelta
    parameters : Parameters
        What the map assumes before it is fitted.
    crossing : ndarray, shape (bars, 2), or None
        As `inventory.marks` has it.
    brackets : ndarray of int, shape (bars,), or None
        As `margins.in_force` has it.
    grid : Grid
    cells : ndarray of int, shape (cells, 3)
        Bar, side (0 long, 1 short) and bucket.
    orders : ndarray of int, shape (cells,)
        Liquidations counted.
    unit : float, US dollars
        Of one order.
    outside : float, fraction
        Of the liquidated dollars, those of bars that touched no cell of their side.
    completeness : tuple of str
        Of the liquidations, as their rows say.
    """

    bars: Floats
    time: Ints
    interval: timedelta
    parameters: Parameters
    crossing: Floats | None
    brackets: Ints | None
    grid: Grid
    cells: Ints
    orders: Ints
    unit: float
    outside: float
    completeness: tuple[str, ...]

    @property
    def day(self) -> Ints:
        """The day of each cell, counted from 1970; shape (cells,)."""
        day: Ints = self.time[self.cells[:, 0]] // _DAY
        return day

    @property
    def rows(self) -> Ints:
        """Where the cells of each bar and side begin; shape (rows,). They stand together."""
        key = self.cells[:, 0] * 2 + self.cells[:, 1]
        starts: Ints = np.flatnonzero(np.diff(key, prepend=-1))
        return starts

    @property
    def price(self) -> Floats:
        """The middle of each cell's bucket; shape (cells,), quote per base."""
        price: Floats = np.exp((self.cells[:, 2] + 0.5) * self.grid.step)
        return price

    def heard(self, warm: int) -> NDArray[np.bool_]:
        """Return which cells a forecast can be held against; shape (cells,).

        They are those of the days from the first to the last with a liquidation. Before and after,
        nobody says that the feed was on.

        Parameters
        ----------
        warm : int
            Days at first that only fill the inventory, and do not count.
        """
        day = self.day
        came = day[(self.orders > 0) & (day >= day[0] + warm)]
        heard: NDArray[np.bool_] = np.zeros(len(day), dtype=np.bool_)
        if len(came):
            heard = (day >= came[0]) & (day <= came[-1])
        return heard

    def dollars(self, amounts: Floats) -> Floats:
        """Return the amounts of cells, of any number of columns, in orders at the bar's open."""
        if self.parameters.settlement == "inverse":
            return amounts / self.unit
        value: Floats = amounts * self.bars[self.cells[:, 0], OPEN, None] / self.unit
        return value

    def stood(self, bars: Floats | None = None, parameters: Parameters | None = None) -> Floats:
        """Return what an inventory says stood in each cell; shape (cells, tiers), orders.

        Parameters
        ----------
        bars : ndarray, optional
            Other bars of the same prices, where another open interest is to be tried.
        parameters : Parameters, optional
        """
        chosen = parameters or self.parameters
        moved = Inventory(chosen, interval=self.interval, grid=self.grid)
        record = moved.advance(
            believed(self.bars if bars is None else bars, chosen, self.interval),
            crossing=self.crossing,
            brackets=self.brackets,
            shown=np.zeros(len(self.bars), dtype=np.bool_),
            touched=True,
        )
        return self.dollars(record.touched)

    def swept(self, crossing: Floats | None) -> Floats:
        """Return what the inventory says each bar liquidates; shape (bars, sides), US dollars.

        Parameters
        ----------
        crossing : ndarray, shape (bars, 2), or None
            In the place of the trial's own: None for the extremes of trades.
        """
        moved = Inventory(self.parameters, interval=self.interval, grid=self.grid)
        crossed = moved.advance(
            believed(self.bars, self.parameters, self.interval),
            crossing=crossing,
            brackets=self.brackets,
            shown=np.zeros(len(self.bars), dtype=np.bool_),
        ).crossed.sum(axis=2)
        if self.parameters.settlement == "linear":
            crossed *= self.bars[:, OPEN, None]
        swept: Floats = np.nan_to_num(crossed)
        return swept

    def stood_by(self, tried: Sequence[Parameters], bars: Floats | None = None) -> list[Floats]:
        """Return what `stood` does, by each of some assumptions.

        Those that differ in attrition alone are one inventory, of which less is left on arrival.
        """
        alike = [replace(one, attrition=0.0) for one in tried]
        ways = list(dict.fromkeys(alike))
        with ThreadPoolExecutor() as threads:
            found = threads.map(lambda one: self.stood(bars, one), ways)
            whole = dict(zip(ways, found, strict=True))
        return [
            whole[way] * self._arriving(one) if one.attrition else whole[way]
            for one, way in zip(tried, alike, strict=True)
        ]

    def _arriving(self, chosen: Parameters) -> Floats:
        """Return what part of each tier is left when the price arrives; shape (cells, tiers)."""
        bar, side = self.cells[:, 0], self.cells[:, 1]
        if self.brackets is None:
            return on_arrival(chosen)[side]
        these, which = np.unique(self.brackets, return_inverse=True)
        parts = np.stack([on_arrival(chosen, int(one)) for one in these])
        arriving: Floats = parts[which[bar], side]
        return arriving

    def background(self) -> Floats:
        """Return the open interest that can be liquidated, spread evenly; shape (cells,), orders.

        Of each bar it is the last known; none before any is.
        """
        known = self.bars[:, OPEN_INTEREST]
        last = np.maximum.accumulate(np.where(np.isnan(known), 0, np.arange(len(known))))
        before = np.concatenate([[0.0], np.nan_to_num(known[last])[:-1]])
        spread = np.outer(before, self.parameters.reachable) * self.grid.step / _AROUND
        even: Floats = self.dollars(spread[self.cells[:, 0], self.cells[:, 1]][:, None])[:, 0]
        return even

    def per_row(self, values: Floats | Ints) -> Floats:
        """Return sums over the cells of each bar and side; shape (rows, …)."""
        sums: Floats = np.add.reduceat(values, self.rows, axis=0)
        return sums


def trial(
    bars: pl.DataFrame,
    liquidations: pl.DataFrame,
    parameters: Parameters,
    *,
    unit: float | None = None,
) -> Trial:
    """Return the cells that bars touched, with the liquidations counted in them.

    Parameters
    ----------
    bars : DataFrame
        As `analytics.bars` makes them, of one instrument.
    liquidations : DataFrame
        Rows of the `liquidation` table, of the same.
    parameters : Parameters
    unit : float, optional, US dollars
        Of one order; by default the mean of the liquidations.

    Returns
    -------
    Trial

    Raises
    ------
    ValueError
        If there are not two bars, one is left out, no bar touched a cell, open interest cannot be
        in the unit of the volume, or that of an order is not positive.
    """
    time = bars["time"].dt.epoch("us").to_numpy()
    if len(time) < 2 or (np.diff(time) != time[1] - time[0]).any():
        raise ValueError(
            "a trial needs two bars or more, of one length and none left out: rows of nulls where "
            "nothing is known"
        )
    interval = timedelta(microseconds=int(time[1] - time[0]))
    prices, crossing = matrix(bars), marks(bars)
    brackets = in_force(bars, parameters.maintenance)
    reach = prices[:, [LOW, HIGH]]
    if crossing is not None:
        reach = np.where(np.isnan(crossing), reach, crossing)
    cells = touched_cells(prices, reach, parameters.step)
    if not len(cells):
        raise ValueError("no bar of these touched a price: there is nothing to score")
    contracts = matrix(in_contracts(bars, parameters.settlement))
    _consistent(contracts)
    lows, highs = (bars[name].drop_nulls() for name in ("low", "high"))
    grid = Grid.covering(
        float(lows.min()) / _ROOM,  # type: ignore[arg-type]
        float(highs.max()) * _ROOM,  # type: ignore[arg-type]
        parameters.step,
    )
    events = _triggered(liquidations, brackets, parameters, time)
    if unit is None:
        unit = float(events["usd"].mean()) if len(events) else 1.0  # type: ignore[arg-type]
    if not unit > 0:
        raise ValueError(f"an order is a positive number of dollars; got {unit}")
    usd, outside = _counted(cells, events, len(bars))
    return Trial(
        bars=contracts,
        time=time,
        interval=interval,
        parameters=parameters,
        crossing=crossing,
        brackets=brackets,
        grid=grid,
        cells=cells,
        orders=np.rint(usd / unit).astype(np.int64),
        unit=unit,
        outside=outside,
        completeness=tuple(liquidations["completeness"].unique().sort()),
    )


def _consistent(bars: Floats) -> None:
    """Refuse bars in most of which open interest changed by more than was traded."""
    change = np.abs(np.diff(bars[:, OPEN_INTEREST]))
    moved = change > 0
    known = moved & ~np.isnan(bars[1:, VOLUME])
    contradicted = np.count_nonzero(change[known] > bars[1:][known, VOLUME])
    if contradicted > max(10, np.count_nonzero(known) / 2):
        raise ValueError(
            f"open interest changed by more than the volume in {contradicted} of "
            f"{np.count_nonzero(known)} bars: both must be in one unit; check the contract's size"
        )


def _triggered(
    liquidations: pl.DataFrame, brackets: Ints | None, parameters: Parameters, time: Ints
) -> pl.DataFrame:
    """Return bar, side, bucket and dollars of liquidations inside the bars."""
    length = int(time[1] - time[0])
    bar = (pl.col("time").dt.epoch("us") - int(time[0])) // length
    inside = liquidations.filter(bar.is_between(0, len(time) - 1))
    usd = pl.coalesce("value_usd", pl.col("amount") * pl.col("price"))
    notional = usd if parameters.settlement == "linear" else usd / pl.col("price")
    asked = inside.select(bar=bar, notional=notional)
    rate = _rates(asked["notional"].to_numpy(), asked["bar"].to_numpy(), brackets, parameters)
    is_long = pl.col("side") == "long"
    margin = pl.when(is_long).then(1).otherwise(-1) * pl.lit(rate + parameters.fee)
    over = 1 / (1 - margin) if parameters.settlement == "linear" else 1 + margin
    trigger = pl.when(pl.col("price_kind") == "bankruptcy").then(pl.col("price") * over)
    return inside.select(
        bar=bar,
        side=pl.when(is_long).then(0).otherwise(1),
        bucket=(trigger.otherwise(pl.col("price")).log() / parameters.step).floor().cast(pl.Int64),
        usd=usd,
    ).filter(pl.col("usd") > 0)


def _rates(notional: Floats, bar: Ints, brackets: Ints | None, parameters: Parameters) -> Floats:
    """Return the maintenance rate of each order, at its own size and the brackets of its bar."""
    which = np.zeros(len(bar), dtype=np.int64) if brackets is None else brackets[bar]
    found = np.empty(len(bar))
    for one in np.unique(which):
        these = which == one
        found[these] = effective_rate(notional[these], parameters.maintenance, int(one))
    return found


def _counted(cells: Ints, events: pl.DataFrame, bars: int) -> tuple[Floats, float]:
    """Return the dollars of each cell, and the share of all dollars that have none."""
    row = cells[:, 0] * 2 + cells[:, 1]
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    first, many = np.full(2 * bars, -1), np.zeros(2 * bars, dtype=np.int64)
    first[row[starts]] = starts
    many[row[starts]] = np.diff(np.append(starts, len(cells)))
    bar, side, bucket = (events[name].to_numpy() for name in ("bar", "side", "bucket"))
    usd = events["usd"].to_numpy()
    at = bar * 2 + side
    near = cells[np.maximum(first[at], 0), 2]
    away = np.where(side == 0, near - bucket, bucket - near)
    place = first[at] + np.clip(away, 0, np.maximum(many[at] - 1, 0))
    inside = first[at] >= 0
    found: Floats = np.bincount(place[inside], weights=usd[inside], minlength=len(cells)).astype(
        np.float64
    )
    total = float(usd.sum())
    return found, float(usd[~inside].sum()) / total if total else 0.0
