"""A map fitted to an instrument's own liquidations: which flows to believe, and the leverage mix.

Few assumptions are tried, all combinations of `CANDIDATES`. Each gives an inventory, each inventory
exposures, and the mix is fitted to them (see `leverage`). None is true, and the mix depends on
which is taken; so the map is their mean, and the intervals are made of all, in proportion to
tempered likelihood. The mean forecasts better than the likeliest alone. How much to temper was
found on simulated markets, where the true mix is known, and tested on others; how many truths the
intervals hold there is in docs/theory/score.md.

One of the assumptions is *attrition*: what part of the positions that stood on the price's way is
gone when it arrives. Liquidations alone cannot tell few positions from many that leave, so both are
in the mean: that none leaves, and that nearly all do who were far away.

What the fit finds is put back: the mix becomes the weights of new positions, and the scale the
share of open interest that can be liquidated, as far as the feed is complete. A feed that is not
leaves that share assumed: published liquidations cannot tell a small share of positions from a
small share of reports.
"""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from msgspec.structs import asdict, replace

from plimsoll.analytics.inventory import ALIKE, Parameters
from plimsoll.analytics.leverage import (
    SHAPE,
    Fit,
    common_size,
    fit,
    joined,
    likeliest_size,
    likelihood,
)
from plimsoll.progress import staged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from plimsoll.analytics.cells import Trial

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["CANDIDATES", "Fitted", "averaged", "candidates", "fitted", "fitted_together"]

