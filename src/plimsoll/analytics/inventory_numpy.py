"""The same model in plain numpy, every cell touched in every bar: for tests and benchmarks.

It shares nothing with the compiled engine but the parameters and the grid; `inventory` states the
model and numbers its steps.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from plimsoll.analytics.inventory_state import Record

if TYPE_CHECKING:
    from datetime import timedelta

    from numpy.typing import NDArray

    from plimsoll.analytics.inventory import Grid, Parameters
    from plimsoll.market.instrument import Bracket

    Floats = NDArray[np.float64]

__all__ = ["replay"]


def replay(
    bars: Floats,
    parameters: Parameters,
    interval: timedelta,
    grid: Grid,
    brackets: NDArray[np.int64] | None = None,
) -> Record:
    """Return what `Inventory.advance` records of these bars, a column for each.

    Parameters
    ----------
    bars : ndarray, shape (bars, 7)
        As `inventory.matrix` makes them.
    parameters : Parameters
    interval : timedelta
    grid : Grid
    brackets : ndarray of int, shape (bars,), optional
        Which of the parameters' are in force at each bar's open; by default the first.

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
            side.require(brackets, t)
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
        mix = parameters.weights if self.long else parameters.shorts or parameters.weights
        self.shift, self.first = _shifts(parameters, 0, long=self.long)
        self.weights = self.mix = np.asarray(mix)
        self.brackets = 0
        self.moving = 1 - np.exp(-interval.total_seconds() / 3600 / np.diff([0, *parameters.ages]))
        self.readiness = np.array([*parameters.closing, parameters.closing[-1]])
        ages = len(parameters.closing)
        self.buckets = np.arange(grid.first, grid.first + grid.rows)
        self.cells = np.zeros((len(self.shift), ages, grid.rows))
        self.beyond = np.zeros((len(self.shift), ages))
        self.unplaced = self.gone = 0.0

    @property
    def placed(self) -> float:
        return float(self.cells.sum() + self.beyond.sum())

    def require(self, brackets: NDArray[np.int64] | None, t: int) -> None:
        """Stand where other brackets liquidate, each tier by its own distance."""
        if brackets is None or brackets[t] == self.brackets:
            return
        shift, allowed = _shifts(self.parameters, int(brackets[t]), long=self.long)
        weights = np.array(self.mix)
        for tier, before in enumerate(self.first):
            weights[tier] *= allowed[tier] / before if before else allowed[tier]
        self.weights = weights / (weights.sum() or 1.0)
        edges = np.arange(self.grid.rows + 1.0)
        for tier, moved in enumerate(shift - self.shift):
            by = moved / self.grid.step
            for age, mass in enumerate(self.cells[tier]):
                below = np.interp(edges - by, edges, np.append(0.0, np.cumsum(mass)))
                self.beyond[tier, age] += mass.sum() - np.diff(below).sum()
                self.cells[tier, age] = np.diff(below)
        self.shift, self.brackets = shift, int(brackets[t])

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
        mass = self.cells[:, :, touched].sum(axis=2)
        crossed: Floats = (mass * self.lasting()).sum(axis=1) * self.left(np.array([0]))[:, 0]
        self.cells[:, :, touched] = 0.0
        self.gone += float(mass.sum())
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


def _shifts(parameters: Parameters, at: int, *, long: bool) -> tuple[Floats, list[float]]:
    """Return the mean log distance of each tier, and what share of sizes is allowed there."""
    rules, known = parameters.maintenance, parameters.sizes
    table = rules[at].brackets if isinstance(rules, tuple) else None
    shift, shares = [], []
    for leverage in parameters.leverage:
        sizes: tuple[float, ...] = (table[0].cap / 1e6 if table else 1.0,)
        if table and known:
            sizes = known.notional
        allowed = [n for n in sizes if _stands(parameters, table, leverage, n)]
        shares.append(len(allowed) / len(sizes))
        found = [
            _root(parameters, table, leverage, n, long=long)
            for n in allowed or (table[0].cap / 1e6 if table else 1.0,)
        ]
        shift.append(math.fsum(found) / len(found))
    return np.array(shift), shares


def _margin(parameters: Parameters, table: tuple[Bracket, ...] | None, notional: float) -> float:
    """Return the maintenance margin, with fee; the last bracket has no end."""
    if not isinstance(parameters.maintenance, tuple):
        return notional * (parameters.maintenance + parameters.fee)
    bracket = [one for one in table or () if one.floor <= notional][-1]
    return notional * (bracket.maintenance_rate + parameters.fee) - bracket.cum


def _stands(
    parameters: Parameters, table: tuple[Bracket, ...] | None, leverage: float, notional: float
) -> bool:
    """Return whether a position of this size may be opened."""
    most = math.inf
    if table and parameters.sizes:
        most = [one for one in table if one.floor <= notional][-1].max_leverage
    return leverage <= most and notional / leverage > _margin(parameters, table, notional)


def _root(
    parameters: Parameters,
    table: tuple[Bracket, ...] | None,
    leverage: float,
    notional: float,
    *,
    long: bool,
) -> float:
    """Return the log of where equity is the margin, over the entry, by halving."""
    side, linear = 1 if long else -1, parameters.settlement == "linear"

    def left(log: float) -> float:
        x = math.exp(log)
        held, gain = (notional * x, x - 1) if linear else (notional / x, 1 - 1 / x)
        equity = notional * (1 / leverage + side * gain)
        return side * (equity - _margin(parameters, table, held))

    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if left(middle) > 0 else (middle, high)
    return (low + high) / 2
