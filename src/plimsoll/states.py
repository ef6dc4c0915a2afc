"""What is open, who is crowded, and what was closed by force: the part that tells a state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.analytics.bursts import Rule
from plimsoll.market.interval import duration
from plimsoll.measures import interest, macro
from plimsoll.measures import liquidations as closed
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

    def liquidations(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "1h",
        by: str = "market",
        whole: bool = False,
    ) -> pl.DataFrame:
        """Return what was closed by force, with what it covers and its bounds.

        Parameters
        ----------
        symbol : str
            A unified symbol, or a coin (``BTC``) for all its contracts.
        exchange : str or list of str, optional
            All that are stored if left out; ``aggregate``, sums over exchanges that are not
            named, is added to no other.
        since, until, as_of : datetime or str, optional
        every : str
            The step of the grid of time.
        by : {"market", "exchange", "symbol", "all"}
            What is kept apart; the rest is added.
        whole : bool
            Add all steps of the span as well.

        Returns
        -------
        DataFrame
            By time: what `analytics.liquidations.totals` returns (dollars by side at least,
            `completeness`, `seen`) or, of sums, `analytics.liquidations.added`; with what
            `analytics.forced.bounds` and `analytics.forced.shares` add: dollars at most, and the
            share of the volume and of a fall of open interest.

        Raises
        ------
        NoSuchData
            If none is stored for it.
        """
        what = asked(exchange, since, until, as_of)
        return closed.liquidations(self._reader, symbol, what, duration(every), by, whole=whole)

    def bursts(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "1m",
        rule: Rule | None = None,
    ) -> pl.DataFrame:
        """Return the bursts of liquidations, and how the price went on.

        Parameters
        ----------
        symbol : str
            A unified symbol, or a coin (``BTC``) for all its contracts together.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
            What is usual is learned from twelve weeks before `since`.
        every : str
            The length of a step; a part of an hour.
        rule : Rule, optional
            What makes a burst; see `analytics.bursts.Rule`.

        Returns
        -------
        DataFrame
            What `analytics.bursts.bursts` and `analytics.bursts.path` return, and `priced_on`,
            the market whose price it is.

        Raises
        ------
        NoSuchData
            If no single liquidations are stored for it.
        """
        what = asked(exchange, since, until, as_of)
        return closed.bursts(self._reader, symbol, what, duration(every), rule or Rule())

    def macro(
        self,
        coin: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
    ) -> dict[str, pl.DataFrame | None]:
        """Return what bears on a coin from beyond its market, by day.

        Parameters
        ----------
        coin : str
        exchange : str or list of str, optional
            Whose open interest and prices count; all that are stored if left out.
        since, until, as_of : datetime or str, optional

        Returns
        -------
        dict of str to DataFrame or None
            `stablecoins` (`analytics.macro.supply`), `chains` (the share of the coin's open
            interest on chains, `analytics.macro.chain_share`), `protocols` (all that stands
            open on chains, `analytics.macro.protocols`), `commitments`
            (`analytics.macro.commitments`) and `institutional` (`analytics.macro.composite`);
            None where nothing is stored.

        Raises
        ------
        ValueError
            If what is named is a contract, not a coin.
        """
        return macro.macro(self._reader, coin, asked(exchange, since, until, as_of))
