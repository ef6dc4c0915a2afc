"""Open interest as pictures: candles, parts, what exchanges are believed, and entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from plimsoll.picture import style

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from plimsoll.measures.consensus import Consensus

__all__ = ["candles", "consensus", "entries", "parts", "quadrant"]

_RISE, _FALL = style.LINES[3], style.LINES[2]
_STATES = {
    "longs opened": style.LINES[3],
    "shorts closed": style.LINES[1],
    "shorts opened": style.LINES[2],
    "longs closed": style.LINES[5],
    "mixed": "#4a4460",
}
_MOST = 12
"""Parts with a color of their own; the rest are one."""


def candles(frame: pl.DataFrame, path: Path, *, title: str) -> None:
    """Draw candles of open interest in dollars, and the coverage below them.

    Parameters
    ----------
    frame : DataFrame
        As `analytics.growth.candles` returns.
    path : Path
    title : str
    """
    known = frame.drop_nulls("close_usd")
    page = style.figure(8)
    above, below = page.subplots(2, sharex=True, height_ratios=(6, 1))
    style.dressed(above, title=title, unit="US dollars")
    x, step = np.arange(known.height), max(1, known.height // 10)
    opens, closes = known["open_usd"].to_numpy(), known["close_usd"].to_numpy()
    colors = np.where(closes >= opens, _RISE, _FALL)
    above.vlines(x, known["low_usd"], known["high_usd"], colors=list(colors), linewidth=1)
    least = np.maximum(np.abs(closes - opens), 1e-4 * np.abs(closes))
    above.bar(x, least, bottom=np.minimum(opens, closes), width=0.7, color=list(colors))
    style.dressed(below, unit="coverage", money=False).bar(
        x, known["coverage"], width=0.7, color=style.FAINT
    )
    below.set_ylim(0, 1.05)
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _at: f"{value:.0%}"))
    below.set_xticks(x[::step], [f"{time:%d %b}\n{time:%Y}" for time in known["time"][::step]])
    page.savefig(path)


def parts(frame: pl.DataFrame, path: Path, *, title: str) -> None:
    """Draw open interest in dollars as stacked parts.

    Parameters
    ----------
    frame : DataFrame
        As `analytics.concentration.divided` returns.
    path : Path
    title : str
    """
    wide = frame.pivot("part", index="time", values="value_usd").sort("time")
    means = {name: wide[name].mean() or 0.0 for name in wide.columns if name != "time"}
    ranked = sorted(means, key=lambda name: -means[name])  # type: ignore[operator]
    shown, rest = ranked[:_MOST], ranked[_MOST:]
    stacked = wide.with_columns(pl.col(ranked).fill_null(0.0))
    layers = [stacked[name].to_numpy() for name in shown]
    if rest:
        layers.append(stacked.select(pl.sum_horizontal(rest)).to_series().to_numpy())
        shown = [*shown, f"{len(rest)} others"]
    page = style.figure()
    axes = style.dated(style.dressed(page.add_subplot(), title=title, unit="US dollars"))
    colors = [style.LINES[n % len(style.LINES)] for n in range(len(shown))]
    axes.stackplot(style.times(wide), *layers, labels=shown, colors=colors, alpha=0.8)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.15)  # room for the names
    style.legend(axes, reverse=True)
    page.savefig(path)


def consensus(found: Consensus, path: Path, *, title: str) -> None:
    """Draw each market's grades, its open interest as an index, and the sum of the believed.

    Parameters
    ----------
    found : Consensus
    path : Path
    title : str
    """
    page = style.figure(11)
    first, above, below = page.subplots(3, height_ratios=(2, 3, 2))
    below.sharex(above)
    _card(first, found.grades, title)
    style.dated(style.dressed(above, unit="open interest of each, start = 100", money=False))
    given = found.grades.filter(metric="open_interest").sort("grade", descending=True)
    for number, row in enumerate(given.iter_rows(named=True)):
        named = {"exchange": row["exchange"], "symbol": row["symbol"]}
        one = found.markets.filter(**named).drop_nulls("value_usd").sort("time")
        if one.is_empty() or not one["value_usd"][0]:
            continue
        line = ":" if row["grade"] == "D" else "-"
        name = f"{row['grade']}  {row['exchange']} {row['symbol']}"
        index = 100 * one["value_usd"].to_numpy() / one["value_usd"][0]
        color = style.LINES[number % len(style.LINES)]
        above.plot(style.times(one), index, line, color=color, label=name, lw=1.3)
    spread = above.get_ylim()
    above.set_ylim(max(spread[0], 0), min(spread[1], 400))
    if given.height:
        style.legend(above)
    style.dated(style.dressed(below, unit="sum of those believed, US dollars"))
    total, color = found.total, style.LINES[0]
    below.plot(style.times(total), total["value_usd"], color=color, lw=1.3)
    below.fill_between(style.times(total), total["value_usd"], color=color, alpha=0.15)
    below.set_ylim(bottom=0)
    page.savefig(path)


def _card(axes: Axes, grades: pl.DataFrame, title: str) -> None:
    """Draw a letter for each metric and market; nothing where it is not reported."""
    name = pl.concat_str("metric", "population", separator=" · ", ignore_nulls=True)
    named = grades.with_columns(
        metric=name.str.replace_all("_", " "), market=pl.format("{} {}", "exchange", "symbol")
    )
    metrics = named["metric"].unique(maintain_order=True).to_list()
    markets = named["market"].unique().sort(descending=True).to_list()
    style.dressed(axes, title=title, money=False)
    for metric, market, grade in named.select("metric", "market", "grade").iter_rows():
        x, y = metrics.index(metric), markets.index(market)
        axes.text(x, y, grade, color=_GRADES[grade], ha="center", va="center", weight="bold")
    axes.set_xlim(-0.5, len(metrics) - 0.5)
    axes.set_ylim(-0.5, len(markets) - 0.5)
    axes.set_xticks(range(len(metrics)), metrics)
    axes.set_yticks(range(len(markets)), markets)
    axes.grid(visible=False)


_GRADES = {"A": style.LONG, "B": style.INK, "C": style.LINES[0], "D": style.SHORT}


def quadrant(frame: pl.DataFrame, path: Path, *, title: str) -> None:
    """Draw what price and open interest say together: each instant by its two z, and through time.

    Parameters
    ----------
    frame : DataFrame
        As `analytics.quadrant.quadrant` returns.
    path : Path
    title : str
    """
    known = frame.drop_nulls("state")
    page = style.figure(8)
    left, right = page.subplots(1, 2, width_ratios=(2, 3))
    style.dressed(left, title=title, unit="open interest, robust z", money=False)
    left.set_xlabel("price, robust z", color=style.FAINT)
    colors = [_STATES[state] for state in known["state"]]
    left.scatter(known["price_z"], known["interest_z"], c=colors, s=14, alpha=0.7, lw=0)
    left.set_xlim(-6, 6)
    left.set_ylim(-6, 6)
    for at in (-1, 1):
        left.axhline(at, color=style.FAINT, lw=0.6, ls=":")
        left.axvline(at, color=style.FAINT, lw=0.6, ls=":")
    style.dated(style.dressed(right, unit="price, change over the span", money=False))
    right.yaxis.set_major_formatter(FuncFormatter(lambda value, _at: f"{value:+.0%}"))
    right.plot(style.times(frame), frame["price_change"], color=style.INK, lw=0.8, alpha=0.6)
    right.scatter(style.times(known), known["price_change"], c=colors, s=14, lw=0, zorder=3)
    patches = [Patch(color=color, label=name) for name, color in _STATES.items()]
    right.legend(
        handles=patches, facecolor=style.BACK, edgecolor=style.BACK, labelcolor=style.INK, ncols=5
    )
    page.savefig(path)


def entries(frame: pl.DataFrame, path: Path, *, title: str) -> None:
    """Draw open interest by the price of its entry, longs to the left and shorts to the right.

    Parameters
    ----------
    frame : DataFrame
        `price_low`, `price_high`, `long_usd`, `short_usd` and `profit_long`, a row for each bucket.
    path : Path
    title : str
    """
    shown = frame.filter(pl.col("long_usd") + pl.col("short_usd") > 0)
    low, high = shown["price_low"].to_numpy(), shown["price_high"].to_numpy()
    page = style.figure(9)
    axes = style.dressed(page.add_subplot(), title=title, unit="entry price", money=False)
    middle, height = (low + high) / 2, 0.92 * (high - low)
    axes.barh(middle, -shown["long_usd"].to_numpy(), height, color=style.LONG, label="longs")
    axes.barh(middle, shown["short_usd"].to_numpy(), height, color=style.SHORT, label="shorts")
    price = float((shown["profit_long"][0] + 1) * np.sqrt(low[0] * high[0]))
    axes.axhline(price, color=style.INK, lw=1, ls="--")
    axes.text(
        1,
        price,
        " price now ",
        color=style.INK,
        va="bottom",
        ha="right",
        transform=axes.get_yaxis_transform(),
    )
    axes.margins(x=0.05)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _at: style.large(abs(value))))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _at: f"{value:,.6g}"))
    axes.set_xlabel("US dollars, an estimate", color=style.FAINT)
    style.legend(axes)
    page.savefig(path)
