"""Tables as Parquet files, small and exact.

A column of prices or amounts is written as a Parquet decimal: integers and one
power of ten, delta encoded. Any reader of Parquet gets the numbers right, the
file is a third of what floats take, and the floats that come back are the ones
that went in, to the bit (but that zero has no sign); a column that no power of ten
can carry exactly stays as floats.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from plimsoll.market.schema import Table

__all__ = [
    "FLOAT",
    "ROW_GROUP",
    "TableWriter",
    "decimals",
    "decode",
    "metadata",
    "read",
    "scales",
    "scan",
    "spans",
    "sync",
    "verify",
]

ROW_GROUP = 262_144
"""About how many rows are encoded together."""
FLOAT = -1
"""The scale of a column that stays as floats."""
_EXACT = 2.0**53
_LARGEST = 15
_DIGITS = 18
_FEW = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def scales(frame: pl.DataFrame, at_least: Mapping[str, int] | None = None) -> dict[str, int]:
    """Return for each float column the decimals that carry it exactly.

    Parameters
    ----------
    frame : DataFrame
    at_least : mapping of str to int, optional
        Decimals to start from; a column that is `FLOAT` there stays so.

    Returns
    -------
    dict of str to int
        Decimals, or `FLOAT` where none up to 15 do.
    """
    start = at_least or {}
    return {
        name: _scale(frame[name].drop_nulls().to_numpy(), start.get(name, 0))
        for name, dtype in frame.schema.items()
        if dtype == pl.Float64
    }


def _scale(values: np.ndarray, start: int) -> int:
    if start == FLOAT:
        return FLOAT
    sample = values[:: max(1, len(values) // 1_000)]
    for scale in range(start, _LARGEST + 1):
        if _carries(sample, scale) and _carries(values, scale):
            return scale
    return FLOAT


def _carries(values: np.ndarray, scale: int) -> bool:
    power = 10.0**scale
    if not np.all(np.abs(values) < _EXACT / power):
        return False
    return bool(np.all(np.rint(values * power) / power == values))


def _decimal(values: pl.Series, scale: int) -> pa.Array:
    units = values.fill_null(0.0).to_numpy() * 10.0**scale
    np.rint(units, out=units)
    valid = None
    if values.null_count():
        valid = pa.py_buffer(np.packbits(values.is_not_null().to_numpy(), bitorder="little"))
    buffers = [valid, pa.py_buffer(units.astype(np.int64))]
    return pa.Array.from_buffers(pa.decimal64(_DIGITS, scale), len(units), buffers)


def _words(values: pl.Series) -> pa.Array:
    """Dictionary-encode; to compare with each of a few words is faster than to hash every row."""
    alike = len(values) > 0 and not values.null_count() and (values == values[0]).all()
    words = values.head(1) if alike else values.drop_nulls().unique(maintain_order=True)
    if not 0 < len(words) <= _FEW:
        return values.to_arrow().cast(pa.string()).dictionary_encode()
    codes = pl.select(
        pl.coalesce(
            pl.when(values == word).then(pl.lit(code, pl.Int32)) for code, word in enumerate(words)
        )
    ).to_series()
    return pa.DictionaryArray.from_arrays(codes.to_arrow(), words.to_arrow().cast(pa.string()))


def _encode(frame: pl.DataFrame, decimals: Mapping[str, int]) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    for name, dtype in frame.schema.items():
        scale = decimals.get(name, FLOAT)
        if scale != FLOAT:
            columns[name] = _decimal(frame[name], scale)
        elif dtype == pl.String:
            columns[name] = _words(frame[name])
        else:
            columns[name] = frame[name].to_arrow()
    return pa.table(columns)


def decode(frame: pl.DataFrame | pl.LazyFrame) -> pl.LazyFrame:
    """Return a read file with its decimals as floats."""
    schema = frame.collect_schema()
    return frame.lazy().with_columns(
        pl.col(name).cast(pl.Float64) for name, dtype in schema.items() if dtype.is_decimal()
    )


def scan(path: Path, table: Table | None = None) -> pl.LazyFrame:
    """Return a file lazily, decimals as floats; columns its table has gained since are null."""
    rows = decode(pl.scan_parquet(path, glob=False))
    return rows if table is None else table.widened(rows)


def read(path: Path, table: Table | None = None) -> pl.DataFrame:
    """Return a file, as `scan` does."""
    return scan(path, table).collect()


def decimals(path: Path) -> dict[str, int]:
    """Return the decimals of each numeric column of a file, `FLOAT` where it holds floats."""
    schema = pq.read_schema(path)
    return {
        field.name: field.type.scale if pa.types.is_decimal(field.type) else FLOAT
        for field in schema
        if pa.types.is_decimal(field.type) or pa.types.is_floating(field.type)
    }


def metadata(path: Path) -> dict[str, str]:
    """Return the words kept in a file."""
    words = pq.read_metadata(path).metadata or {}
    return {key.decode(): value.decode(errors="replace") for key, value in words.items()}


UNREADABLE = (pl.exceptions.PolarsError, pa.ArrowException, OSError)
"""What reading a damaged file raises, or one that is gone."""


def verify(path: Path) -> None:
    """Read a file with the checksums of its pages compared.

    Raises
    ------
    OSError, pyarrow.ArrowException
        If a page is not what was written.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for group in range(file.num_row_groups):
            file.read_row_group(group)


