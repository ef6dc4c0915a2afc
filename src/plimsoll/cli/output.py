"""Answers as words, JSON and files."""

from __future__ import annotations

import math
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
import msgspec
import polars as pl

from plimsoll.errors import NoSuchData

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plimsoll.cli.flags import Output

__all__ = [
    "SAID",
    "SUFFIXES",
    "answer",
    "between",
    "dollars",
    "give",
    "needs_rows",
    "percent",
    "readable",
    "table",
]

SUFFIXES = (".csv", ".parquet", ".json", ".png")
_WIDE = 160


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it: unknown is null, times are ISO in UTC."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def document(body: dict[str, Any]) -> bytes:
    """Return one JSON document."""
    return msgspec.json.format(msgspec.json.encode(_plain(body)), indent=0) + b"\n"


def between(frame: pl.DataFrame) -> str:
    """Return the days of the first and the last time of a frame: ``2026-01-05 to 2026-02-01``."""
    first, last = frame.select(first=pl.col("time").min(), last=pl.col("time").max()).row(0)
    if first.date() == last.date():
        return f"{first:%Y-%m-%d}"
    return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def answer(
    output: Output,
    frame: pl.DataFrame,
    parameters: dict[str, Any],
    words: Callable[[], None],
    picture: Callable[[Path], None] | None = None,
) -> None:
    """Give an answer in the form that was asked for.

    Parameters
    ----------
    output : Output
        ``--json`` prints the document, ``--out`` writes the file, else `words` is called.
    frame : DataFrame
        The numbers.
    parameters : dict
        What they were computed with; goes into JSON beside the columns.
    words : callable
        Prints the answer for people.
    picture : callable, optional
        Draws the answer to a path.

    Raises
    ------
    click.UsageError
        If a picture is asked for where there is none.
    """
    body = {"parameters": parameters, "columns": frame.to_dict(as_series=False)}
    if output.out is not None:
        _write(output.out, frame, body, picture)
        click.echo(f"wrote {output.out}", err=True)
    if output.as_json:
        sys.stdout.buffer.write(document(body))
    elif output.out is None:
        words()


def give(
    output: Output, body: dict[str, Any], picture: Callable[[Path], None] | None = None
) -> bool:
    """Give an answer of several tables as one document or picture, if one was asked for.

    Parameters
    ----------
    output : Output
    body : dict
        The document.
    picture : callable, optional
        Draws the answer to a path.

    Returns
    -------
    bool
        Whether it was, so that no words are wanted.

    Raises
    ------
    click.UsageError
        If another kind of file is asked for.
    """
    if output.out is not None:
        try:
            if picture is not None and output.out.suffix == ".png":
                picture(output.out)
            elif output.out.suffix == ".json":
                output.out.write_bytes(document(body))
            else:
                kinds = ".json" if picture is None else ".json or .png"
                raise click.UsageError(f"this answer is several tables: write it to a {kinds} file")
        except OSError as error:
            raise click.UsageError(f"cannot write {output.out}: {error}") from error
        click.echo(f"wrote {output.out}", err=True)
    if output.as_json:
        sys.stdout.buffer.write(document(body))
    return output.as_json or output.out is not None


def _write(
    path: Path,
    frame: pl.DataFrame,
    body: dict[str, Any],
    picture: Callable[[Path], None] | None,
) -> None:
    try:
        match path.suffix:
            case ".csv":
                _flat(frame).write_csv(path)
            case ".parquet":
                frame.write_parquet(path)
            case ".json":
                path.write_bytes(document(body))
            case _ if picture is None:
                raise click.UsageError("this answer has no picture; write .csv, .parquet or .json")
            case _:
                picture(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise click.UsageError(f"cannot write {path}: {error}") from error


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return nested columns as JSON, which is what a cell of text can hold."""
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested()]
    return frame.with_columns(
        pl.Series(name, [msgspec.json.encode(_plain(cell)).decode() for cell in cells])
        for name, cells in frame.select(nested).to_dict(as_series=False).items()
    )


def table(
    frame: pl.DataFrame, *, title: str, last: int | None = None, right: tuple[str, ...] = ()
) -> None:
    """Print a frame as a table; numbers, and the columns named, at the right."""
    from rich.console import Console  # noqa: PLC0415 (not needed for JSON and files)
    from rich.table import Table  # noqa: PLC0415

    shown = frame if last is None else frame.tail(last)
    grid = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name, dtype in shown.schema.items():
        left = not dtype.is_numeric() and name not in right
        grid.add_column(name, justify="left" if left else "right", no_wrap=True)
    for row in shown.iter_rows():
        grid.add_row(*(_word(value) for value in row))
    console = Console() if sys.stdout.isatty() else Console(width=_WIDE)
    console.print(grid)
    if last is not None and frame.height > last:
        console.print(
            f"… the last {last} of {frame.height:,} rows; all of them with --out or --json"
        )


def _word(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100_000 else f"{value:,.6g}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def dollars(value: float | None) -> str:
    """Return dollars as people say them: ``$8.06bn``, ``–`` where unknown."""
    if value is None or not math.isfinite(value):
        return "–"
    for size, unit in ((1e12, "tn"), (1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return f"${value / size:.3g}{unit}"
    return f"${value:.3g}"


def percent(value: float | None) -> str:
    """Return a fraction in percent: ``10.95%``, ``–`` where unknown."""
    return "–" if value is None or not math.isfinite(value) else f"{value * 100:.4g}%"


MONEY = (
    *("value_usd", "long_usd", "short_usd", "open_interest_usd", "volume_usd", "supply_usd"),
    *("long_most_usd", "short_most_usd", "chain_usd", "other_usd", "naive_usd"),
)
PERCENT = (
    *("relative_change", "rate", "apr", "excess", "cumulative", "percentile", "coverage"),
    *("volume_share", "forced_share", "seen", "move", "after_5m", "after_1h", "after_1d"),
    *("growth_7d", "growth_30d", "dominance", "share", "largest_share"),
    *("long_share", "short_share", "net_share"),
)
SAID = MONEY + PERCENT
"""The columns of which `readable` makes words."""


def readable(frame: pl.DataFrame) -> pl.DataFrame:
    """Return dollars and fractions as people say them."""
    said = dict.fromkeys(MONEY, dollars) | dict.fromkeys(PERCENT, percent)
    return frame.with_columns(
        pl.col(name).map_elements(say, return_dtype=pl.String, skip_nulls=False)
        for name, say in said.items()
        if name in frame.columns and frame.schema[name].is_numeric()
    )


def needs_rows(frame: pl.DataFrame, symbol: str) -> None:
    """Refuse an answer without rows.

    Raises
    ------
    NoSuchData
    """
    if not frame.height:
        raise NoSuchData(f"nothing is stored for {symbol} in that span of time")
