"""Bringing rows of one series together: sorted, each fact once, contradictions aside.

Rows come from several places in an order of rank: what is sealed first, then
what came later. For each key the row of lowest rank is kept. Of the others,
`revisions` tells duplicates from revisions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.store import parquet
from plimsoll.store.revisions import RANK, judge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from plimsoll.market.schema import Table

__all__ = ["Merged", "combine", "strictly_rising"]

_SLICE = 1_500_000


@dataclass
class Merged:
    """What a merge found.

    Attributes
    ----------
    rows : int
        Rows kept, the earlier ones included.
    added, duplicates : dict of int to int
        Rows of each rank that were new, and that said what was known.
    revisions : DataFrame
        Rows that say something else of a kept fact, with `RANK`.
    known : DataFrame or None
        Revisions that were kept before; given, not found.
    """

    rows: int = 0
    added: dict[int, int] = field(default_factory=dict)
    duplicates: dict[int, int] = field(default_factory=dict)
    revisions: pl.DataFrame = field(default_factory=pl.DataFrame)
    known: pl.DataFrame | None = None


def _order(table: Table, frame: pl.DataFrame) -> list[str]:
    """Name the key columns that vary, time first: the order rows are kept in."""
    fixed = {"exchange"} | ({"symbol"} if frame["symbol"].n_unique() <= 1 else set())
    return ["time", *(name for name in table.key if name not in {"time", *fixed})]


def strictly_rising(table: Table, frame: pl.DataFrame) -> bool:
    """Return whether the rows stand in the order of their key, no key twice."""
    if frame.height < 2:
        return True
    identity = frame.lazy().select(table.identity()).collect()
    rises, ties = pl.Series([False]), pl.Series([True])
    for name in _order(table, frame):
        column = identity[name]
        before, after = column.slice(0, column.len() - 1), column.slice(1)
        above = (after > before) | (before.is_null() & after.is_not_null())  # null comes first
        rises = rises | (ties & above.fill_null(value=False))
        if rises.all():
            return True
        ties = ties & after.eq_missing(before)
    return bool(rises.all())


def _unique(table: Table, frame: pl.DataFrame, merged: Merged) -> pl.DataFrame:
    """Keep the first row of each key; count and set aside the others."""
    order = _order(table, frame)
    identity = {e.meta.output_name(): e for e in table.identity()}
    frame = frame.sort([*(identity[name] for name in order), RANK], maintain_order=True)
    keys = [identity[name].alias(f"_key_{name}") for name in order]
    if strictly_rising(table, frame):
        _count(merged.added, frame)
        return frame
    names = [f"_key_{name}" for name in order]
    frame = frame.with_columns(keys)
    first = frame.select(pl.struct(names).is_first_distinct()).to_series()
    kept, later = frame.filter(first), frame.filter(~first)
    _count(merged.added, kept)
    known = None if merged.known is None else merged.known.with_columns(keys)
    duplicates, revised = judge(table, kept, later, known, names)
    _count(merged.duplicates, duplicates)
    merged.revisions = pl.concat([merged.revisions, revised], how="diagonal")
    return kept.select(*table.schema, RANK)


def _count(into: dict[int, int], frame: pl.DataFrame) -> None:
    for rank, count in frame[RANK].value_counts().iter_rows():
        into[rank] = into.get(rank, 0) + count


def combine(
    table: Table, inputs: list[tuple[int, Path | pl.DataFrame]], merged: Merged
) -> Iterator[pl.DataFrame]:
    """Yield the rows of several inputs in order, each fact once.

    Parameters
    ----------
    table : Table
    inputs : list of (rank, file or frame)
        Of one series and month.
    merged : Merged
        Filled with what was found, complete when the iterator is exhausted.

    Yields
    ------
    DataFrame
        Rows of the table, in the order of its key. At most some million
        are held at a time, whatever the inputs' size.
    """
    for since, until in _slices(inputs, whole=table.snap is not None):
        parts = []
        for rank, item in inputs:
            lazy = item.lazy() if isinstance(item, pl.DataFrame) else parquet.scan(item, table)
            if since is not None:
                lazy = lazy.filter(pl.col("time") >= since)
            if until is not None:
                lazy = lazy.filter(pl.col("time") < until)
            rows = lazy.collect()
            if rows.height:
                parts.append(rows.with_columns(pl.lit(rank, pl.Int32).alias(RANK)))
        if parts:
            kept = _unique(table, pl.concat(parts), merged)
            merged.rows += kept.height
            yield kept.drop(RANK)


def _slices(
    inputs: list[tuple[int, Path | pl.DataFrame]], *, whole: bool
) -> Iterator[tuple[datetime | None, datetime | None]]:
    """Cut the time line so that each stretch holds a bearable number of rows."""
    total = 0
    starts: list[tuple[datetime, int]] = []
    for _, item in inputs:
        if isinstance(item, pl.DataFrame):
            total += item.height
            continue
        groups = parquet.spans(item)
        total += sum(rows for _, _, rows in groups)
        starts += [(first, rows) for first, _, rows in groups]
    cuts: list[datetime] = []
    if total > _SLICE and not whole:  # where times are rounded, a cut could part one fact
        held = 0
        for start, count in sorted(starts):
            if held + count > _SLICE and held and (not cuts or start > cuts[-1]):
                cuts.append(start)
                held = 0
            held += count
    yield from pairwise([None, *cuts, None])
