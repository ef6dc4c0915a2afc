"""Events as tables: one schema for each kind, read off the event's own fields."""

from __future__ import annotations

import math
import types
import typing
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import msgspec
import polars as pl

from plimsoll.market.events import EVENTS, Candle, Event, Gap, Snap
from plimsoll.market.interval import MICROSECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

__all__ = ["EARLIEST", "TABLES", "TIME", "Batch", "Column", "Table", "events", "flaw", "rows"]

_Frame = TypeVar("_Frame", pl.DataFrame, pl.LazyFrame)

TIME = pl.Datetime("us", "UTC")
EARLIEST = pl.datetime(2009, 1, 3, time_zone="UTC")
"""The first Bitcoin block: no stamp can be older."""
LATEST = pl.datetime(2100, 1, 1, time_zone="UTC")
"""No stamp can be later: what seems to be is in another unit."""
_LONGEST_NAME = 80
_TEN_YEARS = 315_360_000
_ROUNDED = 1 + 1e-6
"""By how much a part may exceed its whole, as each is rounded by its exchange."""

_KNOWN = ("nothing can be known before it happens", pl.col("known_at") >= pl.col("time"))
_LAWS = {
    "candle": (
        (
            "a candle is known at its close, not before",  # a month of candles may have 28 days
            pl.col("known_at")
            >= pl.col("time") + pl.duration(seconds=pl.min_horizontal("interval", 28 * 86_400)),
        ),
        (
            "open and close must lie between low and high",
            pl.min_horizontal("open", "close").ge(pl.col("low"))
            & pl.max_horizontal("open", "close").le(pl.col("high")),
        ),
        (
            "takers cannot have bought more than was traded",
            (pl.col("taker_buy_volume") <= pl.col("volume") * _ROUNDED).fill_null(value=True),
        ),
    ),
    "gap": (("a gap must end after it begins", pl.col("until") > pl.col("time")),),
}
"""What must hold between the columns of a kind."""

