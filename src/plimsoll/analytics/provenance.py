"""What stands now, and whence: exchanges, leverages, ages and entries behind a range of prices."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plimsoll.analytics import bands
from plimsoll.analytics.averaged import Averaged
from plimsoll.analytics.bars import in_contracts, spacing
from plimsoll.analytics.clusters import clusters
from plimsoll.analytics.inventory import Grid
from plimsoll.analytics.inventory_state import marks, matrix
from plimsoll.analytics.margins import in_force, log_factors, statement
from plimsoll.analytics.statements import LARGEST, english, leverage_mix
from plimsoll.analytics.tiers import among
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plimsoll.analytics.distances import Distances
    from plimsoll.analytics.fitting import Fitted
    from plimsoll.analytics.inventory import Parameters
    from plimsoll.analytics.tiers import Ranges

    Floats = NDArray[np.float64]

__all__ = ["Standing", "nearest", "peaks", "provenance", "stands"]

_DAY = timedelta(days=1)
_RECENT = timedelta(days=30)
"""Of how much history a volatility is."""
_STALE = timedelta(hours=2)
"""A market that is farther behind the others than this, or than two bars, is not of now."""
_SIDES = ("long", "short")
_MAKE_UP: dict[str, Any] = {
    "side": pl.String,
    "leverage": pl.Float64,
    "age_from": pl.Float64,
    "age_until": pl.Float64,
    "value_usd": pl.Float64,
    "entry_low": pl.Float64,
    "entry_high": pl.Float64,
    "traded_first": pl.Datetime("us", "UTC"),
    "traded_last": pl.Datetime("us", "UTC"),
    "traded_bars": pl.Int64,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """What stands in the last known column of a market's map, with its origin.

    Attributes
    ----------
    time : datetime
        The open of the bar the column predicts.
    interval : timedelta
        The length of a bar.
    price : float, quote per base
        That bar's open.
    edges : ndarray, shape (rows + 1,), quote per base
        From half the lowest price seen to twice the highest.
    usd : ndarray, shape (2, tiers, ages, rows), US dollars
        Longs first.
    coverage : float, fraction
        How much of the liquidatable open interest has a known entry.
    open_interest_usd : float
    bars : DataFrame
        Those before: where the price was when.
    parameters : Parameters
    brackets : int
        Which of the parameters' were in force then.
    fit : Fitted or None
        What the leverage mix was fitted to; None where it is not.
    distances : Distances or None
        The measured distances that its leverage mix is from; None where it is not from any.
    shown : tuple of float or None
        Which leverages alone are in it; None where all are.
    exchange, symbol : str or None
    """

    time: datetime
    interval: timedelta
    price: float
    edges: Floats
    usd: Floats
    coverage: float
    open_interest_usd: float
    bars: pl.DataFrame
    parameters: Parameters
    brackets: int = 0
    fit: Fitted | None = None
    distances: Distances | None = None
    shown: tuple[float, ...] | None = None
    exchange: str | None = None
    symbol: str | None = None

    @property
    def volatility(self) -> float | None:
        """Daily volatility of log price, from the closes of up to 30 days; None without two."""
        recent = self.bars.filter(pl.col("time") >= self.time - _RECENT)
        changes = recent["close"].log().diff().drop_nulls()
        if changes.is_empty():
            return None
        return float(np.sqrt(np.mean(changes.to_numpy() ** 2) * (_DAY / self.interval)))

    def profile(self) -> pl.DataFrame:
        """Return dollars by price: `price_low`, `price_high`, `long_usd`, `short_usd`."""
        long, short = self.usd.sum(axis=(1, 2))
        ends = {"price_low": self.edges[:-1], "price_high": self.edges[1:]}
        return pl.DataFrame({**ends, "long_usd": long, "short_usd": short})

    def only(self, leverage: Ranges | None) -> Standing:
        """Return what stands at some leverages alone; see `tiers.ranges`."""
        kept = among(self.parameters.leverage, leverage)
        shown = None if kept.all() else tuple(np.compress(kept, self.parameters.leverage).tolist())
        return replace(self, usd=np.where(kept[:, None, None], self.usd, 0.0), shown=shown)

    def is_of(self, now: datetime) -> bool:
        """Return whether this is near enough a moment to count as what stood then."""
        return now - self.time <= max(_STALE, 2 * self.interval)

    def within(self, distance: float) -> float:
        """Return dollars of both sides that a move of that fraction of the price liquidates."""
        low, high = self.price * (1 - distance), self.price * (1 + distance)
        long, short = self.usd.sum(axis=(1, 2))
        near = long[self.edges[:-1] >= low].sum() + short[self.edges[1:] <= high].sum()
        return float(near)

    def limits(self, side: str, low: float, high: float) -> Floats | None:
        """Return the dollars of a range at the levels of `bands.LEVELS`; None if fitted to none.

        Parameters
        ----------
        side : {"long", "short"}
        low, high : float, quote per base
            Rows whose middle lies between are counted.
        """
        if self.fit is None or not self.fit.orders:
            return None
        middle = np.sqrt(self.edges[:-1] * self.edges[1:])
        rows = (middle >= low) & (middle <= high)
        masses = self.usd[_SIDES.index(side)].sum(axis=1)[:, rows].T
        sizes = self.fit.cell_size, self.fit.unit, self.fit.common_size
        return bands.of_range(masses, self.fit.draws, *sizes)

    def make_up(self, low: float, high: float) -> pl.DataFrame:
        """Return what makes up a range of liquidation prices.

        At one leverage the liquidation price is the entry price times a constant, so that each
        leverage says where its positions were entered.

        Parameters
        ----------
        low, high : float, quote per base
            Rows whose middle lies between are counted.

        Returns
        -------
        DataFrame
            A row for each side, leverage and age class that holds something: `side`, `leverage`,
            `age_from` and `age_until` (hours, as expected; null for no end), `value_usd`,
            `entry_low` and `entry_high`, and when the price was last there: `traded_first`,
            `traded_last` (opens of bars) and `traded_bars`; null where it was before the bars.
        """
        middle = np.sqrt(self.edges[:-1] * self.edges[1:])
        rows = np.flatnonzero((middle >= low) & (middle <= high))
        if not len(rows):
            return pl.DataFrame(schema=_MAKE_UP)
        ends = self.edges[rows[0]], self.edges[rows[-1] + 1]
        ages = (0.0, *self.parameters.ages, None)
        found: list[tuple[Any, ...]] = []
        for side, factors, usd in zip(_SIDES, self.factors(), self.usd, strict=True):
            held = usd[:, :, rows].sum(axis=2)
            for tier, age in np.argwhere(held > 0):
                entry = ends[0] / factors[tier], ends[1] / factors[tier]
                whose = side, self.parameters.leverage[tier], *ages[age : age + 2]
                found.append((*whose, held[tier, age], *entry, *self._traded(*entry)))
        return pl.DataFrame(found, schema=_MAKE_UP, orient="row")

    def factors(self) -> list[Floats]:
        """Return liquidation price over entry price of each leverage, of longs and of shorts."""
        return list(np.exp(log_factors(self.parameters, self.brackets)))

    def _traded(self, low: float, high: float) -> tuple[datetime | None, datetime | None, int]:
        lows, highs = (self.bars[name].to_numpy() for name in ("low", "high"))
        there = np.flatnonzero((lows <= high) & (highs >= low))
        if not len(there):
            return None, None, 0
        times = self.bars["time"]
        return times[int(there[0])], times[int(there[-1])], len(there)


def stands(bars: pl.DataFrame, parameters: Parameters, fit: Fitted | None = None) -> Standing:
    """Return what stands in the last known column of the map of some bars.

    Parameters
    ----------
    bars : DataFrame
        As `liquidation_map` takes them.
    parameters : Parameters
    fit : Fitted, optional
        Takes the place of `parameters`, as in `liquidation_map`.

    Raises
    ------
    ValueError
        If bars are not evenly spaced, or no column is known.
    """
    whole = pl.all_horizontal(pl.col("open", "high", "low", "close", "open_interest").is_not_null())
    before = whole.shift() & (pl.col("open_interest").shift() > 0)
    known = bars.select((before & pl.col("open").is_not_null()).fill_null(value=False)).to_series()
    if not known.any():
        raise ValueError("no column of this map is known: it has no open interest with a price")
    last = int(known.arg_true()[-1])
    price = float(bars["open"][last])
    parameters = fit.parameters if fit else parameters
    past = bars[:last]
    low, high = bars[: last + 1].select(pl.col("low").min(), pl.col("high").max()).row(0)
    crossing = marks(past)
    if crossing is not None:
        low, high = min(low, np.nanmin(crossing)), max(high, np.nanmax(crossing))
    grid = Grid.covering(0.5 * low, 2 * high, parameters.step)
    interval = spacing(bars)
    parts = fit.parts if fit else ((1.0, parameters),)
    unit = 1.0 if parameters.settlement == "inverse" else price
    contracts = matrix(in_contracts(past, parameters.settlement))
    asked = in_force(bars[: last + 1], parameters.maintenance)
    moved = Averaged(
        parts,
        contracts,
        crossing,
        interval=interval,
        grid=grid,
        brackets=None if asked is None else asked[:last],
    )
    moved.advance(np.zeros(last, dtype=np.bool_))
    if asked is not None:
        moved.require(int(asked[last]))
    open_interest = float(contracts[-1, -1])
    return Standing(
        time=bars["time"][last],
        interval=interval,
        price=price,
        edges=grid.edges,
        usd=_beside(moved.standing(price), grid, price) * unit,
        coverage=moved.coverage,
        open_interest_usd=open_interest * unit,
        bars=past.select("time", "low", "high", "close"),
        parameters=parameters,
        brackets=moved.inventories[0][1].brackets,
        fit=fit,
    )


def _beside(mass: Floats, grid: Grid, price: float) -> Floats:
    """Return what stands by side, tier, age and row, but not in the row of the price."""
    at = Grid.covering(price, price, grid.step).first - grid.first
    mass[0, ..., at:] = 0.0
    mass[1, ..., : at + 1] = 0.0
    return mass


def provenance(standing: Sequence[Standing], low: float, high: float) -> pl.DataFrame:
    """Return what makes up a range of prices in several markets.

    Parameters
    ----------
    standing : sequence of Standing
        Not empty.
    low, high : float, quote per base
        At the market with the most open interest, perpetuals first: of a dated future the range is
        moved by its premium over it, as in `peaks`.

    Returns
    -------
    DataFrame
        `exchange`, `symbol` and the `time` of its column, then what `Standing.make_up` returns.
    """
    largest = _largest(standing)
    return pl.concat(
        one.make_up(low * _basis(one, largest), high * _basis(one, largest)).select(
            pl.lit(one.exchange, pl.String).alias("exchange"),
            pl.lit(one.symbol, pl.String).alias("symbol"),
            pl.lit(one.time, pl.Datetime("us", "UTC")).alias("time"),
            pl.all(),
        )
        for one in standing
    )


def peaks(
    standing: Sequence[Standing],
    *,
    reach: float = 0.10,
    width: float = 0.005,
    absent: Sequence[str] = (),
) -> pl.DataFrame:
    """Return the clusters of several markets together, with what each is made of.

    A dated future is moved by its premium over the market with the most open interest, perpetuals
    first, as it is its distance that counts; of entries, its own prices are told.

    Parameters
    ----------
    standing : sequence of Standing
        Not empty. A market far behind the newest is left out, and coverage falls.
    reach, width : float
        See `clusters`.
    absent : sequence of str
        Markets that should stand among them but have no map.

    Returns
    -------
    DataFrame
        What `clusters` returns, with `volatilities` (the distance in daily volatilities of the
        market with the most open interest, whose price distances are from); `value_usd_p10` and
        `value_usd_p90` (what is fitted of each market, added as if all were wrong alike; null
        where one is not fitted); the shares of the dollars by
        `exchanges`, `leverages` and `ages`, lists of structs; of the `leverage` that holds most in
        the first of these markets: `entry_low`, `entry_high`, and when that market's price was
        there, `traded_first` and `traded_last`;
        and for all rows alike the `time` of the newest market, `coverage` of all of them, which are
        left out, `absent`, and what the map assumes, `said`.
    """
    newest = max(one.time for one in standing)
    standing, fresh = _of_now(standing, newest)
    behind = [f"{one.exchange} {one.symbol}" for one in standing if one not in fresh]
    largest = _largest(fresh)
    moved = [_basis(one, largest) for one in fresh]
    found = _clusters(fresh, reach=reach, width=width)
    volatility = largest.volatility
    rows = [
        {
            **row,
            "volatilities": row["distance"] / volatility if volatility else None,
            **_described(provenance(fresh, row["price_low"], row["price_high"]), row["side"]),
            **_limits(fresh, moved, row),
            "time": newest,
            "coverage": _coverage(standing, fresh),
            "absent": [*absent, *behind],
            "said": _said(fresh, largest),
        }
        for row in found.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=_PEAKS)


def nearest(standing: Sequence[Standing], share: float) -> pl.DataFrame:
    """Return of each side the nearest large cluster of several markets together.

    Parameters
    ----------
    standing : sequence of Standing
        Not empty; see `peaks`.
    share : float
        Of the dollars of the largest cluster of its side, from which on one is large.

    Returns
    -------
    DataFrame
        What `clusters` returns, a row for each side that has any.
    """
    _, fresh = _of_now(standing, max(one.time for one in standing))
    dollars = pl.col("value_usd")
    large = _clusters(fresh).filter(dollars >= share * dollars.max().over("side"))
    return large.sort("distance").unique("side", keep="first")


def _of_now(
    standing: Sequence[Standing], newest: datetime
) -> tuple[list[Standing], list[Standing]]:
    """Return the markets that are not over, in one order, and those of them that are of now."""
    ordered = sorted(standing, key=lambda one: (one.exchange or "", one.symbol or ""))
    kept = [one for one in ordered if not _is_over(one, newest)]
    return kept, [one for one in kept if one.is_of(newest)]


def _largest(fresh: Sequence[Standing]) -> Standing:
    return max(fresh, key=lambda one: (_expiry(one) is None, one.open_interest_usd))


def _clusters(
    fresh: Sequence[Standing], *, reach: float = 0.10, width: float = 0.005
) -> pl.DataFrame:
    """Return the clusters of several markets together."""
    largest, ends = _largest(fresh), pl.col("price_low", "price_high")
    profile = pl.concat(one.profile().with_columns(ends / _basis(one, largest)) for one in fresh)
    return clusters(profile, largest.price, reach=reach, width=width)


def _described(make_up: pl.DataFrame, side: str) -> dict[str, object]:
    """Return how the dollars of a cluster divide, and where most of the largest market entered."""
    held = make_up.filter(pl.col("side") == side)
    share = pl.col("value_usd").sum() / held["value_usd"].sum()

    def shares(*by: str) -> pl.DataFrame:
        return held.group_by(*by, maintain_order=True).agg(share=share)

    leverages = shares("leverage").sort("leverage")
    exchanges = shares("exchange", "symbol").sort("share", descending=True, maintain_order=True)
    largest = held.join(exchanges.head(1), on=["exchange", "symbol"], how="semi", nulls_equal=True)
    by_leverage = largest.group_by("leverage", maintain_order=True).agg(pl.col("value_usd").sum())
    most = by_leverage.sort("value_usd", descending=True, maintain_order=True)["leverage"][0]
    entered = largest.filter(pl.col("leverage") == most)
    return {
        "exchanges": exchanges.to_dicts(),
        "leverages": leverages.to_dicts(),
        "ages": shares("age_from", "age_until").sort("age_from").to_dicts(),
        "leverage": most,
        "entry_low": entered["entry_low"].min(),
        "entry_high": entered["entry_high"].max(),
        "traded_first": entered["traded_first"].min(),
        "traded_last": entered["traded_last"].max(),
    }


def _limits(fresh: list[Standing], moved: list[float], row: dict[str, Any]) -> dict[str, float]:
    """Return how much a cluster holds at least and at most."""
    found = [
        one.limits(row["side"], row["price_low"] * basis, row["price_high"] * basis)
        for one, basis in zip(fresh, moved, strict=True)
    ]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return {}
    low, _, high = np.sum(known, axis=0)
    return {"value_usd_p10": float(low), "value_usd_p90": float(high)}


def _said(fresh: Sequence[Standing], largest: Standing) -> str:
    """Return what must be said wherever these clusters are shown, of several the largest's."""
    alone = len(fresh) == 1
    fits = sum(one.fit is not None and one.fit.orders > 0 for one in fresh)
    fit, market = (largest.fit, "") if alone else (None, LARGEST)
    mix = leverage_mix(fit, largest.distances, fits, largest.shown)
    return f"an estimate: {'; '.join(english([*mix, statement(largest.parameters, market)]))}"


