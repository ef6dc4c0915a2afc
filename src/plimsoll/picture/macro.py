"""What bears on a market from beyond it, as pictures: money, regulated futures, and a score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from plimsoll.picture import style
from plimsoll.picture.style import FAINT, INK, LINES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

__all__ = ["draw"]

_SHOWN = 6
_CATEGORIES = {
    "asset_manager": "asset managers",
    "leveraged_funds": "leveraged funds",
    "dealer": "dealers",
    "other_reportable": "other reportable",
    "nonreportable": "not reportable",
}


def draw(parts: Mapping[str, pl.DataFrame | None], path: Path, *, title: str) -> None:
    """Write the picture of stablecoins, regulated futures and how institutional, where known.

    Parameters
    ----------
    parts : mapping of str to DataFrame or None
        As `Session.macro` returns.
    path : Path
        Where to; the suffix says the format.
    title : str
        The coin.

    Raises
    ------
    ValueError
        If none of the three is known.
    """
    known = ((drawn, parts[name]) for name, drawn in _DRAWN.items())
    shown = [(drawn, frame) for drawn, frame in known if frame is not None]
    if not shown:
        words = "neither stablecoins, reports of the CFTC nor how institutional it is"
        raise ValueError(f"{title}: {words} can be told of what is stored, to draw")
    figure = style.figure(5.5 * len(shown))
    axes = list(figure.subplots(len(shown), 1, squeeze=False)[:, 0])
    for (drawn, frame), place in zip(shown, axes, strict=True):
        drawn(place, frame, title)
    figure.savefig(path)


def _stablecoins(axes: Axes, frame: pl.DataFrame, _coin: str) -> None:
    """Draw the total and the largest coins; of one whose supply is not known, nothing."""
    newest = frame.filter(pl.col("supply_usd").is_not_null()).unique("symbol", keep="last")
    names = newest.sort("supply_usd", descending=True)["symbol"].to_list()
    for number, name in enumerate(names[:_SHOWN]):
        rows = frame.filter(
            (pl.col("symbol") == name) & (pl.col("exchange") == frame["exchange"][-1])
        )
        whole = name == "TOTAL"
        color, label = (INK, "all") if whole else (LINES[number % len(LINES)], name)
        axes.plot(
            style.times(rows),
            rows["supply_usd"].to_numpy(),
            color=color,
            linewidth=1.4,
            label=label,
        )
    last = frame.filter(pl.col("symbol") == "TOTAL").tail(1)
    growth = last.select("growth_7d", "growth_30d").to_dicts()[0] if last.height else {}
    spans = {"growth_7d": "7 days", "growth_30d": "30 days"}
    grown = "".join(
        f", {growth[name]:+.2%} in {span}"
        for name, span in spans.items()
        if growth.get(name) is not None
    )
    style.dated(style.dressed(axes, title=f"Stablecoins in circulation{grown}", unit="US dollars"))
    axes.set_ylim(bottom=0)
    style.legend(axes)


def _commitments(axes: Axes, frame: pl.DataFrame, coin: str) -> None:
    """Draw what each category holds net, when the report was out."""
    for number, (category, words) in enumerate(_CATEGORIES.items()):
        rows = frame.filter(pl.col("category") == category).sort("known_at")
        # A hole between files is no line.
        apart = pl.col("known_at").diff() > pl.duration(days=30)
        net = rows.select(net=pl.when(apart).then(None).otherwise(pl.col("net")))["net"]
        times = rows["known_at"].dt.replace_time_zone(None).to_numpy()
        axes.plot(times, net.to_numpy(), color=LINES[number], linewidth=1.3, label=words)
    axes.axhline(0, color=FAINT, linewidth=0.8)
    title = f"Regulated futures of {coin}, net, when published (CFTC)"
    style.dated(style.dressed(axes, title=title, unit=coin))
    style.legend(axes)


def _institutional(axes: Axes, frame: pl.DataFrame, coin: str) -> None:
    """Draw the average percentile, and how many of its parts are known beside it."""
    axes.plot(style.times(frame), frame["score"].to_numpy(), color=INK, linewidth=1.4)
    axes.set_ylim(0, 1)
    title = f"How institutional {coin} is, as an average percentile of its own past"
    style.dated(style.dressed(axes, title=title, unit="fraction", money=False))
    beside = axes.twinx()
    beside.fill_between(
        style.times(frame), frame["coverage"].to_numpy(), step="post", color=LINES[1], alpha=0.15
    )
    beside.set_ylim(0, 1)
    style.dressed(beside, unit="fraction of its parts known", money=False)
    beside.grid(visible=False)


_DRAWN: dict[str, Callable[[Axes, pl.DataFrame, str], None]] = {
    "stablecoins": _stablecoins,
    "commitments": _commitments,
    "institutional": _institutional,
}
