"""Questions in SQL: every kind of fact is a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES

if TYPE_CHECKING:
    from datetime import datetime

    from plimsoll.store.reader import Reader

__all__ = ["ask"]


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
    with duckdb.connect(":memory:") as database:
        database.execute("SET TimeZone = 'UTC'")
        for kind in TABLES:
            if kind in words:
                _show(database, reader, kind, as_of)
        try:
            found: pl.DataFrame = database.sql(query).pl()
        except duckdb.Error as error:
            raise ValueError(str(error)) from error
        except AttributeError:
            raise ValueError("a query must return rows: write SELECT …") from None
    return found


def _show(
    database: duckdb.DuckDBPyConnection, reader: Reader, kind: str, as_of: datetime | None
) -> None:
    """Let queries see a kind: its sealed files where they say all, else its rows."""
    files = reader.sealed_files(kind)
    if as_of is None and files and reader.all_sealed(kind):
        columns = ", ".join(
            f'CAST("{name}" AS DOUBLE) AS "{name}"' if dtype == pl.Float64 else f'"{name}"'
            for name, dtype in TABLES[kind].schema.items()
        )
        names = ", ".join("'" + str(path).replace("'", "''") + "'" for path in files)
        database.execute(
            f"CREATE VIEW {kind} AS SELECT {columns} "  # noqa: S608 (our own names)
            f"FROM read_parquet([{names}], union_by_name = true)"
        )
        return
    try:
        rows = reader.read(kind, as_of=as_of)
    except NoSuchData:
        rows = pl.DataFrame(schema=TABLES[kind].schema)
    database.register(kind, rows.to_arrow())
