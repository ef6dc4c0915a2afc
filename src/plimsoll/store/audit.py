"""Proof that a store is what it claims to be, and what it does not hold."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from plimsoll.market.schema import TABLES, TIME
from plimsoll.store import merge, parquet
from plimsoll.store.catalogue import Catalogue, checksum
from plimsoll.store.journal import read_segment
from plimsoll.store.stage import accepted, damaged

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.market.schema import Table
    from plimsoll.store.catalogue import Sealed
    from plimsoll.store.layout import Layout, Series
    from plimsoll.store.reader import Reader

__all__ = ["STATUS", "Finding", "audit", "gaps", "status"]

STATUS = pl.Schema(
    {
        "kind": pl.String(),
        "exchange": pl.String(),
        "symbol": pl.String(),
        "detail": pl.String(),
        "rows": pl.Int64(),
        "first": TIME,
        "last": TIME,
        "gaps": pl.Int64(),
        "missing": pl.Int64(),
        "revisions": pl.Int64(),
    }
)
"""The columns of `status`."""

_REGULAR = 0.9


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes
    ----------
    file : str
        Relative to the store.
    problem : str
        What is wrong with it and what to do.
    """

    file: str
    problem: str


class Audit(NamedTuple):
    """What an audit looked at, and what it found.

    Attributes
    ----------
    counts : dict of str to int
        Sealed files and their rows, rows that wait to be sealed, revisions, rejected rows.
    findings : list of Finding
        Empty if the store is sound.
    """

    counts: dict[str, int]
    findings: list[Finding]


def audit(reader: Reader) -> Audit:
    """Check every file of a store.

    Parameters
    ----------
    reader : Reader
    """
    with reader.layout.sealing(shared=True):
        return _audit(reader)


def _audit(reader: Reader) -> Audit:
    layout = reader.layout
    with closing(Catalogue(layout, read_only=True)) as catalogue:
        entered = {(item.series, item.month): item for item in catalogue.sealed()}
    counts = {"files": 0, "rows": 0, "waiting": 0, "revisions": 0, "rejected": 0}
    findings: list[Finding] = []
    for series in layout.series():
        for month in layout.months(series):
            counts["files"] += 1
            item = entered.pop((series, month), None)
            rows, problem = _check(layout, series, month, item)
            counts["rows"] += rows
            if problem:
                findings.append(Finding(f"tables/{series.folder}/{month}.parquet", problem))
    findings += [
        Finding(
            f"tables/{item.series.folder}/{item.month}.parquet",
            f"{item.rows} sealed rows are gone: restore the file, or import its sources --again",
        )
        for item in entered.values()
    ]
    for path in sorted((layout.root / "revisions").glob("*/*/*/*.parquet")):
        rows, problem = _check_revisions(path)
        counts["revisions"] += rows
        if problem:
            findings.append(Finding(path.relative_to(layout.root).as_posix(), problem))
    findings += _journal(layout)
    for note, stage in accepted(layout.staged):
        counts["waiting"] += note.rows
        findings += [
            Finding(path.relative_to(layout.root).as_posix(), problem)
            for path, problem in damaged(note, stage)
        ]
    counts["rejected"] = sum(int(str(note["rejected"])) for note in reader.imports())
    return Audit(counts, findings)


def _check_revisions(path: Path) -> tuple[int, str | None]:
    try:
        parquet.verify(path)
        return parquet.read(path).height, None
    except parquet.UNREADABLE as error:
        return 0, f"it cannot be read ({error}); delete it and import its sources --again"


def _check(
    layout: Layout, series: Series, month: str, item: Sealed | None
) -> tuple[int, str | None]:
    """Return how many rows a sealed file holds and what is wrong with it."""
    table, path = TABLES.get(series.kind), layout.sealed(series, month)
    if table is None:
        return 0, f"{series.kind} is no table this version knows"
    if item is None:
        return 0, "nobody sealed it: it was put there, or its catalogue is of another store"
    found = checksum(path)
    waiting = any(layout.staged.glob("[!.]*")) or any(layout.journal.glob("*.journal"))
    if found != item.sha256 and not (waiting and found == item.previous):
        return 0, (
            "its bytes are not those that were sealed: restore it, or delete it and import its "
            "sources --again"
        )
    try:
        frame = parquet.read(path, table)
    except parquet.UNREADABLE as error:
        return 0, f"it cannot be read ({error})"
    return frame.height, _check_rows(table, frame, item)