CANDIDATES: dict[str, tuple[Any, ...]] = {
    "churn": (0.2, 0.8),
    "memory": (0.0, 12.0),
    "moves": (False, True),
    "closing": ((1.0, 0.8, 0.5, 0.1), (1.0, 1.0, 1.0, 1.0)),
    "attrition": (0.0, 1.5),
}
TEMPER = 10.0
"""By how much less than their likelihoods say the candidates are told apart."""
WARM = 7
"""Days at first that only fill the inventory."""
_IDENTIFIED = 0.5
_UNSURE = 0.7
"""Of an assumed share of open interest that can be liquidated, on a log scale: two in three between
half and double."""
_LEAST = 1e-9
_SLIGHT = 0.01
"""A candidate that is less probable does not count."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A fitted map's assumptions, and how sure they are.

    Attributes
    ----------
    parameters : Parameters
        The likeliest candidate, with the mix found; what was assumed, where nothing was counted.
    parts : tuple of (float, Parameters)
        The maps whose mean the fitted map is: how much each counts, summing to one, and the
        candidate with its own mix.
    prior : Parameters
        The same before the fit.
    fit : Fit
        Of that candidate.
    shares : ndarray, shape (draws, tiers), fraction
        Posterior draws of the mix of new positions, over all candidates.
    scales : ndarray, shape (draws,), dimensionless
        Of the scale; see `leverage`.
    tried : DataFrame
        The candidates, and the `probability` of each.
    cell_size, common_size : float
        The negative binomial's size in cells: how unevenly positions stand around what the map
        says; small is uneven. And of what cells that are touched together share of it. NaN where
        nothing was counted.
    days : int
        Looked at: after the first `WARM`, from the first with a liquidation to the last. Before and
        after, nobody says that the feed was on.
    complete : bool
        Whether the feed publishes every liquidation, so that the scale is known for what it is.
    orders : int
        Liquidations counted.
    unit : float, US dollars
        Of one order.
    outside : float, fraction
        Of the liquidated dollars, those where the price touched nothing of their side.
    exchange, symbol : str or None
        Whose liquidations they are, where they came from a store.
    """

    parameters: Parameters
    parts: tuple[tuple[float, Parameters], ...]
    prior: Parameters
    fit: Fit
    shares: Floats
    scales: Floats
    tried: pl.DataFrame
    cell_size: float
    common_size: float
    days: int
    complete: bool
    orders: int
    unit: float
    outside: float
    exchange: str | None = None
    symbol: str | None = None

    def mix(self) -> pl.DataFrame:
        """Return the mix of new positions.

        Returns
        -------
        DataFrame
            `leverage`, `prior`, `share` (posterior mean), `low` and `high` (its central nine
            tenths), and `identified`: whether liquidations tell it, rather than the prior. Shares
            sum to one; without a liquidation they are the prior's.
        """
        low, high = np.quantile(self.shares, (0.05, 0.95), axis=0)
        return pl.DataFrame(
            {
                "leverage": np.asarray(self.prior.leverage, dtype=np.float64),
                "prior": np.asarray(self.prior.weights),
                "share": np.asarray(self.parameters.weights),
                "low": low,
                "high": high,
                "identified": self.identified,
            }
        )

    @property
    def identified(self) -> NDArray[np.bool_]:
        """Which tiers' shares the liquidations tell: their variance is half the prior's or less."""
        weights = np.asarray(self.prior.weights)
        known: NDArray[np.bool_] = weights > 0
        if not self.orders or len(self.shares) < 2:
            return np.zeros_like(known)
        rng = np.random.default_rng(0)
        drawn = rng.gamma(SHAPE, size=(4_000, len(weights))) * weights
        before = drawn[:, known] / drawn.sum(axis=1, keepdims=True)
        after = self.shares[:, known]
        known[known] = np.log(after).var(axis=0) <= _IDENTIFIED * np.log(before).var(axis=0)
        return known

    @property
    def draws(self) -> Floats:
        """By what each tier of the fitted map is multiplied in each draw; shape (draws, tiers).

        One on average. Where the feed is complete the scale varies as its draws do. Else it is as
        sure as the share of open interest that can be liquidated is before any is seen, which is
        not very.
        """
        scales = np.minimum(self.scales, 1 / self.prior.liquidatable)  # no more than all
        if not self.complete:
            rng = np.random.default_rng(0)
            scales = np.exp(_UNSURE * rng.standard_normal(len(self.shares)))
        held = self.shares * scales[:, None]
        mean = held.mean(axis=0)
        found: Floats = np.divide(held, mean, out=np.ones_like(held), where=mean > 0)
        return found

    @property
    def liquidatable(self) -> float | None:
        """The share of open interest that a complete feed asks for; None where none tells it.

        More than one is more than there is: the map is drawn with all of it (see `clamped`), and
        predicts fewer liquidations than came.
        """
        if not (self.complete and self.orders):
            return None
        return self.prior.liquidatable * float(np.median(self.scales))

    @property
    def clamped(self) -> bool:
        """Whether the map, or a part of its mean, is drawn with all of the open interest."""
        asked = self.liquidatable
        full = any(one.liquidatable >= 1 > self.prior.liquidatable for _, one in self.parts)
        return asked is not None and (asked > 1 or full)

    def describe(self) -> dict[str, object]:
        """Return what a reader has to know of the fit; `scale` is None where nothing is told."""
        low, middle, high = map(float, np.quantile(self.scales, (0.05, 0.5, 0.95)))
        scale = {"low": low, "median": middle, "high": high}
        return {
            "exchange": self.exchange,
            "symbol": self.symbol,
            "identified": bool(self.identified.any()),
            "days": self.days,
            "orders": self.orders,
            "order_usd": self.unit,
            "outside": self.outside,
            "scale": scale if self.orders else None,
            "scale_means": "share of open interest that can be liquidated, over the one assumed"
            if self.complete
            else "that share times the part of liquidations published; not told apart",
            "liquidatable_asked": self.liquidatable,
            "clamped": self.clamped,
            "inflation": self.fit.inflation,
            "mix": self.mix().to_dicts(),
            "assumptions": self.tried.to_dicts(),
        }


def candidates(prior: Parameters, choices: Iterable[str] = CANDIDATES) -> list[Parameters]:
    """Return the assumptions to be tried: every combination of the named choices, sides alike."""
    prior = replace(prior, **ALIKE)
    names = list(choices)
    combined = itertools.product(*(CANDIDATES[name] for name in names))
    return [replace(prior, **dict(zip(names, values, strict=True))) for values in combined]


def averaged(trial: Trial, exposures: list[Floats], rows: NDArray[np.bool_]) -> Floats:
    """Return what candidates expect on average, each counting as likely as it made some rows.

    Parameters
    ----------
    trial : Trial
    exposures : list of ndarray, shape (cells, columns)
        Of each candidate.
    rows : ndarray of bool, shape (rows,)
        Bars and sides to learn from; see `Trial.rows`.

    Returns
    -------
    ndarray, shape (cells,), orders
    """
    orders = trial.per_row(trial.orders).astype(np.int64)[rows]
    day = trial.day[trial.rows][rows]
    seen = [_Rows(*joined(trial.per_row(one)[rows], orders, day)) for one in exposures]
    modes = [fit(*one, draws=0) for one in seen]
    chance = _chance([one.likelihood(made) for one, made in zip(seen, modes, strict=True)], modes)
    expected = np.zeros(len(trial.cells))
    for share, exposure, made in zip(chance, exposures, modes, strict=True):
        if share:
            expected += share * (exposure @ made.multiplier)
    return expected


