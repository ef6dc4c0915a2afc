"""What leverage costs, and what carry earns: the part of a session that counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.analytics.basis import BAND
from plimsoll.analytics.carry import FEES
from plimsoll.market.interval import duration
from plimsoll.measures import basis, carry
from plimsoll.measures.asking import asked
from plimsoll.streams import Streams

if TYPE_CHECKING:
    import polars as pl

    from plimsoll.measures.asking import Exchanges, When

__all__ = ["Costs"]

_DEAREST = 5.0
"""Beyond which a rate is taken for percent, fraction per year."""


class Costs(Streams):
    """A store whose markets' carry is counted.

    Parameters
    ----------
    path : Path
    """

    def funding(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
    ) -> pl.DataFrame:
        """Return what each settlement cost, and how long such a cost has lasted.

        Parameters
        ----------
        symbol : str
            A unified symbol, or a coin (``BTC``) for all its contracts.
        exchange : str or list of str, optional
            All that are stored if left out.
        since, until, as_of : datetime or str, optional
            Streaks, sums and percentiles reach back before `since`.

        Returns
        -------
        DataFrame
            What `analytics.funding.history` returns.

        Raises
        ------
        NoSuchData
            If no settlement is stored for them.
        """
        return carry.funding(self._reader, symbol, asked(exchange, since, until, as_of))

    def weighted_funding(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "8h",
        weight: carry.Weight = "open_interest",
    ) -> pl.DataFrame:
        """Return annual funding over markets, weighted by their open interest or turnover.

        Parameters
        ----------
        symbol : str
            A unified symbol, or a coin (``BTC``) for all its contracts.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
        every : str
            The step of the grid of time.
        weight : {"open_interest", "volume"}
            Volume is that of the last day, from candles.

        Returns
        -------
        DataFrame
            What `analytics.funding_venues.oi_weighted` returns; `apr` is null where no
            market has both a rate and a weight.
        """
        what = asked(exchange, since, until, as_of)
        return carry.weighted_funding(self._reader, symbol, what, duration(every), weight)

    def funding_persistence(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        by_year: bool = False,
    ) -> pl.DataFrame:
        """Return how long each market's funding stays as it is.

        Parameters
        ----------
        symbol : str
            A unified symbol, or a coin (``BTC``) for all its contracts.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
        by_year : bool
            A row for each year of each market.

        Returns
        -------
        DataFrame
            What `analytics.persistence.persistence` returns: shares of settlements that were
            positive, neutral or capped, the longest streak, and the half-life.

        Raises
        ------
        NoSuchData
            If no settlement is stored for them.
        """
        what = asked(exchange, since, until, as_of)
        return carry.persistence(self._reader, symbol, what, by_year=by_year)

    def funding_dispersion(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "8h",
    ) -> pl.DataFrame:
        """Return how far apart the annual funding of markets lies.

        Parameters
        ----------
        symbol : str
            A unified symbol, or a coin (``BTC``) for all its contracts.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
        every : str
            The step of the grid of time.

        Returns
        -------
        DataFrame
            What `analytics.funding_venues.dispersion` returns.

        Raises
        ------
        NoSuchData
            If no settlement is stored for them.
        """
        what = asked(exchange, since, until, as_of)
        return carry.dispersion(self._reader, symbol, what, duration(every))

    def carry(
        self,
        symbol: str,
        exchange: str,
        *,
        spot: str | None = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        spot_fee: float = FEES["spot"],
        perpetual_fee: float = FEES["perpetual"],
    ) -> pl.DataFrame:
        """Return what buying spot and selling a perpetual has earned, settlement by settlement.

        Parameters
        ----------
        symbol, exchange : str
            A perpetual, linear or inverse.
        spot : str, optional
            A spot market of the same exchange; the one in the perpetual's quote, or in
            another dollar, if left out.
        since, until, as_of : datetime or str, optional
            Opened at the first price from `since` on, closed at the last one before `until`.
        spot_fee, perpetual_fee : float
            Fractions of what is traded; each side is traded twice.

        Returns
        -------
        DataFrame
            What `analytics.carry.carry` returns: fractions of what the spot cost; of an
            inverse perpetual, of the dollars sold.

        Raises
        ------
        NoSuchData
            If funding, spot or prices are not stored.
        ValueError
            If it is no perpetual settled in its quote or base.
        """
        what, fees = asked(exchange, since, until, as_of), _fees(spot_fee, perpetual_fee)
        return carry.carry(self._reader, (exchange, symbol), spot, what, fees)

    def arbitrage(
        self,
        coin: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        spot_fee: float = FEES["spot"],
        perpetual_fee: float = FEES["perpetual"],
    ) -> pl.DataFrame:
        """Return what each pair of a coin's markets has earned, long one and short the other.

        Parameters
        ----------
        coin : str
            Its spot markets and its perpetuals, on all exchanges.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
        spot_fee, perpetual_fee : float
            Fractions of what is traded; each side is traded twice.

        Returns
        -------
        DataFrame
            `long` and `short` (exchange and symbol) and what `analytics.carry.outcome` says of
            them, what earned most first. It is what the span brought, not what that would come
            to in a year: `days` says how long it is for each. A perpetual without a stored
            price has a row that says so.

        Raises
        ------
        NoSuchData
            If no funding of the coin is stored.
        """
        what, fees = asked(exchange, since, until, as_of), _fees(spot_fee, perpetual_fee)
        return carry.arbitrage(self._reader, coin, what, fees)

    def basis(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str | None = None,
        band: float = BAND,
    ) -> pl.DataFrame:
        """Return what dated futures pay over spot: each expiry, constant maturities, the slope.

        Prices are mark prices with their index; where there are none, closes with those of spot
        on the same exchange; where an expiry has no future, the forward of its options.

        Parameters
        ----------
        symbol : str
            A coin (``BTC``), or one contract without its expiry (``BTC/USD:BTC``).
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
        every : str, optional
            The step of a history of curves; the newest curve alone if left out.
        band : float
            A basis nearer to zero than this is flat, fraction.

        Returns
        -------
        DataFrame
            What `analytics.basis.structure` returns.

        Raises
        ------
        NoSuchData
            If neither a dated future nor an option with its forward is stored.
        """
        step = None if every is None else duration(every)
        what = asked(exchange, since, until, as_of)
        return basis.term_structure(self._reader, symbol, what, step, band)

    def fair_value(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "8h",
        rate: float | None = None,
    ) -> pl.DataFrame:
        """Return what perpetuals would be worth, and how far from it they lie; an estimate.

        Prices are mark prices with their index; where there are none, closes with those of spot
        on the same exchange.

        Parameters
        ----------
        symbol : str
            A perpetual, or a coin (``BTC``) for all of its perpetuals.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
        every : str
            The step of the grid of time.
        rate : float, optional, fraction per year
            What holding the coin costs: interest on dollars less what the coin earns. If left
            out, what dated futures pay at that time for 30 days, the median over all curves stored.

        Returns
        -------
        DataFrame
            What `analytics.fair_value.fair_values` returns; what is fair is null where the cost or
            the exchange's formula is not known, and `reason` says so.

        Raises
        ------
        NoSuchData
            If no perpetual is stored with its index, or with spot.
        ValueError
            If the rate is beyond 500 % a year: not a fraction.
        """
        if rate is not None and not abs(rate) <= _DEAREST:
            raise ValueError(f"a rate is a fraction per year, such as 0.05 for 5 %, not {rate:g}")
        what = asked(exchange, since, until, as_of)
        return basis.fair_value(self._reader, symbol, what, duration(every), rate)


def _fees(spot: float, perpetual: float) -> dict[str, float]:
    if not (0 <= spot < 1 and 0 <= perpetual < 1):
        raise ValueError(f"fees are fractions of what is traded, not {spot} and {perpetual}")
    return {"spot": spot, "perpetual": perpetual}
