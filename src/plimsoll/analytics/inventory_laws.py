"""What parameters mean to an inventory's engine: distances, rates of ageing, and who is left."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from plimsoll.analytics.inventory_state import Laws
from plimsoll.analytics.liquidation import distance_factor

if TYPE_CHECKING:
    from datetime import timedelta

    from numpy.typing import NDArray

    from plimsoll.analytics.inventory import Grid, Parameters

    Floats = NDArray[np.float64]

__all__ = ["NEAR", "laws", "on_arrival", "shifts"]

NEAR = 0.01
"""How far the price comes before attrition tells, log price."""


def laws(
    parameters: Parameters, interval: timedelta, grid: Grid, maintenance: float | None = None
) -> Laws:
    """Return what an inventory of these assumptions keeps to from bar to bar.

    Parameters
    ----------
    parameters : Parameters
    interval : timedelta
        The length of a bar.
    grid : Grid
    maintenance : float, optional, fraction of notional
        In the place of that of the parameters, where the exchange has changed it.

    Raises
    ------
    ValueError
        If it forbids every leverage.
    """
    shift = shifts(parameters, maintenance)
    hours = np.diff([0.0, *parameters.ages])
    leaving = -np.expm1(-interval.total_seconds() / 3_600 / hours)
    return Laws(
        step=parameters.step,
        first=grid.first,
        shift=shift,
        weight=_weight(parameters, maintenance),
        liquidatable=np.array(parameters.reachable, dtype=np.float64),
        churn=float(parameters.churn),
        taker=float(parameters.taker),
        ageing=np.append(leaving, 0.0),
        closing=np.append(parameters.closing, parameters.closing[-1]),
        left=_left(parameters, shift),
        lasting=np.array(parameters.lasting or np.empty((2, 0, len(parameters.closing)))),
    )


def shifts(parameters: Parameters, maintenance: float | None = None) -> Floats:
    """Return liquidation price over entry price, log; shape (sides, tiers).

    Of a leverage that another maintenance forbids, it is where those stand who have it.
    """
    factors = [
        distance_factor(
            parameters.leverage,
            parameters.maintenance,
            side=side,
            settlement=parameters.settlement,
            fee=parameters.fee,
        )
        for side in ("long", "short")
    ]
    shift: Floats = np.log(np.stack(factors))
    if maintenance is not None and maintenance != parameters.maintenance:
        shift += _by(parameters, maintenance)[:, None]
    return shift


def _by(parameters: Parameters, maintenance: float) -> Floats:
    """Return how far another maintenance moves what stands; (long, short), log price."""
    sides = np.array([1.0, -1.0])
    before, after = (rate + parameters.fee for rate in (parameters.maintenance, maintenance))
    if parameters.settlement == "linear":
        moved: Floats = np.log((before - sides) / (after - sides))
    else:
        moved = np.log((after + sides) / (before + sides))
    return moved


def _weight(parameters: Parameters, maintenance: float | None) -> Floats:
    """Return how new positions spread over the tiers that are allowed; shape (sides, tiers)."""
    mixes = parameters.weights, parameters.shorts or parameters.weights
    weight = np.asarray(mixes, dtype=np.float64)
    if maintenance is None or maintenance == parameters.maintenance:
        return weight
    allowed = 1 / np.asarray(parameters.leverage) > maintenance + parameters.fee
    total = weight[:, allowed].sum(axis=1, keepdims=True)
    if not 0 <= maintenance < 1 or not total.all():
        raise ValueError(
            f"a maintenance of {maintenance:g} forbids every leverage of {parameters.leverage}"
        )
    found: Floats = np.where(allowed, weight / total, 0.0)
    return found


def _left(parameters: Parameters, shift: Floats) -> Floats:
    """Return what part of each tier is left so many buckets from its liquidation; see `Laws`."""
    way = np.abs(shift)[..., None]
    many = math.ceil(float(way.max()) / parameters.step) if parameters.attrition else 0
    come: Floats = np.maximum(0.0, way - np.arange(many) * parameters.step)
    part: Floats = (1.0 + come / NEAR) ** -parameters.attrition
    return part


def on_arrival(parameters: Parameters, maintenance: float | None = None) -> Floats:
    """Return what part of each tier is left when the price arrives; shape (sides, tiers)."""
    way = np.abs(shifts(parameters, maintenance))
    part: Floats = (1.0 + way / NEAR) ** -parameters.attrition
    return part
