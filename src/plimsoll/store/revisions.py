"""Several versions of one fact: telling them apart, and choosing among them.

A fact is kept as it first came. A later row of the same key is compared with
what was in force when it claims to have been known. If it says no more than
that, it is a duplicate. If it says something else, or something that was
unknown, it is a revision. A row that claims the very moment of a kept version
and yet differs came to light only now: its `known_at` becomes the moment this
store met it, unless it only repeats a version met before (an old file again).

Versions take effect in the order of `known_at`; what one leaves unknown stays
as the version before it said.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from plimsoll.market.schema import Table

__all__ = ["RANK", "in_force", "judge"]

RANK = "_rank"
"""The column that carries where a row came from: 0 is what was kept before."""


class _Version(NamedTuple):
    known_at: datetime
    values: tuple[Any, ...]


def judge(
    table: Table,
    kept: pl.DataFrame,
    later: pl.DataFrame,
    known: pl.DataFrame | None,
    keys: list[str],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Tell duplicates from revisions.

    Parameters
    ----------
    table : Table
    kept : DataFrame
        One row for each fact.
    later : DataFrame
        Further rows of these facts, in the order they came, with `RANK`.
    known : DataFrame or None
        Revisions met before.
    keys : list of str
        The columns of all three that name a fact.

    Returns
    -------
    duplicates, revisions : DataFrame
        The later rows, parted; with `RANK`.
    """
    names = list(table.values)
    against = later.join(kept, on=keys, how="left", suffix="_kept", nulls_equal=True)
    nothing_new = against.select(
        pl.all_horizontal(
            pl.lit(value=True),
            *(_says_no_more(pl.col(name), pl.col(f"{name}_kept")) for name in names),
        )
    ).to_series()
    questions = later.filter(~nothing_new).select(keys)
    if known is not None:
        questions = pl.concat([questions, known.select(keys)])
    disputed = later.join(questions, on=keys, how="semi", nulls_equal=True, maintain_order="left")
    if not disputed.height:
        return later, later.clear().select(*table.schema, RANK)
    settled = later.join(questions, on=keys, how="anti", nulls_equal=True)
    firsts = kept.join(questions, on=keys, how="semi", nulls_equal=True)
    repeated, revised = _weigh(names, firsts, disputed, known, keys)
    duplicates = pl.concat([settled, repeated])
    return duplicates, revised.select(*table.schema, RANK)


def _says_no_more(value: pl.Expr, than: pl.Expr) -> pl.Expr:
    return value.is_null() | value.eq_missing(than)


def _weigh(
    names: list[str],
    kept: pl.DataFrame,
    disputed: pl.DataFrame,
    known: pl.DataFrame | None,
    keys: list[str],
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Compare row by row; few rows come this far."""
    versions: dict[tuple[Any, ...], list[_Version]] = defaultdict(list)
    for frame in (kept, known):
        if frame is not None:
            for key, version in _versions(frame, keys, names):
                versions[key].append(version)
    now = datetime.now(tz=UTC)
    moments: list[datetime | None] = []
    for key, version in _versions(disputed, keys, names):
        moment = _takes_effect(version, versions[key], now)
        moments.append(moment)
        if moment is not None:
            versions[key].append(version._replace(known_at=moment))
    effect = pl.Series("effect", moments, dtype=kept.schema["known_at"])
    revised = disputed.with_columns(known_at=effect).filter(effect.is_not_null())
    return disputed.filter(effect.is_null()), revised


def _versions(
    frame: pl.DataFrame, keys: list[str], names: list[str]
) -> list[tuple[tuple[Any, ...], _Version]]:
    named = frame.select(keys).rows()
    values = frame.select(names).rows() if names else [()] * frame.height
    return [
        (key, _Version(moment, value))
        for key, moment, value in zip(named, frame["known_at"], values, strict=True)
    ]


def _takes_effect(row: _Version, versions: list[_Version], now: datetime) -> datetime | None:
    """Return when a row changes what is known; None if it never does."""
    until = [version for version in versions if version.known_at <= row.known_at]
    if _repeats(row, _filled(until or versions[:1])):
        return None
    if all(version.known_at != row.known_at for version in versions):
        return row.known_at
    if any(_repeats(row, version.values) for version in versions):
        return None
    return None if _repeats(row, _filled(versions)) else now


def _repeats(row: _Version, values: tuple[Any, ...]) -> bool:
    return all(a is None or a == b for a, b in zip(row.values, values, strict=True))


def _filled(versions: list[_Version]) -> tuple[Any, ...]:
    """Return what is known after these versions, the later over the earlier."""
    filled: tuple[Any, ...] = versions[0].values
    for version in sorted(versions, key=lambda version: version.known_at):
        filled = tuple(
            old if new is None else new for old, new in zip(filled, version.values, strict=True)
        )
    return filled


def in_force(table: Table, kept: pl.DataFrame, revisions: pl.DataFrame) -> pl.DataFrame:
    """Return each fact in its latest version.

    Parameters
    ----------
    table : Table
    kept, revisions : DataFrame
        Rows of the table that were known by the moment asked about.

    Returns
    -------
    DataFrame
        In the order of the key; what a version leaves unknown is as before it.
    """
    if not revisions.height:
        return kept
    names = [f"_key_{e.meta.output_name()}" for e in table.identity()]
    keys = [e.alias(name) for e, name in zip(table.identity(), names, strict=True)]
    kept, revisions = kept.with_columns(keys), revisions.select(kept.columns).with_columns(keys)
    plain = kept.join(revisions, on=names, how="anti", nulls_equal=True)
    disputed = kept.join(revisions, on=names, how="semi", nulls_equal=True)
    latest = (
        pl.concat([disputed, revisions])
        .sort("known_at", maintain_order=True)
        .with_columns(pl.col(table.values).forward_fill().over(names))
        .unique(names, keep="last", maintain_order=True)
    )
    return (
        pl.concat([plain, latest])
        .sort("_key_time", *(name for name in names if name != "_key_time"))
        .select(*table.schema)
    )
