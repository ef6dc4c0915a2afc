"""Times as people and programs write them, read as UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from plimsoll.errors import ArchiveError
from plimsoll.market.schema import TIME

if TYPE_CHECKING:
    from plimsoll.archives.source import Source

__all__ = ["stamps"]

_PER_SECOND = (1, 1_000, 1_000_000, 1_000_000_000)
_SINCE, _UNTIL = 1_230_940_800, 4_102_444_800  # 2009-01-03 and 2100-01-01
_ZONED = r"(?:Z|UTC|[+-]\d\d:?\d\d)$"
_ZONED_FORMATS = ("%+", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z")
_NAIVE_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d",
)


def stamps(source: Source, column: pl.Series) -> pl.Series:
    """Return a column of times in UTC.

    Parameters
    ----------
    source : Source
        Its `time_zone` is that of times that name none.
    column : Series
        Times; dates; ISO 8601 text with or without a zone; or whole seconds, milliseconds,
        microseconds or nanoseconds since 1970, all in the unit of the first.

    Returns
    -------
    Series of Datetime("us", "UTC")
        Null where a cell is no such time.

    Raises
    ------
    ArchiveError
        If times name no zone and none was given, or the column holds something else.
    """
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        aware = column if dtype.time_zone else _localized(source, column)
        return aware.dt.convert_time_zone("UTC").cast(TIME)
    if dtype == pl.Date:
        return _localized(source, column.cast(pl.Datetime("us"))).dt.convert_time_zone("UTC")
    if dtype.is_integer():
        return _epoch(source, column.cast(pl.Int64))
    if dtype == pl.Null:
        return column.cast(TIME)
    if dtype != pl.String and not isinstance(dtype, pl.Categorical | pl.Enum):
        raise ArchiveError(source.path, f"its column {column.name} holds {dtype}, not times")
    text = column.cast(pl.String)
    if text.drop_nulls().str.contains(r"^\d{9,19}$").all():
        return _epoch(source, text.cast(pl.Int64, strict=False))
    return _text(source, text)


def _epoch(source: Source, numbers: pl.Series) -> pl.Series:
    known = numbers.drop_nulls()
    if not known.len():
        return numbers.cast(TIME)
    fitting = [per for per in _PER_SECOND if _SINCE <= known[0] // per < _UNTIL]
    if not fitting:
        raise ArchiveError(
            source.path, f"its times start with {known[0]}, which is no time since 2009 in any unit"
        )
    per, value = fitting[0], pl.col(numbers.name)
    micros = value * (1_000_000 // per) if per <= 1_000_000 else value // (per // 1_000_000)
    within = value.is_between(_SINCE * per, _UNTIL * per, closed="left")
    return numbers.to_frame().select(pl.when(within).then(micros).cast(TIME)).to_series()


def _text(source: Source, text: pl.Series) -> pl.Series:
    zoned = text.str.contains(_ZONED).fill_null(value=False)
    aware = _parsed(text.str.replace(r"\s*UTC$", "Z"), _ZONED_FORMATS, "UTC")
    if zoned.all() or not (naive := _parsed(text, _NAIVE_FORMATS, None)).is_not_null().any():
        return aware
    local = _localized(source, naive).dt.convert_time_zone("UTC")
    return aware.zip_with(zoned, local)


def _parsed(text: pl.Series, formats: tuple[str, ...], zone: str | None) -> pl.Series:
    read = [
        pl.col(text.name).str.to_datetime(form, strict=False, time_unit="us", time_zone=zone)
        for form in formats
    ]
    return text.to_frame().select(pl.coalesce(read).alias(text.name)).to_series()


def _localized(source: Source, naive: pl.Series) -> pl.Series:
    if source.time_zone is None:
        raise ArchiveError(
            source.path,
            "its times name no zone; say which with --time-zone UTC (or Europe/London, …)",
        )
    return naive.dt.replace_time_zone(source.time_zone, ambiguous="earliest", non_existent="null")
