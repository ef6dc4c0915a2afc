"""The whole market at a glance, in the terminal."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
import polars as pl

from plimsoll import session
from plimsoll.cli import flags
from plimsoll.cli.output import answer, dollars, percent

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from plimsoll.cli.flags import Output

__all__ = ["console", "missing", "overview", "sparkline", "summary"]

_LISTS = ("price_history", "open_interest_history", "funding_history")
_BARS = "▁▂▃▄▅▆▇█"
_POINTS = 12
_WIDE = 120
_NOTE = (
    "24 h: in coin for open interest; funding: a year, simple; liquidated: in 24 h, as published, "
    "≥ where a feed is throttled; lines: 30 days. load: open interest within 5 % of its "
    "liquidation; ▼ ▲ the nearest large clusters: estimates, the leverage mix is a prior and not "
    "fitted."
)


@click.command()
@click.option("--exchange", multiple=True, help="Only this exchange (repeatable).")
@click.option("--until", help="As it stood before this time.")
@click.option("--as-of", help="With what was known by then.")
@flags.store
@flags.output
def overview(
    *,
    exchange: tuple[str, ...],
    until: str | None,
    as_of: str | None,
    store: Path | None,
    output: Output,
) -> None:
    """Show the load on the whole market at a glance.

    A row for each coin: price, open interest and its change in coin over a
    day, what leverage costs a year, long accounts for each short one, the
    load, and the nearest large clusters of predicted liquidations.
    """
    frame = session.open(store).overview(exchange=list(exchange) or None, until=until, as_of=as_of)
    parameters = {"exchange": exchange, "until": until, "as_of": as_of}
    flat = frame.drop(_LISTS) if output.out and output.out.suffix == ".csv" else frame
    now = None if until or as_of else datetime.now(tz=UTC)
    answer(output, flat, parameters, lambda: _print(frame, now))


def _print(frame: pl.DataFrame, now: datetime | None) -> None:
    screen = console()
    screen.print(summary(frame, screen.width))
    screen.print(missing(frame, now), highlight=False)


def console() -> Console:
    """Return the terminal; wide enough for a table where the output is a file."""
    from rich.console import Console  # noqa: PLC0415 (not needed for JSON and files)

    if sys.stdout is not None and sys.stdout.isatty():
        return Console()
    return Console(width=_WIDE)


def summary(frame: pl.DataFrame, width: int) -> Table:
    """Return the overview as a table.

    Parameters
    ----------
    frame : DataFrame
        As `Session.overview` returns it.
    width : int
        Of the terminal; a narrow one is shown fewer columns.
    """
    from rich.table import Table  # noqa: PLC0415 (not needed for JSON and files)

    time: datetime = frame.select(pl.col("time").max()).item()
    shown = [name for name, least in _COLUMNS.items() if width >= least]
    grid = Table(
        title=f"The market's load at {time:%Y-%m-%d %H:%M} UTC",
        title_justify="left",
        caption=_NOTE,
        caption_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
    )
    for name in shown:
        if name == "":
            grid.add_column(name, no_wrap=True, min_width=4)
        else:
            grid.add_column(name.rstrip("'"), justify="right", no_wrap=True)
    for row in frame.iter_rows(named=True):
        numbers, history = _numbers(row), _history(row)
        grid.add_row(*(numbers[name] for name in shown))
        grid.add_row(*(history.get(name, "") for name in shown))
    return grid


def missing(frame: pl.DataFrame, now: datetime | None = None) -> str:
    """Return in words how fresh an overview is, and what is missing from it.

    Parameters
    ----------
    frame : DataFrame
        As `Session.overview` returns it.
    now : datetime, optional
        Against which it is fresh or old; left out where the past is asked about.
    """
    newest: datetime = frame.select(pl.col("time").max()).item()
    behind = [
        f"{coin} by {_length(newest - time)}"
        for coin, time in frame.select("coin", "time").rows()
        if newest - time >= _LATE
    ]
    partly = frame.filter(pl.col("coverage") < 1).select("coin", "coverage")
    unknown = [
        f"{words} of {_listed(coins)}"
        for name, words in _UNKNOWN.items()
        if (coins := frame.filter(pl.col(name).is_null())["coin"].to_list())
    ]
    said = [
        f"Behind it: {_listed(behind)}." if behind else "All coins are of that hour.",
        f"Not known: {'; '.join(unknown)}." if unknown else "",
        f"Silent markets are left out of the sum of {_listed(_shares(partly))}."
        if partly.height
        else "",
        "" if unknown or partly.height else "Nothing is missing.",
    ]
    old = "" if now is None else f", {_length(now - newest)} ago"
    fresh = f"The newest report is of {newest:%Y-%m-%d %H:%M} UTC{old}."
    return " ".join([fresh, *filter(None, said)])


_LATE = timedelta(hours=1)
_UNKNOWN = {
    "open_interest_usd": "open interest",
    "funding_apr": "funding",
    "long_short": "accounts",
    "liquidated_usd": "liquidations of that day",
    "load": "load",
}
_NAMED = 5
"""Coins that are named; the others are counted."""


def _shares(partly: pl.DataFrame) -> list[str]:
    return [f"{coin} ({share:.0%} are in it)" for coin, share in partly.rows()]


def _listed(names: list[str]) -> str:
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*names[:_NAMED], *more])


def _length(time: timedelta) -> str:
    minutes = time // timedelta(minutes=1)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1_440} days"


_COLUMNS = {
    "": 0,
    "price": 0,
    "24 h": 84,
    "open interest": 0,
    "24 h'": 84,
    "funding": 70,
    "long/short": 108,
    "liquidated": 97,
    "load": 57,
    "▼ longs": 0,
    "▲ shorts": 0,
}
"""Columns, and from how wide a terminal on each is shown."""


def _numbers(row: dict[str, Any]) -> dict[str, str]:
    bound = "" if row["liquidated_completeness"] in {None, "complete"} else "≥"
    return {
        "": f"[bold]{row['coin']}[/]",
        "price": _price(row["price"]),
        "24 h": _signed(row["price_change"]),
        "open interest": dollars(row["open_interest_usd"]),
        "24 h'": _signed(row["open_interest_change"]),
        "funding": percent(_rounded(row["funding_apr"])),
        "long/short": "–" if row["long_short"] is None else f"{row['long_short']:.2f}",
        "liquidated": bound + dollars(row["liquidated_usd"]),
        "load": percent(_rounded(row["load"])),
        "▼ longs": _price(row["long_cluster_price"]),
        "▲ shorts": _price(row["short_cluster_price"]),
    }


def _history(row: dict[str, Any]) -> dict[str, str]:
    """Return what stands below the numbers: sparklines, and dollars of the clusters."""
    return {
        "price": f"[cyan]{sparkline(row['price_history'])}[/]",
        "open interest": f"[magenta]{sparkline(row['open_interest_history'])}[/]",
        "funding": f"[yellow]{sparkline(row['funding_history'])}[/]",
        "▼ longs": f"[dim]{dollars(row['long_cluster_usd'])}[/]",
        "▲ shorts": f"[dim]{dollars(row['short_cluster_usd'])}[/]",
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _price(value: float | None) -> str:
    return "–" if value is None else f"{value:,.6g}" if value < 1_000 else f"{value:,.0f}"


def _signed(value: float | None) -> str:
    if value is None:
        return "–"
    color = "green" if value >= 0 else "red"
    return f"[{color}]{value * 100:+.1f}%[/]"


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def sparkline(values: list[float | None], points: int = _POINTS) -> str:
    """Return a series as a row of bars, from its least to its greatest.

    Parameters
    ----------
    values : list of float or None
    points : int
        Bars at most; each is the last known value of its stretch, blank where none is known.

    Examples
    --------
    >>> sparkline([1, 2, None, 4], points=4)
    '▁▃ █'
    """
    if not values:
        return ""
    count = min(points, len(values))
    ends = [round((i + 1) * len(values) / count) for i in range(count)]
    stretches = [values[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    shown = [next((v for v in reversed(s) if _is_known(v)), None) for s in stretches]
    known = [value for value in shown if value is not None and math.isfinite(value)]
    if not known:
        return " " * count
    low, high = min(known), max(known)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(" " if value is None else _BARS[round((value - low) * scale)] for value in shown)
