"""What the store holds, in one SQLite file that can be rebuilt from the others."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from plimsoll.market.instrument import Brackets, Instrument
from plimsoll.store import parquet
from plimsoll.store.layout import Layout, Series

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Catalogue", "Imported", "Sealed", "checksum"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sealed (
    kind TEXT, exchange TEXT, symbol TEXT, month TEXT, rows INTEGER,
    first TEXT, last TEXT, sha256 TEXT, previous TEXT,
    PRIMARY KEY (kind, exchange, symbol, month)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS source (
    sha256 TEXT PRIMARY KEY, format TEXT, path TEXT, imported_at TEXT, importer TEXT,
    verified INTEGER, rows INTEGER, added INTEGER, duplicates INTEGER, revisions INTEGER,
    rejected INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS instrument (
    exchange TEXT, symbol TEXT, body TEXT, PRIMARY KEY (exchange, symbol)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS brackets (
    exchange TEXT, symbol TEXT, since TEXT, body TEXT, PRIMARY KEY (exchange, symbol, since)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Sealed:
    """What is known of a sealed file.

    Attributes
    ----------
    series : Series
    month : str
    rows : int
    first, last : str
        Times of the first and the last row, ISO 8601.
    sha256 : str
    previous : str or None
        The checksum of the file this one replaced.
    """

    series: Series
    month: str
    rows: int
    first: str
    last: str
    sha256: str
    previous: str | None


@dataclass(frozen=True)
class Imported:
    """What is known of an imported file.

    Attributes
    ----------
    sha256 : str
        The file's checksum, which names it.
    format, path, importer : str
        How and from where it was read, and by which version.
    imported_at : str
        ISO 8601.
    verified : bool
        Whether a published checksum confirmed it.
    rows, added, duplicates, revisions, rejected : int
        Rows read; of these new, known before, contradicting; and rows that could not be kept.
    """

    sha256: str
    format: str
    path: str
    importer: str
    imported_at: str
    verified: bool
    rows: int
    rejected: int
    added: int = 0
    duplicates: int = 0
    revisions: int = 0


def checksum(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Catalogue:
    """The catalogue of one store.

    Parameters
    ----------
    layout : Layout
        Of an existing store. A missing or unreadable catalogue is rebuilt.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._database = self._connect()
        try:
            entered = self._database.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'sealed'"
            ).fetchone()
        except sqlite3.DatabaseError:
            self.close()
            layout.catalogue.unlink(missing_ok=True)
            self._database, entered = self._connect(), None
        if entered is None:
            self.rebuild()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._layout.catalogue, timeout=60)
        database.row_factory = sqlite3.Row
        with suppress(sqlite3.DatabaseError):  # no database: found out by the first question
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")  # what is lost can be rebuilt
        return database

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def rebuild(self) -> None:
        """Make the catalogue anew from the sealed files and the source notes."""
        self._database.executescript(_SCHEMA)
        for series in self._layout.series():
            for month in self._layout.months(series):
                self.seal(describe(self._layout, series, month))
        for note in sorted(self._layout.sources.glob("*.json")):
            self._note(Imported(**json.loads(note.read_text(encoding="utf-8"))))

    def seal(self, item: Sealed) -> None:
        """Enter a sealed file, or what is about to be one."""
        with self._database as database:
            database.execute(
                "INSERT OR REPLACE INTO sealed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    item.series.kind,
                    item.series.exchange,
                    item.series.symbol,
                    item.month,
                    item.rows,
                    item.first,
                    item.last,
                    item.sha256,
                    item.previous,
                ),
            )

    def sealed(self, series: Series | None = None, month: str | None = None) -> list[Sealed]:
        """Return what is known of sealed files, by series and month."""
        query, values = "SELECT * FROM sealed", []
        if series is not None and month is not None:
            query += " WHERE kind = ? AND exchange = ? AND symbol = ? AND month = ?"
            values = [series.kind, series.exchange, series.symbol, month]
        with self._database as database:
            found = database.execute(query + " ORDER BY 1, 2, 3, 4", values).fetchall()
        return [Sealed(Series(*tuple(row)[:3]), *tuple(row)[3:]) for row in found]

    def enter(self, item: Imported) -> None:
        """Enter an imported file, durably, beside the catalogue too."""
        note = self._layout.sources / f"{item.sha256}.json"
        aside = note.with_suffix(".new")
        aside.write_text(json.dumps(asdict(item), indent=1) + "\n", encoding="utf-8")
        aside.replace(note)
        self._note(item)

    def _note(self, item: Imported) -> None:
        with self._database as database:
            database.execute(
                "INSERT OR REPLACE INTO source (sha256, format, path, importer, imported_at,"
                " verified, rows, rejected, added, duplicates, revisions)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                tuple(asdict(item).values()),
            )

    def imported(self, sha256: str) -> Imported | None:
        """Return what is known of a file by its checksum, None if it was never imported."""
        with self._database as database:
            row = database.execute("SELECT * FROM source WHERE sha256 = ?", (sha256,)).fetchone()
        return Imported(**{**dict(row), "verified": bool(row["verified"])}) if row else None

    def sources(self) -> pl.DataFrame:
        """Return all imported files, one a row, by time of import."""
        with self._database as database:
            found = database.execute("SELECT * FROM source ORDER BY imported_at, path").fetchall()
        return pl.DataFrame([dict(row) for row in found], infer_schema_length=None)

    def enter_instrument(self, instrument: Instrument) -> None:
        """Enter an instrument, replacing what was known of it."""
        with self._database as database:
            database.execute(
                "INSERT OR REPLACE INTO instrument VALUES (?, ?, ?)",
                (instrument.exchange, instrument.symbol, msgspec.json.encode(instrument).decode()),
            )

    def instrument(self, exchange: str, symbol: str) -> Instrument | None:
        """Return an instrument, None if nothing is known of it."""
        with self._database as database:
            row = database.execute(
                "SELECT body FROM instrument WHERE exchange = ? AND symbol = ?", (exchange, symbol)
            ).fetchone()
        return msgspec.json.decode(row[0], type=Instrument) if row else None

    def enter_brackets(self, brackets: Brackets) -> None:
        """Enter maintenance brackets; those of other dates stay."""
        since = brackets.since.astimezone(UTC).isoformat()
        with self._database as database:
            database.execute(
                "INSERT OR REPLACE INTO brackets VALUES (?, ?, ?, ?)",
                (brackets.exchange, brackets.symbol, since, msgspec.json.encode(brackets).decode()),
            )

    def brackets(self, exchange: str, symbol: str, at: datetime) -> Brackets | None:
        """Return the brackets in force at a moment, None if none are known."""
        with self._database as database:
            row = database.execute(
                "SELECT body FROM brackets WHERE exchange = ? AND symbol = ? AND since <= ?"
                " ORDER BY since DESC LIMIT 1",
                (exchange, symbol, at.astimezone(UTC).isoformat()),
            ).fetchone()
        return msgspec.json.decode(row[0], type=Brackets) if row else None


def describe(
    layout: Layout, series: Series, month: str, path: Path | None = None, previous: str = ""
) -> Sealed:
    """Return what the catalogue says of a file.

    Parameters
    ----------
    layout : Layout
    series : Series
    month : str
    path : Path, optional
        The file, where it does not lie at its place yet.
    previous : str
        The checksum of the file it will replace.
    """
    path = path or layout.sealed(series, month)
    spans = parquet.spans(path)
    first, last = min(since for since, _, _ in spans), max(until for _, until, _ in spans)
    return Sealed(
        series,
        month,
        sum(rows for _, _, rows in spans),
        first.isoformat(),
        last.isoformat(),
        checksum(path),
        previous or None,
    )
