"""The liquidation heat map as a picture: the map under candles, its last column beside it."""

from __future__ import annotations

import math
from datetime import UTC
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from plimsoll.analytics.heatmap import HeatMap, Parameters

    Floats = NDArray[np.float64]

__all__ = ["draw"]

_NIGHT, _INK, _FAINT = "#120318", "#efeaf2", "#9a8fa3"
_RISE, _FALL = "#f4f1f7", "#ff6f61"
_LONG, _SHORT = "#3fb68b", "#e8a33d"
# Viridis, perceptually uniform, let down from its deep purple into the background at zero.
_PURPLE_TO_YELLOW = LinearSegmentedColormap.from_list(
    "purple_to_yellow",
    [
        (0.0, _NIGHT),
        *((0.08 + 0.92 * x, mpl.colormaps["viridis"](x)) for x in np.linspace(0, 1, 64)),
    ],
    N=512,
)
_GAMMA = 0.7
_CANDLES = 240
"""More than this are joined: a body narrower than three points is a smear."""


def draw(
    heat_map: HeatMap,
    path: Path,
    *,
    title: str,
    source: str = "",
    size: tuple[int, int] = (1920, 1080),
) -> None:
    """Draw a heat map into a file.

    Parameters
    ----------
    heat_map : HeatMap
    path : Path
        Its ending names the format: ``png``, ``svg``, ``pdf``.
    title : str
        What is shown: exchange and instrument.
    source : str
        Where the data comes from, for the last line.
    size : (int, int), pixels

    Raises
    ------
    ValueError
        If the map has no known column.
    """
    if not heat_map.known.any():
        raise ValueError(
            "nothing to draw: no column of this map is known; it needs open interest and prices "
            "for the bars before the first column"
        )
    width, height = size
    # Always 16 inches wide, so that words keep their share of any number of pixels.
    figure = Figure(figsize=(16, 16 * height / width), dpi=width / 16, facecolor=_NIGHT)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.055, 0.095, 0.735, 0.775))
    beside = figure.add_axes((0.795, 0.095, 0.135, 0.775), sharey=axes)
    for panel in (axes, beside):
        _plain(panel)
    mesh = _cells(axes, heat_map)
    _unknown(axes, heat_map)
    _candles(axes, heat_map)
    _profile(beside, heat_map)
    _scale(figure, mesh, heat_map)
    _words(figure, heat_map, title, source)
    figure.savefig(path, facecolor=_NIGHT)


def _scale(figure: Figure, mesh: mpl.collections.QuadMesh, heat_map: HeatMap) -> None:
    percent = 100 * (heat_map.edges[1] / heat_map.edges[0] - 1)
    bar = figure.colorbar(mesh, cax=figure.add_axes((0.942, 0.095, 0.009, 0.775)), extend="max")
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda usd, _: _dollars(usd)))
    bar.ax.tick_params(colors=_FAINT, labelsize=8.5, length=0)
    bar.outline.set_visible(False)
    bar.set_label(
        f"US dollars liquidated per {percent:.2g} % of price (power scale, {_GAMMA})",
        color=_FAINT,
        fontsize=9,
    )


def _plain(axes: Axes) -> None:
    axes.set_facecolor(_NIGHT)
    axes.tick_params(colors=_FAINT, labelsize=9, length=0, pad=6)
    axes.grid(visible=True, color=_INK, alpha=0.07, linewidth=0.6)
    axes.set_axisbelow(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _edges(heat_map: HeatMap) -> Floats:
    ends = np.append(heat_map.time, heat_map.time[-1] + np.timedelta64(heat_map.interval))
    edges: Floats = date2num(ends)  # type: ignore[no-untyped-call]
    return edges


def _cells(axes: Axes, heat_map: HeatMap) -> mpl.collections.QuadMesh:
    usd = heat_map.long_usd + heat_map.short_usd
    filled = usd[usd > 0]
    top = float(np.quantile(filled, 0.997)) if len(filled) else 1.0
    times = _edges(heat_map)
    mesh = axes.pcolormesh(
        times,
        heat_map.edges,
        np.ma.masked_invalid(usd.T),
        cmap=_PURPLE_TO_YELLOW,
        norm=PowerNorm(_GAMMA, vmin=0, vmax=top),
        rasterized=True,
    )
    axes.set_xlim(times[0], times[-1])
    axes.set_ylim(heat_map.edges[0], heat_map.edges[-1])
    locator = AutoDateLocator(minticks=5, maxticks=11, tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))  # type: ignore[no-untyped-call]
    axes.xaxis.get_offset_text().set_color(_FAINT)
    axes.yaxis.set_major_locator(MaxNLocator(12, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda price, _: _number(price)))
    return mesh


def _unknown(axes: Axes, heat_map: HeatMap) -> None:
    times = _edges(heat_map)
    borders = np.flatnonzero(np.diff(np.r_[False, ~heat_map.known, False]))
    for start, stop in borders.reshape(-1, 2):
        axes.axvspan(
            times[start],
            times[stop],
            facecolor="none",
            edgecolor=_FAINT,
            hatch="////",
            alpha=0.45,
            linewidth=0,
        )


