"""What a liquidation map has to beat: forecasts that know the price's path, and no positions.

Each forecast is a table of exposures, a column for each thing it can weigh, over the cells that the
price touched (see `cells`). All are fitted by the same machine, `analytics.leverage.fit`, to the
same history, each with the covered range as one more column: a forecast that is no better than
the range can say so. None is given less than the map but what it is defined not to know.

=====================  ===========================================================================
constant rate          each bar and side that touched anything counts alike
covered range          each cell counts alike
drawdown               how far below (above) the extreme of the last day and week a cell lies
volume profile         where volume traded in the last three days, shifted by leverage of 25
swings and rounds      below (above) the last day's extreme, or beside a round number
distance only          how far a cell lies from the mean price of the last eight hours, three days
equal weights          the inventory, every tier of leverage alike
yesterday's map        what the inventory showed a day earlier
nothing closes         rises of open interest on a fixed list of leverages, never closed
no OI: constant        the inventory, fitted, with open interest and volume held constant
no OI: moves           the same, with volume in proportion to the bar's move
=====================  ===========================================================================

The last two are the map's *twins*: all it has but open interest, whose first known amount and mean
volume, over all bars, they are told. Beside these stand the map before it is fitted, and one of the
prior's assumptions with its mix fitted, as it stood when an hour, four or the day began: a forecast
of all the time to come until the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec.structs import replace

from plimsoll.analytics.fitting import candidates
from plimsoll.analytics.flows import believed, moves
from plimsoll.analytics.inventory import ALIKE, Inventory
from plimsoll.analytics.inventory_state import (
    CLOSE,
    HIGH,
    LONG,
    LOW,
    OPEN_INTEREST,
    TAKER_BUY,
    VOLUME,
)
from plimsoll.analytics.margins import log_factors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plimsoll.analytics.cells import Trial

    Floats = NDArray[np.float64]

__all__ = ["BASELINES", "HELD", "MAP", "MIDNIGHT", "PRIOR", "TWINS", "exposures"]

MAP, PRIOR, MIDNIGHT = "map", "map, not fitted", "map of midnight"
HELD = {"map held for 1 h": 1, "map held for 4 h": 4, MIDNIGHT: 24}
"""Maps that stand still, anew every so many hours of the day: forecasts of all that time."""
TWINS = ("no OI: constant", "no OI: moves")
BASELINES = (
    "constant rate",
    "covered range",
    "drawdown",
    "volume profile",
    "swings and rounds",
    "distance only",
    "equal weights",
    "yesterday's map",
    "nothing closes",
    *TWINS,
)
_BANDS = np.array([0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2])
_GENERIC = 25.0
"""Or the most that the tiers allow, where that is less."""
_NEAR = 0.002
_AT_ONCE = 200
"""Columns kept at a time."""


def exposures(trial: Trial) -> dict[str, list[Floats]]:
    """Return the exposures of the map and of every baseline.

    Parameters
    ----------
    trial : Trial

    Returns
    -------
    dict of str to list of ndarray, shape (cells, columns)
        By name, one for each set of assumptions among which the fit may choose. The last column of
        each is the covered range, the map's background.
    """
    prior, tiers = trial.parameters, len(trial.parameters.weights)
    alike = replace(prior, weights=(1 / tiers,) * tiers, **ALIKE)
    churns = candidates(replace(prior, memory=0.0, moves=False), ["churn", "closing", "attrition"])
    still, moved = (_without(trial, seeded) for seeded in (np.ones(len(trial.bars)), _moves(trial)))
    made = {
        MAP: trial.stood_by(candidates(prior)),
        PRIOR: [trial.stood().sum(axis=1, keepdims=True)],
        **{name: [_held(trial, hours, 0)] for name, hours in HELD.items()},
        "equal weights": [trial.stood(parameters=alike).sum(axis=1, keepdims=True)],
        "constant rate": [_constant(trial)],
        "covered range": [np.empty((len(trial.cells), 0))],
        "drawdown": [np.hstack([_beyond(trial, hours) for hours in (24, 168)])],
        "volume profile": [_profile(trial)],
        "swings and rounds": [_swings(trial)],
        "distance only": [np.hstack([_away(trial, hours) for hours in (8, 72)])],
        "yesterday's map": [_held(trial, 24, 1).sum(axis=1, keepdims=True)],
        "nothing closes": [_never_closed(trial)],
        TWINS[0]: trial.stood_by(churns, still),
        TWINS[1]: trial.stood_by(churns, moved),
    }
    even = trial.background()[:, None]
    return {name: [np.hstack([columns, even]) for columns in tried] for name, tried in made.items()}


def _constant(trial: Trial) -> Floats:
    many = np.diff(np.append(trial.rows, len(trial.cells)))
    return (1.0 / np.repeat(many, many))[:, None]


def _banded(distance: Floats) -> Floats:
    """Return one column for each band of distance, log price; below zero is a band too."""
    band = np.searchsorted(_BANDS, distance) + (distance >= 0)
    return np.equal.outer(band, np.arange(len(_BANDS) + 2)).astype(np.float64)


def _signed(trial: Trial, reference: Floats) -> Floats:
    """Return how far each cell lies beyond a price of its bar, on its side; log price."""
    away = np.log(reference[trial.cells[:, 0]] / trial.price)
    signed: Floats = np.where(trial.cells[:, 1] == LONG, away, -away)
    return np.nan_to_num(signed, nan=-1.0)


def _bars_in(trial: Trial, hours: float) -> int:
    return max(1, round(hours * 3_600 / trial.interval.total_seconds()))


def _rolling(values: Floats, width: int, high: bool) -> Floats:
    """Return the extreme of the bars before each one; NaN before there is any."""
    before = pl.Series(values).fill_nan(None).shift()
    found = (before.rolling_max if high else before.rolling_min)(width, min_samples=1)
    return found.fill_null(np.nan).to_numpy()


def _beyond(trial: Trial, hours: float) -> Floats:
    """Return bands of the distance from the extreme the price came from: drawdown, draw-up."""
    width = _bars_in(trial, hours)
    from_high = _signed(trial, _rolling(trial.bars[:, HIGH], width, high=True))
    from_low = _signed(trial, _rolling(trial.bars[:, LOW], width, high=False))
    return _banded(np.where(trial.cells[:, 1] == LONG, from_high, from_low))


def _away(trial: Trial, hours: float) -> Floats:
    """Return bands of the distance from the mean price of the hours before."""
    width, close = _bars_in(trial, hours), trial.bars[:, CLOSE]
    sums = np.cumsum(np.concatenate([[0.0], np.nan_to_num(close)]))
    known = np.cumsum(np.concatenate([[0.0], ~np.isnan(close)]))
    at = np.arange(len(close))
    start = np.maximum(0, at - width)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (sums[at] - sums[start]) / (known[at] - known[start])
    return _banded(_signed(trial, mean))


def _profile(trial: Trial) -> Floats:
    """Return the volume traded where positions of one leverage, liquidated here, were opened."""
    shift = _shift(trial)
    width, step = _bars_in(trial, 72), trial.grid.step
    bars = trial.bars
    bucket = np.floor(np.log(bars[:, CLOSE]) / step)
    volume = np.where(np.isnan(bucket + bars[:, VOLUME]), 0.0, bars[:, VOLUME])
    place = (np.nan_to_num(bucket) - trial.grid.first).astype(np.int64)
    place = np.clip(place, 0, trial.grid.rows - 1)
    held = np.zeros(trial.grid.rows)
    found = np.zeros((len(trial.cells), 1))
    at = 0
    for t in range(len(bars)):
        while at < len(trial.cells) and trial.cells[at, 0] == t:
            entry = trial.cells[at, 2] - shift[trial.cells[at, 1]] - trial.grid.first
            if 0 <= entry < trial.grid.rows:
                found[at] = held[entry]
            at += 1
        held[place[t]] += volume[t]
        if t >= width:
            held[place[t - width]] -= volume[t - width]
    return trial.dollars(np.maximum(found, 0.0))


def _shift(trial: Trial) -> list[int]:
    """Return how many buckets a position of one leverage is liquidated above its entry, by side."""
    leverage = min(_GENERIC, trial.parameters.leverage[-1])
    log = log_factors(replace(trial.parameters, leverage=(leverage,), weights=(1.0,), sizes=None))
    return [round(float(one) / trial.grid.step) for one in log[:, 0]]


def _swings(trial: Trial) -> Floats:
    """Return whether a cell lies just beyond the last day's extreme, or beside a round number."""
    width = _bars_in(trial, 24)
    low = _signed(trial, _rolling(trial.bars[:, LOW], width, high=False))
    high = _signed(trial, _rolling(trial.bars[:, HIGH], width, high=True))
    beyond = np.where(trial.cells[:, 1] == LONG, low, high)
    unit = 10.0 ** np.floor(np.log10(trial.price) - 1)
    rounded = np.abs(np.log(np.rint(trial.price / unit) * unit / trial.price)) < _NEAR / 2
    return np.stack([(beyond >= 0) & (beyond < 2 * _NEAR), rounded], axis=1).astype(np.float64)


