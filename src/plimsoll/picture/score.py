"""The score of a heat map as a picture: skill over each forecast, and calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.validation.heatmap_score import HeatmapScore

__all__ = ["draw"]

_INK, _FAINT, _GOOD, _BAD = "#1b1b24", "#8a8a99", "#3b2a7a", "#b5541c"


def draw(found: HeatmapScore, path: Path, *, title: str) -> None:
    """Write the picture of a score.

    Parameters
    ----------
    found : HeatmapScore
    path : Path
        Its suffix says the format.
    title : str

    Raises
    ------
    OSError
        If it cannot be written.
    """
    figure = Figure(figsize=(13, 6.2), dpi=110)
    skills, line = figure.subplots(1, 2, width_ratios=(1.5, 1))
    figure.subplots_adjust(left=0.15, right=0.97, top=0.83, bottom=0.14, wspace=0.22)
    one = found.summary
    figure.text(0.02, 0.94, title, color=_INK, fontsize=15, fontweight="bold")
    figure.text(
        0.02,
        0.895,
        f"{one['orders']} orders of ${one['unit_usd']:,.0f} on {one['days']} days, each forecast "
        "from the days before; only where the price newly went",
        color=_FAINT,
        fontsize=10,
    )
    rows = found.table.filter(found.table["skill"].is_not_null()).sort("skill")
    at = np.arange(rows.height)
    skill, low, high = (rows[name].to_numpy() for name in ("skill", "low", "high"))
    skills.axvline(0, color=_INK, linewidth=1)
    skills.hlines(at, low, high, color=_FAINT, linewidth=2)
    skills.scatter(skill, at, color=[_GOOD if edge > 0 else _BAD for edge in low], zorder=3)
    skills.set_yticks(at, rows["forecast"].to_list())
    skills.set_xlim(max(-1.0, float(np.nanmin(low)) - 0.05), 1)
    skills.set_xlabel("skill of the map over that forecast (1 − deviance ratio), 90 % interval")
    skills.set_title("right of zero: the map is better", loc="left", fontsize=10, color=_FAINT)
    expected, came = (found.reliability[name].to_numpy() for name in ("expected", "came"))
    seen = (expected > 0) & (came > 0)
    if seen.any():
        ends = [min(expected[seen].min(), came[seen].min()), max(expected.max(), came.max())]
        line.plot(ends, ends, color=_FAINT, linewidth=1)
        line.loglog(expected[seen], came[seen], "o", color=_GOOD)
    line.set_xlabel("orders a cell, expected")
    line.set_ylabel("came")
    line.set_title(
        f"tenths of cells; slope {one['slope']:.2f} ± {one['slope_error']:.2f}",
        loc="left",
        fontsize=10,
        color=_FAINT,
    )
    for axes in (skills, line):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=_INK, labelsize=9)
    figure.savefig(path)
