"""The liquidation heat map: where leverage stands over time, from candles and open interest.

`liquidation_map` runs the inventory over bars (see `bars`) and keeps columns.
Every column is a prediction: it knows the bars before it, and the open price it is shown at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from msgspec.structs import asdict

from plimsoll.analytics.averaged import Averaged
from plimsoll.analytics.bars import in_contracts, spacing
from plimsoll.analytics.inventory import Parameters
from plimsoll.analytics.inventory_margins import changes
from plimsoll.analytics.inventory_state import OPEN_INTEREST, covered, marks, matrix
from plimsoll.analytics.margins import described, in_force, statement
from plimsoll.analytics.statements import LARGEST, english, leverage_mix
from plimsoll.analytics.tiers import Ranges, among, by_tier
from plimsoll.analytics.windows import grids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime, timedelta

    from numpy.typing import NDArray

    from plimsoll.analytics.distances import Distances
    from plimsoll.analytics.fitting import Fitted
    from plimsoll.analytics.inventory import Record

    Floats = NDArray[np.float64]

__all__ = ["HeatMap", "Parameters", "liquidation_map"]


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatMap:
    """Dollars that would be liquidated, by time and price.

    An estimate; `said` tells whether the leverage mix is fitted, and how the map scored.

    Attributes
    ----------
    time : ndarray of datetime64[us], shape (columns,), UTC
        The open of the bar a column predicts.
    interval : timedelta
        From one column to the next.
    edges : ndarray, shape (rows + 1,), quote per base
    long_usd, short_usd : ndarray, shape (columns, rows), US dollars
        At the column's open price, so that a side never exceeds its open interest; a short valued
        at its own, higher liquidation price would. A column of NaN is unknown.
    open, high, low, close : ndarray, shape (columns,), quote per base
        Prices from this column to the next, for drawing; the map does not know them.
    volume_usd : ndarray, shape (columns,), US dollars
        Traded from this column to the next, at closes.
    open_interest_usd : ndarray, shape (columns,), US dollars
        All of it, liquidatable or not, as the column knows it.
    coverage : ndarray, shape (columns,), fraction
        How much of the liquidatable open interest has a known entry; the rest is on no price.
    crossed : DataFrame
        `time`, `long_usd`, `short_usd`: what each bar's price swept, the predicted liquidations,
        in dollars at the bar's open.
    crossed_on_trades : DataFrame or None
        What `crossed` would be if all were crossed on the extremes of trades, whose wicks liquidate
        nobody; None where no mark price is known, and `crossed` is that already.
    inconsistent : int
        Bars, warm-up included, whose open interest changed by more than their volume.
    parameters : Parameters
    exchange, symbol : str or None
        Whose positions they are, where the bars came from a store.
    prices : str or None
        Where the bars' prices came from.
    markets : DataFrame or None
        Of a map of several markets, a row for each column and market: `time`, `exchange`,
        `symbol`, `coverage` and `open_interest_usd`, null where that market is not in the column.
    absent : tuple of str
        Markets meant that have no map in this span.
    fit : Fitted or None
        What the leverage mix was fitted to; None where it is not, and of several markets.
    fits : int
        How many markets' mixes are fitted to liquidations.
    distances : Distances or None
        The measured distances that its leverage mix is from; None where it is not from any. Of
        several markets, those of the largest.
    limits : ndarray of float32, shape (levels, columns, sides, rows), US dollars, or None
        What each cell holds at the levels of `bands.LEVELS`, where the mix is fitted to some.
    maintenance : DataFrame or None
        Where an exchange changed its brackets within these bars, warm-up included, the rates of the
        first of the new by `time` from which they were in force (with `exchange` and `symbol`, of
        several markets).
    score : dict or None
        The newest score of this market's map, from the store; None if it was never scored.
    shown : tuple of float, or None
        The leverages whose positions are on the map, where they are not all; `crossed` is theirs
        too, coverage and open interest are of all.
    """

    time: NDArray[np.datetime64]
    interval: timedelta
    edges: Floats
    long_usd: Floats
    short_usd: Floats
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume_usd: Floats
    open_interest_usd: Floats
    coverage: Floats
    crossed: pl.DataFrame
    inconsistent: int
    parameters: Parameters
    exchange: str | None = None
    symbol: str | None = None
    prices: str | None = None
    markets: pl.DataFrame | None = None
    absent: tuple[str, ...] = ()
    fit: Fitted | None = None
    fits: int = 0
    distances: Distances | None = None
    limits: NDArray[np.float32] | None = None
    crossed_on_trades: pl.DataFrame | None = None
    maintenance: pl.DataFrame | None = None
    score: dict[str, Any] | None = None
    shown: tuple[float, ...] | None = None

    def __len__(self) -> int:
        return len(self.time)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which columns are known; shape (columns,)."""
        return ~np.isnan(self.coverage)

    def to_frame(self) -> pl.DataFrame:
        """Return the map as a table.

        Returns
        -------
        DataFrame
            `time`, `side`, `price_low`, `price_high`, `usd`: a row for each cell that holds
            something, and for an unknown column one row a side, null but for its time.
        """
        sides = []
        for side, usd in (("long", self.long_usd), ("short", self.short_usd)):
            unknown = ~self.known
            column, row = np.nonzero(
                (usd > 0) | (unknown[:, None] & (np.arange(usd.shape[1]) == 0))
            )
            gone = pl.Series(unknown[column])
            cells = pl.DataFrame(
                {
                    "time": pl.Series(self.time[column]).dt.replace_time_zone("UTC"),
                    "side": pl.repeat(side, len(column), eager=True),
                    "price_low": self.edges[row],
                    "price_high": self.edges[row + 1],
                    "usd": usd[column, row],
                }
            )
            values = pl.col("price_low", "price_high", "usd")
            sides.append(cells.with_columns(pl.when(~gone).then(values).name.keep()))
        return pl.concat(sides).sort("time", "side", "price_low", maintain_order=True)

    def profile(self) -> pl.DataFrame:
        """Return the last known column.

        Returns
        -------
        DataFrame
            By rising price: `price_low`, `price_high`, `long_usd`, `short_usd`, and what would
            have been liquidated on the way there from the price, `long_cumulative_usd` (a fall)
            and `short_cumulative_usd` (a rise).

        Raises
        ------
        ValueError
            If no column is known.
        """
        if not self.known.any():
            raise ValueError("no column of this map is known: it has no open interest with a price")
        last = int(np.flatnonzero(self.known)[-1])
        long, short = self.long_usd[last], self.short_usd[last]
        return pl.DataFrame(
            {
                "price_low": self.edges[:-1],
                "price_high": self.edges[1:],
                "long_usd": long,
                "short_usd": short,
                "long_cumulative_usd": np.cumsum(long[::-1])[::-1],
                "short_cumulative_usd": np.cumsum(short),
            }
        )

    def within(self, distances: Iterable[float]) -> pl.DataFrame:
        """Return what the last known column holds near the last price.

        Parameters
        ----------
        distances : iterable of float, fraction of the price

        Returns
        -------
        DataFrame
            `time`, `side`, `distance`, `price` (of the farthest point) and `value_usd` of the rows
            that lie within it.

        Raises
        ------
        ValueError
            If no column is known.
        """
        rows = self.profile()
        last = int(np.flatnonzero(self.known)[-1])
        time, price = self.time[last], float(self.open[last])
        found = []
        for distance in distances:
            low, high = price * (1 - distance), price * (1 + distance)
            long = rows.filter(pl.col("price_low") >= low)["long_usd"].sum()
            short = rows.filter(pl.col("price_high") <= high)["short_usd"].sum()
            found += [("long", distance, low, long), ("short", distance, high, short)]
        return pl.DataFrame(
            found, schema=["side", "distance", "price", "value_usd"], orient="row"
        ).select(pl.lit(time).cast(pl.Datetime("us", "UTC")).alias("time"), pl.all())

    def to_coinglass(self) -> dict[str, list[Any]]:
        """Return the map in the shape of CoinGlass' API, for programs that read theirs.

        The shape is that of `data` in the documented answer of version 4 to
        ``/api/futures/liquidation/heatmap/model1``; it was held against the documentation only.

        Returns
        -------
        dict
            `y_axis`, the middle price of each row; `liquidation_leverage_data`, a triplet for each
            cell that holds something: index into `price_candlesticks`, index into `y_axis`, US
            dollars of both sides; `price_candlesticks`, for each column the time in seconds, then
            as text open, high, low, close and the volume in US dollars, None where unknown. An
            unknown column has a candlestick and no cells.
        """
        usd = self.long_usd + self.short_usd
        columns, rows = np.nonzero(usd > 0)
        candles = [self.open, self.high, self.low, self.close, self.volume_usd]
        seconds = self.time.astype("datetime64[s]").astype(np.int64)
        said = ([None if np.isnan(x) else repr(float(x)) for x in values] for values in candles)
        return {
            "y_axis": ((self.edges[:-1] + self.edges[1:]) / 2).tolist(),
            "liquidation_leverage_data": [
                [int(column), int(row), float(usd[column, row])]
                for column, row in zip(columns, rows, strict=True)
            ],
            "price_candlesticks": [list(row) for row in zip(seconds.tolist(), *said, strict=True)],
        }

    def describe(self) -> dict[str, object]:
        """Return what the map was made with, and how much it knows."""
        return {
            "exchange": self.exchange,
            "symbol": self.symbol,
            "prices": self.prices,
            "model": "inventory",
            "said": self.said,
            "statements": list(self.statements()),
            "fitted": None if self.fit is None else self.fit.describe(),
            "measured": None if self.distances is None else self.distances.describe(),
            "scored": self.score,
            "leverage_shown": self.shown,
            "interval_seconds": self.interval.total_seconds(),
            "columns": len(self),
            "unknown_columns": int((~self.known).sum()),
            "coverage": float(self.coverage[self.known][-1]) if self.known.any() else None,
            "inconsistent_bars": self.inconsistent,
            **self.swept(),
            "markets": self._contributors(),
            "absent": self.absent,
            "maintenance_changes": self._changed().to_dicts(),
            **asdict(self.parameters),
            **described(self.parameters),
        }

    @property
    def said(self) -> str:
        """What must be said wherever the map is shown."""
        return f"an estimate: {'; '.join(english(self.statements()))}"

    def statements(self) -> Iterator[dict[str, object]]:
        """Yield what must be said wherever the map is shown, each with its `code` and figures."""
        yield from leverage_mix(self.fit, self.distances, self.fits, self.shown)
        yield statement(self.parameters, "" if self.markets is None else LARGEST)
        for row in self._changed().iter_rows(named=True):
            since = f"{row['time']:%Y-%m-%d %H:%M}"
            yield {"code": "maintenance", "rate": row["maintenance"], "since": since}
        if self.score is None or self.fit is None or self.shown is not None:
            yield {"code": "not_scored"}
        if self.score is not None:  # it is the whole fitted map that was scored
            found = {name: self.score[name] for name in ("skill", "low", "high", "days")}
            of = "score_of_fitted" if self.fit is None else "score_of_whole"
            scored = self.fit is not None and self.shown is None
            yield {"code": "score" if scored else of, **found}

    def _changed(self) -> pl.DataFrame:
        """Return the changes of maintenance; no row where there is none."""
        return pl.DataFrame() if self.maintenance is None else self.maintenance

    def swept(self) -> dict[str, object]:
        """Return what is predicted as liquidated over the span shown, and on which price.

        Returns
        -------
        dict
            `crossed_on`, ``"mark price"`` (trades where it is not known) or ``"trades"``;
            `crossed_usd`, dollars by side, and on the extremes of trades `crossed_on_trades_usd`,
            the same where no mark price is known. A side that no bar tells is None.
        """
        told = self.crossed_on_trades
        return {
            "crossed_on": "trades" if told is None else "mark price",
            "crossed_usd": _totals(self.crossed),
            "crossed_on_trades_usd": _totals(self.crossed if told is None else told),
        }

    def _contributors(self) -> list[dict[str, object]] | None:
        """Return what each market brings to the last known column."""
        if self.markets is None or not self.known.any():
            return None
        last = pl.col("time") == pl.lit(self.time[self.known][-1]).dt.replace_time_zone("UTC")
        return self.markets.filter(last).drop("time").to_dicts()


