"""Who is crowded, and what takers did, as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plimsoll.analytics.positioning import TERMS
from plimsoll.picture import style

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

__all__ = ["flow", "positioning"]

_NAMES = {
    "accounts": "accounts",
    "top_accounts": "top accounts",
    "top_positions": "top positions",
    "takers": "takers",
    "funding": "funding",
}


def positioning(frame: pl.DataFrame, path: Path, *, title: str) -> None:
    """Draw the crowding score, and below it each of its terms as a percentile of its own history.

    Parameters
    ----------
    frame : DataFrame
        As `analytics.positioning.crowding` returns.
    path : Path
    title : str
    """
    page = style.figure(8)
    above, below = page.subplots(2, height_ratios=(3, 2), sharex=True)
    style.dated(style.dressed(above, title=title, unit="shorts ← crowded → longs", money=False))
    x, score = style.times(frame), frame["crowding"].to_numpy()
    above.plot(x, score, color=style.INK, lw=1)
    above.fill_between(x, score, 0, where=score > 0, color=style.LONG, alpha=0.5, lw=0)
    above.fill_between(x, score, 0, where=score < 0, color=style.SHORT, alpha=0.5, lw=0)
    above.set_ylim(-105, 105)
    above.axhline(0, color=style.FAINT, lw=0.8)
    ranks = np.array([frame[f"{name}_percentile"].to_numpy() for name in TERMS], dtype=float)
    style.dressed(below, money=False).grid(visible=False)
    shown = below.pcolormesh(
        np.append(x, x[-1] + (x[-1] - x[-2] if len(x) > 1 else 1)),
        np.arange(len(TERMS) + 1),
        ranks,
        cmap=style.SIDES,
        vmin=0,
        vmax=1,
    )
    below.set_yticks(np.arange(len(TERMS)) + 0.5, [_NAMES[name] for name in TERMS])
    below.invert_yaxis()
    bar = page.colorbar(shown, ax=below, pad=0.01)
    bar.set_label("percentile of its own history", color=style.FAINT)
    bar.ax.tick_params(colors=style.FAINT)
    page.savefig(path)


def flow(frame: pl.DataFrame, path: Path, *, title: str) -> None:
    """Draw cumulative volume delta, and what takers' longs and shorts may have been.

    Parameters
    ----------
    frame : DataFrame
        As `Session.flow` returns.
    path : Path
    title : str
    """
    both = "net_longs" in frame.columns
    page = style.figure(9 if both else 6)
    axes = page.subplots(2 if both else 1, sharex=True, squeeze=False)[:, 0]
    style.dated(style.dressed(axes[0], title=title, unit="bought less sold by takers, coins"))
    for color, name in zip(style.LINES, ("spot", "futures"), strict=False):
        if frame[f"{name}_cvd"].count():
            axes[0].plot(style.times(frame), frame[f"{name}_cvd"], color=color, label=name)
    if both:
        style.dated(style.dressed(axes[1], unit="takers' net positions, coins, an estimate"))
        for color, name in ((style.LONG, "longs"), (style.SHORT, "shorts")):
            axes[1].plot(style.times(frame), frame[f"net_{name}"], color=color, label=name)
    for one in axes:
        one.axhline(0, color=style.FAINT, lw=0.8)
        style.legend(one)
    page.savefig(path)