_DTYPES: dict[type, pl.DataType] = {
    float: pl.Float64(),
    int: pl.Int64(),
    str: pl.String(),
}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
    dtype : polars.DataType
    unit : str
        Empty where the value is a word.
    rule : str
        What a value must be: ``positive``, ``nonnegative``, ``finite``,
        ``share`` (in [0, 1]), ``time`` (2009 to 2100), ``seconds`` (up to ten
        years), ``name`` (1 to 80 bytes), or empty.
    choices : tuple of str
        The words allowed; empty for any.
    required : bool
        Whether a null rejects the row.
    default : object
        Put in where a source has no such column; None for null.
    description : str
    """

    name: str
    dtype: pl.DataType
    unit: str
    rule: str
    choices: tuple[str, ...]
    required: bool
    default: object
    description: str

    def broken(self) -> pl.Expr | None:
        """Return an expression that is true where a value breaks the rule; None: none can."""
        value = pl.col(self.name)
        checks: list[pl.Expr] = []
        if self.required:
            checks.append(value.is_null())
        if self.dtype.is_float() and self.rule:
            checks.append(~value.is_finite())
        if self.choices:
            checks.append(~value.is_in(self.choices))
        match self.rule:
            case "positive":
                checks.append(value <= 0)
            case "nonnegative":
                checks.append(value < 0)
            case "share":
                checks.append(~value.is_between(0, 1))
            case "time":
                checks.append(~value.is_between(EARLIEST, LATEST, closed="left"))
            case "name":
                checks.append(~value.str.len_bytes().is_between(1, _LONGEST_NAME))
            case "seconds":
                checks.append(~value.is_between(1, _TEN_YEARS))
        return pl.any_horizontal(checks).fill_null(value=False) if checks else None


@dataclass(frozen=True)
class Table:
    """The one table of a kind of event.

    Attributes
    ----------
    kind : str
        The name of the event and of the table.
    columns : tuple of Column
    key : tuple of str
        Columns that name a fact; two rows with one key tell of the same fact.
    snap : Snap or None
        Where times that differ a little name the same fact.
    summary : str
        What a row says, in one line.
    """

    kind: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    snap: Snap | None
    summary: str

    @property
    def schema(self) -> pl.Schema:
        """Column names and types, in order."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @property
    def values(self) -> tuple[str, ...]:
        """Columns that say something of the fact, and so can contradict."""
        clocks = {"received", "known_at"}
        return tuple(c.name for c in self.columns if c.name not in {*self.key, *clocks})

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the frame with exactly this table's columns and types.

        Parameters
        ----------
        frame : DataFrame
            Any subset of the columns; more are refused.

        Returns
        -------
        DataFrame
            Missing columns take their default, and `known_at` the later of
            `time` (of a bar, its close) and `received` where it is null.

        Raises
        ------
        ValueError
            If a column is unknown.
        """
        known = {column.name for column in self.columns}
        if unknown := [name for name in frame.columns if name not in known]:
            raise ValueError(
                f"{self.kind} has no column {', '.join(map(repr, unknown))}; "
                f"known: {', '.join(sorted(known))}"
            )
        frame = frame.select(
            (pl.col(c.name) if c.name in frame.columns else pl.lit(c.default, dtype=c.dtype))
            .cast(c.dtype)
            .alias(c.name)
            for c in self.columns
        )
        told = pl.max_horizontal(self._end(), "received")
        return frame.with_columns(known_at=pl.coalesce("known_at", told))

    def widened(self, stored: _Frame) -> _Frame:
        """Return stored rows with the columns that this table has gained since, null in each.

        Parameters
        ----------
        stored : DataFrame or LazyFrame
            Rows as they were written, with all columns that the table had then.

        Returns
        -------
        DataFrame or LazyFrame
            The columns in this table's order, then those that are none of its own. One that no
            row may lack is not made up: without it, a row was never of this table.
        """
        found = stored.collect_schema().names()
        gained = [c for c in self.columns if c.name not in found and not c.required]
        if not gained:
            return stored
        own = {column.name for column in self.columns}
        return stored.with_columns(pl.lit(None, c.dtype).alias(c.name) for c in gained).select(
            *(c.name for c in self.columns if c.name in found or c in gained),
            *(name for name in found if name not in own),
        )

    def _end(self) -> pl.Expr:
        """Return when what a row tells is over: a bar is known at its close."""
        bars = any(column.name == "interval" for column in self.columns)
        time, interval = pl.col("time"), pl.col("interval")
        if not bars:
            return time
        sane = interval.is_between(1, _TEN_YEARS)  # another is rejected, and may overflow
        return pl.when(sane).then(time + pl.duration(seconds=interval)).otherwise(time)

    def violations(self) -> pl.Expr:
        """Return an expression that names the first column to break its rule, else null.

        Where each column is right but they cannot be right together, it says so in words.
        """
        columns = [
            pl.when(broken).then(pl.lit(column.name))
            for column in self.columns
            if (broken := column.broken()) is not None
        ]
        laws = [
            pl.when(~holds).then(pl.lit(words))
            for words, holds in (_KNOWN, *_LAWS.get(self.kind, ()))
        ]
        return pl.coalesce(*columns, *laws)

    def identity(self) -> list[pl.Expr]:
        """Return the key as expressions, with the time snapped where the kind snaps it."""
        time = pl.col("time")
        if self.snap is not None:
            snaps = pl.col(self.snap.column) == self.snap.value
            time = pl.when(snaps).then(time.dt.round(self.snap.every)).otherwise(time)
        return [time if name == "time" else pl.col(name) for name in self.key]


def _column(name: str, hint: Any, default: object) -> Column:
    optional, meta, choices = False, msgspec.Meta(), ()
    while True:
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            hint, meta = args[0], args[1]
        elif origin in {typing.Union, types.UnionType}:
            hint, optional = next(a for a in args if a is not type(None)), True
        elif origin is Literal:
            hint, choices = str, args
        else:
            break
    extra = meta.extra or {"unit": "", "rule": ""}
    return Column(
        name=name,
        dtype=TIME if extra["rule"] == "time" else _DTYPES[hint],
        unit=extra["unit"],
        rule=extra["rule"],
        choices=choices,
        required=not optional,
        default=None if default is msgspec.NODEFAULT else default,
        description=meta.description or "",
    )


def _table(kind: str, event: type[Event]) -> Table:
    hints = typing.get_type_hints(event, include_extras=True)
    defaults = {field.name: field.default for field in msgspec.structs.fields(event)}
    return Table(
        kind=kind,
        columns=tuple(_column(name, hints[name], default) for name, default in defaults.items()),
        key=("exchange", "symbol", "time", *event.key),
        snap=event.snap,
        summary=(event.__doc__ or "").strip().splitlines()[0],
    )


TABLES: Mapping[str, Table] = {kind: _table(kind, event) for kind, event in EVENTS.items()}
"""The table of each kind."""


class Batch(NamedTuple):
    """Rows of a stretch of time, of any kinds.

    Attributes
    ----------
    until : datetime
        Everything known before this moment is in this batch or was in one before it; in UTC.
    tables : dict of str to DataFrame
        Rows by kind, with all columns.
    """

    until: datetime
    tables: dict[str, pl.DataFrame]


def rows(batch: Iterable[Event]) -> dict[str, pl.DataFrame]:
    """Return events as the rows of their tables.

    Parameters
    ----------
    batch : iterable of Event
        In any order, of any kinds. Nanoseconds below a microsecond are cut.

    Returns
    -------
    dict of str to DataFrame
        One frame for each kind that occurs, rows in the order given.

    Raises
    ------
    ValueError
        If a value is no value of its column: text for a number, or more than 64 bits.
    """
    by_kind: dict[str, list[Event]] = {}
    for event in batch:
        by_kind.setdefault(type(event).__struct_config__.tag, []).append(event)  # type: ignore[arg-type]
    return {kind: _frame(TABLES[kind], items) for kind, items in by_kind.items()}


def _frame(table: Table, items: list[Event]) -> pl.DataFrame:
    data: dict[str, pl.Series] = {}
    for column in table.columns:
        cells = [getattr(item, column.name) for item in items]
        if column.dtype == TIME:
            micros = [None if cell is None else cell // MICROSECOND for cell in cells]
            data[column.name] = _series(column, micros, pl.Int64()).cast(TIME)
        else:
            data[column.name] = _series(column, cells, column.dtype)
    return table.conform(pl.DataFrame(data))


def _series(column: Column, cells: list[Any], dtype: pl.DataType) -> pl.Series:
    try:
        return pl.Series(cells, dtype=dtype)
    except (OverflowError, TypeError) as error:
        raise ValueError(
            f"{column.name} has a value that is none of its column: {error}"
        ) from error


_FIRST_NS, _LAST_NS = 1_230_940_800_000_000_000, 4_102_444_800_000_000_000


def flaw(event: Event) -> str | None:
    """Return which rule of its table an event breaks, in words; None if it keeps them.

    What `Table.violations` says of many rows at once, for one event as it comes.
    """
    for name, column in _ruled(type(event)):
        value = getattr(event, name)
        if value is None:
            if column.required:
                return f"{name} is missing"
        elif _breaks(column, value):
            return f"{name} cannot be {value!r}"
    return _unlawful(event)


def _unlawful(event: Event) -> str | None:
    """Return what cannot hold between the values of an event, though each alone might."""
    known = event.time if event.known_at is None else event.known_at
    if known < event.time:
        return "it is known before it happens"
    if isinstance(event, Candle):
        return _odd(event)
    if isinstance(event, Gap) and event.until <= event.time:
        return "a gap must end after it begins"
    return None


@cache
def _odd(candle: Candle) -> str | None:
    """Return what cannot hold between the values of a candle."""
    if not candle.low <= min(candle.open, candle.close) <= candle.high:
        return "open and close must lie between low and high"
    if max(candle.open, candle.close) > candle.high:
        return "open and close must lie between low and high"
    bought, volume = candle.taker_buy_volume, candle.volume
    if bought is not None and volume is not None and bought > volume * _ROUNDED:
        return "takers cannot have bought more than was traded"
    end = candle.time + min(candle.interval, 28 * 86_400) * SECOND
    if candle.known_at is not None and candle.known_at < end:
        return "a candle is known at its close, not before"
    return None


def _ruled(event: type[Event]) -> list[tuple[str, Column]]:
    """Return the columns of an event that have rules or words."""
    table = TABLES[event.__struct_config__.tag]  # type: ignore[index]
    whole = pl.Int64()
    return [
        (c.name, c) for c in table.columns if c.required or c.rule or c.choices or c.dtype == whole
    ]


def _breaks(column: Column, value: Any) -> bool:
    if column.choices:
        return value not in column.choices
    if isinstance(value, int) and not -_TOO_LARGE <= value < _TOO_LARGE:
        return True
    kept = _KEEPS.get(column.rule)
    return kept is not None and not kept(value)


_TOO_LARGE = 2**63
_KEEPS: dict[str, Callable[[Any], bool]] = {
    "positive": lambda value: 0 < value < math.inf,
    "nonnegative": lambda value: 0 <= value < math.inf,
    "finite": math.isfinite,
    "share": lambda value: 0 <= value <= 1,
    "time": lambda value: _FIRST_NS <= value < _LAST_NS,
    "seconds": lambda value: 1 <= value <= _TEN_YEARS,
    "name": lambda value: 1 <= len(value.encode()) <= _LONGEST_NAME,
}


@cache
def _times(kind: str) -> tuple[str, ...]:
    return tuple(c.name for c in TABLES[kind].columns if c.dtype == TIME)


def events(kind: str, frame: pl.DataFrame) -> list[Event]:
    """Return the rows of a table as events.

    Parameters
    ----------
    kind : str
        The table the rows are of.
    frame : DataFrame
        With all columns of that table.

    Returns
    -------
    list of Event
        In the order of the rows.
    """
    table, struct = TABLES[kind], EVENTS[kind]
    nanos = frame.select(table.schema.names()).with_columns(
        pl.col(name).dt.epoch("us") * MICROSECOND for name in _times(kind)
    )
    return [struct(**row) for row in nanos.iter_rows(named=True)]
