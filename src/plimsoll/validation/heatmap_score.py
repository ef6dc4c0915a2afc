"""How good a liquidation heat map is: against real liquidations, and against simpler forecasts.

The score is prequential: each day is forecast with what was known before it, and every forecast is
fitted again each day, by the same machine, to the days before. Only cells that the price newly
touched are scored (see `analytics.cells`), so that no forecast earns anything for where the price
went. The headline is the skill over the better *twin*: the same fitted map without open interest.

A skill is 1 − deviance / deviance of the baseline, with a 90 % interval by bootstrap of days; zero
is no better, negative is worse. An interval that holds zero has shown nothing. Days before the
first liquidation and after the last are left out: nobody says that the feed was on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plimsoll.analytics.fitting import WARM, averaged
from plimsoll.analytics.inventory_state import HIGH, LOW, OPEN
from plimsoll.validation import calibration, ranking, scores, significance
from plimsoll.validation.baselines import BASELINES, HELD, MAP, PRIOR, TWINS, exposures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plimsoll.analytics.cells import Trial

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Forecasts", "HeatmapScore", "forecast", "score"]

LEARN = 7
"""Days that are only learnt from, after those that only fill the inventory."""
_LEAST = 1e-9
_DISTANCES = (0.0, 0.02, 0.05, 0.10, np.inf)
_SIDES = ("long", "short")
_PRICES = {"open": OPEN, "high": HIGH, "low": LOW}


@dataclass(frozen=True, kw_only=True, eq=False)
class Forecasts:
    """What each forecast expected in each scored cell, and what came.

    Attributes
    ----------
    orders : ndarray, shape (cells,)
    day, bar, side : ndarray of int, shape (cells,)
    distance : ndarray, shape (cells,), log price
        Of the cell from the bar's day's first price.
    volatile : ndarray of bool, shape (cells,)
        Whether the day's range was above the median of the days scored.
    price : ndarray, shape (cells,), quote per base
    mean : dict of str to ndarray, shape (cells,), orders
    log : dict of str to ndarray, shape (cells,), nats
        The logarithm of the probability that each forecast gave to what came: negative binomial,
        with a size learnt from the days before.
    pit : ndarray, shape (cells,), fraction
        Where what came lies in what the map expected; see `calibration.randomised_pit`.
    """

    orders: Floats
    day: Ints
    bar: Ints
    side: Ints
    distance: Floats
    volatile: NDArray[np.bool_]
    price: Floats
    mean: dict[str, Floats]
    log: dict[str, Floats]
    pit: Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class HeatmapScore:
    """A map's score.

    Attributes
    ----------
    summary : dict
        `days`, and how many of them are `silent`, without a liquidation; `cells`, `orders`,
        `unit_usd`, `outside`, `completeness`; `twin`, the better one,
        and `skill`, `low`, `high` over it; `auc`, `precision` at the top tenth with the Wilson
        bound `precision_low`, `slope` of calibration and `slope_error`, `pit_distance` from a
        uniform one; `crossed_on` (``"mark price"`` or ``"trades"``) and, by side, the dollars that
        the map before it is fitted predicts as liquidated on the scored days, `crossed_usd`, and
        on the extremes of trades, `crossed_on_trades_usd`. None where it cannot be told.
    table : DataFrame
        A row for each forecast: `deviance` and `log_score` an order, `auc`, `earth_movers_bp`, and
        the map's `skill` over it with `low` and `high`, and the `p` of Diebold and Mariano.
    groups : DataFrame
        `by`, `group`, `cells`, `orders`, and the map's `skill` over the better twin.
    reliability : DataFrame
        By tenth of what was expected: `expected`, `came`, `cells`.
    """

    summary: dict[str, Any]
    table: pl.DataFrame
    groups: pl.DataFrame
    reliability: pl.DataFrame


def forecast(
    trial: Trial, *, warm: int = WARM, learn: int = LEARN, every: int = 1, seed: int = 0
) -> Forecasts:
    """Forecast each day from the days before it.

    Parameters
    ----------
    trial : Trial
    warm, learn : int, days
        See `fitting.WARM` and `LEARN`.
    every : int, days
        How often the forecasts are fitted again.
    seed : int
        Of the randomised PIT.

    Raises
    ------
    ValueError
        If there are too few days to forecast three, or not one liquidation.
    """
    if not trial.orders.any():
        raise ValueError("a score needs liquidations; none is stored for these bars")
    day, rows = trial.day, trial.rows
    heard = trial.heard(warm)
    days = np.unique(day[heard])
    if len(days) < learn + 3:
        raise ValueError(
            f"a score needs {learn + 3} days or more from the first liquidation to the last, after "
            f"{warm} that only fill the map; got {len(days)}"
        )
    mean: dict[str, Floats] = {}
    log: dict[str, Floats] = {}
    orders, pit = trial.orders.astype(np.float64), np.full(len(day), np.nan)
    rng = np.random.default_rng(seed)
    for name, tried in exposures(trial).items():
        mean[name], log[name] = np.full(len(day), np.nan), np.full(len(day), np.nan)
        for at in range(learn, len(days), every):
            until = days[min(at + every, len(days)) - 1]
            past = heard & (day < days[at])
            now = (day >= days[at]) & (day <= until)
            expected = np.maximum(averaged(trial, tried, past[rows]), _LEAST)
            mean[name][now] = expected[now]
            size = scores.dispersion(orders[past], expected[past])
            log[name][now] = scores.log_probability(orders[now], mean[name][now], size)
            if name == MAP:
                pit[now] = calibration.randomised_pit(orders[now], mean[name][now], size, rng)
    scored = (day >= days[learn]) & (day <= days[-1])
    away, volatile = _circumstances(trial, days[learn:])
    return Forecasts(
        orders=orders[scored],
        day=day[scored],
        bar=trial.cells[scored, 0],
        side=trial.cells[scored, 1],
        distance=away[scored],
        volatile=volatile[scored],
        price=trial.price[scored],
        mean={name: values[scored] for name, values in mean.items()},
        log={name: values[scored] for name, values in log.items()},
        pit=pit[scored],
    )


def _circumstances(trial: Trial, scored: Ints) -> tuple[Floats, NDArray[np.bool_]]:
    """Return each cell's distance from its day's first price, and whether the day was volatile."""
    of_bar = trial.time // (86_400 * 1_000_000)
    at = np.unique(of_bar, return_inverse=True)[1]
    frame = pl.DataFrame(
        {"day": of_bar, **{name: trial.bars[:, at] for name, at in _PRICES.items()}}
    ).fill_nan(None)
    daily = frame.group_by("day", maintain_order=True).agg(
        pl.col("open").drop_nulls().first(),
        width=(pl.col("high").max() / pl.col("low").min()).log(),
    )
    start = daily["open"].to_numpy()[at][trial.cells[:, 0]]
    away: Floats = np.abs(np.log(trial.price / start))
    width = daily["width"].to_numpy()
    usual = np.median(width[np.isin(daily["day"], scored)])
    volatile = (width > usual)[at][trial.cells[:, 0]]
    return away, volatile


def score(
    trial: Trial, *, warm: int = WARM, learn: int = LEARN, every: int = 1, seed: int = 0
) -> HeatmapScore:
    """Score a map against its baselines.

    Parameters
    ----------
    trial : Trial
    warm, learn, every : int, days
        As in `forecast`.
    seed : int
        Of the bootstrap.

    Raises
    ------
    ValueError
        If there are too few days, or no liquidation.
    """
    made = forecast(trial, warm=warm, learn=learn, every=every, seed=seed)
    rng = np.random.default_rng(seed)
    daily = {name: _daily(made, name) for name in made.mean}
    twin = min(TWINS, key=lambda name: float(daily[name].sum()))
    n, mu = made.orders, made.mean[MAP]
    over = significance.skill_interval(daily[MAP], daily[twin], rng=rng)
    slope = calibration.calibration(n, mu, group=made.day)
    classes = calibration.reliability(n, mu)
    top = ranking.precision_at(mu, n > 0)
    summary = {
        "days": len(np.unique(made.day)),
        "silent": len(np.setdiff1d(made.day, made.day[n > 0])),
        "cells": len(n),
        "orders": int(n.sum()),
        "unit_usd": trial.unit,
        "outside": trial.outside,
        "completeness": list(trial.completeness),
        "twin": twin,
        "skill": over.value,
        "low": over.low,
        "high": over.high,
        "auc": ranking.auc_within(mu, n > 0, made.day),
        "precision": top.value,
        "precision_low": top.low,
        "slope": slope.b,
        "slope_error": slope.b_error,
        "pit_distance": calibration.pit_distance(made.pit),
        **_swept(trial, made.day),
    }
    return HeatmapScore(
        summary={name: _told(value) for name, value in summary.items()},
        table=_table(made, daily, rng),
        groups=_groups(made, twin),
        reliability=pl.DataFrame(
            {"expected": classes.mu, "came": classes.n, "cells": classes.cells}
        ),
    )


def _swept(trial: Trial, days: Ints) -> dict[str, object]:
    """Return what is predicted as liquidated on some days, on the mark price and on trades."""
    on = np.isin(trial.time // (86_400 * 1_000_000), days)

    def dollars(crossing: Floats | None) -> dict[str, float]:
        return dict(zip(_SIDES, map(float, trial.swept(crossing)[on].sum(axis=0)), strict=True))

    traded = dollars(None)
    marked = trial.crossing is not None
    return {
        "crossed_on": "mark price" if marked else "trades",
        "crossed_usd": dollars(trial.crossing) if marked else traded,
        "crossed_on_trades_usd": traded,
    }


def _told(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


def _daily(made: Forecasts, name: str) -> Floats:
    """Return the Poisson deviance of each day."""
    unit = scores.unit_deviance(made.orders, made.mean[name])
    _, at = np.unique(made.day, return_inverse=True)
    daily: Floats = np.bincount(at, weights=unit).astype(np.float64)
    return daily


def _table(made: Forecasts, daily: dict[str, Floats], rng: np.random.Generator) -> pl.DataFrame:
    n, total = made.orders, max(1.0, float(made.orders.sum()))
    logs = made.log
    rows = []
    for name in (MAP, PRIOR, *HELD, *BASELINES):
        row: dict[str, Any] = {
            "forecast": name,
            "deviance": float(daily[name].sum()) / total,
            "log_score": float(logs[name].sum()) / total,
            "auc": ranking.auc_within(made.mean[name], n > 0, made.day),
            "earth_movers_bp": scores.earth_movers(np.log(made.price), made.mean[name], n),
            "skill": None,
            "low": None,
            "high": None,
            "p": None,
        }
        if name != MAP:
            over = significance.skill_interval(daily[MAP], daily[name], rng=rng)
            test = significance.diebold_mariano(logs[MAP] - logs[name], made.day, rng=rng)
            row |= {"skill": over.value, "low": over.low, "high": over.high, "p": test.p_value}
        rows.append(row)
    return pl.DataFrame(rows).fill_nan(None)


def _groups(made: Forecasts, twin: str) -> pl.DataFrame:
    """Return the skill over a twin by side, by distance and by how volatile the day was."""
    bands = np.searchsorted(_DISTANCES, made.distance, side="right") - 1
    names = [f"{low:.0%} to {high:.0%}" for low, high in pairwise(_DISTANCES[:-1])]
    names.append(f"beyond {_DISTANCES[-2]:.0%}")
    masks = [
        *(("side", side, made.side == at) for at, side in enumerate(_SIDES)),
        *(("distance", name, bands == at) for at, name in enumerate(names)),
        ("day", "quiet", ~made.volatile),
        ("day", "volatile", made.volatile),
    ]
    rows = []
    for by, group, mask in masks:
        mine, other = (
            float(scores.unit_deviance(made.orders[mask], made.mean[name][mask]).sum())
            for name in (MAP, twin)
        )
        rows.append(
            {
                "by": by,
                "group": group,
                "cells": int(mask.sum()),
                "orders": int(made.orders[mask].sum()),
                "skill": scores.skill(mine, other) if other > 0 else None,
            }
        )
    return pl.DataFrame(rows)
