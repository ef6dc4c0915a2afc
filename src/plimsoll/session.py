"""The Python API: one object that joins a store with the mathematics."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import platformdirs
import polars as pl

from plimsoll import ingest, sql
from plimsoll.analytics import funding, open_interest
from plimsoll.errors import NoSuchData
from plimsoll.market.interval import duration, instant
from plimsoll.market.symbols import Symbol
from plimsoll.store import audit
from plimsoll.store.reader import Reader
from plimsoll.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plimsoll.analytics.heatmap import HeatMap
    from plimsoll.analytics.inventory import Parameters

__all__ = ["Audit", "Session", "default_store", "open"]

When = datetime | str | None
Exchanges = str | list[str] | tuple[str, ...] | None

_DAY = timedelta(days=1)
_STALE = timedelta(hours=2)


class Audit(NamedTuple):
    """What an audit looked at, and what it found.

    Attributes
    ----------
    counts : dict of str to int
        Files, rows, revisions and rejected rows.
    findings : list of Finding
        Empty if the store is sound.
    """

    counts: dict[str, int]
    findings: list[audit.Finding]


def default_store() -> Path:
    """Return where the store is when nobody says: `PLIMSOLL_STORE`, else the data folder."""
    named = os.environ.get("PLIMSOLL_STORE")
    return Path(named) if named else Path(platformdirs.user_data_dir("plimsoll", appauthor=False))


def open(path: str | os.PathLike[str] | None = None) -> Session:  # noqa: A001 (plimsoll.open)
    """Open a store.

    Parameters
    ----------
    path : str or path, optional
        The store's folder; `default_store` if left out. It need not exist
        before something is imported.

    Returns
    -------
    Session
    """
    return Session(Path(path) if path is not None else default_store())


class Session:
    """A store, and everything that can be asked of it.

    Every method takes times as `datetime` or text: an ISO date or time, or a
    span before now such as ``7d``. Ranges are half-open, ``since ≤ t < until``.
    With `as_of` an answer uses only what was known by then, in the version
    known by then. Frames are Polars; `.to_pandas()` makes them pandas.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.path)

    # what is stored

    def import_files(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        time_zone: str | None = None,
        again: bool = False,
        progress: Callable[[Path, int], None] = lambda _path, _count: None,
    ) -> ingest.Report:
        """Import published files; see `plimsoll.ingest.import_files`.

        Parameters
        ----------
        paths : iterable of str or path
            Files, and folders to be searched.
        time_zone : str, optional
            The zone of stamps that name none; without it they are refused.
        again : bool
            Read files that were imported before once more.
        progress : callable
            Told a file and how many of its bytes were consumed since last told.
        """
        with Writer(self.path) as writer:
            return ingest.import_files(
                writer,
                [Path(path) for path in paths],
                time_zone=time_zone,
                again=again,
                progress=progress,
            )

    def status(self) -> pl.DataFrame:
        """Return what is stored, a row for each series.

        Returns
        -------
        DataFrame
            `kind`, `exchange`, `symbol`, `detail`, `rows`, `first`, `last`,
            `gaps` (holes in a regular series; null where it has no usual step),
            `missing` rows, `revisions`.
        """
        return pl.DataFrame(audit.status(self._reader), schema=audit.STATUS)

    def audit(self) -> Audit:
        """Check every file of the store against what was sealed."""
        return Audit(*audit.audit(self._reader))

    def read(
        self,
        kind: str,
        symbol: str | None = None,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
    ) -> pl.DataFrame:
        """Return the rows of a table.

        Parameters
        ----------
        kind : str
            A table: trade, candle, open_interest, funding, …
        symbol : str, optional
            A unified symbol; all if left out.
        exchange : str or list of str, optional
            All if left out.
        since, until, as_of : datetime or str, optional

        Returns
        -------
        DataFrame
            All columns of the table, by exchange, symbol and time.

        Raises
        ------
        NoSuchData
            If nothing of that kind is stored for them.
        UnknownSymbol
            If the symbol cannot be read.
        """
        return self._reader.read(
            kind,
            symbol=symbol,
            exchanges=_exchanges(exchange),
            since=_when(since),
            until=_when(until),
            as_of=_when(as_of),
        )

    def sql(self, query: str, *, as_of: When = None) -> pl.DataFrame:
        """Ask the tables in SQL (DuckDB's); each kind of fact is a table.

        Parameters
        ----------
        query : str
        as_of : datetime or str, optional

        Returns
        -------
        DataFrame

        Raises
        ------
        ValueError
            If the query cannot be run; the message is DuckDB's.

        Examples
        --------
        >>> import plimsoll
        >>> session = plimsoll.open()
        >>> session.sql("SELECT count(*) FROM funding")  # doctest: +SKIP
        """
        return sql.ask(self._reader, query, _when(as_of))

    # what it means

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
        rows = self._of_market(
            "open_interest", symbol, exchange, since=None, until=until, as_of=as_of
        )
        step = duration(every)
        oldest = max(_STALE, 2 * step)
        total = open_interest.change(open_interest.aggregate(rows, step, oldest), _DAY)
        spread = open_interest.venue_concentration(rows, step, oldest)
        known = total.join(spread, on="time", how="left", suffix="_spread")
        return _from(known, since)

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
        rows = self._of_market("funding", symbol, exchange, since=None, until=until, as_of=as_of)
        settled = rows.filter(pl.col("status") == "settled")
        if not settled.height:
            raise NoSuchData(f"no settled funding is stored for {symbol}, only predictions")
        return _from(funding.history(settled), since)

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
        span = {"since": since, "until": until, "as_of": as_of}
        settled = funding.settlement_interval(
            self._of_market("funding", symbol, exchange, **span).filter(
                pl.col("status") == "settled"
            )
        )
        held = self._of_market("open_interest", symbol, exchange, **span)
        return funding.oi_weighted(settled, held, duration(every), _STALE)

    def heatmap(
        self,
        symbol: str,
        *,
        exchange: str | None = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        interval: str | None = None,
        rows: int | None = None,
        parameters: Parameters | None = None,
    ) -> HeatMap:
        """Return the map of predicted liquidations.

        Each column is what stood just before its bar, from what was known then.
        The map is an estimate; its leverage mix is a prior and not fitted.

        Parameters
        ----------
        symbol : str
            A unified symbol of a perpetual or future.
        exchange : str, optional
            May be left out where the open interest of one exchange only is stored.
        since, until, as_of : datetime or str, optional
            The columns shown, by default of the last 30 days; 30 days more before
            `since` warm the map up.
        interval : str, optional
            The length of a bar; if left out the shortest that both open
            interest and prices allow.
        rows : int, optional
            Join price rows to at most this many; by default each spans 0.1 %.
        parameters : Parameters, optional
            Of the model; if left out, the priors, with the settlement of the
            symbol and the first maintenance bracket where one is stored.

        Returns
        -------
        HeatMap

        Raises
        ------
        NoSuchData
            If no open interest is stored for that symbol and exchange.
        ValueError
            If the symbol is no linear or inverse contract, several exchanges could be
            meant, or the bar is shorter than the data allow.
        """
        from plimsoll import maps  # noqa: PLC0415 (brings numba)

        return maps.heatmap(
            self._reader,
            symbol,
            exchange,
            span=(_when(since), _when(until), _when(as_of)),
            interval=duration(interval) if interval else None,
            rows=rows,
            parameters=parameters,
        )

    def show(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        as_of: When = None,
    ) -> dict[str, pl.DataFrame | None]:
        """Return the load on one market at a glance.

        Parameters
        ----------
        symbol : str
            A unified symbol.
        exchange : str or list of str, optional
        as_of : datetime or str, optional

        Returns
        -------
        dict of str to DataFrame or None
            The latest rows of `open_interest`, `funding` (one for each market),
            `long_short` (one for each exchange and population), `liquidations` (sums of
            the last stored day by side and completeness) and `load` (dollars the map
            holds within 2, 5 and 10 % of the price, by side); None where nothing is stored.
        """
        Symbol.parse(symbol)

        def rows(kind: str) -> pl.DataFrame:
            return self._of_market(kind, symbol, exchange, as_of=as_of)

        asked: dict[str, Callable[[], pl.DataFrame]] = {
            "open_interest": lambda: self.open_interest(
                symbol, exchange=exchange, as_of=as_of
            ).tail(1),
            "funding": lambda: _latest(
                self.funding(symbol, exchange=exchange, as_of=as_of), "exchange", "symbol"
            ),
            "long_short": lambda: _latest(
                rows("long_short_ratio"), "exchange", "population"
            ).select("time", "exchange", "population", "ratio", "long_share"),
            "liquidations": lambda: _day_by_side(rows("liquidation")),
            "load": lambda: self._load(symbol, exchange, as_of),
        }
        return {name: _or_none(question) for name, question in asked.items()}

    def _load(self, symbol: str, exchange: Exchanges, as_of: When) -> pl.DataFrame:
        """Return what the maps of all asked exchanges hold near the price now."""
        found = []
        for series in self._reader.series("open_interest", _exchanges(exchange), symbol):
            rows = self.read("open_interest", symbol, exchange=series.exchange, as_of=as_of)
            since = rows.select(pl.col("time").max() - _DAY).item()
            drawn = self.heatmap(symbol, exchange=series.exchange, since=since, as_of=as_of)
            near = drawn.within((0.02, 0.05, 0.10))
            found.append(near.with_columns(exchange=pl.lit(series.exchange)))
        return pl.concat(found) if found else pl.DataFrame()

    def _of_market(
        self, kind: str, market: str, exchange: Exchanges = None, **span: When
    ) -> pl.DataFrame:
        """Return the rows of a symbol, or of all contracts of a coin."""
        if "/" in market:
            Symbol.parse(market)
            return self.read(kind, market, exchange=exchange, **span)
        symbols = {
            series.symbol
            for series in self._reader.series(kind, _exchanges(exchange))
            if series.symbol.split("/")[0] == market
        }
        if not symbols:
            raise NoSuchData(f"no {kind} is stored for any contract of {market}")
        return pl.concat(
            self.read(kind, symbol, exchange=exchange, **span) for symbol in sorted(symbols)
        )


