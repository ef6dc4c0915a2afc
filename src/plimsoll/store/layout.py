"""Where things lie in a store.

::

    STORE/
    ├── plimsoll.json     the format number
    ├── catalogue.sqlite  checksums, sources, instruments; can be rebuilt from the rest
    ├── instruments.jsonl contract sizes and maintenance brackets, as they came
    ├── journal/          appended rows, not yet sealed: one locked file for each writer
    ├── staged/           accepted files and settled rows, not yet sealed: one folder for each
    ├── tables/           KIND/EXCHANGE/SYMBOL/YYYY-MM.parquet: what is kept
    ├── revisions/        the same tree: rows that contradict a kept one
    ├── sources/          what was imported, from where, by which version
    ├── rejects/          rows that could not be kept, with file, line and reason
    ├── scores/           EXCHANGE/SYMBOL.json: how good the heat map of a market was found last
    └── truth/            beside a simulation alone; the store itself does not know it

A path is computed from what it holds, never searched for. The options of one
underlying are one series; everything else is a series of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from plimsoll.errors import StoreTooNew, StoreUnusable
from plimsoll.market.symbols import family

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

__all__ = ["FORMAT", "Layout", "Series", "months", "put_text", "sync_folder"]

FORMAT = 2
"""The format this version writes, and the newest it reads; of a table gaining a column, one more.

1 : trades did not tell where they were made.
"""


@dataclass(frozen=True, order=True)
class Series:
    """One kind of fact about one symbol (or one family of options) on one exchange."""

    kind: str
    exchange: str
    symbol: str

    @property
    def folder(self) -> str:
        """The series' place in a tree."""
        return f"{self.kind}/{_name(self.exchange)}/{_name(self.symbol)}"

    @property
    def coin(self) -> str:
        """What the symbol is on."""
        return self.symbol.split("/", maxsplit=1)[0]

    def matches(self, exchanges: Collection[str], symbol: str | None) -> bool:
        """Return whether it is of one of the exchanges, if any are named, and of the symbol."""
        told = not exchanges or self.exchange in exchanges
        return told and (symbol is None or self.symbol == family(symbol))

    @classmethod
    def of(cls, folder: str) -> Series:
        """Return the series whose place a folder is."""
        kind, exchange, symbol = folder.split("/")
        return cls(kind, _unname(exchange), _unname(symbol))


def _name(text: str) -> str:
    quoted = quote(text, safe="").replace("~", "%7E")
    return quoted.replace("%2F", "~").replace("%3A", "@").replace(".", "%2E")


def _unname(name: str) -> str:
    return unquote(name.replace("~", "%2F").replace("@", "%3A"))


def months(since: datetime, until: datetime) -> Iterator[str]:
    """Yield each ``YYYY-MM`` that overlaps ``since ≤ t < until``."""
    month = date(since.year, since.month, 1)
    while datetime(month.year, month.month, 1, tzinfo=UTC) < until:
        yield f"{month:%Y-%m}"
        month = date(month.year + month.month // 12, month.month % 12 + 1, 1)


def sync_folder(folder: Path) -> None:
    """Make a rename inside a folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put_text(path: Path, text: str) -> None:
    """Replace a small file, wholly or not at all, whatever happens meanwhile."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync_folder(path.parent)


@dataclass(frozen=True)
class Layout:
    """The paths of one store.

    Attributes
    ----------
    root : Path
    """

    root: Path

    @property
    def catalogue(self) -> Path:
        """The SQLite file."""
        return self.root / "catalogue.sqlite"

    @property
    def journal(self) -> Path:
        """The folder of journal segments."""
        return self.root / "journal"

    @property
    def staged(self) -> Path:
        """The folder of accepted files that are not yet sealed."""
        return self.root / "staged"

    @property
    def sources(self) -> Path:
        """The folder that tells what was imported."""
        return self.root / "sources"

    @property
    def instruments(self) -> Path:
        """The file of instruments and brackets, one a line as they came."""
        return self.root / "instruments.jsonl"

    @property
    def rejects(self) -> Path:
        """The folder of rejected rows."""
        return self.root / "rejects"

    @property
    def truth(self) -> Path:
        """The folder beside a simulation that says what really happened."""
        return self.root / "truth"

    def refuse_simulated(self) -> None:
        """Refuse a store that holds a simulated market: nothing real is mixed with it.

        Raises
        ------
        StoreUnusable
        """
        if self.truth.is_dir():
            raise StoreUnusable(
                self.root,
                "holds a simulated market, with which nothing else is mixed; choose another "
                "folder with --store",
            )

    def sealed(self, series: Series, month: str) -> Path:
        """Return the file of a series and month."""
        return self.root / "tables" / series.folder / f"{month}.parquet"

    def score(self, exchange: str, symbol: str) -> Path:
        """Return the file of the newest score of a market's heat map."""
        return self.root / "scores" / _name(exchange) / f"{_name(symbol)}.json"

    def revisions(self, series: Series, month: str) -> Path:
        """Return the file of rows that contradict kept ones."""
        return self.root / "revisions" / series.folder / f"{month}.parquet"

    def series(self, kind: str | None = None) -> list[Series]:
        """Return the series that have sealed files."""
        base = self.root / "tables"
        found = base.glob(f"{kind or '*'}/*/*")
        return sorted(Series.of(path.relative_to(base).as_posix()) for path in found)

    def months(self, series: Series) -> list[str]:
        """Return the sealed months of a series."""
        folder = self.root / "tables" / series.folder
        return sorted(path.stem for path in folder.glob("????-??.parquet"))

    @contextmanager
    def sealing(self, *, shared: bool = False) -> Iterator[None]:
        """Hold the lock under which sealed files change; shared, to see them at rest."""
        lock = self.root / "seal.lock"
        if shared and not lock.exists():
            yield  # nobody has ever sealed here, or nobody may
            return
        flags = os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT
        handle = os.open(lock, flags, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def exists(self) -> bool:
        """Return whether there is a store."""
        return (self.root / "plimsoll.json").is_file()

    def create(self) -> None:
        """Make the folders of an empty store; of an existing one, write down the new format.

        Rows of an older format stay as they are written. What is written now, an older version
        would read without all of its columns, so that from here on it refuses the store.

        Raises
        ------
        StoreUnusable
            If they cannot be made or written.
        StoreTooNew
            If a newer version made the store.
        """
        known = self.check() if self.exists() else 0
        try:
            for folder in (self.journal, self.staged, self.sources, self.rejects):
                folder.mkdir(parents=True, exist_ok=True)
            if known < FORMAT:
                put_text(self.root / "plimsoll.json", json.dumps({"format": FORMAT}) + "\n")
        except OSError as error:
            raise StoreUnusable(
                self.root,
                f"cannot write here ({error.strerror or error}); choose a folder you may write "
                "with --store or PLIMSOLL_STORE",
            ) from error
        self.check()

    def check(self) -> int:
        """Return a store's format; refuse one that a newer version made.

        Raises
        ------
        StoreUnusable
            If its marker cannot be read.
        StoreTooNew
            If its format is newer than this version's.
        """
        marker = self.root / "plimsoll.json"
        try:
            found = json.loads(marker.read_text(encoding="utf-8"))["format"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreUnusable(
                self.root, f"{marker.name} cannot be read ({error}); is this a Plimsoll store?"
            ) from error
        if not isinstance(found, int) or found > FORMAT:
            raise StoreTooNew(self.root, found=found, known=FORMAT)
        return found
