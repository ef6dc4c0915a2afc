"""Lines over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.dates as mdates
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

__all__ = ["draw"]

_BACK, _INK, _FAINT = "#0e0b16", "#e9e6f2", "#8d87a3"
_LINES = ("#f5c542", "#6ec1e4", "#e4776e", "#7ee0a3", "#b48ef0", "#f29e4c", "#c9d1d9")
_STYLES = ("-", "--", ":", "-.")
_ROOM = 90
"""Letters of a legend that fit beside a title."""


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
    figure = Figure(figsize=(16, 7), dpi=110, facecolor=_BACK, layout="constrained")
    axes = figure.add_subplot(facecolor=_BACK)
    times = frame["time"].dt.replace_time_zone(None).to_numpy()
    names = [name for name in frame.columns if name != "time"]
    for number, name in enumerate(names):
        color, values = _LINES[number % len(_LINES)], frame[name].to_numpy()
        style = _STYLES[number // len(_LINES) % len(_STYLES)]
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
        axes.axhline(0, color=_FAINT, linewidth=0.8)
    locator = mdates.AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    plain = unit.startswith("%")
    axes.yaxis.set_major_formatter("{x:g}" if plain else EngFormatter(sep=""))
    axes.set_ylabel(unit, color=_FAINT)
    axes.set_title(title, color=_INK, loc="left", fontsize=15, pad=12)
    axes.tick_params(colors=_FAINT)
    axes.grid(color=_FAINT, alpha=0.15)
    axes.margins(x=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if len(names) > 1:
        # Beside the title where there is room for it, so that it hides no line.
        beside = sum(map(len, names)) < _ROOM
        where = {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncols": len(names)}
        axes.legend(
            facecolor=_BACK,
            edgecolor=_BACK,
            labelcolor=_INK,
            **(where if beside else {"loc": "upper left"}),
        )
    figure.savefig(path)
