"""Who stands long and short, and what takers do: the part of a session that tells a crowd."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.market.interval import duration
from plimsoll.measures import positioning
from plimsoll.measures.asking import asked
from plimsoll.streams import Streams

if TYPE_CHECKING:
    import polars as pl

    from plimsoll.measures.asking import Exchanges, When

__all__ = ["Crowds"]


class Crowds(Streams):
    """A store whose markets' crowds are told.

    Parameters
    ----------
    path : Path
    """

    def long_short(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
    ) -> pl.DataFrame:
        """Return what each exchange says of who is long, and where that stands in its history.

        Parameters
        ----------
        symbol : str
            A unified symbol, or a coin (``BTC``) for all its contracts.
        exchange : str or list of str, optional
            All that are stored if left out.
        since, until, as_of : datetime or str, optional
            Percentiles reach back before `since`.

        Returns
        -------
        DataFrame
            What `analytics.positioning.long_short` returns.
        """
        what = asked(exchange, since, until, as_of)
        return positioning.long_short(self._reader, symbol, what)

    def positioning(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "1h",
    ) -> pl.DataFrame:
        """Return which side is crowded, with every term the score is made of.

        Parameters
        ----------
        symbol : str
            A unified symbol, or a coin (``BTC``) for all its contracts.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
            Percentiles reach back before `since`.
        every : str
            The step of the grid of time.

        Returns
        -------
        DataFrame
            What `analytics.positioning.crowding` returns, its shares being medians over markets,
            and its funding the median annual rate; with the median `gap` of top positions over all
            accounts and what `analytics.positioning.agreement` returns of all accounts, where
            ratios are stored.

        Raises
        ------
        NoSuchData
            If no ratio, no funding and no taker volume is stored.
        """
        what = asked(exchange, since, until, as_of)
        return positioning.crowding(self._reader, symbol, what, duration(every))

    def flow(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "1h",
    ) -> pl.DataFrame:
        """Return what takers bought and sold, of spot and of contracts, and what that may be.

        Parameters
        ----------
        symbol : str
            A unified symbol, or a coin (``BTC``) for all its contracts; spot is of its coin.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
            Sums begin with the first row.
        every : str
            The step of the grid of time.

        Returns
        -------
        DataFrame
            What `analytics.cvd.cvd` returns and, where open interest is stored, what
            `analytics.cvd.net_positions` returns: longs and shorts of takers within bounds.

        Raises
        ------
        NoSuchData
            If no trades, and no candles or taker volumes that fit the step, are stored, or none
            that tell what takers bought.
        """
        what = asked(exchange, since, until, as_of)
        return positioning.flow(self._reader, symbol, what, duration(every))