def liquidation_map(
    bars: pl.DataFrame,
    parameters: Parameters | None = None,
    *,
    since: datetime | None = None,
    every: int = 1,
    low: float | None = None,
    high: float | None = None,
    rows: int | None = None,
    fit: Fitted | None = None,
    leverage: Ranges | None = None,
) -> HeatMap:
    """Return the heat map of some bars.

    Parameters
    ----------
    bars : DataFrame
        As `bars` makes them: gapless, one length.
    parameters : Parameters
        By default the priors.
    since : datetime
        Where columns start; earlier bars only fill the inventory.
    every : int
        Bars from one column to the next.
    low, high : float, quote per base
        The prices shown; by default somewhat beyond those of the bars shown.
    rows : int, optional
        Join neighboring buckets until no more rows than this remain. How many are joined depends
        on the range of prices; by default none are, so that maps of different ranges share rows.
    fit : Fitted, optional
        Takes the place of `parameters`, and says how sure each cell is.
    leverage : tuple of (float, float), optional
        Show only tiers in these ranges; see `tiers`.

    Returns
    -------
    HeatMap

    Raises
    ------
    ValueError
        If the bars are fewer than two, not evenly spaced, impossible, or without a price or open
        interest, or none is left to show.

    Notes
    -----
    An inverse contract is a number of dollars, whose amount in base moves with the price though
    nobody trades. With inverse settlement the inventory therefore counts dollars: the value of
    the open interest where it is known, else its amount at the bar's close.
    """
    parameters = fit.parameters if fit else parameters or Parameters()
    interval = spacing(bars)
    start = 0 if since is None else int(bars["time"].search_sorted(since))
    seen = bars[start:]
    if every < 1 or seen.is_empty():
        raise ValueError(f"nothing to show from {since} on, every {every} bars")
    view, window = grids(bars, seen, parameters.step, low, high, rows)
    shown = np.isin(np.arange(len(bars)), np.arange(start, len(bars), every))
    contracts = matrix(in_contracts(bars, parameters.settlement)), marks(bars)
    price = np.ones(len(bars)) if parameters.settlement == "inverse" else bars["open"].to_numpy()
    parts = fit.parts if fit else ((1.0, parameters),)
    known = in_force(bars, parameters.maintenance)
    moved = partial(Averaged, parts, interval=interval, grid=window, brackets=known)
    record = moved(*contracts).advance(shown, view)
    kept = among(parameters.leverage, leverage)
    usd, limits = np.multiply(record.columns, price[shown, None, None], out=record.columns), None
    if not kept.all() or (fit and fit.orders):
        some, limits = by_tier(moved(*contracts), shown, view, price, kept, fit)
        usd = usd if kept.all() else some
    return HeatMap(
        time=bars["time"].to_numpy()[shown],
        interval=interval * every,
        edges=view.edges,
        long_usd=usd[:, 0],
        short_usd=usd[:, 1],
        **_join(seen, every),
        open_interest_usd=_published(contracts[0], shown, record) * price[shown],
        coverage=covered(record.coverage, parameters.reachable),
        crossed=_swept(seen, record.crossed[start:], price[start:], kept),
        crossed_on_trades=_on_trades(moved, contracts, seen, price, kept),
        inconsistent=int(record.inconsistent.sum()),
        maintenance=changes(bars, parameters),
        parameters=parameters,
        fit=fit,
        fits=int(fit is not None and fit.orders > 0),
        limits=limits,
        shown=None if kept.all() else tuple(map(float, np.compress(kept, parameters.leverage))),
    )


