"""Where liquidations are predicted, and why there: the part of a session that estimates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.market.interval import duration
from plimsoll.measures import asked, moment, names
from plimsoll.streams import Streams

if TYPE_CHECKING:
    import polars as pl

    from plimsoll.analytics.heatmap import HeatMap
    from plimsoll.analytics.inventory import Parameters
    from plimsoll.analytics.provenance import Standing
    from plimsoll.measures import Asked, Exchanges, When

__all__ = ["Estimates"]


class Estimates(Streams):
    """A store whose markets are mapped.

    Parameters
    ----------
    path : Path
    """

    def heatmap(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        interval: str | None = None,
        rows: int | None = None,
        parameters: Parameters | None = None,
    ) -> HeatMap:
        """Return the map of predicted liquidations, of one market or of several together.

        Each column is what stood just before its bar, from what was known then.
        The map is an estimate; its leverage mix is a prior and not fitted.

        Parameters
        ----------
        symbol : str
            A unified symbol of a perpetual or future, or a coin (``BTC``) for all of its in
            dollars.
        exchange : str or list of str, optional
            All that are stored if left out.
        since, until, as_of : datetime or str, optional
            The columns shown, by default of the last 30 days; 30 days more before
            `since` warm the map up.
        interval : str, optional
            The length of a bar; if left out the shortest that open interest and
            prices of all markets allow.
        rows : int, optional
            Join price rows to at most this many; by default each spans 0.1 %.
        parameters : Parameters, optional
            Of the model, the settlement being that of each contract; if left out, the
            priors, with the first maintenance bracket where one is stored.

        Returns
        -------
        HeatMap
            Of several markets, `markets` says which are in each column.

        Raises
        ------
        NoSuchData
            If no open interest is stored for that symbol and exchange.
        ValueError
            If the symbol is no linear or inverse contract, or the bar is shorter than
            the data allow.
        """
        from plimsoll import maps  # noqa: PLC0415 (brings numba)

        return maps.heatmap(
            self._reader,
            symbol,
            names(exchange),
            span=(moment(since), moment(until), moment(as_of)),
            interval=duration(interval) if interval else None,
            rows=rows,
            parameters=parameters,
        )

    def clusters(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        until: When = None,
        as_of: When = None,
        reach: float = 0.10,
        width: float = 0.005,
        parameters: Parameters | None = None,
    ) -> pl.DataFrame:
        """Return where predicted liquidations stand close together, and what they are made of.

        Parameters
        ----------
        symbol : str
            A unified symbol of a perpetual or future, or a coin (``BTC``) for all of its in
            dollars.
        exchange : str or list of str, optional
            All that are stored if left out.
        until, as_of : datetime or str, optional
        reach : float, fraction of the price
            How far off a cluster may begin.
        width : float, log price
            Over which the mass is smoothed.
        parameters : Parameters, optional
            Of the model; see `heatmap`.

        Returns
        -------
        DataFrame
            What `analytics.provenance.peaks` returns, by falling dollars.

        Raises
        ------
        NoSuchData, ValueError
            As `heatmap`, and if no market has a known column.
        """
        from plimsoll.analytics import provenance  # noqa: PLC0415 (brings numba)

        what = asked(exchange, None, until, as_of)
        found, absent = self._standing(symbol, what, parameters)
        return provenance.peaks(found, reach=reach, width=width, absent=absent)

    def provenance(
        self,
        symbol: str,
        low: float,
        high: float,
        *,
        exchange: Exchanges = None,
        until: When = None,
        as_of: When = None,
        parameters: Parameters | None = None,
    ) -> pl.DataFrame:
        """Return what makes up a range of prices of the map's last column.

        Parameters
        ----------
        symbol : str
            A unified symbol of a perpetual or future, or a coin (``BTC``) for all of its in
            dollars.
        low, high : float, quote per base
            Liquidation prices.
        exchange : str or list of str, optional
            All that are stored if left out.
        until, as_of : datetime or str, optional
            `until` chooses the column: the last before it.
        parameters : Parameters, optional
            Of the model; see `heatmap`.

        Returns
        -------
        DataFrame
            A row for each market, side, leverage and age class, with dollars, the prices
            those positions were entered at, and when the price was there: see
            `analytics.provenance.Standing.make_up`.

        Raises
        ------
        NoSuchData, ValueError
            As `clusters`.
        """
        from plimsoll.analytics import provenance  # noqa: PLC0415 (brings numba)

        found, _ = self._standing(symbol, asked(exchange, None, until, as_of), parameters)
        return provenance.provenance(found, low, high)

    def _standing(
        self, symbol: str, what: Asked, parameters: Parameters | None
    ) -> tuple[list[Standing], tuple[str, ...]]:
        from plimsoll import maps  # noqa: PLC0415 (brings numba)

        return maps.standing(
            self._reader,
            symbol,
            what.exchanges,
            span=(None, what.until, what.as_of),
            interval=None,
            parameters=parameters,
        )