def _exchanges(exchange: Exchanges) -> list[str]:
    if exchange is None:
        return []
    return [exchange] if isinstance(exchange, str) else list(exchange)


def _when(when: When) -> datetime | None:
    if when is None:
        return None
    if isinstance(when, str):
        return instant(when, datetime.now(tz=UTC))
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _from(frame: pl.DataFrame, since: When) -> pl.DataFrame:
    start = _when(since)
    return frame if start is None else frame.filter(pl.col("time") >= start)


def _latest(frame: pl.DataFrame, *by: str) -> pl.DataFrame:
    return frame.sort("time").unique(by, keep="last", maintain_order=True)


def _or_none(question: Callable[[], pl.DataFrame]) -> pl.DataFrame | None:
    """Return an answer, None where nothing is stored or too little to compute it."""
    try:
        answer = question()
    except (NoSuchData, ValueError):
        return None
    return answer if answer.height else None


def _day_by_side(frame: pl.DataFrame) -> pl.DataFrame:
    """Sum the last stored day; a sum without its completeness would be a lie."""
    return (
        frame.filter(pl.col("time") > pl.col("time").max() - _DAY)
        .group_by("exchange", "side", "completeness", maintain_order=True)
        .agg(
            time=pl.col("time").max(),
            count=pl.len(),
            value_usd=pl.coalesce("value_usd", pl.col("price") * pl.col("amount")).sum(),
        )
    )
