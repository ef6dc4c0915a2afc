"""Several markets' heat maps as one, in dollars, on one grid of prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plimsoll.analytics.heatmap import HeatMap
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["together"]


def together(maps: Iterable[HeatMap], time: NDArray[np.datetime64], reference: Floats) -> HeatMap:
    """Return the sum of several maps.

    A market that is unknown in a column is not in its sum: `markets` says so, and coverage falls,
    as the market's last known open interest still counts as what can be liquidated, until a dated
    future expires. Dollars of any settlement are added, and prices in dollars and in stablecoins
    are taken for one. A dated future is moved by its premium, in whole rows: what stands on it is
    as far from the reference as it is from its own price.

    Parameters
    ----------
    maps : iterable of HeatMap
        Of different markets, with the same rows and length of a column; each is read once. They
        are added in this order, which can change the last bit.
    time : ndarray of datetime64[us], shape (columns,), UTC
        Rising; every column of theirs is among them.
    reference : ndarray, shape (columns,), quote per base
        The prices premiums are counted from, at the columns' opens; NaN where unknown.

    Returns
    -------
    HeatMap
        Prices and parameters are those of the market with the most open interest, prices where
        it has none those of the largest in that column; volume is unknown where one market's is.

    Raises
    ------
    ValueError
        If there is none, or rows or lengths differ.
    """
    total: _Total | None = None
    for drawn in maps:
        if total is None:
            total = _Total.empty(drawn, time, reference)
        total.add(drawn)
    if total is None:
        raise ValueError("the sum of no heat map is asked for")
    return total.whole()


@dataclass(kw_only=True)
class _Total:
    """What is summed so far, by column."""

    time: NDArray[np.datetime64]
    reference: Floats
    first: HeatMap
    largest: HeatMap
    usd: Floats
    placed: Floats
    liquidatable: Floats
    open_interest: Floats
    volume: Floats
    prices: Floats
    best: Floats
    known: NDArray[np.bool_]
    most: float
    inconsistent: int
    fits: int
    shown: set[float]
    partial: bool
    crossed: list[pl.DataFrame]
    traded: list[pl.DataFrame]
    marked: bool
    changes: list[pl.DataFrame]
    markets: list[pl.DataFrame]

    @classmethod
    def empty(cls, first: HeatMap, time: NDArray[np.datetime64], reference: Floats) -> _Total:
        placed, liquidatable, open_interest, volume = np.zeros((4, len(time)))
        return cls(
            time=time,
            reference=reference,
            first=first,
            largest=first,
            usd=np.zeros((2, len(time), first.long_usd.shape[1])),
            placed=placed,
            liquidatable=liquidatable,
            open_interest=open_interest,
            volume=volume,
            prices=np.full((4, len(time)), np.nan),
            best=np.zeros(len(time)),
            known=np.zeros(len(time), dtype=np.bool_),
            most=-1.0,
            inconsistent=0,
            fits=0,
            shown=set(),
            partial=False,
            crossed=[],
            traded=[],
            marked=False,
            changes=[],
            markets=[],
        )

    def add(self, drawn: HeatMap) -> None:
        same = np.array_equal(drawn.edges, self.first.edges)
        if not same or drawn.interval != self.first.interval:
            raise ValueError("only maps with the same rows and columns of one length can be added")
        at = np.searchsorted(self.time, drawn.time)
        known = drawn.known
        rows = _premium(drawn, self.reference[at])[known]
        self.usd[0, at[known]] += _moved(drawn.long_usd[known], rows)
        self.usd[1, at[known]] += _moved(drawn.short_usd[known], rows)
        self.known[at[known]] = True
        self.volume[at] += drawn.volume_usd
        coverage, held = np.full((2, len(self.time)), np.nan)
        coverage[at[known]], held[at[known]] = drawn.coverage[known], drawn.open_interest_usd[known]
        standing = _standing(held, self.time, drawn.symbol)
        share = float(np.mean(drawn.parameters.reachable))
        self.placed += np.nan_to_num(share * coverage * held)
        self.liquidatable += share * standing
        self.open_interest += np.nan_to_num(held)
        if standing.max() > self.most:
            self.largest, self.most = drawn, float(standing.max())
        better = held > self.best
        self.prices[:, better] = _prices(drawn, self.time)[:, better]
        self.best[better] = held[better]
        self.inconsistent += drawn.inconsistent
        self.fits += drawn.fits
        self.shown.update(drawn.parameters.leverage if drawn.shown is None else drawn.shown)
        self.partial |= drawn.shown is not None
        self.crossed.append(drawn.crossed)
        told = drawn.crossed_on_trades
        self.traded.append(drawn.crossed if told is None else told)
        self.marked |= told is not None
        if drawn.maintenance is not None:
            who = pl.lit(drawn.exchange).alias("exchange"), pl.lit(drawn.symbol).alias("symbol")
            self.changes.append(drawn.maintenance.select(*who, pl.all()))
        self.markets.append(self._told(drawn, coverage, held))

    def _told(self, drawn: HeatMap, coverage: Floats, held: Floats) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "time": pl.Series(self.time).dt.replace_time_zone("UTC"),
                "exchange": pl.repeat(drawn.exchange, len(self.time), dtype=pl.String, eager=True),
                "symbol": pl.repeat(drawn.symbol, len(self.time), dtype=pl.String, eager=True),
                "coverage": pl.Series(coverage, nan_to_null=True),
                "open_interest_usd": pl.Series(held, nan_to_null=True),
            }
        )

    def whole(self) -> HeatMap:
        unknown = ~self.known
        self.usd[:, unknown] = np.nan
        with np.errstate(invalid="ignore"):
            coverage = np.minimum(1.0, self.placed / self.liquidatable)
        coverage[unknown] = np.nan
        largest, prices = self.largest, _prices(self.largest, self.time)
        prices = np.where(np.isnan(prices).any(axis=0), self.prices, prices)
        markets = pl.concat(self.markets).sort("time", maintain_order=True)
        return HeatMap(
            time=self.time,
            interval=self.first.interval,
            edges=self.first.edges,
            long_usd=self.usd[0],
            short_usd=self.usd[1],
            open=prices[0],
            high=prices[1],
            low=prices[2],
            close=prices[3],
            volume_usd=self.volume,
            open_interest_usd=np.where(unknown, np.nan, self.open_interest),
            coverage=coverage,
            crossed=_summed(self.crossed),
            crossed_on_trades=_summed(self.traded) if self.marked else None,
            maintenance=pl.concat(self.changes) if self.changes else None,
            inconsistent=self.inconsistent,
            fits=self.fits,
            shown=tuple(sorted(self.shown)) if self.partial else None,
            parameters=largest.parameters,
            distances=largest.distances,
            exchange=", ".join(sorted(set(markets["exchange"].drop_nulls()))),
            symbol=", ".join(sorted(set(markets["symbol"].drop_nulls()))),
            prices=f"{largest.exchange} {largest.symbol}, {largest.prices}",
            markets=markets,
        )


def _premium(drawn: HeatMap, reference: Floats) -> NDArray[np.int64]:
    """Return how many rows a dated future stands above the reference; none for a perpetual."""
    if drawn.symbol is None or Symbol.parse(drawn.symbol).expiry is None:
        return np.zeros(len(drawn), dtype=np.int64)
    height = np.log(drawn.edges[1] / drawn.edges[0])
    rows = pl.Series(np.log(drawn.open / reference) / height, nan_to_null=True)
    known = rows.fill_null(strategy="forward").fill_null(0.0).round()
    return known.cast(pl.Int64).to_numpy()


def _moved(usd: Floats, rows: NDArray[np.int64]) -> Floats:
    """Return columns lowered by a number of rows each; what leaves the map is not on it."""
    if not rows.any():
        return usd
    moved = np.zeros_like(usd)
    for by in np.unique(rows):
        chosen = rows == by
        from_row, to_row = max(0, by), max(0, -by)
        kept = max(0, usd.shape[1] - abs(by))
        moved[chosen, to_row : to_row + kept] = usd[chosen, from_row : from_row + kept]
    return moved


def _prices(drawn: HeatMap, time: NDArray[np.datetime64]) -> Floats:
    prices = np.full((4, len(time)), np.nan)
    at = np.searchsorted(time, drawn.time)
    prices[:, at] = drawn.open, drawn.high, drawn.low, drawn.close
    return prices


def _standing(held: Floats, time: NDArray[np.datetime64], symbol: str | None) -> Floats:
    """Return open interest as last known, zero before that and from a future's expiry on."""
    standing = pl.Series(held, nan_to_null=True).fill_null(strategy="forward").fill_null(0.0)
    usd: Floats = standing.to_numpy().copy()
    expiry = Symbol.parse(symbol).expiry if symbol else None
    if expiry is not None:
        end = np.datetime64(expiry, "us")
        usd[(time >= end) & np.isnan(held)] = 0.0
    return usd


def _summed(crossed: list[pl.DataFrame]) -> pl.DataFrame:
    """Add what was crossed; null where no market knows."""
    sums = [
        pl.when(pl.col(side).count() > 0).then(pl.col(side).sum()).alias(side)
        for side in ("long_usd", "short_usd")
    ]
    rows = pl.concat(crossed)
    return rows.group_by("time", maintain_order=True).agg(sums).sort("time")
