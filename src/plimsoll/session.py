"""The Python API: one object that joins a store with the mathematics."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import polars as pl
from msgspec.structs import asdict

from plimsoll import ingest, sql, totals
from plimsoll import overview as glance
from plimsoll.chains import Chains
from plimsoll.costs import Costs
from plimsoll.crowds import Crowds
from plimsoll.estimates import Estimates
from plimsoll.exchanges import EXCHANGES, exchange
from plimsoll.market.symbols import Symbol
from plimsoll.measures.asking import asked, moment, names
from plimsoll.states import States
from plimsoll.store import audit
from plimsoll.store.snapshot import Snapshot
from plimsoll.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plimsoll.measures.asking import Exchanges, When

__all__ = ["Session", "default_store", "offers", "open"]


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


def offers() -> list[dict[str, Any]]:
    """Return what each exchange publishes: a row for each exchange and kind."""
    found = []
    for name in EXCHANGES:
        for kind, offer in exchange(name).offers.items():
            found.append({"exchange": name, "kind": kind, **asdict(offer)})
    return found


class Session(Estimates, States, Crowds, Costs, Chains):
    """A store, and everything that can be asked of it.

    Every method takes times as `datetime` or text: an ISO date or time, or a
    span before now such as ``7d``. Ranges are half-open, ``since ≤ t < until``.
    With `as_of` an answer uses only what was known by then, in the version
    known by then. Frames are Polars; `.to_pandas()` makes them pandas.

    Parameters
    ----------
    path : Path
    """

    # what is stored

    def import_files(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        time_zone: str | None = None,
        again: bool = False,
        progress: Callable[[Path, int], None] = lambda _path, _count: None,
    ) -> ingest.Report:
        """Import published files.

        Parameters
        ----------
        paths : iterable of str or path
            Files, and folders to be searched.
        time_zone : str, optional
            The zone of stamps that name none; without it they are refused.
        again : bool
            Read files that were imported before once more.
        progress : callable
            Told a file and how many of its bytes were consumed.
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

    def audit(self) -> audit.Audit:
        """Check every file of the store against what was sealed."""
        return audit.audit(self._reader)

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
        exchanges, start, end, known = asked(exchange, since, until, as_of)
        return self._reader.read(
            kind, symbol=symbol, exchanges=exchanges, since=start, until=end, as_of=known
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

        """
        return sql.ask(self._reader, query, moment(as_of))

    # what it means

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
            The latest rows, each with its time: `open_interest`; `quadrant` and `crowding`;
            `funding` (one for each market); `basis` (each expiry and maturity of the coin);
            `long_short` (one for each exchange and population); `liquidations` (sums of the last
            day with any, by exchange, each with its completeness and bounds) and the last of the
            `bursts`; `options` of the coin; `macro`, a figure a row; and `load` (dollars the map
            holds within 2, 5 and 10 % of the price, by side). None where nothing is stored.
        """
        Symbol.parse(symbol)
        return glance.show(Snapshot(self._reader), symbol, names(exchange), moment(as_of))

    def overview(
        self, *, exchange: Exchanges = None, until: When = None, as_of: When = None
    ) -> pl.DataFrame:
        """Return the load on the whole market at a glance, a row for each coin.

        Parameters
        ----------
        exchange : str or list of str, optional
        until, as_of : datetime or str, optional

        Returns
        -------
        DataFrame
            By falling open interest: `coin`, `time`, `price` and `price_change` (of a day);
            `open_interest_usd`, `open_interest_change` (of a day, in coin), its `coverage` and
            `exchanges`; `funding_apr` (weighted by open interest); `long_short` (accounts, median
            over markets); `liquidated_usd` (of a day, as published) with the weakest
            `liquidated_completeness`; from the maps, estimates: `load` (share of all open interest
            that would be liquidated within 5 % of the price), `map_coverage` (share of what can be
            liquidated that stands on a price, markets without a map as none), and price and
            dollars of the nearest large cluster of longs and of shorts; and for sparklines
            `price_history`, `open_interest_history` (hourly) and `funding_history` (every eight
            hours) of 30 days. Null where nothing is known.

        Raises
        ------
        NoSuchData
            If no open interest is stored.
        """
        return glance.overview(Snapshot(self._reader), asked(exchange, None, until, as_of))

    def market(
        self, *, exchange: Exchanges = None, until: When = None, as_of: When = None
    ) -> totals.Market:
        """Return the load on each coin, and on all of them together.

        Parameters
        ----------
        exchange : str or list of str, optional
        until, as_of : datetime or str, optional

        Returns
        -------
        Market
            `coins` is what `overview` returns: a row for each coin by falling open interest, with
            what it costs, its crowd, its load, and 30 days for sparklines. `whole` is one row:
            open interest and its change in a day, how concentrated and how believable it is,
            funding, accounts, liquidations of a day by side with their bounds and completeness,
            puts over calls, and signs of stress. Null where nothing is known.

        Raises
        ------
        NoSuchData
            If no open interest is stored.
        """
        return totals.market(Snapshot(self._reader), asked(exchange, None, until, as_of))