def fitted(
    trial: Trial,
    *,
    warm: int = WARM,
    draws: int = 200,
    seed: int = 0,
    expected: Mapping[float, float] | None = None,
) -> Fitted:
    """Fit a map to the liquidations of a trial.

    Parameters
    ----------
    trial : Trial
    warm : int
        See `WARM`.
    draws, seed : int
        Of the posterior; see `leverage.fit`.
    expected : mapping of float to float, optional
        By what the prior mix is expected to be multiplied at each leverage; one by default.

    Returns
    -------
    Fitted
        Without a liquidation it is the prior, and `identified` says so.
    """
    learnt = trial.heard(warm)
    return _fitted(trial, learnt, _tried(trial, learnt), draws, seed, expected or {})


def fitted_together(trials: Sequence[Trial], *, draws: int = 200, seed: int = 0) -> list[Fitted]:
    """Fit several exchanges, each with what all of them say together as its prior.

    Parameters
    ----------
    trials : sequence of Trial
        Of one coin.
    draws, seed : int
        As in `fitted`.

    Returns
    -------
    list of Fitted
        One for each trial. What is expected of a leverage is the mean of what the exchanges say
        alone, on a log scale, weighted by their orders.
    """
    pairs = [(one, one.heard(WARM)) for one in trials]
    tried = [_tried(one, learnt) for one, learnt in staged("moving", pairs)]
    several = staged("comparing", tried if len(trials) > 1 else [])
    expected = _expected([_likeliest(one) for one in several])
    return [
        _fitted(*pair, its, draws, seed, expected)
        for pair, its in staged("fitting", list(zip(pairs, tried, strict=True)))
    ]


class _Rows(NamedTuple):
    """What `leverage.fit` is given; see there."""

    exposure: Floats
    orders: Ints
    day: Ints
    many: Floats

    def likelihood(self, found: Fit) -> float:
        return likelihood(self.exposure, self.orders, found, self.many)


class _Tried(NamedTuple):
    """A candidate, and what it has to explain."""

    parameters: Parameters
    rows: _Rows

    def fit(self, expected: Mapping[float, float], draws: int = 0, seed: int = 0) -> Fit:
        prior = np.append(_multipliers(self.parameters, expected), 1.0)
        return fit(*self.rows, prior=prior, draws=draws, seed=seed)


def _multipliers(prior: Parameters, expected: Mapping[float, float]) -> Floats:
    return np.array([expected.get(tier, 1.0) for tier in prior.leverage])


def _tried(trial: Trial, learnt: NDArray[np.bool_]) -> list[_Tried]:
    """Return all candidates, each with what it has to explain."""
    rows = learnt[trial.rows]
    orders, day = trial.per_row(trial.orders).astype(np.int64)[rows], trial.day[trial.rows][rows]

    even = trial.background()[:, None]
    chosen = candidates(trial.parameters)
    found = []
    for one, held in zip(chosen, trial.stood_by(chosen), strict=True):
        seen = trial.per_row(np.hstack([held, even]))[rows]
        found.append(_Tried(one, _Rows(*joined(seen, orders, day))))
    return found


class _Modes(NamedTuple):
    """The mode of each candidate's fit, how probable each is, and which is the likeliest."""

    fits: list[Fit]
    chance: Floats
    best: int


def _modes(tried: list[_Tried], expected: Mapping[float, float]) -> _Modes:
    with ThreadPoolExecutor() as threads:
        found = threads.map(lambda one: one.fit(expected), tried)
        fits = list(staged("candidates", found, len(tried)))
    said = [one.rows.likelihood(made) for one, made in zip(tried, fits, strict=True)]
    return _Modes(fits, _chance(said, fits), int(np.argmax(said)))


def _chance(said: list[float], fits: list[Fit]) -> Floats:
    """Return how probable candidates are by their likelihoods, tempered; hardly probable ones not.

    Each is tempered by the inflation of the likeliest, too: days say less than their bars seem to.
    """
    best = int(np.argmax(said))
    chance: Floats = np.exp((np.array(said) - said[best]) / (TEMPER * fits[best].inflation))
    chance[chance < _SLIGHT * chance.sum()] = 0.0
    chance /= chance.sum()
    return chance


