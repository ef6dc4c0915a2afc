"""What all charts of lines and bars look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.dates as mdates
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

__all__ = [
    "BACK",
    "FAINT",
    "INK",
    "LINES",
    "LONG",
    "SHORT",
    "dated",
    "dollars",
    "dressed",
    "figure",
    "times",
]

BACK, INK, FAINT = "#0e0b16", "#e9e6f2", "#8d87a3"
LINES = ("#f5c542", "#6ec1e4", "#e4776e", "#7ee0a3", "#b48ef0", "#f29e4c", "#c9d1d9")
LONG, SHORT = "#3fb68b", "#e8a33d"


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
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    return axes


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


def dollars(value: float) -> str:
    """Return dollars as a label of a picture: ``$8.06bn``; the sign of money is no mathematics."""
    for size, unit in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return rf"\${value / size:.3g}{unit}"
    return rf"\${value:.3g}"