def _held(trial: Trial, hours: int, back: int) -> Floats:
    """Return what the inventory showed in each cell's bucket when a stretch of hours began.

    By tier; `back` says how many stretches before the cell's own.
    """
    stretch = trial.time // (hours * 3_600 * 1_000_000)
    first = np.flatnonzero(np.diff(stretch, prepend=-1))
    moved = Inventory(trial.parameters, interval=trial.interval, grid=trial.grid)
    bars = believed(trial.bars, trial.parameters, trial.interval)
    wanted = stretch[trial.cells[:, 0]] - back
    row = trial.cells[:, 2] - trial.grid.first
    mass = np.zeros((len(trial.cells), len(trial.parameters.weights)))
    for begin in range(0, len(first), _AT_ONCE):
        these = first[begin : begin + _AT_ONCE]
        end = first[begin + _AT_ONCE] if begin + _AT_ONCE < len(first) else len(bars)
        part = slice(int(these[0]), int(end))
        shown = np.zeros(part.stop - part.start, dtype=np.bool_)
        shown[these - part.start] = True
        columns = moved.advance(
            bars[part],
            crossing=None if trial.crossing is None else trial.crossing[part],
            brackets=None if trial.brackets is None else trial.brackets[part],
            shown=shown,
            by_tier=True,
        ).tiers
        column = np.minimum(np.searchsorted(stretch[these], wanted), len(these) - 1)
        inside = stretch[these][column] == wanted
        mass[inside] = np.nan_to_num(
            columns[column[inside], trial.cells[inside, 1], :, row[inside]]
        )
    return trial.dollars(mass)


