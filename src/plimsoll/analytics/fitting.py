"""A map fitted to an instrument's own liquidations: which flows to believe, and the leverage mix.

Few assumptions are tried, all combinations of `CANDIDATES`. Each gives an inventory, each inventory
exposures, and the mix is fitted to them (see `leverage`). The likeliest draws the map. All of them
make the intervals, in proportion to their tempered likelihood: none is true, and the mix depends
on which is taken. How much to temper was found on simulated markets, where the true mix is known,
and tested on others (docs/theory/score.md).

What the fit finds is put back: the mix becomes the weights of new positions, and the scale the
share of open interest that can be liquidated, as far as the feed is complete. A feed that is not
leaves that share assumed: published liquidations cannot tell a small share of positions from a
small share of reports.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from msgspec.structs import asdict, replace

from plimsoll.analytics.leverage import SHAPE, Fit, fit, likeliest_size, likelihood

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from plimsoll.analytics.cells import Trial
    from plimsoll.analytics.inventory import Parameters

    Floats = NDArray[np.float64]

__all__ = ["CANDIDATES", "Fitted", "candidates", "fitted", "fitted_together", "likeliest"]

CANDIDATES: dict[str, tuple[Any, ...]] = {
    "churn": (0.2, 0.8),
    "memory": (0.0, 12.0),
    "moves": (False, True),
    "closing": ((1.0, 0.8, 0.5, 0.1), (1.0, 1.0, 1.0, 1.0)),
}
TEMPER = 4.0
"""By how much less than their likelihoods say the candidates are told apart."""
WARM = 7
"""Days at first that only fill the inventory."""
_IDENTIFIED = 0.5
_UNSURE = 0.5
"""Of an assumed share of open interest that can be liquidated, on a log scale: half to double."""
_LEAST = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """A fitted map's assumptions, and how sure they are.

    Attributes
    ----------
    parameters : Parameters
        The likeliest candidate, with the mix found.
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
    cell_size : float
        The negative binomial's size in cells: how unevenly positions stand around what the map
        says; small is uneven.
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
    prior: Parameters
    fit: Fit
    shares: Floats
    scales: Floats
    tried: pl.DataFrame
    cell_size: float
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
            sum to one.
        """
        low, high = np.quantile(self.shares, (0.05, 0.95), axis=0)
        return pl.DataFrame(
            {
                "leverage": np.asarray(self.prior.leverage, dtype=np.float64),
                "prior": np.asarray(self.prior.weights),
                "share": self.shares.mean(axis=0),
                "low": low,
                "high": high,
                "identified": self.identified,
            }
        )

    @property
    def identified(self) -> NDArray[np.bool_]:
        """Which tiers' shares the liquidations tell: their variance is half the prior's or less."""
        if not self.orders:
            return np.zeros(len(self.prior.weights), dtype=np.bool_)
        rng = np.random.default_rng(0)
        drawn = rng.gamma(SHAPE, size=(4_000, len(self.prior.weights))) * self.prior.weights
        before = np.log(drawn / drawn.sum(axis=1, keepdims=True)).var(axis=0)
        known: NDArray[np.bool_] = np.log(self.shares).var(axis=0) <= _IDENTIFIED * before
        return known

    @property
    def draws(self) -> Floats:
        """By what each tier of the fitted map is multiplied in each draw; shape (draws, tiers).

        Where the feed is complete the scale varies as its draws do. Else it is as sure as the share
        of open interest that can be liquidated is before any is seen, which is not very.
        """
        mixes = self.shares / np.asarray(self.parameters.weights)
        scales = self.scales / np.median(self.scales)
        if not self.complete:
            rng = np.random.default_rng(0)
            scales = np.exp(_UNSURE * rng.standard_normal(len(mixes)) - _UNSURE**2 / 2)
        found: Floats = mixes * scales[:, None]
        return found

    def describe(self) -> dict[str, object]:
        """Return what a reader has to know of the fit."""
        low, middle, high = np.quantile(self.scales, (0.05, 0.5, 0.95))
        return {
            "exchange": self.exchange,
            "symbol": self.symbol,
            "identified": bool(self.identified.any()),
            "orders": self.orders,
            "order_usd": self.unit,
            "outside": self.outside,
            "scale": {"low": float(low), "median": float(middle), "high": float(high)},
            "scale_means": "share of open interest that can be liquidated, over the one assumed"
            if self.complete
            else "that share times the part of liquidations published; not told apart",
            "inflation": self.fit.inflation,
            "mix": self.mix().to_dicts(),
            "assumptions": self.tried.to_dicts(),
        }


def candidates(prior: Parameters, choices: Iterable[str] = CANDIDATES) -> list[Parameters]:
    """Return the assumptions to be tried: every combination of the named choices."""
    names = list(choices)
    combined = itertools.product(*(CANDIDATES[name] for name in names))
    return [replace(prior, **dict(zip(names, values, strict=True))) for values in combined]


def likeliest(trial: Trial, exposures: list[Floats], rows: NDArray[np.bool_]) -> tuple[int, Fit]:
    """Return which exposures explain some rows best, and the mode of their fit.

    Parameters
    ----------
    trial : Trial
    exposures : list of ndarray, shape (cells, columns)
        Of each candidate.
    rows : ndarray of bool, shape (rows,)
        Bars and sides to look at; see `Trial.rows`.
    """
    orders = trial.per_row(trial.orders).astype(np.int64)[rows]
    day = trial.day[trial.rows][rows]
    seen = [trial.per_row(exposure)[rows] for exposure in exposures]
    fits = [fit(one, orders, day, draws=0) for one in seen]
    best = int(
        np.argmax([likelihood(one, orders, made) for one, made in zip(seen, fits, strict=True)])
    )
    return best, fits[best]


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
    tried = candidates(trial.parameters)
    even, day = trial.background()[:, None], trial.day[trial.rows]
    rows = day >= day.min() + warm
    day = day[rows]
    orders = trial.per_row(trial.orders).astype(np.int64)[rows]
    weights = np.asarray(trial.parameters.weights)
    prior = np.array([*((expected or {}).get(tier, 1.0) for tier in tried[0].leverage), 1.0])
    exposures = [np.hstack([trial.stood(parameters=one), even]) for one in tried]
    seen = [trial.per_row(exposure)[rows] for exposure in exposures]
    modes = [fit(one, orders, day, prior=prior, draws=0) for one in seen]
    said = np.array([likelihood(one, orders, made) for one, made in zip(seen, modes, strict=True)])
    best = int(said.argmax())
    chance = np.exp((said - said[best]) / (TEMPER * modes[best].inflation))
    chance /= chance.sum()
    drawn = np.random.default_rng(seed).multinomial(draws, chance)
    fits = [
        fit(one, orders, day, prior=prior, draws=int(many), seed=seed + at)
        for at, (one, many) in enumerate(zip(seen, drawn, strict=True))
        if many
    ]
    known = np.concatenate([made.draws for made in fits] or [modes[best].multiplier[None]])
    shares, scales = _parted(known, weights)
    complete = trial.completeness == ("complete",)
    touched = trial.day >= trial.day.min() + warm
    mean = np.maximum(exposures[best][touched] @ modes[best].multiplier, _LEAST)
    return Fitted(
        parameters=_put_back(tried[best], shares, scales, known=complete and bool(orders.sum())),
        prior=tried[best],
        fit=modes[best],
        shares=shares,
        scales=scales,
        tried=_table(tried, chance),
        cell_size=likeliest_size(trial.orders[touched], mean),
        complete=complete,
        orders=int(orders.sum()),
        unit=trial.unit,
        outside=trial.outside,
    )


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
    alone = [fitted(one, draws=0 if len(trials) > 1 else draws, seed=seed) for one in trials]
    if len(trials) < 2:
        return alone
    sums: dict[float, list[float]] = {}
    for made in alone:
        level = float(made.fit.multiplier[:-1] @ np.asarray(made.prior.weights))
        relative = np.log(made.fit.multiplier[:-1] / level)
        for tier, value in zip(made.prior.leverage, relative, strict=True):
            total = sums.setdefault(tier, [0.0, 0.0])
            total[0] += made.orders * float(value)
            total[1] += made.orders
    expected = {tier: float(np.exp(said / many)) for tier, (said, many) in sums.items() if many}
    return [
        fitted(one, draws=draws, seed=seed + at, expected=expected) for at, one in enumerate(trials)
    ]


def _parted(multipliers: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return mixes and scales of drawn multipliers, the background's last and left out."""
    masses = multipliers[:, :-1] * weights
    scales: Floats = masses.sum(axis=1)
    shares: Floats = masses / scales[:, None]
    return shares, scales


def _table(tried: list[Parameters], chance: Floats) -> pl.DataFrame:
    rows = [
        {name: asdict(one)[name] for name in CANDIDATES} | {"probability": float(share)}
        for one, share in zip(tried, chance, strict=True)
    ]
    return pl.DataFrame(rows).sort("probability", descending=True)


def _put_back(prior: Parameters, shares: Floats, scales: Floats, *, known: bool) -> Parameters:
    mean = shares.mean(axis=0) if len(shares) else np.asarray(prior.weights)
    mean = mean / mean.sum()
    liquidatable = prior.liquidatable
    if known and len(scales):
        liquidatable = min(1.0, liquidatable * float(np.median(scales)))
    return replace(prior, weights=tuple(map(float, mean)), liquidatable=liquidatable)
