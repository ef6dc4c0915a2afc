"""What is open and what was closed by force: the part of a session that tells a state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.analytics.bursts import Rule
from plimsoll.market.interval import duration
from plimsoll.measures import consensus as believed
from plimsoll.measures import interest, macro
from plimsoll.measures import liquidations as closed
from plimsoll.measures.asking import asked
from plimsoll.streams import Streams

if TYPE_CHECKING:
    import polars as pl

    from plimsoll.analytics.concentration import By
    from plimsoll.measures.asking import Exchanges, When
    from plimsoll.measures.consensus import Consensus

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
            A unified symbol, a coin (``BTC``) for all its contracts, or ``ALL`` for all coins, in
            dollars only.
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

    def divided_interest(
        self,
        symbol: str,
        by: By = "exchange",
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "1h",
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return open interest by its parts, and how concentrated it is over them.

        Parameters
        ----------
        symbol : str
            A unified symbol, a coin (``BTC``) for all its contracts, or ``ALL`` for all coins, in
            dollars only.
        by : {"exchange", "margin", "symbol", "expiry", "coin"}
            ``margin`` is what is deposited: coin, stablecoin or dollars.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
        every : str
            The step of the grid of time.

        Returns
        -------
        parts, concentration : DataFrame
            What `analytics.concentration.divided` and `analytics.concentration.spread` return.
        """
        what = asked(exchange, since, until, as_of)
        return interest.divided(self._reader, symbol, by, what, duration(every))

    def interest_candles(
        self,
        symbol: str,
        interval: str = "1d",
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "1h",
    ) -> pl.DataFrame:
        """Return open interest over exchanges as candles.

        Parameters
        ----------
        symbol : str
            A unified symbol, a coin (``BTC``) for all its contracts, or ``ALL`` for all coins, in
            dollars only.
        interval : str
            The length of a candle, a multiple of the step.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
        every : str
            The step at which open interest is looked at.

        Returns
        -------
        DataFrame
            What `analytics.growth.candles` returns: of coin and of dollars, with coverage.
        """
        what = asked(exchange, since, until, as_of)
        return interest.candles(self._reader, symbol, what, duration(interval), duration(every))

    def interest_growth(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        until: When = None,
        as_of: When = None,
        every: str = "1h",
    ) -> pl.DataFrame:
        """Return how open interest has grown over an hour, four, a day, a week, 30 and 90 days.

        Parameters
        ----------
        symbol : str
            A unified symbol, a coin (``BTC``) for all its contracts, or ``ALL`` for all coins, in
            dollars only.
        exchange : str or list of str, optional
        until, as_of : datetime or str, optional
        every : str
            The step of the grid of time, at most an hour.

        Returns
        -------
        DataFrame
            What `analytics.growth.growth` returns.
        """
        what = asked(exchange, None, until, as_of)
        return interest.growth(self._reader, symbol, what, duration(every))

    def interest_milestones(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        until: When = None,
        as_of: When = None,
        every: str = "1h",
    ) -> pl.DataFrame:
        """Return when open interest first reached each round mark, in dollars.

        Parameters
        ----------
        symbol : str
            A unified symbol, a coin (``BTC``) for all its contracts, or ``ALL`` for all coins, in
            dollars only.
        exchange : str or list of str, optional
        until, as_of : datetime or str, optional
        every : str
            The step of the grid of time.

        Returns
        -------
        DataFrame
            What `analytics.growth.milestones` returns.
        """
        what = asked(exchange, None, until, as_of)
        return interest.milestones(self._reader, symbol, what, duration(every))

    def turnover(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "1h",
        supply: float | None = None,
    ) -> pl.DataFrame:
        """Return open interest against a day's volume, spot volume and coins in existence.

        Parameters
        ----------
        symbol : str
            A unified symbol, or a coin (``BTC``) for all its contracts.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
        every : str
            The step of the grid of time, filled by stored candles.
        supply : float, base units, optional
            Coins in existence, for open interest over market capitalisation.

        Returns
        -------
        DataFrame
            What `analytics.turnover.turnover` returns.
        """
        what = asked(exchange, since, until, as_of)
        return interest.turnover(self._reader, symbol, what, duration(every), supply)

    def consensus(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "5m",
    ) -> Consensus:
        """Return whose reports can be believed, and the open interest of those.

        Parameters
        ----------
        symbol : str
            A coin (``BTC``) for all its contracts, or a unified symbol.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
            Of the sum, by default the last week; grades are of the week before the end, those of
            funding and ratios of the month before their last report.
        every : str
            The step of the grid of time.

        Returns
        -------
        Consensus
            `grades`, a row for each market and metric (of ratios also population) with its reasons
            and evidence, and `total`, the sum of open interest without that graded D, which names
            them; empty where no open interest is stored.

        Raises
        ------
        NoSuchData
            If neither open interest, funding nor a ratio is stored for them.
        """
        what = asked(exchange, since, until, as_of)
        return believed.consensus(self._reader, symbol, what, duration(every))

    def quadrant(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "1h",
        span: str = "1d",
    ) -> pl.DataFrame:
        """Return what price and open interest say together, and how surely.

        Parameters
        ----------
        symbol : str
            A unified symbol, or a coin (``BTC``) for all its contracts.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
            What is usual is learnt from 30 days before each row.
        every : str
            The step of the grid of time.
        span : str
            Over which changes are taken.

        Returns
        -------
        DataFrame
            What `analytics.quadrant.quadrant` returns.
        """
        what = asked(exchange, since, until, as_of)
        return interest.quadrant(self._reader, symbol, what, duration(every), duration(span))

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
            Such as ``BTC``.
        exchange : str or list of str, optional
            Whose open interest and prices count; all that are stored if left out.
        since, until, as_of : datetime or str, optional

        Returns
        -------
        dict of str to DataFrame or None
            `stablecoins` (`analytics.macro.supply`), `chains` (the share of the coin's open
            interest on chains, `analytics.macro.chain_share`), `protocols` (all that stands
            open on chains, `analytics.macro.protocols`), `commitments`
            (`analytics.macro.commitments`) and `institutional`
            (`analytics.institutional.composite`); None where nothing is stored.

        Raises
        ------
        ValueError
            If what is named is a contract, not a coin.
        """
        return macro.macro(self._reader, coin, asked(exchange, since, until, as_of))
