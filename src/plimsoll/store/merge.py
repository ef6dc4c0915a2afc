"""Bringing rows of one series together: sorted, each fact once, contradictions aside.

Rows come from several places in an order of rank: what is sealed first, then
what came later. For each key the row of lowest rank is kept. A later row that
says no more than it is a duplicate; one that says something else, or knows what
the kept one leaves unknown, is a revision. A revision that claims to have been
known when the kept row was came to light only now, so its `known_at` becomes
the moment this store met it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.market.schema import TIME
from plimsoll.store import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from plimsoll.market.schema import Table

__all__ = ["RANK", "Merged", "combine", "strictly_rising", "with_revisions"]

RANK = "_rank"
"""The column that carries where a row came from: 0 is what was kept before."""
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
        Rows that contradict a kept one, with `RANK`.
    """

    rows: int = 0
    added: dict[int, int] = field(default_factory=dict)
    duplicates: dict[int, int] = field(default_factory=dict)
    revisions: pl.DataFrame = field(default_factory=pl.DataFrame)


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
        rises = rises | (ties & (after > before).fill_null(value=False))
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
    frame = frame.with_columns(keys)
    names = [f"_key_{name}" for name in order]
    first = frame.select(pl.struct(names).is_first_distinct()).to_series()
    kept, later = frame.filter(first), frame.filter(~first)
    _count(merged.added, kept)
    against = later.join(kept, on=names, how="left", suffix="_kept", nulls_equal=True)
    same = against.select(
        pl.all_horizontal(
            pl.col(name).is_null() | pl.col(name).eq_missing(pl.col(f"{name}_kept"))
            for name in table.values
        )
        if table.values
        else pl.lit(value=True)
    ).to_series()
    _count(merged.duplicates, later.filter(same))
    met = pl.lit(datetime.now(tz=UTC)).cast(TIME)
    otherwise_known = pl.col("known_at") != pl.col("known_at_kept")
    revised = (
        against.filter(~same)
        .with_columns(
            *(pl.coalesce(name, f"{name}_kept").alias(name) for name in table.values),
            known_at=pl.when(otherwise_known).then("known_at").otherwise(met),
        )
        .select(*table.schema, RANK)
    )
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
    for since, until in _slices(inputs):
        parts = []
        for rank, item in inputs:
            lazy = item.lazy() if isinstance(item, pl.DataFrame) else parquet.scan(item)
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
    inputs: list[tuple[int, Path | pl.DataFrame]],
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
    if total > _SLICE:
        held = 0
        for start, count in sorted(starts):
            if held + count > _SLICE and held and (not cuts or start > cuts[-1]):
                cuts.append(start)
                held = 0
            held += count
    yield from pairwise([None, *cuts, None])


def with_revisions(table: Table, kept: pl.DataFrame, revisions: pl.DataFrame) -> pl.DataFrame:
    """Return each fact in its latest version.

    Parameters
    ----------
    table : Table
    kept, revisions : DataFrame
        Rows of the table that were known by the moment asked about. The version
        with the later `known_at` wins.

    Returns
    -------
    DataFrame
        In the order of the key.
    """
    if not revisions.height:
        return kept
    names = [f"_key_{e.meta.output_name()}" for e in table.identity()]
    keys = [e.alias(name) for e, name in zip(table.identity(), names, strict=True)]
    return (
        pl.concat([kept, revisions.select(kept.columns)])
        .with_columns(keys)
        .sort("known_at", maintain_order=True)
        .unique(names, keep="last", maintain_order=True)
        .sort("_key_time", *(name for name in names if name != "_key_time"))
        .select(*table.schema)
    )
