"""What options say: the part of a session that reads their chains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.market.interval import duration
from plimsoll.measures import options
from plimsoll.measures.asking import asked
from plimsoll.streams import Streams

if TYPE_CHECKING:
    import polars as pl

    from plimsoll.measures.asking import Exchanges, When
    from plimsoll.measures.options import OptionState

__all__ = ["Chains"]


class Chains(Streams):
    """A store whose options are read.

    Parameters
    ----------
    path : Path
    """

    def options(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        until: When = None,
        as_of: When = None,
    ) -> OptionState:
        """Return what the options of a coin say and hold now.

        Parameters
        ----------
        symbol : str
            A coin (``BTC``) for all its options, or their underlying and settlement
            (``BTC/USD:BTC``).
        exchange : str or list of str, optional
            All that are stored if left out.
        until, as_of : datetime or str, optional

        Returns
        -------
        OptionState
            As of the newest quote known; quotes older than twelve hours are left out of it.

        Raises
        ------
        NoSuchData
            If no quote is stored for them, or all that are have expired.
        """
        return options.state(self._reader, symbol, asked(exchange, None, until, as_of))

    def option_history(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        every: str = "6h",
        smiles: bool = False,
    ) -> pl.DataFrame:
        """Return what the options of a coin said through time.

        Parameters
        ----------
        symbol : str
            A coin, or underlying and settlement.
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
            Percentiles reach back before `since`.
        every : str
            The step of the grid of time.
        smiles : bool
            Fit the smiles of every step as well, which takes some thirty seconds for a thousand.

        Returns
        -------
        DataFrame
            `time`, `price`; `live` and `stale` options (counts); what
            `analytics.options.put_call`, `spread` and `leverage` return, with
            `open_interest_change` (fraction of a week before, in base units); `unsigned_usd` and
            `naive_usd` of `analytics.exposure`; `index_30` of `analytics.volatility_index`, of
            the largest market, and an exchange's own, `stated_index`, with `stated_by`; and a
            percentile of each put/call ratio among its own values up to then. With `smiles` also
            `atm_30`, `risk_reversal_30` and `strangle_30` (fractions) at 30 days, of the largest
            market, with their percentiles.
            Null where no option is live.

        Raises
        ------
        NoSuchData
            If no quote is stored for them.
        """
        what = asked(exchange, since, until, as_of)
        return options.history(self._reader, symbol, what, duration(every), smiles=smiles)
