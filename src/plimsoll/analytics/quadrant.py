"""Price and open interest together: who opened or closed, where the evidence says so.

Of each contract one side is long and one short, so rising open interest never means more longs than
shorts. What a label names is the aggressor: who paid to get in, or out.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from plimsoll.analytics.open_interest import robust_z

__all__ = ["STATES", "quadrant", "seasonal_z"]

STATES = ("longs opened", "shorts closed", "shorts opened", "longs closed", "mixed")
_DAYS = 30
"""How many days a usual change is learnt from."""


def seasonal_z(changes: pl.DataFrame, name: str, every: timedelta, days: int = _DAYS) -> pl.Series:
    """Return robust z-scores among the changes at the same hour of the days before.

    Parameters
    ----------
    changes : DataFrame
        With `time`, on a grid and sorted, and the column.
    name : str
    every : timedelta
        The step of the grid.
    days : int
        The current one included.

    Returns
    -------
    Series, dimensionless
        Null before so many days, where the value is unknown, or half of the others are.
    """
    hours = changes["time"].dt.hour().to_numpy()
    values = changes[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    found = np.full(len(values), np.nan)
    window = max(3, days * max(1, round(timedelta(hours=1) / every)))
    for hour in np.unique(hours):
        same = hours == hour
        found[same] = robust_z(values[same], window)
    return pl.Series(name, found).fill_nan(None)


def quadrant(
    bars: pl.DataFrame,
    every: timedelta,
    span: timedelta,
    *,
    days: int = _DAYS,
    gate: float = 1.0,
) -> pl.DataFrame:
    """Return what price and open interest say together, and how surely.

    Parameters
    ----------
    bars : DataFrame
        `time` on a grid, `price` (quote per base), `interest_change` (fraction over the
        span), and `bought` and `sold` by takers (base units, since the row before).
    every : timedelta
        The step of the grid.
    span : timedelta
        Over which changes are taken; a multiple of the step.
    days : int
        From how many days it is known what is usual at an hour.
    gate : float
        How many robust deviations a change has to be from the usual one.

    Returns
    -------
    DataFrame
        `time`, `price_change` and `interest_change` (fractions over the span), their robust
        `price_z` and `interest_z` (see `seasonal_z`), `taker_imbalance` (bought less sold over
        both, in [-1, 1]), `state` and `evidence`. A state is one of `STATES`, ``mixed`` where a
        change is no larger than usual or takers were on the other side, which `evidence` then
        tells; null where something is not known, which it tells too.

    Notes
    -----
    Up and up is ``longs opened``, price up and interest down ``shorts closed``, down and up
    ``shorts opened``, down and down ``longs closed``.
    """
    count = max(1, round(span / every))
    bought, sold = (pl.col(name).rolling_sum(count) for name in ("bought", "sold"))
    before = pl.col("price").shift(count)
    changes = bars.sort("time").select(
        "time",
        pl.when(before > 0).then(pl.col("price") / before - 1).alias("price_change"),
        "interest_change",
        taker_imbalance=pl.when(bought + sold > 0).then((bought - sold) / (bought + sold)),
    )
    scored = changes.with_columns(
        price_z=seasonal_z(changes, "price_change", every, days),
        interest_z=seasonal_z(changes, "interest_change", every, days),
    )
    return scored.with_columns(state=_state(gate), evidence=_evidence(gate)).select(
        "time",
        "price_change",
        "interest_change",
        "price_z",
        "interest_z",
        "taker_imbalance",
        "state",
        "evidence",
    )


_KNOWN = ("price_z", "interest_z", "taker_imbalance")


def _state(gate: float) -> pl.Expr:
    up, more = pl.col("price_change") > 0, pl.col("interest_change") > 0
    label = (
        pl.when(up & more)
        .then(pl.lit(STATES[0]))
        .when(up)
        .then(pl.lit(STATES[1]))
        .when(more)
        .then(pl.lit(STATES[2]))
        .otherwise(pl.lit(STATES[3]))
    )
    sure = pl.all_horizontal(~failed for _, failed in _gates(gate))
    known = pl.all_horizontal(pl.col(name).is_not_null() for name in _KNOWN)
    return pl.when(known).then(pl.when(sure).then(label).otherwise(pl.lit(STATES[-1])))


def _gates(gate: float) -> list[tuple[str, pl.Expr]]:
    """Return what speaks against a label, in words, and where it does."""
    agree = pl.col("taker_imbalance").sign() == pl.col("price_change").sign()
    return [
        ("the price moved no more than usual", pl.col("price_z").abs() <= gate),
        ("open interest moved no more than usual", pl.col("interest_z").abs() <= gate),
        ("takers were on the other side", ~agree),
        ("the price is unusual in the other direction", _against("price")),
        ("open interest is unusual in the other direction", _against("interest")),
    ]


def _against(name: str) -> pl.Expr:
    """Return whether a change is unusual only beside larger ones of its own sign."""
    return pl.col(f"{name}_change").sign() != pl.col(f"{name}_z").sign()


def _evidence(gate: float) -> pl.Expr:
    unknown = {
        "price_z": "too little is known of the price",
        "interest_z": "too little is known of open interest",
        "taker_imbalance": "takers are not known",
    }
    said = [pl.when(pl.col(n).is_null()).then(pl.lit(words)) for n, words in unknown.items()]
    said += [pl.when(failed).then(pl.lit(words)) for words, failed in _gates(gate)]
    return pl.concat_list(said).list.drop_nulls()
