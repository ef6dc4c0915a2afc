"""Whether funding and ratios that are wrong are found, and no others are: faults that are planted.

As in `faults`, but of metrics that have no sum: a fault is put into one market of a store, all
markets are graded as if nobody knew, and what is asked is whether that one is named for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from plimsoll.analytics.grading_funding import funding_grades, hourly_premium
from plimsoll.analytics.grading_ratios import ratio_grades
from plimsoll.measures.asking import Asked, rows_of
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Change = Callable[[pl.DataFrame], pl.DataFrame]

__all__ = ["FUNDING_FAULTS", "RATIO_FAULTS", "rate_faults"]

_RATE, _HOURS = pl.col("rate"), pl.col("interval_hours")
_RATIO, _SHARE = pl.col("ratio"), pl.col("long_share")
_BAD = ["C", "D"]
_TOLD = ("metric", "exchange", "population", "grade", "reasons")


def _since(days: int, *columns: str) -> Change:
    """Return what lets columns stand still in the last days."""
    recent = pl.col("time") > pl.col("time").max() - pl.duration(days=days)
    stood = [
        pl.when(recent).then(pl.col(name).filter(~recent).last()).otherwise(name).alias(name)
        for name in columns
    ]
    return lambda rows: rows.with_columns(stood)


def _late(hours: int) -> Change:
    """Return what stamps each row so late; what would be stamped after the end is not yet told."""
    end = pl.col("known_at").max()
    moved = pl.col("time", "known_at") + pl.duration(hours=hours)
    before = pl.col("known_at") + pl.duration(hours=hours) <= end
    return lambda rows: rows.filter(before).with_columns(moved)


FUNDING_FAULTS: dict[str, tuple[Change, str]] = {
    "sign turned": (lambda rows: rows.with_columns(-_RATE), "the sign is turned"),
    "percent for a fraction": (lambda rows: rows.with_columns(_RATE * 100), "wrong unit"),
    "rate of another interval": (
        lambda rows: rows.with_columns(_RATE * pl.when(_HOURS == 1).then(8).otherwise(1 / _HOURS)),
        "wrong interval",
    ),
    "another interval stated": (
        lambda rows: rows.with_columns(
            pl.when(_HOURS == 1).then(8.0).otherwise(1.0).alias("interval_hours")
        ),
        "wrong interval: states",
    ),
    "stale": (lambda rows: rows.with_columns(_RATE.first()), "stale"),
    "stale since four days": (_since(4, "rate"), "stale"),
    "an hour late": (_late(1), "shifted: its stamps are 1 h late"),
}
"""What a publisher of funding may do wrong, and the words that name it."""
RATIO_FAULTS: dict[str, tuple[Change, str]] = {
    "percent for a fraction": (
        lambda rows: rows.with_columns(_RATIO * 100, long_share=pl.lit(None, pl.Float64)),
        "wrong unit",
    ),
    "ratio turned, share not": (
        lambda rows: rows.with_columns(ratio=1 / _RATIO),
        "contradicts itself",
    ),
    "shorts for longs": (
        lambda rows: rows.with_columns(ratio=1 / _RATIO, long_share=1 - _SHARE),
        "turned",
    ),
    "stale": (lambda rows: rows.with_columns(_RATIO.first(), _SHARE.first()), "stale"),
    "stale since a day": (_since(1, "ratio", "long_share"), "stale"),
    "a day's, told each hour": (
        lambda rows: rows.with_columns(
            pl.col("ratio", "long_share").first().over(pl.col("time").dt.truncate("1d"))
        ),
        "stale",
    ),
    "an hour late": (_late(1), "lagging"),
}
"""What a publisher of ratios may do wrong, and the words that name it."""


def rate_faults(store: Path, coin: str) -> pl.DataFrame:
    """Plant each fault in each perpetual of a simulated coin in turn, and grade all markets.

    Parameters
    ----------
    store : Path
    coin : str

    Returns
    -------
    DataFrame
        `metric`, `fault` (``none`` where nothing is planted), `exchange`, `population` (of a
        ratio), `grade` and `reasons` of the market it was planted in, `named` (whether it is C or D
        for that fault), and `accused`: how many others are C or D.

    Raises
    ------
    NoSuchData
        If no funding, marks or ratios of the coin are stored.
    """
    reader, whole = Reader(store), Asked([])
    settled = rows_of(reader, "funding", coin, whole).filter(pl.col("status") == "settled")
    premiums = hourly_premium(rows_of(reader, "mark_price", coin, whole))
    ratios = rows_of(reader, "long_short_ratio", coin, whole)
    found = _planted(settled, FUNDING_FAULTS, lambda rows: funding_grades(rows, premiums))
    found += _planted(ratios, RATIO_FAULTS, ratio_grades)
    return pl.DataFrame(found, schema_overrides={"reasons": pl.List(pl.String)})


def _planted(
    rows: pl.DataFrame, faults: dict[str, tuple[Change, str]], graded: Change
) -> list[dict[str, Any]]:
    """Return what is said of each series with each fault, and of the others."""
    keys = [name for name in ("exchange", "population") if name in rows.columns]
    sound = graded(rows)
    accused = sound.filter(pl.col("grade").is_in(_BAD)).height
    found = [{"metric": sound["metric"][0], "fault": "none", "accused": accused}]
    for fault, (change, words) in faults.items():
        for series in rows.select(keys).unique().sort(keys).to_dicts():
            meant = pl.all_horizontal(pl.col(name) == value for name, value in series.items())
            wrong = change(rows.filter(meant).sort("time"))
            given = graded(pl.concat([rows.filter(~meant), wrong]))
            own = given.filter(meant).row(0, named=True)
            bad, why = own["grade"] in _BAD, "; ".join(own["reasons"])
            of = {
                name: own[name] for name in ("metric", "exchange", "population", "grade", "reasons")
            }
            others = given.filter(~meant, pl.col("grade").is_in(_BAD)).height
            found.append({**of, "fault": fault, "named": bad and words in why, "accused": others})
    return found
