"""A file as it was published: opened, checked, and read piece by piece.

A `Source` hides how the bytes are packed (plain, gzip, zip with or without a
published checksum) and gives CSV back as frames of text whose rows know their
line. Nothing is ever held but one piece.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, TYPE_CHECKING, Protocol

import polars as pl
import pyarrow.parquet as pq

from plimsoll.errors import DamagedFile
from plimsoll.market.schema import TABLES, TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from plimsoll.market.schema import Column

__all__ = ["LINE", "PIECE", "Format", "Rejected", "Source", "split_rejects"]

PIECE = 16 * 1024 * 1024
"""Bytes of text read at a time."""
LINE = "_line"
"""The column that carries the number of a row's line in its file, from 1."""
_HEAD = 64 * 1024
_LONGEST = 64 * 1024 * 1024
# An encrypted zip is a RuntimeError, an unknown way of packing a NotImplementedError.
_BROKEN = (
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    EOFError,
    zlib.error,
    RuntimeError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Rejected:
    """A row that was not kept.

    Attributes
    ----------
    line : int
        Its line in the file, from 1; for Parquet the row, from 1.
    reason : str
    row : dict
        The row as far as it was read.
    """

    line: int
    reason: str
    row: dict[str, object]


@dataclass
class Source:
    """One file to import.

    Attributes
    ----------
    path : Path
    time_zone : str or None
        The zone of stamps that name none; None where such stamps are to be refused.
    rejected : list of Rejected
        Rows found unreadable so far; the importer empties it.
    progress : callable
        Told the number of bytes of the file consumed since it was last told.
    """

    path: Path
    time_zone: str | None = None
    rejected: list[Rejected] = field(default_factory=list)
    progress: Callable[[int], None] = lambda _: None

    def reject(self, line: int, reason: str, row: dict[str, object]) -> None:
        """Set a row aside."""
        self.rejected.append(Rejected(line, reason, row))

    @cached_property
    def packing(self) -> str:
        """How the bytes are packed: ``zip``, ``gzip``, ``parquet`` or ``plain``; by content."""
        with self.path.open("rb") as file:
            magic = file.read(4)
        if not magic:
            raise DamagedFile(self.path, "the file is empty")
        if magic[:2] == b"\x1f\x8b":
            return "gzip"
        if magic == b"PK\x03\x04":
            return "zip"
        return "parquet" if magic == b"PAR1" else "plain"

    @cached_property
    def name(self) -> str:
        """The file's name, or for a zip that of the one file inside."""
        if self.packing != "zip":
            return self.path.name.removesuffix(".gz")
        with self.path.open("rb") as raw, self._zip(raw) as archive:
            return self._member(archive).filename.rsplit("/", 1)[-1]

    @cached_property
    def head(self) -> str:
        """The first text of the file; empty for Parquet."""
        if self.packing == "parquet":
            return ""
        with self._open() as (stream, _):
            data = stream.read(_HEAD)
        if b"\0" in data:
            raise DamagedFile(self.path, "the file is neither text, zip, gzip nor Parquet")
        return data.decode("utf-8-sig", errors="replace")

    @cached_property
    def first_row(self) -> tuple[str, ...]:
        """The cells of the first line of a CSV; the column names of Parquet."""
        if self.packing == "parquet":
            return tuple(self._parquet().schema_arrow.names)
        line = self.head.split("\n", 1)[0].rstrip("\r")
        return tuple(cell.strip().strip('"') for cell in line.split(","))

    @property
    def has_header(self) -> bool:
        """Whether the first line names columns rather than holding a row."""
        return not self.first_row[0].lstrip("+-.")[:1].isdigit()

    def describe(self) -> str:
        """Return in a few words what the file looks like, for an error message."""
        cells = ", ".join(self.first_row[:12])
        return f"the columns {cells[:200]}" if self.has_header else f"the first line {cells[:200]}"

    @cached_property
    def sha256(self) -> str:
        """The checksum of the file as it lies there."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def verify(self) -> bool:
        """Compare with the checksum published beside the file, ``NAME.CHECKSUM``.

        Returns
        -------
        bool
            Whether there was one.

        Raises
        ------
        DamagedFile
            If it differs.
        """
        beside = self.path.with_name(self.path.name + ".CHECKSUM")
        if not beside.is_file():
            return False
        words = beside.read_text(encoding="utf-8", errors="replace").split()
        if not words or words[0].lower() != self.sha256:
            raise DamagedFile(
                self.path,
                f"its checksum {self.sha256} is not the published {words[0] if words else '(none)'}"
                "; download the file again",
            )
        return True

    @contextmanager
    def _open(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """Open the unpacked bytes, and the file they are read from."""
        with self.path.open("rb") as raw:
            try:
                if self.packing == "zip":
                    with self._zip(raw) as archive, archive.open(self._member(archive)) as stream:
                        yield stream, raw
                elif self.packing == "gzip":
                    with gzip.open(raw, "rb") as stream:
                        yield stream, raw  # type: ignore[misc]
                else:
                    yield raw, raw
            except _BROKEN as error:
                raise DamagedFile(
                    self.path,
                    f"the {self.packing} is truncated or damaged ({error}); fetch it again",
                ) from error

    def pieces(self, size: int = PIECE) -> Iterator[tuple[int, bytes]]:
        """Yield the text in whole lines.

        Parameters
        ----------
        size : int, bytes
            About how much to read at a time.

        Yields
        ------
        line : int
            The number of the piece's first line, from 1.
        text : bytes
            Whole lines.
        """
        line, rest, told = 1, b"", 0
        with self._open() as (stream, raw):
            while block := stream.read(size):
                cut = block.rfind(b"\n") + 1
                if cut:
                    piece = rest + block[:cut]
                    yield line, piece
                    line += piece.count(b"\n")
                    rest = block[cut:]
                elif len(rest) > _LONGEST:
                    raise DamagedFile(self.path, f"line {line} does not end; is this a table?")
                else:
                    rest += block
                self.progress(max(0, raw.tell() - told))
                told = max(told, raw.tell())
            if rest:
                yield line, rest
        self.progress(self.path.stat().st_size - told)

    def csv(self, schema: Mapping[str, pl.DataType]) -> Iterator[pl.DataFrame]:
        """Yield a CSV as typed frames.

        Parameters
        ----------
        schema : mapping of str to DataType
            Names and types of the columns, in the order of the file.

        Yields
        ------
        DataFrame
            Those columns, null where a cell is empty, and `LINE`. A line with another number
            of cells, or a cell that cannot be read as its type, is rejected.
        """
        for first, piece in self.pieces():
            line, body = first, piece
            if first == 1:
                body = body.removeprefix(b"\xef\xbb\xbf")
                if self.has_header:
                    line, body = 2, body.partition(b"\n")[2]
            if body and not body.isspace():
                whole = body if body.endswith(b"\n") else body + b"\n"
                yield self._frame(whole, schema, line)

    def _frame(self, body: bytes, schema: Mapping[str, pl.DataType], first: int) -> pl.DataFrame:
        """Read whole lines at once, or one by one where some are not as they should be."""
        if b'"' not in body:
            try:
                frame = pl.read_csv(body, has_header=False, schema=dict(schema), quote_char=None)
            except pl.exceptions.PolarsError:
                pass  # the careful way finds the line
            else:
                if _is_whole(body, frame):
                    return frame.with_columns(pl.int_range(first, first + frame.height).alias(LINE))
        return self._careful(body, schema, first)

    def _careful(self, body: bytes, schema: Mapping[str, pl.DataType], first: int) -> pl.DataFrame:
        rows: list[list[str | None]] = []
        numbers: list[int] = []
        for offset, line in enumerate(body.decode("utf-8", errors="replace").split("\n")):
            if not line.strip():
                continue
            cells = next(csv.reader([line.rstrip("\r")]))
            if len(cells) == len(schema):
                rows.append([cell.strip() or None for cell in cells])
                numbers.append(first + offset)
            else:
                reason = f"{len(cells)} cells where {len(schema)} belong"
                self.reject(first + offset, reason, {"line": line[:500]})
        text = pl.DataFrame(rows, schema=dict.fromkeys(schema, pl.String), orient="row")
        typed = text.select(_cast(name, dtype) for name, dtype in schema.items())
        unread = [
            pl.when(text[name].is_not_null() & typed[name].is_null()).then(pl.lit(name))
            for name in schema
        ]
        broken = text.select(pl.coalesce(unread).alias("broken"))["broken"]
        for index in broken.is_not_null().arg_true():
            name, row = broken[index], text.row(index, named=True)
            self.reject(numbers[index], f"{name}: cannot read {row[name]!r} as {schema[name]}", row)
        return typed.with_columns(pl.Series(LINE, numbers, dtype=pl.Int64)).filter(broken.is_null())

    def parquet(self) -> Iterator[pl.DataFrame]:
        """Yield a Parquet file, row group by row group, with `LINE`."""
        file, row = self._parquet(), 1
        for batch in file.iter_batches(batch_size=262_144):
            frame = pl.DataFrame(pl.from_arrow(batch))
            yield frame.with_columns(pl.int_range(row, row + frame.height).alias(LINE))
            row += frame.height
            self.progress(self.path.stat().st_size * frame.height // file.metadata.num_rows)

    def text(self) -> str:
        """Return the whole text; for formats that are one document."""
        with self._open() as (stream, _):
            data = stream.read()
        self.progress(self.path.stat().st_size)
        return data.decode("utf-8-sig", errors="replace")

    def _parquet(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.path)
        except Exception as error:  # pyarrow raises several kinds for one thing
            raise DamagedFile(
                self.path, f"the Parquet file is truncated or damaged ({error})"
            ) from error

    def _zip(self, raw: IO[bytes]) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(raw)
        except zipfile.BadZipFile as error:
            raise DamagedFile(
                self.path, f"the zip is truncated or damaged ({error}); fetch it again"
            ) from error

    def _member(self, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
        members = [info for info in archive.infolist() if not info.is_dir()]
        if len(members) != 1:
            raise DamagedFile(self.path, f"the zip holds {len(members)} files, expected one")
        return members[0]


def _cast(name: str, dtype: pl.DataType) -> pl.Expr:
    """Read text as a type; Polars casts none to Boolean, so read that as its CSV reader does."""
    if dtype != pl.Boolean:
        return pl.col(name).cast(dtype, strict=False)
    word = pl.col(name).str.to_lowercase()
    return pl.when(word.is_in(["true", "false"])).then(word == "true").alias(name)


def _is_whole(body: bytes, frame: pl.DataFrame) -> bool:
    """Return whether each line had as many cells as it should.

    A cell too many stops Polars. A missing one is read as null in the last column, so the cells
    need counting only where that column has nulls.
    """
    lines = body.count(b"\n")
    if frame.height != lines:
        return False
    complete = not frame.to_series(-1).null_count()
    return complete or body.count(b",") == lines * (frame.width - 1)


class Format(Protocol):
    """What a module of this package offers."""

    NAME: str
    """The format's name, as users write it."""
    ACCEPTS: str
    """What it knows, in one line for an error message."""

    def recognises(self, source: Source) -> bool:
        """Return whether the file is of this format; reads only its head."""

    def read(self, source: Source) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield (kind, frame): rows of that kind's table, with `LINE`.

        A frame may lack columns that have a default; `split_rejects` conforms it.
        """


def split_rejects(source: Source, kind: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that keep their table's rules, and reject the others.

    Parameters
    ----------
    source : Source
        Where rejected rows are noted.
    kind : str
        The table the rows are meant for.
    frame : DataFrame
        With `LINE`, and columns of that table.

    Returns
    -------
    DataFrame
        Rows of that table, all columns, without `LINE`.
    """
    table = TABLES[kind]
    good = table.conform(frame.drop(LINE))
    broken = good.select(table.violations().alias("broken"))["broken"]
    if broken.null_count() == good.height:
        return good
    bad = good.with_columns(broken, frame[LINE]).filter(pl.col("broken").is_not_null())
    times = [column.name for column in table.columns if column.dtype == TIME]
    bad = bad.with_columns(  # Python knows no other years
        pl.when(pl.col(name).dt.year().is_between(1, 9999)).then(name).alias(name) for name in times
    )
    rules = {column.name: column for column in table.columns}
    for row in bad.iter_rows(named=True):
        wrong, line = row.pop("broken"), row.pop(LINE)
        column = rules.get(wrong)
        source.reject(line, wrong if column is None else _complaint(column, row[wrong]), row)
    return good.filter(broken.is_null())


def _complaint(column: Column, value: object) -> str:
    want = " or ".join(column.choices) or column.rule or "a value"
    if column.rule == "time":
        want = "a time from 2009 to 2100 (are these stamps in another unit?)"
    return f"{column.name} is {value!r}, expected {want}"
