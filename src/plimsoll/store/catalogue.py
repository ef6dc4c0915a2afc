"""What the store holds, in one SQLite file that can be rebuilt from the others."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from plimsoll.market.instrument import Brackets, Instrument
from plimsoll.store import parquet
from plimsoll.store.layout import Layout, Series, put_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["Catalogue", "Imported", "Sealed", "checksum"]

_VERSION = 1
"""Of the catalogue's own tables; another is rebuilt."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sealed (
    kind TEXT, exchange TEXT, symbol TEXT, month TEXT, rows INTEGER,
    first TEXT, last TEXT, sha256 TEXT, previous TEXT,
    PRIMARY KEY (kind, exchange, symbol, month)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS source (
    key TEXT PRIMARY KEY, sha256 TEXT, format TEXT, path TEXT, imported_at TEXT, importer TEXT,
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
    key : str
        Names the import: the file's bytes, its name and folders, and how its times were read.
    sha256 : str
        The file's checksum.
    format, path, importer : str
        How and from where it was read, and by which version.
    imported_at : str
        ISO 8601.
    verified : bool
        Whether a published checksum confirmed it.
    rows, added, duplicates, revisions, rejected : int
        Rows read; of these new, known before, contradicting; and rows that could not be kept.
    """

    key: str
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
    read_only : bool
        Change nothing on disk: a catalogue that is missing is rebuilt in memory.
    """

    def __init__(self, layout: Layout, *, read_only: bool = False) -> None:
        self._layout = layout
        self._alone = Lock()
        self._database = self._read_only() if read_only else self._connect()
        if not self._is_whole():
            if not read_only:
                self.close()
                layout.catalogue.unlink(missing_ok=True)
            self._database = self._open(":memory:") if read_only else self._connect()
            self.rebuild()

    def _is_whole(self) -> bool:
        try:
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
        except sqlite3.OperationalError:
            raise  # busy, or no room: nothing is wrong with the file
        except sqlite3.DatabaseError:
            return False  # not a database, or a damaged one
        return bool(version == _VERSION)

    def _open(self, name: str) -> sqlite3.Connection:
        # A writer may be handed from thread to thread; only one at once changes anything.
        database = sqlite3.connect(
            name, timeout=60, isolation_level=None, uri=True, check_same_thread=False
        )
        database.row_factory = sqlite3.Row
        return database

    def _connect(self) -> sqlite3.Connection:
        database = self._open(self._layout.catalogue.absolute().as_uri())
        with suppress(sqlite3.DatabaseError):  # no database: found out by the first question
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")  # what is lost can be rebuilt
        return database

    def _read_only(self) -> sqlite3.Connection:
        place = self._layout.catalogue.absolute().as_uri()
        for how in ("mode=ro", "immutable=1"):  # a folder that may not be written has no WAL
            database = self._open(f"{place}?{how}")
            with suppress(sqlite3.OperationalError):
                database.execute("SELECT 1 FROM sqlite_master").fetchone()
                return database
            database.close()
        return self._open(":memory:")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._alone:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def rebuild(self) -> None:
        """Make the catalogue anew from the other files, wholly or not at all.

        A sealed file whose pages do not match their checksums is entered without one, so that an
        audit names it.
        """
        with self._transaction() as database:
            for statement in _SCHEMA.split(";"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {_VERSION}")
            for series in self._layout.series():
                for month in self._layout.months(series):
                    self._seal(_verified(self._layout, series, month))
            for note in sorted(self._layout.sources.glob("*.json")):
                self._note(Imported(**json.loads(note.read_text(encoding="utf-8"))))
            if self._layout.instruments.exists():
                for line in self._layout.instruments.read_bytes().splitlines():
                    self._remember(msgspec.json.decode(line, type=Instrument | Brackets))

    def seal(self, item: Sealed) -> None:
        """Enter a sealed file, or what is about to be one."""
        with self._transaction():
            self._seal(item)

    def _seal(self, item: Sealed) -> None:
        series = (item.series.kind, item.series.exchange, item.series.symbol)
        self._database.execute(
            "INSERT OR REPLACE INTO sealed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*series, item.month, item.rows, item.first, item.last, item.sha256, item.previous),
        )

    def sealed(self, series: Series | None = None, month: str | None = None) -> list[Sealed]:
        """Return what is known of sealed files, by series and month."""
        query, values = "SELECT * FROM sealed", []
        if series is not None and month is not None:
            query += " WHERE kind = ? AND exchange = ? AND symbol = ? AND month = ?"
            values = [series.kind, series.exchange, series.symbol, month]
        found = self._database.execute(query + " ORDER BY 1, 2, 3, 4", values).fetchall()
        return [Sealed(Series(*tuple(row)[:3]), *tuple(row)[3:]) for row in found]

    def enter(self, item: Imported) -> None:
        """Enter an imported file, durably, beside the catalogue too."""
        note = self._layout.sources / f"{item.key}.json"
        put_text(note, json.dumps(asdict(item), indent=1) + "\n")
        with self._transaction():
            self._note(item)

    def _note(self, item: Imported) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO source (key, sha256, format, path, importer, imported_at,"
            " verified, rows, rejected, added, duplicates, revisions)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            tuple(asdict(item).values()),
        )

    def imported(self, key: str) -> Imported | None:
        """Return what is known of an import by its key, None if it never was."""
        row = self._database.execute("SELECT * FROM source WHERE key = ?", (key,)).fetchone()
        return Imported(**{**dict(row), "verified": bool(row["verified"])}) if row else None

    def remember(self, items: Iterable[Instrument | Brackets]) -> None:
        """Enter instruments, and brackets from a date on, durably, beside the catalogue too.

        What is known already is passed over.
        """
        fresh = [item for item in items if not self._knows(item)]
        if not fresh:
            return
        with self._layout.instruments.open("ab") as file:
            file.writelines(msgspec.json.encode(item) + b"\n" for item in fresh)
            file.flush()
            os.fsync(file.fileno())
        with self._transaction():
            for item in fresh:
                self._remember(item)

    def _knows(self, item: Instrument | Brackets) -> bool:
        if isinstance(item, Brackets):
            known = self.brackets(item.exchange, item.symbol, item.since)
            return known is not None and known.brackets == item.brackets
        return self.instrument(item.exchange, item.symbol) == item

    def _remember(self, item: Instrument | Brackets) -> None:
        body = msgspec.json.encode(item).decode()
        words = [item.exchange, item.symbol, body]
        query = "INSERT OR REPLACE INTO instrument VALUES (?, ?, ?)"
        if isinstance(item, Brackets):
            words.insert(2, item.since.astimezone(UTC).isoformat())
            query = "INSERT OR REPLACE INTO brackets VALUES (?, ?, ?, ?)"
        self._database.execute(query, words)

    def instrument(self, exchange: str, symbol: str) -> Instrument | None:
        """Return an instrument, None if nothing is known of it."""
        row = self._database.execute(
            "SELECT body FROM instrument WHERE exchange = ? AND symbol = ?", (exchange, symbol)
        ).fetchone()
        return msgspec.json.decode(row[0], type=Instrument) if row else None

    def changes(
        self, exchange: str, symbol: str, after: datetime, until: datetime
    ) -> list[Brackets]:
        """Return the brackets that came into force after one moment and by another, in order."""
        rows = self._database.execute(
            "SELECT body FROM brackets WHERE exchange = ? AND symbol = ? AND since > ?"
            " AND since <= ? ORDER BY since",
            (exchange, symbol, *(one.astimezone(UTC).isoformat() for one in (after, until))),
        )
        return [msgspec.json.decode(row[0], type=Brackets) for row in rows]

    def brackets(self, exchange: str, symbol: str, at: datetime) -> Brackets | None:
        """Return the brackets in force at a moment, None if none are known."""
        row = self._database.execute(
            "SELECT body FROM brackets WHERE exchange = ? AND symbol = ? AND since <= ?"
            " ORDER BY since DESC LIMIT 1",
            (exchange, symbol, at.astimezone(UTC).isoformat()),
        ).fetchone()
        return msgspec.json.decode(row[0], type=Brackets) if row else None


def _verified(layout: Layout, series: Series, month: str) -> Sealed:
    path = layout.sealed(series, month)
    try:
        parquet.verify(path)
        return describe(layout, series, month)
    except (OSError, pa.ArrowException):
        return Sealed(series, month, 0, "", "", "", None)


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
