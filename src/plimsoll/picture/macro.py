"""What bears on a market from beyond it: stablecoins, and who holds regulated futures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from plimsoll.picture import style
from plimsoll.picture.style import FAINT, INK, LINES

if TYPE_CHECKING:
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


def draw(
    stablecoins: pl.DataFrame | None, commitments: pl.DataFrame | None, path: Path, *, title: str
) -> None:
    """Write the picture of those parts that are known.

    Parameters
    ----------
    stablecoins : DataFrame or None
        As of `analytics.macro.supply`.
    commitments : DataFrame or None
        As of `analytics.macro.commitments`.
    path : Path
        Where to; the suffix says the format.
    title : str
        The coin.

    Raises
    ------
    ValueError
        If neither is known.
    """
    parts = [part for part in (stablecoins, commitments) if part is not None]
    if not parts:
        raise ValueError(f"{title}: neither stablecoins nor reports of the CFTC are stored to draw")
    figure = style.figure(5.5 * len(parts))
    axes = list(figure.subplots(len(parts), 1, squeeze=False)[:, 0])
    if stablecoins is not None:
        _stablecoins(axes.pop(0), stablecoins)
    if commitments is not None:
        _commitments(axes.pop(0), commitments, title)
    figure.savefig(path)


def _stablecoins(axes: Axes, frame: pl.DataFrame) -> None:
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
