"""What all charts of lines and bars look like."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import matplotlib.dates as mdates
import polars as pl
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BACK",
    "FAINT",
    "INK",
    "LINES",
    "LONG",
    "SHORT",
    "SIDES",
    "dated",
    "dressed",
    "figure",
    "large",
    "lately",
    "legend",
    "times",
]

BACK, INK, FAINT = "#0e0b16", "#e9e6f2", "#8d87a3"
LINES = ("#f5c542", "#6ec1e4", "#e4776e", "#7ee0a3", "#b48ef0", "#f29e4c", "#c9d1d9")
LONG, SHORT = "#3fb68b", "#e8a33d"
_BLANK = timedelta(days=31)
_ROOM = 205
"""Letters of a legend and its title that fit on one line."""
SIDES = LinearSegmentedColormap.from_list("sides", [SHORT, "#241d35", LONG])
"""From shorts to longs, dark between them."""


def figure(height: float = 7.0) -> Figure:
    """Return an empty page, sixteen inches wide."""
    return Figure(figsize=(16, height), dpi=110, facecolor=BACK, layout="constrained")


def dressed(axes: Axes, *, title: str = "", unit: str = "", money: bool = True) -> Axes:
    """Give axes the house's colors, a title, and a unit at the left."""
    axes.set_facecolor(BACK)
    axes.tick_params(colors=FAINT)
    axes.grid(color=FAINT, alpha=0.15)
    axes.margins(x=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(title, color=INK, loc="left", fontsize=15, pad=12)
    if unit:
        axes.set_ylabel(unit, color=FAINT)
    if money:
        axes.yaxis.set_major_formatter(FuncFormatter(large))
    return axes


def large(value: float, _at: int | None = None) -> str:
    """Return a large number as people say it: ``35bn``, ``1.5m``."""
    for size, unit in ((1e12, "tn"), (1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}"


def legend(axes: Axes, *, reverse: bool = False) -> None:
    """Name the lines of axes, where there are any: beside the title where there is room for it."""
    names = axes.get_legend_handles_labels()[1]
    if names:
        taken = sum(map(len, names)) + 9 * len(names) + 1.6 * len(axes.get_title(loc="left"))
        beside = taken < _ROOM
        where: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1)}
        axes.legend(
            facecolor=BACK,
            edgecolor=BACK,
            labelcolor=INK,
            reverse=reverse and not beside,
            **(where | {"ncols": len(names)} if beside else {"loc": "upper left"}),
        )


def lately(frame: pl.DataFrame, known: pl.Expr) -> pl.DataFrame:
    """Return the rows of the last stretch in which something is known.

    Years of blank beside a few known weeks would make these a line at the edge.

    Parameters
    ----------
    frame : DataFrame
        With a `time`.
    known : Expr
        Whether a row tells anything. A month without such a row ends a stretch.

    Returns
    -------
    DataFrame
        All rows from that stretch's first known time to its last; the whole frame if none is.
    """
    at = frame.filter(known)["time"].unique().sort()
    if at.is_empty():
        return frame
    begins = at.filter((at.diff() > _BLANK).fill_null(value=True))
    return frame.filter(pl.col("time").is_between(begins[-1], at[-1]))


def dated(axes: Axes) -> Axes:
    """Give axes a time scale."""
    locator = mdates.AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.xaxis.get_offset_text().set_color(FAINT)
    return axes


def times(frame: pl.DataFrame) -> Any:
    """Return the times of a frame as matplotlib takes them."""
    return frame["time"].dt.replace_time_zone(None).to_numpy()
