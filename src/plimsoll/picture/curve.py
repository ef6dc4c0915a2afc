"""The term structure of dated futures: what each expiry pays a year, against its days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from plimsoll.picture.style import BACK, FAINT, INK, LINES

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["draw"]


def draw(structure: pl.DataFrame, path: Path, *, title: str) -> None:
    """Draw the curve of each exchange's contract.

    Parameters
    ----------
    structure : DataFrame
        What `analytics.basis.structure` returns, at one time of each exchange.
    path : Path
        Where to; the suffix says the format.
    title : str

    Raises
    ------
    ValueError
        If no expiry can be annualised.
    """
    known = structure.filter(pl.col("log").is_not_null() & (pl.col("kind") != "slope"))
    if not known.height:
        raise ValueError(f"{title}: no expiry can be annualised, so there is nothing to draw")
    figure = Figure(figsize=(13, 7), dpi=110, facecolor=BACK, layout="constrained")
    axes = figure.add_subplot(facecolor=BACK)
    curves = known.partition_by("exchange", "contract", maintain_order=True)
    for number, one in enumerate(curves):
        color = LINES[number % len(LINES)]
        expiries = one.filter(pl.col("kind") == "expiry")
        fixed = one.filter(pl.col("kind") == "constant")
        name = f"{one['exchange'][0]} {one['contract'][0]}, {one['time'][0]:%Y-%m-%d %H:%M}"
        axes.plot(*_points(expiries), "o-", color=color, linewidth=1.6, markersize=7, label=name)
        axes.plot(*_points(fixed), "D", color=color, markerfacecolor=BACK, markersize=8)
        if len(curves) == 1:
            for days, rate, day in zip(*_points(expiries), expiries["maturity"], strict=True):
                axes.annotate(
                    f"{day}\n{rate:.2%}",
                    (days, rate),
                    xytext=(0, 10),
                    textcoords="offset points",
                    ha="center",
                    color=FAINT,
                    fontsize=8,
                )
    axes.plot([], [], "D", color=FAINT, markerfacecolor=BACK, label="constant maturity")
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.margins(y=0.2)
    axes.set_xlim(left=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.set_xlabel("days to expiry", color=FAINT)
    axes.set_ylabel("basis, log, a year", color=FAINT)
    axes.set_title(title, color=INK, loc="left", fontsize=15, pad=12)
    axes.tick_params(colors=FAINT)
    axes.grid(color=FAINT, alpha=0.15)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.legend(facecolor=BACK, edgecolor=BACK, labelcolor=INK, loc="best")
    figure.savefig(path)


def _points(frame: pl.DataFrame) -> tuple[list[float], list[float]]:
    return frame["days"].to_list(), frame["log"].to_list()
