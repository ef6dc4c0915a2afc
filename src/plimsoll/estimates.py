"""Where liquidations are predicted, and why there: the part of a session that estimates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plimsoll.errors import NoSuchData
from plimsoll.market.interval import duration
from plimsoll.market.symbols import Symbol
from plimsoll.measures.asking import asked, moment, names
from plimsoll.streams import Streams

if TYPE_CHECKING:
    from datetime import timedelta

    import polars as pl

    from plimsoll.analytics.fitting import Fitted
    from plimsoll.analytics.heatmap import HeatMap
    from plimsoll.analytics.inventory import Parameters
    from plimsoll.analytics.measured import Measured
    from plimsoll.analytics.provenance import Standing
    from plimsoll.analytics.tiers import Leverages
    from plimsoll.maps import Chosen, Market, Span
    from plimsoll.measures.asking import Asked, Exchanges, When
    from plimsoll.validation.heatmap_score import HeatmapScore

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
        fitted: bool = False,
        measured: bool = False,
        leverage: Leverages = None,
    ) -> HeatMap:
        """Return the map of predicted liquidations, of one market or of several together.

        Each column is what stood just before its bar, from what was known then. The map is an
        estimate; its leverage mix is a prior unless `fitted` or `measured`, and then the same in
        all columns: what the liquidations or the positions of the whole span say.

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
            Of the model, the settlement being that of each contract; if left out, the priors, with
            the maintenance brackets that are stored, by size where wallets are read.
        fitted : bool
            Fit the leverage mix of each market to its liquidations; see `leverage`.
        measured : bool
            In the place of leverage tiers, take the distances at which wallets' positions are
            liquidated: the market's own, else those of all markets of the coin that are read.
        leverage : str, float or list of them, optional
            Show only tiers of these leverages (``25``) or ranges of them (``10-25``); all if left
            out. The map is not scaled up, and its limits are those of the tiers shown.

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
            the data allow, more than one of `parameters`, `fitted` and `measured` is given,
            too few positions are measured, or the model has no tier of that leverage.
        """
        from plimsoll import maps  # noqa: PLC0415 (brings numba)
        from plimsoll.analytics.tiers import ranges  # noqa: PLC0415 (brings numba)

        chosen = ranges(leverage)

        what = asked(exchange, since, until, as_of)
        length = duration(interval) if interval else None
        return maps.heatmap(
            self._reader,
            symbol,
            what.exchanges,
            span=(what.since, what.until, what.as_of),
            interval=length,
            rows=rows,
            parameters=self._chosen(symbol, what, length, parameters, fitted, measured),
            leverage=chosen,
        )

    def leverage(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        interval: str | None = None,
    ) -> list[Fitted]:
        """Fit the leverage of new positions to the liquidations of each market.

        Parameters
        ----------
        symbol : str
            A unified symbol of a perpetual or future, or a coin (``BTC``) for all of its in
            dollars.
        exchange : str or list of str, optional
            All that are stored if left out. Several say together what is expected of each.
        since, until, as_of : datetime or str, optional
            The span, by default the last 30 days; 30 days more before `since` are used too.
        interval : str, optional
            The length of a bar.

        Returns
        -------
        list of Fitted
            One for each market: `mix()` is the table, `describe()` what has to be known of it.
            Without liquidations it is the prior, and `identified` says so.

        Raises
        ------
        NoSuchData, ValueError
            As `heatmap`.
        """
        span = (moment(since), moment(until), moment(as_of))
        length = duration(interval) if interval else None
        return list(self._fits(symbol, exchange, span, length).values())

    def score(
        self,
        symbol: str,
        *,
        exchange: str | None = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        interval: str | None = None,
        every: int = 1,
    ) -> HeatmapScore:
        """Score a market's fitted map against its liquidations, and against simpler forecasts.

        The score is kept in the store, and goes with every map of that market from then on.

        Parameters
        ----------
        symbol : str
        exchange : str, optional
            The only one stored if left out.
        since, until, as_of : datetime or str, optional
            The span, by default the last 30 days; 30 days more before `since` are used too.
        interval : str, optional
            The length of a bar.
        every : int, days
            How often the forecasts are fitted again.

        Returns
        -------
        HeatmapScore

        Raises
        ------
        NoSuchData
            If no liquidation of it is stored.
        ValueError
            If several exchanges could be meant, or there are too few days.
        """
        from plimsoll import fits  # noqa: PLC0415 (brings numba)

        return fits.score(
            self._reader,
            symbol,
            exchange,
            span=(moment(since), moment(until), moment(as_of)),
            interval=duration(interval) if interval else None,
            every=every,
        )

    def last_score(self, symbol: str, exchange: str) -> dict[str, Any]:
        """Return how good a market's map was found when it was last scored.

        Parameters
        ----------
        symbol, exchange : str
            A market that was scored.

        Returns
        -------
        dict
            What `score` found in short, as it goes with every map of that market.

        Raises
        ------
        NoSuchData
            If it was never scored.
        """
        from plimsoll import maps  # noqa: PLC0415 (brings numba)

        Symbol.parse(symbol)
        found = maps.latest(self._reader.layout, exchange, symbol)
        if found is None:
            raise NoSuchData(
                f"no map of {exchange} {symbol} was scored; score it with: "
                f"plimsoll score heatmap {symbol} --exchange {exchange}"
            )
        return found

    def measured(
        self,
        symbol: str,
        *,
        exchange: str | None = None,
        at: When = None,
        as_of: When = None,
        parameters: Parameters | None = None,
    ) -> Measured:
        """Return where wallets' positions really stand, beside what the map says.

        Parameters
        ----------
        symbol : str
            A unified symbol of a perpetual whose wallets can be read.
        exchange : str, optional
            The only one whose wallets were read if left out.
        at, as_of : datetime or str, optional
            `at` chooses the column: the last before it.
        parameters : Parameters, optional
            Of the map; see `heatmap`.

        Returns
        -------
        Measured
            Its `rows` are both columns; `coverage` and `match` say how much is seen and how alike
            they are. A position counts for a day after it was read.

        Raises
        ------
        NoSuchData
            If no position or no open interest of it is stored.
        ValueError
            If several exchanges could be meant, or no column is known.
        """
        from plimsoll import fits  # noqa: PLC0415 (brings numba)

        span = (None, moment(at), moment(as_of))
        return fits.measured(self._reader, symbol, exchange, span=span, parameters=parameters)

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
        fitted: bool = False,
        measured: bool = False,
        leverage: Leverages = None,
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
        fitted : bool
            Fit the leverage mix of each market, and say what each cluster holds at least and most.
        measured : bool
            Take the distances at which wallets' positions are liquidated; see `heatmap`.
        leverage : str, float or list of them, optional
            Only tiers of these leverages; see `heatmap`.

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
        chosen = self._chosen(symbol, what, None, parameters, fitted, measured)
        found, absent = self._standing(symbol, what, chosen, leverage)
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
        fitted: bool = False,
        measured: bool = False,
        leverage: Leverages = None,
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
        fitted, measured : bool
            Of the model; see `heatmap`.
        leverage : str, float or list of them, optional
            Only tiers of these leverages; see `heatmap`.

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

        what = asked(exchange, None, until, as_of)
        chosen = self._chosen(symbol, what, None, parameters, fitted, measured)
        found, _ = self._standing(symbol, what, chosen, leverage)
        return provenance.provenance(found, low, high)

    def entries(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        until: When = None,
        as_of: When = None,
        width: float = 0.01,
        parameters: Parameters | None = None,
    ) -> pl.DataFrame:
        """Return open interest by the price at which it was entered, an estimate.

        Parameters
        ----------
        symbol : str
            A unified symbol of a perpetual or future, or a coin (``BTC``) for all of its in
            dollars.
        exchange : str or list of str, optional
            All that are stored if left out.
        until, as_of : datetime or str, optional
        width : float, log price
            Of a bucket of prices.
        parameters : Parameters, optional
            Of the model; see `heatmap`.

        Returns
        -------
        DataFrame
            What `analytics.entries.entries` returns, of each market's newest column.

        Raises
        ------
        NoSuchData, ValueError
            As `clusters`.
        """
        from plimsoll.analytics import entries  # noqa: PLC0415 (brings numba)

        found, _ = self._standing(symbol, asked(exchange, None, until, as_of), parameters)
        return entries.entries(found, width)

    def _standing(
        self, symbol: str, what: Asked, parameters: Chosen, leverage: Leverages = None
    ) -> tuple[list[Standing], tuple[str, ...]]:
        from plimsoll import maps  # noqa: PLC0415 (brings numba)
        from plimsoll.analytics.tiers import ranges  # noqa: PLC0415 (brings numba)

        return maps.standing(
            self._reader,
            symbol,
            what.exchanges,
            span=(None, what.until, what.as_of),
            interval=None,
            parameters=parameters,
            leverage=ranges(leverage),
        )

    def _chosen(
        self,
        symbol: str,
        what: Asked,
        interval: timedelta | None,
        parameters: Parameters | None,
        fitted: bool,
        measured: bool,
    ) -> Chosen:
        """Return what maps are drawn with: what was given, or found of each market."""
        if fitted + measured + (parameters is not None) > 1:
            raise ValueError("parameters are either given, or fitted, or measured")
        if not (fitted or measured):
            return parameters
        from plimsoll import fits  # noqa: PLC0415 (brings numba)

        find = fits.fit if fitted else fits.distances
        span = (what.since, what.until, what.as_of)
        return find(self._reader, symbol, what.exchanges, span=span, interval=interval)

    def _fits(
        self, symbol: str, exchange: Exchanges, span: Span, interval: timedelta | None
    ) -> dict[Market, Fitted]:
        from plimsoll import fits  # noqa: PLC0415 (brings numba)

        return fits.fit(self._reader, symbol, names(exchange), span=span, interval=interval)
