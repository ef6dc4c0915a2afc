"""Tables in Plimsoll's own columns, as Parquet or CSV.

A file holds one kind of fact. Its columns are those of that kind's table: at
least `time`, `exchange`, `symbol` and whatever the kind cannot do without. The
kind is told by the columns. Anything unknown is refused, because a column that
is silently dropped, or a number in another unit, is a wrong number later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from plimsoll.archives.source import LINE
from plimsoll.archives.stamps import stamps
from plimsoll.errors import ArchiveError, Unrecognised
from plimsoll.market.schema import TABLES, TIME, Table
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from plimsoll.archives.source import Source

NAME = "tidy"
ACCEPTS = "Parquet or CSV with the columns of one table: time, exchange, symbol and its values"

_BARE = {"liquidation_total"}
"""Kinds whose symbol may be a coin rather than a market."""
_NAMED = {"open_interest_total", "stablecoin_supply"}
"""Kinds whose symbol is no market, but the name of a protocol or a coin."""


def recognises(source: Source) -> bool:
    """Return whether the file has the columns every table has."""
    return {"time", "exchange", "symbol"} <= set(source.first_row)


def read(source: Source) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the file's rows.

    Raises
    ------
    Unrecognised
        If a column or its unit is unknown, or the columns fit no table or several.
    ArchiveError
        If stamps name no zone, or a bar length can neither be read nor seen.
    """
    names = source.first_row
    table = _table(source.path, names)
    lengths: dict[tuple[str, str], int] = {}
    for piece in _pieces(source, table, names):
        frame = _known_symbols(source, table.kind, piece)
        if table.kind in _BUCKETS and "interval" not in names:
            frame = _with_interval(source.path, frame, lengths)
        yield table.kind, frame


_BUCKETS = {"candle", "liquidation_total", "taker_volume"}
"""Kinds with a bar length that can be seen from the steps of time."""


def _table(path: Path, names: tuple[str, ...]) -> Table:
    given = set(names)
    fitting = [
        table for table in TABLES.values() if given <= set(table.schema) and _needed(table) <= given
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        named = [table for table in fitting if table.kind in path.name.lower()]
        if len(named) == 1:
            return named[0]
        kinds = " or ".join(table.kind for table in fitting)
        raise Unrecognised(path, f"its columns fit {kinds}: put the table's name in the file's")
    raise Unrecognised(path, _why(given))


def _needed(table: Table) -> set[str]:
    seen = {"interval"} if table.kind in _BUCKETS else set()
    need = {c.name for c in table.columns if c.required and c.default is None} - seen
    values = set(table.values)
    return need if need & values or table.kind != "mark_price" else need | {"mark_price"}


def _why(given: set[str]) -> str:
    """Explain by the table that fits best what is wrong with the columns."""
    best = max(TABLES.values(), key=lambda t: (len(given & set(t.schema)), -len(_needed(t))))
    known = ", ".join(f"{c.name} ({c.unit})" if c.unit else c.name for c in best.columns)
    unknown = sorted(given - set(best.schema))
    for name in unknown:
        for column in best.columns:
            if column.unit and name.startswith(f"{column.name}_"):
                unit = name.removeprefix(f"{column.name}_")
                return (
                    f"the unit {unit!r} of {name!r} is not known: {best.kind} keeps "
                    f"{column.name} in {column.unit}; convert it. Known columns: {known}"
                )
    if unknown:
        return f"unknown column {', '.join(map(repr, unknown))}; {best.kind} knows: {known}"
    missing = ", ".join(sorted(_needed(best) - given))
    return f"the column {missing} is missing for {best.kind}, which knows: {known}"


def _pieces(source: Source, table: Table, names: tuple[str, ...]) -> Iterator[pl.DataFrame]:
    times = {column.name for column in table.columns if column.dtype == TIME}
    schema = {name: pl.String() if name in times else table.schema[name] for name in names}
    pieces = source.parquet() if source.packing == "parquet" else source.csv(schema)
    for frame in pieces:
        yield frame.with_columns(
            stamps(source, frame[name]) if name in times else _whole(frame[name], schema[name])
            for name in names
        )


def _whole(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return a column of whole numbers as such; a fraction where none belongs is null."""
    if not (dtype.is_integer() and column.dtype.is_float()):
        return column
    frame = column.to_frame()
    value = pl.col(column.name)
    return frame.select(pl.when(value == value.floor()).then(value.cast(dtype))).to_series()


def _known_symbols(source: Source, kind: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Reject rows whose symbol follows no grammar."""
    if kind in _NAMED:
        return frame
    bad = []
    for symbol in frame["symbol"].drop_nulls().unique():
        try:
            Symbol.parse(symbol)
        except ValueError as error:
            if kind not in _BARE or not symbol.isalnum():
                bad.append(symbol)
                reason = str(error)
    if not bad:
        return frame
    wrong = frame["symbol"].is_in(bad)
    for row in frame.filter(wrong).iter_rows(named=True):
        source.reject(row.pop(LINE), reason.replace(repr(bad[-1]), repr(row["symbol"])), row)
    return frame.filter(~wrong)


def _with_interval(
    path: Path, frame: pl.DataFrame, lengths: dict[tuple[str, str], int]
) -> pl.DataFrame:
    """Add the bar length seen from the usual step of time of each series."""
    named = frame.drop_nulls(["exchange", "symbol"])
    for (exchange, symbol), part in named.group_by("exchange", "symbol"):
        if (exchange, symbol) in lengths:
            continue
        steps = part["time"].sort().diff().drop_nulls().dt.total_seconds()
        steps = steps.filter(steps > 0)
        if not steps.len():
            raise ArchiveError(
                path, f"the bar length of {symbol} cannot be seen: add a column interval (seconds)"
            )
        lengths[str(exchange), str(symbol)] = int(steps.mode().min())  # type: ignore[arg-type]
    found = pl.DataFrame(
        [(*name, length) for name, length in lengths.items()],
        schema={"exchange": pl.String, "symbol": pl.String, "interval": pl.Int64},
        orient="row",
    )
    return frame.join(found, on=["exchange", "symbol"], how="left", maintain_order="left")