def _never_closed(trial: Trial) -> Floats:
    """Return an inventory of all rises of open interest, on a fixed list, that nobody closes."""
    bars = trial.bars.copy()
    known = np.flatnonzero(~np.isnan(bars[:, OPEN_INTEREST]))
    rises = np.maximum(
        0.0, np.diff(bars[known, OPEN_INTEREST], prepend=bars[known[:1], OPEN_INTEREST])
    )
    bars[known, OPEN_INTEREST] = bars[known[:1], OPEN_INTEREST] + np.cumsum(rises)
    tiers = len(trial.parameters.weights)
    fixed = replace(
        trial.parameters, weights=(1 / tiers,) * tiers, liquidatable=1.0, churn=0.0, **ALIKE
    )
    stood: Floats = trial.stood(bars, fixed).sum(axis=1, keepdims=True)
    return stood


def _moves(trial: Trial) -> Floats:
    seeded: Floats = moves(trial.bars, _bars_in(trial, 168))
    return seeded


def _without(trial: Trial, seeded: Floats) -> Floats:
    """Return bars whose open interest never changes, and whose volume knows only the price."""
    bars = trial.bars.copy()
    known = ~np.isnan(bars[:, OPEN_INTEREST])
    level = bars[known, OPEN_INTEREST][0] if known.any() else np.nan
    volume = np.nanmean(bars[:, VOLUME]) if (~np.isnan(bars[:, VOLUME])).any() else 0.01 * level
    bars[:, OPEN_INTEREST] = np.where(np.isnan(bars[:, CLOSE]), np.nan, level)
    bars[:, VOLUME] = volume * seeded
    bars[:, TAKER_BUY] = bars[:, VOLUME] / 2
    return bars