def _published(bars: Floats, shown: NDArray[np.bool_], record: Record) -> Floats:
    """Return the open interest last published before each column, where it is known."""
    at = np.where(np.isnan(bars[:, OPEN_INTEREST]), 0, np.arange(len(bars)))
    last = np.concatenate([[0], np.maximum.accumulate(at)[:-1]])
    held: Floats = np.where(
        np.isnan(record.open_interest), np.nan, bars[last, OPEN_INTEREST][shown]
    )
    return held


def _swept(
    bars: pl.DataFrame, crossed: Floats, price: Floats, kept: NDArray[np.bool_]
) -> pl.DataFrame:
    some = crossed if kept.all() else crossed[:, :, kept]  # a copy is large
    usd = some.sum(axis=2) * price[:, None]
    return pl.DataFrame(
        {"time": bars["time"], "long_usd": usd[:, 0], "short_usd": usd[:, 1]}
    ).fill_nan(None)


def _on_trades(
    moved: Callable[..., Averaged],
    contracts: tuple[Floats, Floats | None],
    seen: pl.DataFrame,
    price: Floats,
    kept: NDArray[np.bool_],
) -> pl.DataFrame | None:
    if contracts[1] is None:
        return None
    wicks = moved(contracts[0], None)
    crossed = wicks.advance(np.zeros(len(price), dtype=np.bool_)).crossed
    return _swept(seen, crossed[-len(seen) :], price[-len(seen) :], kept)


def _totals(crossed: pl.DataFrame) -> dict[str, float | None]:
    known = {side: crossed[f"{side}_usd"].drop_nulls() for side in ("long", "short")}
    return {side: float(usd.sum()) if len(usd) else None for side, usd in known.items()}


def _join(bars: pl.DataFrame, every: int) -> dict[str, Any]:
    value = pl.col("volume") * pl.col("close")
    joined = (
        bars.with_row_index("group")
        .group_by(pl.col("group") // every, maintain_order=True)
        .agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").drop_nulls().last(),
            pl.when(value.null_count() == 0).then(value.sum()).alias("volume_usd"),
        )
    )
    return {name: joined[name].to_numpy() for name in joined.columns if name != "group"}
