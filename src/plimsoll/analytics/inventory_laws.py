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

__all__ = ["NEAR", "laws", "on_arrival"]

NEAR = 0.01
"""How far the price comes before attrition tells, log price."""


def laws(parameters: Parameters, interval: timedelta, grid: Grid) -> Laws:
    """Return what an inventory of these assumptions keeps to from bar to bar."""
    shift = _shift(parameters)
    hours = np.diff([0.0, *parameters.ages])
    leaving = -np.expm1(-interval.total_seconds() / 3_600 / hours)
    return Laws(
        step=parameters.step,
        first=grid.first,
        shift=shift,
        weight=np.asarray(parameters.weights, dtype=np.float64),
        liquidatable=float(parameters.liquidatable),
        churn=float(parameters.churn),
        taker=float(parameters.taker),
        ageing=np.append(leaving, 0.0),
        closing=np.append(parameters.closing, parameters.closing[-1]),
        left=_left(parameters),
    )


def _shift(parameters: Parameters) -> Floats:
    """Return liquidation price over entry price, log; shape (sides, tiers)."""
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
    return shift


def _left(parameters: Parameters) -> Floats:
    """Return what part of each tier is left so many buckets from its liquidation; see `Laws`."""
    way = np.abs(_shift(parameters))[..., None]
    many = math.ceil(float(way.max()) / parameters.step) if parameters.attrition else 0
    come: Floats = np.maximum(0.0, way - np.arange(many) * parameters.step)
    part: Floats = (1.0 + come / NEAR) ** -parameters.attrition
    return part


def on_arrival(parameters: Parameters) -> Floats:
    """Return what part of each tier is left when the price arrives; shape (sides, tiers)."""
    part: Floats = (1.0 + np.abs(_shift(parameters)) / NEAR) ** -parameters.attrition
    return part
