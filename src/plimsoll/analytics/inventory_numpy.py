"""The same model in plain numpy, every cell touched in every bar: for tests and benchmarks.

It shares nothing with the compiled engine but the parameters and the grid; `inventory` states the
model and numbers its steps.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from plimsoll.analytics.inventory_state import Record
from plimsoll.analytics.liquidation import distance_factor

if TYPE_CHECKING:
    from datetime import timedelta

    from numpy.typing import NDArray

    from plimsoll.analytics.inventory import Grid, Parameters

    Floats = NDArray[np.float64]

__all__ = ["replay"]


def replay(
    bars: Floats,
    parameters: Parameters,
    interval: timedelta,
    grid: Grid,
    maintenance: Floats | None = None,
) -> Record:
    """Return what `Inventory.advance` records of these bars, a column for each.

    Parameters
    ----------
    bars : ndarray, shape (bars, 7)
        As `inventory.matrix` makes them.
    parameters : Parameters
    interval : timedelta
    grid : Grid
    maintenance : ndarray, shape (bars,), optional
        In the place of that of the parameters.

    Returns
    -------
    Record
    """
    sides = [_Side(side, parameters, interval, grid) for side in ("long", "short")]
    record = _blank(bars, len(parameters.weights), grid)
    last, waiting = math.nan, np.empty((0, 7))
    for t, bar in enumerate(bars):
        known = not (math.isnan(last) or len(waiting) or math.isnan(bar[0]))
        priced = not np.isnan(bar[:4]).any()
        waiting = np.vstack([waiting, bar])
        traded = priced and not math.isnan(bar[6])
        if traded and not math.isnan(last):
            volume, taker_buy = waiting[:, 4].sum(), waiting[:, 5].sum()
            flows = _flows(bar[6] - last, volume, taker_buy, parameters)
            record.opened[t], record.closed[t] = flows
            record.inconsistent[t] = abs(bar[6] - last) > volume
        for s, side in enumerate(sides):
            side.require(maintenance, t)
            if known:
                record.columns[t, s] = side.column(bar[0])
                record.tiers[t, s] = np.where(side.touched(bar[0]), 0, side.shown(bar[0]))
                total = parameters.reachable[s] * last
                record.coverage[t, s] = min(1.0, side.placed / total) if total else math.nan
                record.open_interest[t] = last
            for at in np.flatnonzero((record.cells[:, 0] == t) & (record.cells[:, 1] == s)):
                row = record.cells[at, 2] - grid.first
                if 0 <= row < grid.rows:
                    stood = (side.cells[:, :, row] * side.lasting()).sum(axis=1)
                    record.touched[at] = stood * side.left(np.array([0]))[:, 0]
            if priced:
                record.crossed[t, s] = side.cross(bar[2] if s == 0 else bar[1])
            side.age()
            if traded:
                side.trade(record.opened[t, s], record.closed[t, s], waiting)
                side.reconcile(parameters.reachable[s] * bar[6])
            record.placed[t, s], record.unplaced[t, s] = side.placed, side.unplaced
        if traded:
            last, waiting = bar[6], waiting[:0]
    return record


def _blank(bars: Floats, tiers: int, grid: Grid) -> Record:
    """Return a record nothing is written on yet."""
    n = len(bars)
    return Record(
        columns=np.full((n, 2, grid.rows), np.nan),
        coverage=np.full((n, 2), np.nan),
        open_interest=np.full(n, np.nan),
        crossed=np.zeros((n, 2, tiers)),
        opened=np.full((n, 2), np.nan),
        closed=np.full((n, 2), np.nan),
        placed=np.empty((n, 2)),
        unplaced=np.empty((n, 2)),
        inconsistent=np.zeros(n, dtype=np.bool_),
        tiers=np.full((n, 2, tiers, grid.rows), np.nan, dtype=np.float32),
        cells=np.array(_touched(bars, grid.step), dtype=np.int64).reshape(-1, 3),
        touched=np.zeros((len(_touched(bars, grid.step)), tiers)),
    )


def _touched(bars: Floats, step: float) -> list[tuple[int, int, int]]:
    """Return bar, side and bucket of each cell that is newly touched."""
    found, before = [], math.nan
    for t, bar in enumerate(bars):
        if np.isnan(bar[:4]).any():
            before = math.nan
            continue
        edges = [math.floor(math.log(price) / step) for price in bar[:3]]
        known = edges[0] if math.isnan(before) else math.floor(math.log(before) / step)
        found += [(t, 0, b) for b in range(max(edges[0], known) - 1, edges[2] - 1, -1)]
        found += [(t, 1, b) for b in range(min(edges[0], known) + 1, edges[1] + 1)]
        before = bar[3]
    return found


def _flows(
    change: float, volume: float, taker_buy: float, parameters: Parameters
) -> tuple[Floats, Floats]:
    """Solve the identities as written: L⁺ = x, S⁻ = V' − x, L⁻ = x − Δ, S⁺ = V' − x + Δ."""
    gross = abs(change)
    effective = gross + parameters.churn * (volume - gross) if volume > gross else gross
    lean = 2 * taker_buy / volume - 1 if volume > 0 and not math.isnan(taker_buy) else 0.0
    share = 1 / (1 + math.exp(-parameters.taker * lean))
    x = max(0.0, change) + share * (effective - gross)
    opened = np.array([x, effective - x + change])
    closed = np.array([x - change, effective - x])
    reachable = np.array(parameters.reachable)
    return reachable * opened, reachable * closed


class _Side:
    def __init__(self, side: str, parameters: Parameters, interval: timedelta, grid: Grid) -> None:
        self.long, self.parameters, self.grid = side == "long", parameters, grid
        factor = distance_factor(
            parameters.leverage,
            parameters.maintenance,
            side="long" if self.long else "short",
            settlement=parameters.settlement,
            fee=parameters.fee,
        )
        mix = parameters.weights if self.long else parameters.shorts or parameters.weights
        self.shift, self.mix = np.log(factor), np.asarray(mix)
        self.weights = self.mix
        self.moving = 1 - np.exp(-interval.total_seconds() / 3600 / np.diff([0, *parameters.ages]))
        self.readiness = np.array([*parameters.closing, parameters.closing[-1]])
        ages = len(parameters.closing)
        self.buckets = np.arange(grid.first, grid.first + grid.rows)
        self.cells = np.zeros((len(factor), ages, grid.rows))
        self.beyond = np.zeros((len(factor), ages))
        self.unplaced = self.gone = 0.0

    @property
    def placed(self) -> float:
        return float(self.cells.sum() + self.beyond.sum())

    def require(self, rates: Floats | None, t: int) -> None:
        """Stand where another maintenance liquidates: the lowest leverage says how far that is."""
        if rates is None:
            return
        given, maintenance = self.parameters, rates[t]
        allowed = 1 / np.asarray(given.leverage) > maintenance + given.fee
        weights = np.where(allowed, self.mix, 0.0)
        self.weights = weights / weights.sum()
        factor = distance_factor(
            given.leverage[0],
            maintenance,
            side="long" if self.long else "short",
            settlement=given.settlement,
            fee=given.fee,
        )
        shift = float(np.log(factor))
        by = (shift - self.shift[0]) / self.grid.step
        self.shift = self.shift + by * self.grid.step
        edges = np.arange(self.grid.rows + 1.0)
        for tier, beyond in zip(self.cells, self.beyond, strict=True):
            for age, mass in enumerate(tier):
                below = np.interp(edges - by, edges, np.append(0.0, np.cumsum(mass)))
                beyond[age] += mass.sum() - np.diff(below).sum()
                tier[age] = np.diff(below)

    def touched(self, price: float) -> NDArray[np.bool_]:
        reached = math.floor(math.log(price) / self.grid.step)
        return self.buckets >= reached if self.long else self.buckets <= reached

    def column(self, price: float) -> Floats:
        column: Floats = np.where(self.touched(price), 0.0, self.shown(price).sum(axis=0))
        return column

    def shown(self, price: float) -> Floats:
        away = np.abs(self.buckets - math.floor(math.log(price) / self.grid.step))
        lasting = self.lasting()[:, :, None]
        shown: Floats = (self.cells * lasting).sum(axis=1) * self.left(away)
        return shown

    def lasting(self) -> Floats:
        """Return by what each tier's class is multiplied where it is shown."""
        mass = self.cells.sum(axis=2) + self.beyond
        if self.parameters.lasting is None:
            return np.ones_like(mass)
        ratio = np.array(self.parameters.lasting[0 if self.long else 1])
        kept = (ratio * mass).sum(axis=0)
        found: Floats = ratio * np.divide(mass.sum(axis=0), kept, where=kept > 0, out=kept * 0)
        return found

    def left(self, away: NDArray[np.int64]) -> Floats:
        come = np.maximum(0, np.abs(self.shift)[:, None] - away * self.grid.step)
        left: Floats = (1 + 100 * come) ** -self.parameters.attrition
        return left

    def cross(self, extreme: float) -> Floats:
        touched = self.touched(extreme)
        crossed: Floats = self.cells[:, :, touched].sum(axis=(1, 2))
        self.cells[:, :, touched] = 0.0
        self.gone += float(crossed.sum())
        return crossed

    def age(self) -> None:
        for young in reversed(range(len(self.moving))):
            for mass in (self.cells.swapaxes(0, 1), self.beyond.T):
                moved = self.moving[young] * mass[young]
                mass[young] -= moved
                mass[young + 1] += moved

    def trade(self, opened: float, closed: float, waiting: Floats) -> None:
        if not math.isnan(opened):
            self.close(closed - self.gone)
            self.open(opened, np.nanmin(waiting[:, 2]), np.nanmax(waiting[:, 1]), waiting[-1, 3])
        self.gone = 0.0

    def close(self, amount: float) -> None:
        placed = self.cells.sum(axis=(0, 2)) + self.beyond.sum(axis=0)
        mass = np.append(placed, self.unplaced)
        leaving = np.zeros(len(mass))
        while amount > 0 and (reach := mass @ (self.readiness * (leaving < 1))) > 0:
            share = amount / reach * self.readiness
            full = (leaving < 1) & (mass > 0) & (share >= 1)
            if not full.any():
                leaving = np.where(leaving < 1, np.minimum(share, 1), leaving)
                break
            leaving[full] = 1
            amount -= mass[full].sum()
        self.cells *= 1 - leaving[:-1, None]
        self.beyond *= 1 - leaving[:-1]
        self.unplaced *= 1 - leaving[-1]

    def open(self, amount: float, low: float, high: float, close: float) -> None:
        reached = math.floor(math.log(close) / self.grid.step)
        touched = self.touched(close)
        for tier, (weight, shift) in enumerate(zip(self.weights, self.shift, strict=True)):
            a, b = ((math.log(price) + shift) / self.grid.step for price in (low, high))
            if a == b:
                share = (self.buckets == math.floor(a)).astype(float)
                stands = math.floor(a) < reached if self.long else math.floor(a) > reached
                kept = float(stands)
            else:
                overlap = np.minimum(b, self.buckets + 1) - np.maximum(a, self.buckets)
                share = np.maximum(0, overlap) / (b - a)
                stands = min(b, reached) - a if self.long else b - max(a, reached + 1)
                kept = max(0.0, stands) / (b - a)
            share[touched] = 0
            self.cells[tier, 0] += amount * weight * share
            self.beyond[tier, 0] += amount * weight * (kept - share.sum())

    def reconcile(self, total: float) -> None:
        known = self.placed
        if known > total:
            self.cells *= total / known
            self.beyond *= total / known
        self.unplaced = max(0.0, total - known)
