"""Liquidations over time: shorts upward, longs downward, and below when each feed was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.dates as mdates
import numpy as np
from matplotlib.ticker import FuncFormatter

from plimsoll.picture import style
from plimsoll.picture.style import BACK, FAINT, INK, LINES, large

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    import polars as pl
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["draw"]

_GLOW = "#ffffff"


def draw(
    frame: pl.DataFrame, bursts: pl.DataFrame | None, path: Path, *, title: str, every: timedelta
) -> None:
    """Write the picture of liquidations, an exchange on top of the other.

    Parameters
    ----------
    frame : DataFrame
        `time`, `exchange`, `long_usd`, `short_usd`, `completeness` and `seen`, in steps.
    bursts : DataFrame or None
        `start` and `multiple`: those drawn as marks.
    path : Path
        Where to; the suffix says the format.
    title : str
    every : timedelta
        The length of a step.

    Raises
    ------
    ValueError
        If there is no row to draw.
    """
    if not frame.height:
        raise ValueError(f"{title}: nothing to draw")
    names = frame["exchange"].unique(maintain_order=True).sort().to_list()
    figure = style.figure(8)
    bars, seen = figure.subplots(2, 1, sharex=True, height_ratios=(12, 0.5 + 0.5 * len(names)))
    _bars(bars, frame, names, every)
    style.dated(style.dressed(bars, title=title, unit="US dollars, shorts up, longs down"))
    bars.axhline(0, color=FAINT, linewidth=0.8)
    bars.yaxis.set_major_formatter(FuncFormatter(lambda value, _: large(abs(value))))
    _mark(bars, bursts)
    bars.legend(
        facecolor=BACK, edgecolor=BACK, labelcolor=INK, loc="lower right",
        bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0,
    )  # fmt: skip
    _strips(seen, frame, names, every)
    figure.savefig(path)


def _bars(axes: Axes, frame: pl.DataFrame, names: list[str], every: timedelta) -> None:
    times = frame["time"].unique().sort()
    width = max(
        every.total_seconds() / 86_400, (times[-1] - times[0]).total_seconds() / 86_400 / 900
    )
    up, down = np.zeros(len(times)), np.zeros(len(times))
    at = _days(times)
    for number, name in enumerate(names):
        rows = frame.filter(frame["exchange"] == name)
        index = times.search_sorted(rows["time"]).to_numpy()
        long, short = np.zeros(len(times)), np.zeros(len(times))
        long[index] = rows["long_usd"].fill_null(0).to_numpy()
        short[index] = rows["short_usd"].fill_null(0).to_numpy()
        color, label = LINES[number % len(LINES)], _label(name, rows)
        axes.bar(at, short, width, bottom=up, color=color, align="edge", label=label)
        axes.bar(at, -long, width, bottom=-down, color=color, align="edge")
        up, down = up + short, down + long


def _label(name: str, rows: pl.DataFrame) -> str:
    """Return an exchange with its feeds' labels, how long they were seen, and what was closed."""
    labels = sorted(rows.filter(rows["long_usd"].is_not_null())["completeness"].unique())
    long, short = (large(float(rows[f"{side}_usd"].sum())) for side in ("long", "short"))
    seen = rows["seen"].fill_null(0).to_numpy().mean()
    when = "" if seen == 1 else f", seen {seen:.0%} of the time"
    return f"{name} ({', '.join(labels) or 'unknown'}{when}): longs {long}, shorts {short}"


def _mark(axes: Axes, bursts: pl.DataFrame | None) -> None:
    if bursts is None or not bursts.height:
        return
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.12 * (high - low))
    axes.scatter(
        _days(bursts["start"]), np.full(bursts.height, high + 0.02 * (high - low)),
        marker="v", color=_GLOW, s=28, label="a burst begins",
    )  # fmt: skip
    largest = bursts.sort("multiple", descending=True, nulls_last=True)
    start, multiple = largest.select("start", "multiple").row(0)
    axes.annotate(
        f"{multiple:,.0f} × the usual", (mdates.date2num(start), high + 0.02 * (high - low)),  # type: ignore[no-untyped-call]
        (0, 8), textcoords="offset points", color=INK, fontsize=9, ha="center",
    )  # fmt: skip


def _strips(axes: Axes, frame: pl.DataFrame, names: list[str], every: timedelta) -> None:
    """Draw when each feed was seen: bright in whole, faint in part, nothing where it was not."""
    width = every.total_seconds() / 86_400
    for number, name in enumerate(names):
        rows = frame.filter((frame["exchange"] == name) & (frame["seen"] > 0))
        for whole, alpha in ((rows["seen"] == 1, 0.9), (rows["seen"] < 1, 0.4)):
            spans = [(start, width) for start in _days(rows.filter(whole)["time"])]
            axes.broken_barh(
                spans, (number - 0.35, 0.7), color=LINES[number % len(LINES)], alpha=alpha, lw=0
            )
    style.dated(style.dressed(axes, money=False))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(visible=False)
    axes.set_xlabel("when each feed was seen; where blank, nothing is known", color=FAINT)


def _days(times: pl.Series) -> NDArray[np.float64]:
    days: NDArray[np.float64] = mdates.date2num(times.dt.replace_time_zone(None).to_numpy())  # type: ignore[no-untyped-call]
    return days