def spans(path: Path) -> list[tuple[datetime, datetime, int]]:
    """Return for each row group the first time, the last, and the number of rows."""
    file = pq.read_metadata(path)
    column = file.schema.names.index("time")
    groups = [file.row_group(number) for number in range(file.num_row_groups)]
    found = []
    for group in groups:
        known = group.column(column).statistics
        first, last = (  # as they lie there: to make them times, pyarrow would import pandas
            _EPOCH + timedelta(microseconds=raw) for raw in (known.min_raw, known.max_raw)
        )
        found.append((first, last, group.num_rows))
    return found


def sync(path: Path) -> None:
    """Make a written file durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class TableWriter:
    """Writes one Parquet file, some rows at a time.

    Parameters
    ----------
    path : Path
        Where to; an existing file is replaced.
    decimals : mapping of str to int
        What `scales` found; each row must be carried by it.
    metadata : mapping of str to str
        Words to keep in the file.
    """

    def __init__(
        self, path: Path, decimals: Mapping[str, int], metadata: Mapping[str, str] | None = None
    ) -> None:
        self.path = path
        self.decimals = dict(decimals)
        self.rows = 0
        self._metadata = dict(metadata or {})
        self._writer: pq.ParquetWriter | None = None

    def fits(self, frame: pl.DataFrame) -> bool:
        """Return whether the file's decimals carry these rows exactly."""
        return scales(frame, self.decimals) == self.decimals

    def write(self, frame: pl.DataFrame) -> None:
        """Append rows."""
        table = _encode(frame, self.decimals)
        if self._writer is None:
            self._writer = self._open(table.schema)
        groups = max(1, round(table.num_rows / ROW_GROUP))
        self._writer.write_table(table, row_group_size=-(-table.num_rows // groups) or None)
        self.rows += frame.height

    def annotate(self, **words: str) -> None:
        """Keep more words in the file."""
        self._metadata.update(words)

    def close(self) -> None:
        """Finish the file and make it durable."""
        if self._writer is None:
            return
        self._writer.add_key_value_metadata(self._metadata)
        self._writer.close()
        sync(self.path)

    def abandon(self) -> None:
        """Close and remove the unfinished file."""
        if self._writer is not None:
            self._writer.close()
        self.path.unlink(missing_ok=True)

    def _open(self, schema: pa.Schema) -> pq.ParquetWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        words = [field.name for field in schema if pa.types.is_dictionary(field.type)]
        encoding = {
            field.name: (
                "BYTE_STREAM_SPLIT" if pa.types.is_floating(field.type) else "DELTA_BINARY_PACKED"
            )
            for field in schema
            if field.name not in words
        }
        return pq.ParquetWriter(
            self.path,
            schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=words,
            column_encoding=encoding,
            store_decimal_as_integer=True,
            store_schema=False,
            write_statistics=[f.name for f in schema if pa.types.is_timestamp(f.type)],
            write_page_checksum=True,
        )
