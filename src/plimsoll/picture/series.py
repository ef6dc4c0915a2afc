"""Lines over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.picture import style

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

__all__ = ["draw"]

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
    figure = style.figure()
    axes = style.dated(style.dressed(figure.add_subplot(), title=title, unit=unit))
    times = style.times(frame)
    names = [name for name in frame.columns if name != "time"]
    for number, name in enumerate(names):
        color, values = style.LINES[number % len(style.LINES)], frame[name].to_numpy()
        line = _STYLES[number // len(style.LINES) % len(_STYLES)]
        known = frame[name].is_not_null().to_numpy()
        # A line that settles more rarely than another is not full of holes.
        sparse = known.mean() < 1 and len(names) > 1
        x, y = (times[known], values[known]) if sparse else (times, values)
        axes.plot(x, y, color=color, linestyle=line, linewidth=1.1, label=name)
        if area:
            axes.fill_between(x, y, color=color, alpha=0.15)
    if area:
        axes.set_ylim(bottom=0)
    else:
        axes.axhline(0, color=style.FAINT, linewidth=0.8)
    if unit.startswith("%"):
        axes.yaxis.set_major_formatter("{x:g}")
    if len(names) > 1:
        style.legend(axes)
    figure.savefig(path)