def _check_rows(table: Table, frame: pl.DataFrame, item: Sealed) -> str | None:
    if frame.height != item.rows:
        return f"it holds {frame.height} rows, {item.rows} were sealed"
    if frame.schema != table.schema:
        return "its columns are not those of its table"
    if not merge.strictly_rising(table, frame):
        return "its rows are out of order, or one fact stands in it twice"
    if (broken := frame.select(table.violations().alias("b"))["b"].drop_nulls()).len():
        return f"{broken.len()} rows break the rule of {broken[0]}"
    if frame.select((pl.col("known_at") < pl.col("time")).any()).item():
        return "a row was known before it happened"
    return None


def _journal(layout: Layout) -> list[Finding]:
    damaged = {
        path.name: read_segment(path).damaged
        for path in sorted(layout.journal.glob("*"))
        if path.suffix in {".journal", ".damaged"}
    }
    return [
        Finding(
            f"journal/{name}",
            f"{lost} bytes do not match their checksum; all whole batches were kept, the file "
            "is left for inspection: delete it when done",
        )
        for name, lost in damaged.items()
        if lost
    ]


def gaps(frame: pl.DataFrame) -> pl.DataFrame | None:
    """Return the holes of one regular series.

    Parameters
    ----------
    frame : DataFrame
        `time`, and `interval` where the kind has bars, rows of one series and bar length.

    Returns
    -------
    DataFrame or None
        `since`, `until` and `missing` rows of each hole; None where the series
        has no usual step, so that a hole cannot be told from silence.
    """
    times = frame["time"].sort()
    steps = times.diff().drop_nulls().dt.total_microseconds() / 1e6
    if not steps.len():
        return None
    bars = "interval" in frame.columns
    minutes = (steps / 60).round().mode().sort()
    usual = float(frame["interval"][0] if bars else minutes[0] * 60)
    if not usual:
        return None
    late = pl.DataFrame(
        {
            "since": times[:-1],
            "until": times[1:],
            "missing": (steps / usual - 1).round().cast(pl.Int64),
        }
    ).filter(pl.col("missing") >= 1)
    regular = bars or late.height <= (1 - _REGULAR) * steps.len()
    return late if regular else None


def status(reader: Reader) -> list[dict[str, object]]:
    """Return what a store holds, series by series.

    Parameters
    ----------
    reader : Reader

    Returns
    -------
    list of dict
        `kind`, `exchange`, `symbol`, `detail` (bar length, population and the
        like, where one series holds several), `rows`, `first`, `last`, `gaps`
        and `missing` (null where no usual step tells), `revisions`.
    """
    return [
        {**asdict(series), **row} for series in reader.series() for row in _status(reader, series)
    ]


_VARIANTS = ("interval", "price_kind", "population", "status", "grain")
_EVENTS = {"trade", "liquidation", "book_level", "book_depth", "option_quote", "gap", "position"}


def _status(reader: Reader, series: Series) -> list[dict[str, object]]:
    known = TABLES[series.kind].schema if series.kind in TABLES else {}  # which `read` refuses
    variants = [name for name in _VARIANTS if name in known]
    frame = reader.read(
        series.kind, exchanges=[series.exchange], symbol=series.symbol, columns=["time", *variants]
    )
    revisions = reader.revisions(series).height
    parts = frame.partition_by(variants, maintain_order=True) if variants else [frame]
    found: list[dict[str, object]] = []
    for part in parts:
        times = ["time", "interval"] if "interval" in part.columns else ["time"]
        regular = None if series.kind in _EVENTS else gaps(part.select(times))
        found.append(
            {
                "detail": " ".join(_word(name, part[name][0]) for name in variants) or None,
                "rows": part.height,
                "first": part["time"].min(),
                "last": part["time"].max(),
                "gaps": None if regular is None else regular.height,
                "missing": None if regular is None else regular["missing"].sum(),
                "revisions": revisions,
            }
        )
        revisions = 0
    return found


def _word(name: str, value: object) -> str:
    if name != "interval":
        return str(value)
    seconds = int(str(value))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