def _candles(axes: Axes, heat_map: HeatMap) -> None:
    times = _edges(heat_map)
    join = -(-len(heat_map) // _CANDLES)
    starts = np.arange(0, len(heat_map), join)
    left, right = times[starts], times[np.minimum(starts + join, len(heat_map))]
    low = np.fmin.reduceat(heat_map.low, starts)
    high = np.fmax.reduceat(heat_map.high, starts)
    opened, closed = _ends(heat_map, starts)
    seen = ~np.isnan(opened + closed + low + high)
    middle, half = (left + right) / 2, (right - left) * 0.32
    for rising, color in ((True, _RISE), (False, _FALL)):
        chosen = seen & ((closed >= opened) == rising)
        m, h = middle[chosen], half[chosen]
        a, b = opened[chosen], closed[chosen]
        wicks = np.stack([np.c_[m, low[chosen]], np.c_[m, high[chosen]]], axis=1)
        bodies = np.stack([np.c_[m - h, a], np.c_[m - h, b], np.c_[m + h, b], np.c_[m + h, a]], 1)
        shade = [withStroke(linewidth=1.9, foreground=_NIGHT, alpha=0.55)]
        axes.add_collection(
            LineCollection(list(wicks), colors=color, linewidths=0.8, path_effects=shade, zorder=3)
        )
        axes.add_collection(
            PolyCollection(
                list(bodies),
                facecolors=color,
                edgecolors=color,
                linewidths=0.6,
                alpha=0.95,
                zorder=4,
            )
        )


def _ends(heat_map: HeatMap, starts: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """First known open and last known close of each stretch."""
    groups = list(zip(starts, np.append(starts[1:], len(heat_map)), strict=True))
    opened = [_first(heat_map.open[a:b]) for a, b in groups]
    closed = [_first(heat_map.close[a:b][::-1]) for a, b in groups]
    return np.array(opened), np.array(closed)


def _first(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known[0]) if len(known) else np.nan


def _profile(axes: Axes, heat_map: HeatMap) -> None:
    profile, edges = heat_map.profile(), heat_map.edges
    column = int(np.flatnonzero(heat_map.known)[-1])
    price = heat_map.open[column]
    above = axes.twiny()
    _plain(above)
    above.grid(visible=False)
    for side, color in (("long", _LONG), ("short", _SHORT)):
        usd = profile[f"{side}_usd"].to_numpy()
        total = profile[f"{side}_cumulative_usd"].to_numpy()
        reach = edges[:-1] if side == "long" else edges[1:]
        beyond = reach < price if side == "long" else reach > price
        axes.stairs(usd, edges, orientation="horizontal", fill=True, color=color, alpha=0.6)
        above.plot(total[beyond], reach[beyond], color=color, linewidth=1.8)
        end = _number(edges[-1 if side == "short" else 0])
        _total(above, side, f"{_dollars(usd.sum())} of {side}s", end, color)
    for panel in (axes, above):
        panel.set_xlim(0, 1.1 * panel.dataLim.xmax)
        panel.xaxis.set_major_locator(MaxNLocator(3, prune="lower"))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda usd, _: _dollars(usd)))
        panel.tick_params(labelsize=8, labelleft=False)
    axes.axhline(price, color=_INK, linewidth=0.8, linestyle=(0, (4, 3)), alpha=0.8)
    axes.annotate(
        _number(price),
        (1, price),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="center",
        color=_NIGHT,
        fontsize=9,
        fontweight="bold",
        bbox={"boxstyle": "round,pad=0.25", "facecolor": _INK, "edgecolor": "none"},
    )
    stamp = np.datetime_as_string(heat_map.time[column], unit="m").replace("T", " ")
    axes.set_xlabel(
        f"{stamp} UTC\nby price (filled), summed from it (line)",
        color=_FAINT,
        fontsize=8,
        labelpad=2,
    )


def _total(axes: Axes, side: str, dollars: str, end: str, color: str) -> None:
    top, words = side == "short", "up to" if side == "short" else "down to"
    axes.text(
        0.96,
        0.985 if top else 0.015,
        f"{dollars}\n{words} {end}",
        transform=axes.transAxes,
        ha="right",
        va="top" if top else "bottom",
        color=color,
        fontsize=10,
        fontweight="bold",
        bbox={"boxstyle": "round,pad=0.3", "facecolor": _NIGHT, "alpha": 0.85, "linewidth": 0},
        zorder=6,
    )


def _words(figure: Figure, heat_map: HeatMap, title: str, source: str) -> None:
    p, covered = heat_map.parameters, heat_map.coverage[heat_map.known]
    said = heat_map.said[0].upper() + heat_map.said[1:]
    figure.text(0.055, 0.945, title, color=_INK, fontsize=17, fontweight="bold")
    figure.text(
        0.055,
        0.915,
        "Where leveraged positions would be liquidated: longs below the price, shorts above",
        color=_INK,
        fontsize=11,
    )
    figure.text(
        0.055,
        0.888,
        f"{said}.",
        color=_FAINT,
        fontsize=9.5,
    )
    join = -(-len(heat_map) // _CANDLES)
    where = "" if heat_map.markets is None else " in the largest market"
    drawn = (
        f"{_shares(p)} of open interest taken as liquidatable{where}; of what can be liquidated "
        f"{100 * np.median(covered):.0f} % has a known entry (median). "
        f"Columns of {_span(heat_map.interval)}, candles of {_span(heat_map.interval * join)}."
    )
    figure.text(0.055, 0.010, f"{source}\n{drawn}".strip(), color=_FAINT, fontsize=8.5)


def _shares(parameters: Parameters) -> str:
    longs, shorts = (f"{100 * share:.0f} %" for share in parameters.reachable)
    return longs if longs == shorts else f"{longs} (longs) and {shorts} (shorts)"


def _span(interval: timedelta) -> str:
    """Return a length in its largest whole unit: ``4 h``."""
    seconds = round(interval.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _dollars(usd: float) -> str:
    """Return dollars as a reader says them: ``$25M``."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(usd) >= size:
            return f"${usd / size:.3g}{letter}"
    return f"${usd:.3g}"


def _number(price: float) -> str:
    """Return a price with thousands, or with four figures."""
    if price >= 1_000 or price <= 0:
        return f"{price:,.0f}"
    return f"{price:.{max(0, 3 - math.floor(math.log10(price)))}f}"
