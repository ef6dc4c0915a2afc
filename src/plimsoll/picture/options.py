"""What options say as a picture: open interest by strike and expiry, smile, and gamma exposure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from plimsoll.picture.style import BACK, FAINT, INK, LINES, LONG, large

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from plimsoll.measures.options import OptionState

    Floats = NDArray[np.float64]

__all__ = ["draw"]

_CALL, _PUT, _GOLD, _SKY, _VIOLET = LONG, "#ff6f61", LINES[0], LINES[1], LINES[4]
_DUSK = ("#fde725", "#7ad151", "#22a884", "#2a9bb8", "#5b8fd9", "#9a7be0", "#c77dd8")
_BARS = 72
"""Bars of open interest by strike: more than this are joined."""
_SMILES = 6


def draw(state: OptionState, path: Path, *, title: str, source: str = "") -> None:
    """Draw the state of a coin's options into a file.

    Parameters
    ----------
    state : OptionState
    path : Path
        Its ending names the format: ``png``, ``svg``, ``pdf``.
    title : str
    source : str
        Where the data comes from, for the last line.

    Raises
    ------
    ValueError
        If nothing is known to be open.
    """
    if not state.by_strike.select(pl.col("calls", "puts").sum()).sum_horizontal().item():
        raise ValueError("nothing to draw: no option is known to be open")
    figure = Figure(figsize=(16, 10), dpi=120, facecolor=BACK)
    FigureCanvasAgg(figure)
    places = {
        "strikes": (0.05, 0.505, 0.60, 0.335),
        "expiries": (0.715, 0.505, 0.255, 0.335),
        "smile": (0.05, 0.095, 0.275, 0.315),
        "term": (0.385, 0.095, 0.265, 0.315),
        "gamma": (0.715, 0.095, 0.255, 0.315),
    }
    axes = {name: _panel(figure, place) for name, place in places.items()}
    _strikes(axes["strikes"], state)
    _expiries(axes["expiries"], state)
    _smile(axes["smile"], state)
    _term(axes["term"], state)
    _gamma(axes["gamma"], state)
    _words(figure, state, title, source)
    figure.savefig(path, facecolor=BACK)


def _panel(figure: Figure, place: tuple[float, float, float, float]) -> Axes:
    axes = figure.add_axes(place)
    axes.set_facecolor(BACK)
    axes.tick_params(colors=FAINT, labelsize=9, length=0, pad=5)
    axes.grid(visible=True, color=INK, alpha=0.07, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def _named(axes: Axes, title: str, note: str = "") -> None:
    axes.set_title(title, color=INK, loc="left", fontsize=11.5, fontweight="bold", pad=9)
    axes.set_title(note, color=FAINT, loc="right", fontsize=9, pad=9)


def _strikes(axes: Axes, state: OptionState) -> None:
    """Draw calls upward and puts downward, with the price and what is told of it."""
    held = state.by_strike.group_by("strike").agg(pl.col("calls", "puts").sum()).sort("strike")
    strike, calls, puts = (held[name].to_numpy() for name in ("strike", "calls", "puts"))
    low, high = _middle(strike, calls + puts, state.price)
    edges = np.linspace(low, high, min(_BARS, max(8, len(strike))) + 1)
    # What lies beyond the edge of the picture is not drawn, rather than heaped up at its end.
    sides = [np.histogram(strike, edges, weights=side)[0] for side in (calls, puts)]
    width = edges[1] - edges[0]
    middle = edges[:-1] + width / 2
    axes.bar(middle, sides[0], width * 0.84, color=_CALL, alpha=0.85)
    axes.bar(middle, -sides[1], width * 0.84, color=_PUT, alpha=0.85)
    axes.axhline(0, color=INK, linewidth=0.8, alpha=0.6)
    above, below = (max(side.max(), 1e-12) for side in sides)
    # Room for the words above the calls; the puts get a third at least, so that few look few.
    axes.set_ylim(-max(1.15 * below, 0.5 * above), 1.45 * max(above, 0.5 * below))
    axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda price, _: f"{price:,.6g}"))
    axes.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda amount, _: large(abs(amount))))
    for text, at, color in (("calls", 0.955, _CALL), ("puts", 0.045, _PUT)):
        axes.text(0.008, at, text, color=color, fontsize=11, fontweight="bold", va="center",
                  transform=axes.transAxes)  # fmt: skip
    _levels(axes, state, low, high)
    _named(axes, "Open interest by strike", f"coins, strikes {low:,.6g} to {high:,.6g}")


def _levels(axes: Axes, state: OptionState, low: float, high: float) -> None:
    """Mark the price, the strike of least pay-out of the largest expiry, and zero gamma."""
    largest = state.by_expiry.sort("open_interest", nulls_last=False).row(-1, named=True)
    found = [
        (state.price, "price", INK, "-"),
        (largest["max_pain"], f"max pain {largest['expiry']:%d %b}", _GOLD, (0, (5, 3))),
        (state.naive_zero.price, "zero gamma, naive", _SKY, (0, (1, 1.5))),
        (state.taker_zero.price, "zero gamma, takers", _VIOLET, (0, (1, 1.5))),
    ]
    shown = [one for one in found if one[0] is not None and low <= one[0] <= high]
    for rank, (at, name, color, style) in enumerate(shown):
        axes.axvline(at, color=color, linewidth=1.3, linestyle=style, alpha=0.95)
        right = (at - low) / (high - low) > 0.82
        axes.annotate(
            f"{name} {at:,.5g}" if at < 1_000 else f"{name} {at:,.0f}",
            (at, 0.965 - 0.075 * rank),
            xycoords=("data", "axes fraction"),
            xytext=(-5 if right else 5, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            va="center",
            color=color,
            fontsize=9,
            fontweight="bold",
            path_effects=[withStroke(linewidth=3, foreground=BACK)],
        )


def _middle(strike: Floats, held: Floats, price: float | None) -> tuple[float, float]:
    """Return a span of strikes that holds most of the open interest, and the price."""
    order = np.cumsum(held) / max(held.sum(), 1e-300)
    ends = np.minimum(np.searchsorted(order, [0.01, 0.98]), len(strike) - 1)
    low, high = strike[ends].tolist()
    if price is not None:
        low, high = min(low, 0.8 * price), max(high, 1.2 * price)
    margin = 0.02 * (high - low) or 0.1 * high
    return low - margin, high + margin


def _expiries(axes: Axes, state: OptionState) -> None:
    rows = state.by_expiry.filter(pl.col("open_interest") > 0).sort("expiry")
    at = np.arange(rows.height)
    calls, puts = (rows[name].fill_null(0).to_numpy() for name in ("calls", "puts"))
    axes.barh(at, calls, 0.72, color=_CALL, alpha=0.85)
    axes.barh(at, -puts, 0.72, color=_PUT, alpha=0.85)
    reach = 1.3 * max([*calls, *puts])
    axes.set_xlim(-reach, reach)
    axes.set_ylim(rows.height - 0.5, -0.5)
    axes.axvline(0, color=INK, linewidth=0.8, alpha=0.6)
    axes.set_yticks(at, [f"{expiry:%d %b %y}" for expiry in rows["expiry"]])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda amount, _: large(abs(amount))))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    for k, ratio in enumerate(rows["put_call_open_interest"]):
        if ratio is not None:
            axes.text(0.985, k, f"{ratio:.2f}", color=FAINT, fontsize=8.5, ha="right",
                      va="center", transform=axes.get_yaxis_transform())  # fmt: skip
    axes.grid(visible=False, axis="y")
    _named(axes, "Open interest by expiry", "at the right: puts over calls")


def _smile(axes: Axes, state: OptionState) -> None:
    """Draw the volatility of options out of the money against log moneyness."""
    held = state.by_expiry.filter(pl.col("days") > 1).sort("open_interest", nulls_last=False)
    chosen = sorted(held["expiry"].to_list()[-_SMILES:])
    top: list[float] = []
    for k, expiry in enumerate(chosen):
        one = state.smile.filter((pl.col("expiry") == expiry) & (pl.col("delta").abs() > 0.01))
        if not one.height:
            continue
        color = _DUSK[round(k * (len(_DUSK) - 1) / max(1, len(chosen) - 1))]
        volatility = 100 * one["iv"].to_numpy()
        axes.plot(one["k"], volatility, "o", color=color, markersize=2.6, alpha=0.75)
        curve = state.curves.filter(pl.col("expiry") == expiry)
        axes.plot(
            curve["k"],
            100 * curve["volatility"].to_numpy(),
            color=color,
            linewidth=1.4,
            label=f"{expiry:%d %b %y}",
        )
        top.extend(volatility)
    axes.axvline(0, color=INK, linewidth=0.8, alpha=0.5)
    axes.set_xlabel("log of strike over forward", color=FAINT, fontsize=9)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
    if top:
        axes.legend(
            facecolor=BACK, edgecolor=BACK, labelcolor=FAINT, fontsize=8, ncols=2, loc="best"
        )
    _named(axes, "Smile", "marks out of the money, and the fit")


def _term(axes: Axes, state: OptionState) -> None:
    """Draw volatility at the money and the risk reversal over time to expiry."""
    rows = state.term.filter(pl.col("atm").is_not_null()).sort("days")
    axes.set_xlabel(_unusual(state), color=FAINT, fontsize=8.5)
    _named(axes, "Term structure", "at the money; bars: 25-delta risk reversal")
    if not rows.height:
        return
    days, atm = rows["days"].to_numpy(), 100 * rows["atm"].to_numpy()
    axes.set_xscale("log")
    axes.plot(days, atm, "-o", color=_GOLD, linewidth=1.6, markersize=4)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda day, _: f"{day:g} d"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
    beside = axes.twinx()
    known = rows.filter(pl.col("risk_reversal").is_not_null())
    reversal = 100 * known["risk_reversal"].to_numpy()
    beside.vlines(known["days"], 0, reversal, color=_SKY, linewidth=5, alpha=0.45)
    beside.axhline(0, color=_SKY, linewidth=0.8, alpha=0.5)
    # The bars keep to the lower half, below the line.
    reach = 1.15 * max([1.0, *np.abs(reversal)])
    beside.set_ylim(-reach, 3 * reach)
    beside.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:+.0f}" if value else "0")
    )
    beside.set_yticks([tick for tick in beside.get_yticks() if abs(tick) <= reach])
    beside.tick_params(colors=_SKY, labelsize=8.5, length=0)
    for spine in beside.spines.values():
        spine.set_visible(False)


def _unusual(state: OptionState) -> str:
    """Return how far the smile at 30 days is from its own of 90 days, in words."""
    words = {"atm": "at the money", "risk_reversal": "risk reversal", "strangle": "strangle"}
    known = state.maturities.filter(days=30.0).select(
        pl.col(f"{column}_z").alias(name) for column, name in words.items()
    )
    said = [f"{one.name} {one[0]:+.1f}" for one in known if one.count()]
    return f"30 d, robust z of 90 days: {', '.join(said)}" if said else ""


def _gamma(axes: Axes, state: OptionState) -> None:
    """Draw what gamma exposure would be at other prices."""
    _named(axes, "Gamma exposure", "dollars of delta per 1 %, by price")
    price = state.profile["price"].to_numpy()
    lines = {
        "unsigned": (FAINT, 1.0, None),
        "naive": (_SKY, 1.8, state.naive_zero),
        "taker": (_VIOLET, 1.8, state.taker_zero),
    }
    for name, (color, width, level) in lines.items():
        told = state.profile[f"{name}_usd"]
        if told.null_count() == len(told):
            continue
        axes.plot(price, told.to_numpy(), color=color, linewidth=width, label=_SIGNS[name])
        if level is not None and level.price is not None:
            axes.plot(level.price, 0, "o", color=color, markersize=6)
    axes.axhline(0, color=INK, linewidth=0.8, alpha=0.6)
    if state.price is not None:
        axes.axvline(state.price, color=INK, linewidth=1.0, alpha=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: large(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda usd, _: _dollars(usd)))
    axes.margins(x=0)
    if len(price):
        axes.legend(
            facecolor=BACK,
            edgecolor=BACK,
            labelcolor=FAINT,
            fontsize=8.5,
            ncols=3,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.08),
        )


_SIGNS = {
    "unsigned": "without sign",
    "naive": "naive sign",
    "taker": "against takers",
}


def _words(figure: Figure, state: OptionState, title: str, source: str) -> None:
    figure.text(0.05, 0.955, title, color=INK, fontsize=17, fontweight="bold")
    figure.text(0.05, 0.922, "   ".join(_told(state, _FIRST)), color=INK, fontsize=11)
    figure.text(0.05, 0.894, "   ".join(_told(state, _SECOND)), color=FAINT, fontsize=10)
    counts = state.counts
    drawn = (
        f"{counts['live']:,} options at {state.time:%Y-%m-%d %H:%M} UTC, {counts['stale']:,} left "
        "out as stale. Percentiles are of this market's own history. Who holds which side is not "
        "known: the naive sign takes dealers to be long calls and short puts; max pain is context."
    )
    figure.text(0.05, 0.016, f"{source}\n{drawn}".strip(), color=FAINT, fontsize=8.5)


_FIRST = {
    "put_call_open_interest": "put/call {:.2f} by open interest",
    "put_call_volume": "{:.2f} by volume",
    "put_call_premium": "{:.2f} by premium",
    "put_call_delta": "{:.2f} by delta",
}
_SECOND = {
    "leverage": "hidden leverage {:.1f}×",
    "beyond_90": "{:.0%} of open interest beyond 90 days",
    "open_interest_change": "open interest {:+.1%} in a week",
}


def _told(state: OptionState, wanted: dict[str, str]) -> list[str]:
    """Return measures in words, each with its percentile."""
    rows = {row["measure"]: row for row in state.summary.iter_rows(named=True)}
    return [
        f"{words.format(rows[name]['value'])} (p{100 * rows[name]['percentile']:.0f})"
        for name, words in wanted.items()
        if rows[name]["value"] is not None
    ]


def _dollars(usd: float) -> str:
    return f"−${large(-usd)}" if usd < 0 else f"${large(usd)}"
