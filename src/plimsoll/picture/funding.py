"""Funding as a table of heat: a row for each market, a column for each stretch of time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import matplotlib.dates as mdates
import numpy as np
import polars as pl
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from plimsoll.picture.style import BACK, FAINT, INK

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

__all__ = ["draw"]

_EMPTY = "#1d1a28"
# Shorts pay in blue, longs in amber, and nobody in the middle.
_BLUE_TO_AMBER = LinearSegmentedColormap.from_list(
    "blue_to_amber", ["#9fdcff", "#3d8fd1", "#3a3550", "#e0912f", "#ffe08a"]
)
_COLUMNS = 360
_STEPS = (1, 2, 4, 8, 12, 24, 48, 72, 168, 336, 720)
_USUAL = 0.97
_CALM = 0.25


def draw(history: pl.DataFrame, path: Path, *, title: str) -> None:
    """Draw the mean annual rate of each market in each stretch of time.

    Parameters
    ----------
    history : DataFrame
        What `analytics.funding.history` returns.
    path : Path
        Where to; the suffix says the format.
    title : str

    Raises
    ------
    ValueError
        If there is no row to draw.
    """
    if not history["apr"].count():
        raise ValueError(f"{title}: nothing to draw")
    step = _step(history["time"])
    cells = (
        history.with_columns(pl.col("time").dt.round("1h").dt.truncate(step))
        .group_by("time", market=pl.format("{} {}", "exchange", "symbol"))
        .agg(pl.col("apr").mean())
    )
    grid = cells.select(pl.datetime_range(pl.col("time").min(), pl.col("time").max(), step))
    wide = grid.join(cells.pivot("market", index="time", values="apr"), on="time", how="left")
    markets = sorted(cells["market"].unique(), reverse=True)
    height = 2.2 + 0.36 * len(markets)
    figure = Figure(figsize=(16, height), dpi=110, facecolor=BACK, layout="constrained")
    axes = figure.add_subplot(facecolor=_EMPTY)
    values = wide.select(markets).to_numpy().astype(float).T
    starts = wide["time"].dt.replace_time_zone(None).to_numpy()
    edges = mdates.date2num(np.append(starts, starts[-1] + np.timedelta64(step)))  # type: ignore[no-untyped-call]
    # A few stretches of panic would leave the rest without colour; a calm market has little.
    most = max(float(np.nanquantile(np.abs(values), _USUAL)), _CALM)
    mesh = axes.pcolormesh(
        edges,
        np.arange(len(markets) + 1),
        np.ma.masked_invalid(values),
        cmap=_BLUE_TO_AMBER,
        norm=Normalize(-most, most),
    )
    _dress(axes, mesh, figure, markets)
    axes.set_title(f"{title}   means of {_said(step)}", color=INK, loc="left", fontsize=15, pad=12)
    figure.savefig(path)


def _step(times: pl.Series) -> timedelta:
    """Return the shortest stretch that leaves few enough columns."""
    span: timedelta = times.max() - times.min()  # type: ignore[assignment,operator]
    hours = span / timedelta(hours=1)
    fits = [step for step in _STEPS if hours / step < _COLUMNS]
    return timedelta(hours=max(8, fits[0]) if fits else _STEPS[-1])


def _said(step: timedelta) -> str:
    hours = step // timedelta(hours=1)
    return f"{hours} hours" if hours % 24 else ("a day" if hours == 24 else f"{hours // 24} days")


def _dress(axes: Axes, mesh: QuadMesh, figure: Figure, markets: list[str]) -> None:
    axes.set_yticks(np.arange(len(markets)) + 0.5, markets)
    axes.hlines(np.arange(1, len(markets)), *axes.get_xlim(), color=BACK, linewidth=2)
    locator = mdates.AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis_date()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.tick_params(colors=FAINT, length=0)
    axes.margins(x=0)
    bar = figure.colorbar(mesh, ax=axes, extend="both", pad=0.01, aspect=30)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bar.ax.tick_params(colors=FAINT, length=0)
    bar.set_label("a year, simple: longs pay above zero", color=FAINT)
    bar.outline.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
