"""The Python API: one object that joins a store with the mathematics."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import platformdirs
import polars as pl

from plimsoll import ingest
from plimsoll.analytics import funding, open_interest
from plimsoll.errors import NoSuchData
from plimsoll.market.interval import duration, instant
from plimsoll.market.schema import TABLES
from plimsoll.market.symbols import Symbol
from plimsoll.store import audit, parquet
from plimsoll.store.reader import Reader
from plimsoll.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plimsoll.analytics.heatmap import HeatMap
    from plimsoll.analytics.inventory import Parameters

__all__ = ["Audit", "Session", "default_store", "open"]

When = datetime | str | None
Exchanges = str | list[str] | tuple[str, ...] | None

_STALE = timedelta(hours=2)
_WARM_UP = timedelta(days=30)
_MARGIN = 0.12


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
        progress: Callable[[Path, int], None] = lambda _path, _count: None,
    ) -> ingest.Report:
        """Import published files; see `plimsoll.ingest.import_files`.

        Parameters
        ----------
        paths : iterable of str or path
            Files, and folders to be searched.
        time_zone : str, optional
            The zone of stamps that name none; without it they are refused.
        progress : callable
            Told a file and how many of its bytes were consumed since last told.
        """
        with Writer(self.path) as writer:
            return ingest.import_files(
                writer, [Path(path) for path in paths], time_zone=time_zone, progress=progress
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
        return pl.DataFrame(audit.status(self._reader), schema=_STATUS)

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
        import duckdb  # noqa: PLC0415 (heavy, and only SQL needs it)

        asked = set(re.findall(r"\w+", query.lower()))
        with duckdb.connect(":memory:") as database:
            database.execute("SET TimeZone = 'UTC'")
            for kind in TABLES:
                if kind in asked:
                    self._view(database, kind, _when(as_of))
            try:
                return database.sql(query).pl()
            except duckdb.Error as error:
                raise ValueError(str(error)) from error

    def _view(self, database: object, kind: str, as_of: datetime | None) -> None:
        """Let a query see a kind: its sealed files where they say all, else its rows."""
        files = self._reader.sealed_files(kind)
        if as_of is None and files and self._reader.all_sealed(kind):
            columns = ", ".join(
                f"CAST({name} AS DOUBLE) AS {name}" if dtype == pl.Float64 else name
                for name, dtype in TABLES[kind].schema.items()
            )
            names = ", ".join("'" + str(path).replace("'", "''") + "'" for path in files)
            database.execute(  # type: ignore[attr-defined]
                f"CREATE VIEW {kind} AS SELECT {columns} "  # noqa: S608 (our own names)
                f"FROM read_parquet([{names}], union_by_name = true)"
            )
            return
        try:
            rows = self._reader.read(kind, as_of=as_of)
        except NoSuchData:
            rows = pl.DataFrame(schema=TABLES[kind].schema)
        database.register(kind, rows.to_arrow())  # type: ignore[attr-defined]

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
        """Return open interest over exchanges, one side counted.

        Parameters
        ----------
        symbol : str
        exchange : str or list of str, optional
            All that are stored if left out.
        since, until, as_of : datetime or str, optional
        every : str
            The grid of time.

        Returns
        -------
        DataFrame
            What `analytics.open_interest.aggregate` returns, its change over a
            day and the concentration over exchanges.
        """
        rows = self.read(
            "open_interest", symbol, exchange=exchange, since=since, until=until, as_of=as_of
        )
        step = duration(every)
        total = open_interest.aggregate(rows, step, max(_STALE, 2 * step))
        shares = open_interest.concentration_over_time(rows, step, max(_STALE, 2 * step))
        return open_interest.change(total, timedelta(days=1)).join(shares, on="time", how="left")

    def funding(
        self,
        symbol: str,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
    ) -> pl.DataFrame:
        """Return settled funding with what it costs and how long it has lasted.

        Parameters
        ----------
        symbol : str
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional

        Returns
        -------
        DataFrame
            A row for each settlement: `time`, `exchange`, `symbol`, `rate` (fraction
            per interval), `interval_hours` (from settlement times), `apr` (simple),
            `cumulative` (fraction since the first row), `streak` (settlements of one
            sign), `percentile` (in the exchange's own history up to then).

        Raises
        ------
        NoSuchData
            If no settlement is stored for them.
        """
        rows = self.read("funding", symbol, exchange=exchange, until=until, as_of=as_of)
        settled = rows.filter(pl.col("status") == "settled")
        if not settled.height:
            raise NoSuchData(f"no settled funding stored for {symbol}, only predictions")
        measured = funding.measures(settled)
        start = _when(since)
        return measured if start is None else measured.filter(pl.col("time") >= start)
