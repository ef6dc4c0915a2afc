"""Everything that reads a store, while others may be writing it.

What is acknowledged is seen at once, sealed or not. Files are replaced by
renaming, so a read that meets a change under its hands is simply done again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import polars as pl

from plimsoll.errors import NoSuchData, StoreDamaged, StoreUnusable
from plimsoll.market.schema import TABLES
from plimsoll.market.symbols import family
from plimsoll.store import merge, parquet
from plimsoll.store.appended import appended
from plimsoll.store.layout import Layout, Series, months
from plimsoll.store.revisions import in_force
from plimsoll.store.stage import accepted, filing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from plimsoll.market.schema import Table

__all__ = ["Asked", "Pending", "Reader"]

_Frame = TypeVar("_Frame", pl.DataFrame, pl.LazyFrame)
Pending = dict[str, list["Path | pl.DataFrame"]]
"""What waits to be sealed, by month."""
_TRIES = 5
_EVER = (datetime(2009, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC))


class Asked(NamedTuple):
    """Which months to read, which of their rows, and which columns of those."""

    span: tuple[datetime, datetime]
    rows: list[pl.Expr]
    columns: tuple[str, ...]

    def of(self, frame: _Frame) -> _Frame:
        """Return the rows asked for; Polars 2.1 fails at a filter that asks for nothing."""
        return frame.filter(self.rows) if self.rows else frame


class Reader:
    """A store opened for reading.

    Parameters
    ----------
    root : Path

    Raises
    ------
    NoSuchData
        If there is no store.
    StoreTooNew
        If a newer version made it.
    """

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        if not self.layout.exists():
            raise NoSuchData(
                f"{root}: there is no store here; make one with: plimsoll import FILE… --store DIR"
            )
        self.layout.check()

    def series(
        self,
        kind: str | None = None,
        exchanges: Iterable[str] = (),
        symbol: str | None = None,
        *,
        coin: str | None = None,
    ) -> list[Series]:
        """Return the series stored, sealed or not, that match.

        Parameters
        ----------
        kind : str, optional
        exchanges : iterable of str
            All if empty.
        symbol : str, optional
            A symbol; for an option its whole family matches.
        coin : str, optional
            Only what is on this coin.
        """
        wanted, filed = set(exchanges), family(symbol) if symbol else None
        # What is sealed meanwhile moves from the first of these to the last.
        found = {series for series, _, _ in self._journal(kind) if series.matches(wanted, symbol)}
        for tree in (*self.layout.staged.glob("[!.]*"), self.layout.root / "tables"):
            for exchange in wanted or {""}:
                places = tree.glob(_pattern(Series(kind or "", exchange, filed or "")))
                found.update(Series.of(place.relative_to(tree).as_posix()) for place in places)
        return sorted(one for one in found if coin in {None, one.coin})

    def read(
        self,
        kind: str,
        *,
        exchanges: Iterable[str] = (),
        symbol: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        as_of: datetime | None = None,
        columns: Iterable[str] = (),
    ) -> pl.DataFrame:
        """Return rows, by exchange, symbol and time.

        Parameters
        ----------
        kind : str
            The table to read.
        exchanges : iterable of str
            All if empty.
        symbol : str, optional
            All if None.
        since, until : datetime, optional
            Keep ``since ≤ time < until``.
        as_of : datetime, optional
            Keep what was known by then, in the version known by then.
        columns : iterable of str
            All of the table if empty; what is left out is not read where that can be helped.

        Returns
        -------
        DataFrame
            The columns in the order named; each fact once.

        Raises
        ------
        NoSuchData
            If nothing of that kind is stored for these exchanges and this symbol.
        ValueError
            If there is no such kind.
        """
        if kind not in TABLES:
            raise ValueError(f"there is no table {kind!r}; known: {', '.join(TABLES)}")
        matching = self.series(kind, exchanges, symbol)
        if not matching:
            raise NoSuchData(self._nothing(kind, set(exchanges), symbol))
        asked = Asked(
            (since or _EVER[0], until or _EVER[1]),
            _conditions(symbol, since, until, as_of),
            tuple(columns) or tuple(TABLES[kind].schema),
        )
        return self._gathered(matching, asked)

    def span(
        self, kind: str, exchanges: Iterable[str] = (), symbol: str | None = None
    ) -> tuple[datetime, datetime] | None:
        """Return a span that holds all rows of a kind, in whole months; None if there are none.

        Nothing is read but what waits to be sealed.
        """
        waiting = self._waiting(kind)
        names = {
            month
            for series in self.series(kind, exchanges, symbol)
            for month in (*self.layout.months(series), *waiting.get(series, {}))
        }
        if not names:
            return None
        first, last = (
            datetime.strptime(name, "%Y-%m").replace(tzinfo=UTC)
            for name in (min(names), max(names))
        )
        return first, last.replace(year=last.year + last.month // 12, month=last.month % 12 + 1)

    def revisions(self, series: Series) -> pl.DataFrame:
        """Return the rows that contradict kept ones, with `source`, the checksum of their file."""
        base = self.layout.root / "revisions" / series.folder
        table = TABLES[series.kind]
        frames = [parquet.read(path, table) for path in sorted(base.glob("????-??.parquet"))]
        empty = pl.DataFrame(schema={**table.schema, "source": pl.String})
        return pl.concat([empty, *frames])

    def sealed_files(self, kind: str) -> list[Path]:
        """Return the sealed files of a kind."""
        series = self.layout.series(kind)
        return [self.layout.sealed(s, m) for s in series for m in self.layout.months(s)]

    def all_sealed(self, kind: str) -> bool:
        """Return whether the sealed files alone say all that is known of a kind."""
        staged = any(self.layout.staged.glob(f"[!.]*/{kind}"))
        revised = (self.layout.root / "revisions" / kind).is_dir()
        return not staged and not revised and not self._journal(kind)

    def imports(self) -> list[dict[str, object]]:
        """Return the note of each imported file."""
        notes = sorted(self.layout.sources.glob("*.json"))
        return [json.loads(note.read_text(encoding="utf-8")) for note in notes]

    def called(self, coin: str) -> str:
        """Return a coin of which nothing of a kind is stored, with what to do about it."""
        held = {series.symbol.split("/")[0] for series in self.series()}
        if coin.upper() in held - {coin}:
            return f"{coin}; did you mean {coin.upper()}?"
        return f"{coin or 'a coin without a name'}; `plimsoll status` lists what is"

    def _gathered(self, matching: list[Series], asked: Asked) -> pl.DataFrame:
        for _ in range(_TRIES):
            try:
                frame = self._once(matching, asked)
            except parquet.UNREADABLE:
                continue  # sealed between looking and reading, most likely
            if frame is not None:
                return frame
        with self.layout.sealing(shared=True):  # nothing moves now: what fails is damaged
            return pl.concat(self._at_rest(series, asked) for series in matching)

    def _at_rest(self, series: Series, asked: Asked) -> pl.DataFrame:
        try:
            frame = self._once([series], asked)
        except parquet.UNREADABLE as error:
            raise StoreDamaged(
                self.layout.root,
                f"a file of {series.folder} cannot be read ({error}); run: plimsoll audit",
            ) from error
        if frame is None:
            raise StoreUnusable(self.layout.root, "something other than Plimsoll changes its files")
        return frame

    def _once(self, matching: list[Series], asked: Asked) -> pl.DataFrame | None:
        """Read series of one kind, or return None if a file was replaced meanwhile."""
        table, waiting = TABLES[matching[0].kind], self._waiting(matching[0].kind)
        parts, read = [pl.LazyFrame(schema=table.schema)], []
        for series in matching:
            pending = waiting.get(series, {})
            for month in self._months(series, asked.span, pending):
                pair = self.layout.sealed(series, month), self.layout.revisions(series, month)
                read += [(path, _identity(path)) for path in pair]
                parts.append(self._month(table, *pair, asked, pending.get(month, [])))
        # All are collected at once: to begin costs more than to read a small file.
        frame = pl.concat(parts).select(asked.columns).collect()
        return frame if all(_identity(path) == before for path, before in read) else None

    def _month(
        self,
        table: Table,
        place: Path,
        revisions: Path,
        asked: Asked,
        pending: list[Path | pl.DataFrame],
    ) -> pl.LazyFrame:
        """Return a month's facts, each in its version in force."""
        revise = revisions.exists()
        if not pending and not revise:
            return asked.of(self._sealed(place, table))
        revised = parquet.read(revisions, table) if revise else pl.DataFrame(schema=table.schema)
        if pending:
            first: list[tuple[int, Path | pl.DataFrame]] = [(0, place)] if place.exists() else []
            inputs = [*first, *((rank, item) for rank, item in enumerate(pending, 1))]
            merged = merge.Merged(known=revised)
            kept = asked.of(pl.concat(merge.combine(table, inputs, merged)))
            revised = pl.concat([revised, merged.revisions], how="diagonal")
        else:
            kept = asked.of(self._sealed(place, table)).collect()
        return in_force(table, kept, asked.of(revised.select(*table.schema))).lazy()

    def _sealed(self, place: Path, table: Table) -> pl.LazyFrame:
        return parquet.scan(place, table)

    def _months(
        self,
        series: Series,
        span: tuple[datetime, datetime],
        pending: Pending,
    ) -> list[str]:
        """Name the months to read; a span with two ends is computed, not listed."""
        if _EVER[0] in span or _EVER[1] in span:
            first, last = f"{span[0]:%Y-%m}", f"{span[1]:%Y-%m}"
            held = {*self.layout.months(series), *pending}
            known = sorted(month for month in held if first <= month <= last)
        else:
            known = [
                month
                for month in months(*span)
                if month in pending or self.layout.sealed(series, month).exists()
            ]
        snap = TABLES[series.kind].snap
        return known if snap is None else sorted({*known, *self._edges(series, span, pending)})

    def _edges(
        self,
        series: Series,
        span: tuple[datetime, datetime],
        pending: Pending,
    ) -> list[str]:
        """Name the months after: a stamp just before midnight may be filed under the next."""
        after = next(months(span[1], _EVER[1]), None)
        exists = after is not None and (
            after in pending or self.layout.sealed(series, after).exists()
        )
        return [after] if exists and after is not None else []

    def _waiting(self, kind: str) -> dict[Series, Pending]:
        """Return what waits to be sealed, by series and month."""
        # Looked at first, though it ranks last: what is settled meanwhile is then in a stage.
        journal = self._journal(kind)
        found: dict[Series, Pending] = defaultdict(lambda: defaultdict(list))
        for _, stage in accepted(self.layout.staged):
            for path in sorted((stage / kind).glob("*/*/*.parquet")):
                series = Series.of(path.parent.relative_to(stage).as_posix())
                found[series][path.name.split(".")[0]].append(path)
        for series, month, frame in journal:
            found[series][month].append(frame)
        return found

    def _journal(self, kind: str | None) -> list[tuple[Series, str, pl.DataFrame]]:
        rows = appended(self.layout.journal).rows(kind)
        return [part for of, frame in rows for part in filing(of, frame)]

    def _nothing(self, kind: str, exchanges: set[str], symbol: str | None) -> str:
        asked = " ".join([kind, *sorted(exchanges), *([symbol] if symbol else [])])
        stored = self.series(kind)
        if not stored:
            kinds = sorted({series.kind for series in self.series()})
            return f"nothing stored for {asked}; stored kinds: {', '.join(kinds) or 'none yet'}"
        shown = ", ".join(f"{s.exchange} {s.symbol}" for s in stored[:12])
        more = f" and {len(stored) - 12} more" if len(stored) > 12 else ""
        return f"nothing stored for {asked}; stored {kind}: {shown}{more}"


def _conditions(
    symbol: str | None, since: datetime | None, until: datetime | None, as_of: datetime | None
) -> list[pl.Expr]:
    """Return what must hold of a row that is asked for."""
    found = []
    if since is not None:
        found.append(pl.col("time") >= since)
    if until is not None:
        found.append(pl.col("time") < until)
    if as_of is not None:
        found.append(pl.col("known_at") <= as_of)
    if symbol is not None and family(symbol) != symbol:
        found.append(pl.col("symbol") == symbol)
    return found


def _pattern(series: Series) -> str:
    """Return the place of a series, any where it leaves something open: computed, not listed."""
    return "/".join(part or "*" for part in series.folder.split("/"))


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