def _basis(one: Standing, largest: Standing) -> float:
    """Return a future's price over the largest market's, in whole rows; one for a perpetual."""
    if _expiry(one) is None:
        return 1.0
    step = one.parameters.step
    return math.exp(step * round(math.log(one.price / largest.price) / step))


def _expiry(one: Standing) -> date | None:
    return Symbol.parse(one.symbol).expiry if one.symbol else None


def _is_over(one: Standing, now: datetime) -> bool:
    """Return whether this is what stood in a future that has expired."""
    expiry = _expiry(one)
    return expiry is not None and one.time < now and expiry <= now.date()


def _coverage(standing: Sequence[Standing], fresh: Sequence[Standing]) -> float | None:
    """Return the share of what can be liquidated that has a known entry and is of now."""
    liquidatable = [
        float(np.mean(one.parameters.reachable)) * one.open_interest_usd for one in standing
    ]
    placed = [
        one.coverage * usd for one, usd in zip(standing, liquidatable, strict=True) if one in fresh
    ]
    return sum(placed) / sum(liquidatable) if sum(liquidatable) else None


_PEAKS: dict[str, Any] = {
    "side": pl.String,
    **dict.fromkeys(("price_low", "price_high", "price", "distance", "volatilities"), pl.Float64),
    **dict.fromkeys(("value_usd", "value_usd_p10", "value_usd_p90"), pl.Float64),
    "exchanges": pl.List(
        pl.Struct({"exchange": pl.String, "symbol": pl.String, "share": pl.Float64})
    ),
    "leverages": pl.List(pl.Struct({"leverage": pl.Float64, "share": pl.Float64})),
    "ages": pl.List(
        pl.Struct({"age_from": pl.Float64, "age_until": pl.Float64, "share": pl.Float64})
    ),
    "leverage": pl.Float64,
    "entry_low": pl.Float64,
    "entry_high": pl.Float64,
    "traded_first": pl.Datetime("us", "UTC"),
    "traded_last": pl.Datetime("us", "UTC"),
    "time": pl.Datetime("us", "UTC"),
    "coverage": pl.Float64,
    "absent": pl.List(pl.String),
    "said": pl.String,
}
