"""The measured map: where positions really stand, of those wallets that can be read.

It is one column, beside the modelled one of the same moment, price and rows. A wallet counts with
its newest position known by then. Linear positions are dollars at that price, inverse ones their
face. What is seen stands on a row, or nowhere: without a liquidation price, with one outside the
rows, or with one that the price has already reached, so that what was read is out of date.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plimsoll.analytics.matching import banded, overlap, rank_correlation
from plimsoll.analytics.positions import held

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from plimsoll.analytics.provenance import Standing

    Floats = NDArray[np.float64]

__all__ = ["STALE", "Match", "Measured", "measured"]

STALE = timedelta(days=1)
"""A position that was last read longer ago is not seen."""
_SIDES = ("long", "short")


@dataclass(frozen=True, kw_only=True)
class Match:
    """How alike the modelled and the measured column are within 20 % of the price.

    Each is scaled to one, as not all positions are measured. None where one of them holds nothing
    there.

    Attributes
    ----------
    rank_correlation : float or None
        Spearman's, over bands of 0.5 % of log price.
    overlap : float or None, fraction
        Of dollars in the right band.
    sides : float or None, fraction
        Of dollars on the right side, however far from the price.
    """

    rank_correlation: float | None
    overlap: float | None
    sides: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """Measured positions by liquidation price, beside what the map says.

    Attributes
    ----------
    time : datetime
        The moment: the open of the bar the modelled column predicts.
    price : float, quote per base
        Then.
    rows : DataFrame
        By rising price: `price_low`, `price_high`, `long_usd` and `short_usd` as measured,
        `modelled_long_usd` and `modelled_short_usd`.
    max_age : timedelta
        How long a position counts after it was read.
    wallets : int
        Seen with a position.
    seen_usd : tuple of float, US dollars
        All positions seen; (long, short).
    coverage : tuple of float, fraction
        Of the open interest, what is seen; (long, short). None where there is none.
    unpriced_usd, passed_usd, outside_usd : float, US dollars
        Seen, but on no row: without a liquidation price; with one already reached; with one
        outside the rows.
    modelled_coverage : float, fraction
        Of the liquidatable open interest, what has a known entry on the map.
    exchange, symbol : str or None
    """

    time: datetime
    price: float
    rows: pl.DataFrame
    max_age: timedelta
    wallets: int
    seen_usd: tuple[float, float]
    coverage: tuple[float | None, float | None]
    unpriced_usd: float
    passed_usd: float
    outside_usd: float
    modelled_coverage: float
    exchange: str | None = None
    symbol: str | None = None

    @cached_property
    def match(self) -> Match:
        """How alike the two columns are."""
        return _match(self.rows, self.price)

    def within(self, distances: Iterable[float]) -> pl.DataFrame:
        """Return what both columns hold near the price.

        Parameters
        ----------
        distances : iterable of float, fraction of the price

        Returns
        -------
        DataFrame
            `side`, `distance`, `measured_usd` and `modelled_usd` of the rows that lie within it.
        """
        found = []
        for distance in distances:
            low, high = self.price * (1 - distance), self.price * (1 + distance)
            inside = (pl.col("price_low") >= low) & (pl.col("price_high") <= high)
            sums = self.rows.filter(inside).sum().row(0, named=True)
            found += [
                (side, distance, sums[f"{side}_usd"], sums[f"modelled_{side}_usd"])
                for side in _SIDES
            ]
        names = ("side", "distance", "measured_usd", "modelled_usd")
        return pl.DataFrame(found, schema=names, orient="row")

    def describe(self) -> dict[str, object]:
        """Return all but the rows."""
        return {
            "exchange": self.exchange,
            "symbol": self.symbol,
            "time": self.time,
            "price": self.price,
            "wallets": self.wallets,
            "max_age_seconds": self.max_age.total_seconds(),
            "seen_usd": dict(zip(_SIDES, self.seen_usd, strict=True)),
            "coverage": dict(zip(_SIDES, self.coverage, strict=True)),
            "unpriced_usd": self.unpriced_usd,
            "passed_usd": self.passed_usd,
            "outside_usd": self.outside_usd,
            "modelled_coverage": self.modelled_coverage,
            "match": asdict(self.match),
        }


def measured(positions: pl.DataFrame, standing: Standing, max_age: timedelta = STALE) -> Measured:
    """Return the measured positions of a market beside what its map says.

    Parameters
    ----------
    positions : DataFrame
        Rows of the `position` table, of that market.
    standing : Standing
        The modelled column.
    max_age : timedelta
        See `STALE`.

    Returns
    -------
    Measured
    """
    now = pl.Series([standing.time], dtype=pl.Datetime("us", "UTC"))
    worth = pl.col("amount") * standing.price
    if standing.parameters.settlement == "inverse":
        worth = pl.coalesce("value_usd", worth)
    seen = held(positions, now, max_age).with_columns(usd=worth)
    side = (seen["side"] == "short").cast(pl.Int64).to_numpy()
    usd, price = seen["usd"].to_numpy(), seen["liquidation_price"].to_numpy()
    step, rows = standing.parameters.step, len(standing.edges) - 1
    first = round(np.log(standing.edges[0]) / step)
    row, at = (np.floor(np.log(one) / step) - first for one in (price, standing.price))
    unpriced = np.isnan(row)
    passed = np.where(side == 0, row >= at, row <= at)
    outside = ~unpriced & ~passed & ((row < 0) | (row >= rows))
    on = ~(unpriced | passed | outside)
    columns = np.zeros((2, rows))
    np.add.at(columns, (side[on], row[on].astype(np.int64)), usd[on])
    long, short = (float(usd[side == one].sum()) for one in (0, 1))
    interest = standing.open_interest_usd
    modelled = standing.profile()
    return Measured(
        time=standing.time,
        price=standing.price,
        rows=modelled.select(
            "price_low",
            "price_high",
            long_usd=pl.Series(columns[0]),
            short_usd=pl.Series(columns[1]),
            modelled_long_usd="long_usd",
            modelled_short_usd="short_usd",
        ),
        max_age=max_age,
        wallets=seen["wallet"].n_unique(),
        seen_usd=(long, short),
        coverage=(long / interest, short / interest) if interest > 0 else (None, None),
        unpriced_usd=float(usd[unpriced].sum()),
        passed_usd=float(usd[passed].sum()),
        outside_usd=float(usd[outside].sum()),
        modelled_coverage=standing.coverage,
        exchange=standing.exchange,
        symbol=standing.symbol,
    )


def _match(rows: pl.DataFrame, price: float) -> Match:
    middle = (rows["price_low"] * rows["price_high"]).sqrt().to_numpy()

    def bands(kind: str) -> Floats:
        """Return dollars by side and band."""
        columns = (rows[f"{kind}{side}_usd"].to_numpy() for side in _SIDES)
        return np.stack([banded(middle, usd, price) for usd in columns])

    real, guess = bands(""), bands("modelled_")
    found = {
        "rank_correlation": rank_correlation(guess.sum(axis=0), real.sum(axis=0)),
        "overlap": overlap(guess.sum(axis=0), real.sum(axis=0)),
        "sides": overlap(guess.sum(axis=1), real.sum(axis=1)),
    }
    return Match(**{name: None if np.isnan(one) else one for name, one in found.items()})
