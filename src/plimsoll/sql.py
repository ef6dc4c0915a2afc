"""Questions in SQL: every kind of fact is a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES, TIME

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from plimsoll.store.reader import Reader

__all__ = ["ask"]

_TYPES: dict[pl.DataType, str] = {
    TIME: "TIMESTAMPTZ",
    pl.Float64(): "DOUBLE",
    pl.Int64(): "BIGINT",
    pl.String(): "VARCHAR",
}
"""What DuckDB calls the types of our columns."""


def ask(reader: Reader, query: str, as_of: datetime | None) -> pl.DataFrame:
    """Return what a query finds.

    Parameters
    ----------
    reader : Reader
    query : str
        In DuckDB's dialect. Kinds of which nothing is stored are empty tables.
    as_of : datetime or None
        Use only what was known by then.

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError
        If the query cannot be run; the message is DuckDB's.
    """
    words = set(re.findall(r"\w+", query.lower()))
    with reader.layout.sealing(shared=True), duckdb.connect(":memory:") as database:
        database.execute("SET TimeZone = 'UTC'")
        for kind in TABLES:
            if kind in words:
                _show(database, reader, kind, as_of)
        tables = _quoted(reader.layout.root / "tables")
        database.execute(f"SET allowed_directories = ['{tables}']")
        database.execute("SET enable_external_access = false")
        try:
            _only_question(database, query)
            return _plain(database.sql(query).pl())
        except duckdb.Error as error:
            raise ValueError(str(error)) from error


def _only_question(database: duckdb.DuckDBPyConnection, query: str) -> None:
    statements = database.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ValueError("ask one question: a single SELECT")


def _plain(found: pl.DataFrame) -> pl.DataFrame:
    """Return DuckDB's decimals and wide integers (its sums) as ordinary numbers."""
    wide = [
        column
        for column in found
        if isinstance(column.dtype, pl.Decimal) or column.dtype == pl.Int128
    ]
    return found.with_columns(_ordinary(column) for column in wide)


def _ordinary(column: pl.Series) -> pl.Series:
    whole = not isinstance(column.dtype, pl.Decimal) or column.dtype.scale == 0
    if whole and column.is_between(-(2**63), 2**63 - 1).all():
        return column.cast(pl.Int64)
    return column.cast(pl.Float64)


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace("'", "''")


def _show(
    database: duckdb.DuckDBPyConnection, reader: Reader, kind: str, as_of: datetime | None
) -> None:
    """Let queries see a kind: its sealed files where they say all, else its rows."""
    sealed = as_of is None and reader.all_sealed(kind)
    files = reader.sealed_files(kind) if sealed else []
    if files:
        columns = ", ".join(f'"{name}"' for name in TABLES[kind].schema)
        empty = ", ".join(
            f'CAST(NULL AS {_TYPES[dtype]}) AS "{name}"'
            for name, dtype in TABLES[kind].schema.items()
        )
        names = ", ".join(f"'{_quoted(path)}'" for path in files)
        # Beside a row of all columns, which is left out again, what a file lacks is null, and
        # decimals are read as floats.
        stored = f"SELECT * FROM read_parquet([{names}], union_by_name = true)"  # noqa: S608 (ours)
        database.execute(
            f"CREATE VIEW {kind} AS SELECT {columns} "  # noqa: S608 (our own names)
            f"FROM (SELECT {empty} WHERE false UNION ALL BY NAME {stored})"
        )
        return
    try:
        rows = reader.read(kind, as_of=as_of)
    except NoSuchData:
        rows = pl.DataFrame(schema=TABLES[kind].schema)
    database.register(kind, rows.to_arrow())
