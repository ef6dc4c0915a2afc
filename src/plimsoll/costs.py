"""What leverage costs, and what carry earns: the part of a session that counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.market.interval import duration
from plimsoll.measures import carry
from plimsoll.measures.asking import asked
from plimsoll.streams import Streams

if TYPE_CHECKING:
    import polars as pl

    from plimsoll.measures.asking import Exchanges, When

__all__ = ["Costs"]


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
    ) -> pl.DataFrame:
        """Return annual funding over markets, weighted by their open interest.

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
            What `analytics.funding.oi_weighted` returns; `apr` is null where no
            market has both a rate and an open interest.
        """
        what = asked(exchange, since, until, as_of)
        return carry.weighted_funding(self._reader, symbol, what, duration(every))
