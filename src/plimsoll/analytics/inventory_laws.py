"""What parameters mean to an inventory's engine: distances, rates of ageing, and who is left."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from plimsoll.analytics.inventory_state import Laws
from plimsoll.analytics.margins import admitted, log_factors

if TYPE_CHECKING:
    from datetime import timedelta

    from numpy.typing import NDArray

    from plimsoll.analytics.inventory import Grid, Parameters

    Floats = NDArray[np.float64]

__all__ = ["NEAR", "laws", "on_arrival"]

NEAR = 0.01
"""How far the price comes before attrition tells, log price."""


def laws(parameters: Parameters, interval: timedelta, grid: Grid, brackets: int = 0) -> Laws:
    """Return what an inventory of these assumptions keeps to from bar to bar.

    Parameters
    ----------
    parameters : Parameters
    interval : timedelta
        The length of a bar.
    grid : Grid
    brackets : int
        Which of the parameters' are in force.
    """
    shift = log_factors(parameters, brackets)
    hours = np.diff([0.0, *parameters.ages])
    leaving = -np.expm1(-interval.total_seconds() / 3_600 / hours)
    return Laws(
        step=parameters.step,
        first=grid.first,
        shift=shift,
        weight=_weight(parameters, brackets),
        liquidatable=np.array(parameters.reachable, dtype=np.float64),
        churn=float(parameters.churn),
        taker=float(parameters.taker),
        ageing=np.append(leaving, 0.0),
        closing=np.append(parameters.closing, parameters.closing[-1]),
        left=_left(parameters, shift),
        lasting=np.array(parameters.lasting or np.empty((2, 0, len(parameters.closing)))),
    )


def _weight(parameters: Parameters, brackets: int) -> Floats:
    """Return how new positions spread over the tiers, as brackets allow; shape (sides, tiers).

    Where these forbid every leverage it is zero: what is opened then has no place.
    """
    mixes = parameters.weights, parameters.shorts or parameters.weights
    weight = np.asarray(mixes, dtype=np.float64)
    if brackets == 0:
        return weight
    before, now = (admitted(parameters, at) for at in (0, brackets))
    weight = weight * np.divide(now, before, out=now, where=before > 0)
    total = weight.sum(axis=1, keepdims=True)
    found: Floats = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    return found


def _left(parameters: Parameters, shift: Floats) -> Floats:
    """Return what part of each tier is left so many buckets from its liquidation; see `Laws`."""
    way = np.abs(shift)[..., None]
    many = math.ceil(float(way.max()) / parameters.step) if parameters.attrition else 0
    come: Floats = np.maximum(0.0, way - np.arange(many) * parameters.step)
    part: Floats = (1.0 + come / NEAR) ** -parameters.attrition
    return part


def on_arrival(parameters: Parameters, brackets: int = 0) -> Floats:
    """Return what part of each tier is left when the price arrives; shape (sides, tiers)."""
    way = np.abs(log_factors(parameters, brackets))
    part: Floats = (1.0 + way / NEAR) ** -parameters.attrition
    return part
