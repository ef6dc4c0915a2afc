"""Lines over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.dates as mdates
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl
    from matplotlib.axes import Axes

__all__ = ["BACK", "FAINT", "INK", "LINES", "draw", "dress", "money"]

BACK, INK, FAINT = "#0e0b16", "#e9e6f2", "#8d87a3"
LINES = ("#f5c542", "#6ec1e4", "#e4776e", "#7ee0a3", "#b48ef0", "#f29e4c", "#c9d1d9")
_STYLES = ("-", "--", ":", "-.")


def draw(frame: pl.DataFrame, path: Path, *, title: str, unit: str, area: bool = False) -> None:
    """Draw each column against time.

    Parameters
    ----------
    frame : DataFrame
        `time`, and a column for each line; a null leaves a hole in its line.
    path : Path
        Where to; the suffix says the format.
    title, unit : str
        What is shown, and in what.
    area : bool
        Fill below the lines.

    Raises
    ------
    ValueError
        If there is no row to draw.
    """
    if not frame.height:
        raise ValueError(f"{title}: nothing to draw")
    figure = Figure(figsize=(16, 7), dpi=110, facecolor=BACK, layout="constrained")
    axes = figure.add_subplot(facecolor=BACK)
    times = frame["time"].dt.replace_time_zone(None).to_numpy()
    names = [name for name in frame.columns if name != "time"]
    for number, name in enumerate(names):
        color, values = LINES[number % len(LINES)], frame[name].to_numpy()
        style = _STYLES[number // len(LINES) % len(_STYLES)]
        known = frame[name].is_not_null().to_numpy()
        # A line that settles more rarely than another is not full of holes.
        sparse = known.mean() < 1 and len(names) > 1
        x, y = (times[known], values[known]) if sparse else (times, values)
        axes.plot(x, y, color=color, linestyle=style, linewidth=1.1, label=name)
        if area:
            axes.fill_between(x, y, color=color, alpha=0.15)
    if area:
        axes.set_ylim(bottom=0)
    else:
        axes.axhline(0, color=FAINT, linewidth=0.8)
    dress(axes, title=title, unit=unit)
    if len(names) > 1:
        axes.legend(facecolor=BACK, edgecolor=BACK, labelcolor=INK, loc="upper left")
    figure.savefig(path)


def dress(axes: Axes, *, title: str, unit: str) -> None:
    """Give axes whose x is time the looks of all pictures of lines."""
    locator = mdates.AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_ylabel(unit, color=FAINT)
    axes.set_title(title, color=INK, loc="left", fontsize=15, pad=12)
    axes.tick_params(colors=FAINT)
    axes.grid(color=FAINT, alpha=0.15)
    axes.margins(x=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def money(value: float) -> str:
    """Return dollars as a label of a picture: ``$8.06bn``; the sign of money is no mathematics."""
    for size, unit in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return rf"\${value / size:.3g}{unit}"
    return rf"\${value:.3g}"