def _fitted(
    trial: Trial,
    learnt: NDArray[np.bool_],
    tried: list[_Tried],
    draws: int,
    seed: int,
    expected: Mapping[float, float],
) -> Fitted:
    fits, chance, best = _modes(tried, expected)
    likely, mode = tried[best].parameters, fits[best]
    many = np.random.default_rng(seed).multinomial(draws, chance)
    some = [int(at) for at in np.flatnonzero(many)]
    with ThreadPoolExecutor() as threads:
        drawn = threads.map(
            lambda at: tried[at].fit(expected, draws=int(many[at]), seed=seed + at).draws, some
        )
        known = np.concatenate([*staged("draws", drawn, len(some))] or [mode.multiplier[None]])
    shares, scales = _parted(known, np.asarray(likely.weights))
    complete, counted = trial.completeness == ("complete",), mode.orders > 0
    alone, together = _sizes(trial, likely, mode, learnt) if counted else (math.nan, math.nan)
    if counted:
        found = _put_back(likely, shares.mean(axis=0), scales if complete else None)
        parts = tuple(
            (float(share), _at_mode(one.parameters, made, complete=complete))
            for share, one, made in zip(chance, tried, fits, strict=True)
            if share
        )
    else:
        likely = trial.parameters
        found = _put_back(likely, _multipliers(likely, expected) * likely.weights, None)
        parts = ((1.0, found),)
    return Fitted(
        parameters=found,
        parts=parts,
        prior=likely,
        fit=mode,
        shares=shares,
        scales=scales,
        tried=_table([one.parameters for one in tried], chance),
        cell_size=alone,
        common_size=together,
        days=len(np.unique(trial.day[learnt])),
        complete=complete,
        orders=mode.orders,
        unit=trial.unit,
        outside=trial.outside,
    )


def _sizes(
    trial: Trial, likely: Parameters, mode: Fit, learnt: NDArray[np.bool_]
) -> tuple[float, float]:
    """Return the size in cells, and the common one: see `leverage.common_size`."""
    held = np.hstack([trial.stood(parameters=likely), trial.background()[:, None]])
    mean = np.where(learnt, np.maximum(held @ mode.multiplier, _LEAST), 0.0)
    size = likeliest_size(trial.orders[learnt], mean[learnt])
    kept = learnt[trial.rows]
    sums, squares = trial.per_row(mean)[kept], trial.per_row(mean**2)[kept]
    orders = trial.per_row(np.where(learnt, trial.orders, 0)).astype(np.int64)[kept]
    return size, common_size(orders, sums, squares / sums**2, size)


def _likeliest(tried: list[_Tried]) -> tuple[Parameters, Fit]:
    found = _modes(tried, {})
    return tried[found.best].parameters, found.fits[found.best]


def _expected(alone: list[tuple[Parameters, Fit]]) -> dict[float, float]:
    """Return by what several fits say together that the prior mix is to be multiplied."""
    sums: dict[float, list[float]] = {}
    for prior, made in alone:
        level = float(made.multiplier[:-1] @ np.asarray(prior.weights))
        relative = np.log(made.multiplier[:-1] / level)
        for tier, value in zip(prior.leverage, relative, strict=True):
            total = sums.setdefault(tier, [0.0, 0.0])
            total[0] += made.orders * float(value)
            total[1] += made.orders
    return {tier: float(np.exp(said / many)) for tier, (said, many) in sums.items() if many}


def _parted(multipliers: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return mixes and scales of drawn multipliers, the background's last and left out."""
    masses = multipliers[:, :-1] * weights
    scales: Floats = masses.sum(axis=1)
    shares: Floats = masses / scales[:, None]
    return shares, scales


def _at_mode(prior: Parameters, made: Fit, *, complete: bool) -> Parameters:
    shares, scales = _parted(made.multiplier[None], np.asarray(prior.weights))
    return _put_back(prior, shares[0], scales if complete else None)


def _table(tried: list[Parameters], chance: Floats) -> pl.DataFrame:
    rows = [
        {name: asdict(one)[name] for name in CANDIDATES} | {"probability": float(share)}
        for one, share in zip(tried, chance, strict=True)
    ]
    return pl.DataFrame(rows).sort("probability", descending=True)


def _put_back(prior: Parameters, mix: Floats, scales: Floats | None) -> Parameters:
    """Return what was assumed with the mix found, and the scale where it is known for one."""
    liquidatable = prior.liquidatable
    if scales is not None:
        liquidatable = min(1.0, liquidatable * float(np.median(scales)))
    weights = tuple(map(float, mix / mix.sum()))
    return replace(prior, weights=weights, liquidatable=liquidatable, **ALIKE)
