"""What is open, who is crowded, and what was closed by force: the part that tells a state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.market.interval import duration
from plimsoll.measures import interest
from plimsoll.measures.asking import asked
from plimsoll.streams import Streams

if TYPE_CHECKING:
    import polars as pl

    from plimsoll.measures.asking import Exchanges, When

__all__ = ["States"]


class States(Streams):
    """A store whose markets' state is told.

    Parameters
    ----------
    path : Path
    """

    def open_interest(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "1h",
    ) -> pl.DataFrame:
        """Return open interest summed over markets, one side of each contract counted.

        Parameters
        ----------
        symbol : str
            A unified symbol, or a coin (``BTC``) for all its contracts.
        exchange : str or list of str, optional
            All that are stored if left out.
        since, until, as_of : datetime or str, optional
        every : str
            The step of the grid of time, such as ``1h``.

        Returns
        -------
        DataFrame
            `time`, `amount` (base units) and `value_usd`, with `coverage` and
            `coverage_usd` (share of the markets seen so far that are in the sum),
            `markets`, `exchanges`, `change` and `relative_change` over a day
            (base units; fraction), and the concentration over exchanges.
        """
        what = asked(exchange, since, until, as_of)
        return interest.open_interest(self._reader, symbol, what, duration(every))

    def position_coverage(
        self,
        symbol: str,
        exchange: str,
        *,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "1h",
    ) -> pl.DataFrame:
        """Return what share of a market's open interest is seen in wallets' positions.

        Parameters
        ----------
        symbol, exchange : str
            A market whose wallets can be read.
        since, until, as_of : datetime or str, optional
        every : str
            The step of the grid of time.

        Returns
        -------
        DataFrame
            What `analytics.positions.coverage` returns; a position counts for a day.
        """
        what = asked(exchange, since, until, as_of)
        return interest.position_coverage(self._reader, symbol, exchange, what, duration(every))
