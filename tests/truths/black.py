"""Options on a forward, as others price them: each value with its origin."""

from __future__ import annotations

from typing import NamedTuple


class Option(NamedTuple):
    forward: float
    strike: float
    years: float
    volatility: float
    is_call: bool


MONTH = Option(60_000, 65_000, 30 / 365, 0.6, True)
"""A call a month from expiry."""

MONTH_PRICE = 2237.868155
"""QuantLib's blackFormula; the coins and greeks that follow are by hand from d1, d2."""
MONTH_COIN = 0.0372978
MONTH_PUT_COIN = 0.1206311
MONTH_PARITY = -0.0833333
MONTH_DELTA = 0.352226
MONTH_DELTA_PREMIUM_ADJUSTED = 0.314928
MONTH_GAMMA = 3.597078e-5
MONTH_ELASTICITY = 9.4436

WEEK = Option(60_000, 60_000, 7 / 365, 0.5, True)
WEEK_GAMMA = 9.596789e-5
"""φ(d1) / (F σ √T) with d1 = σ √T / 2 = 0.034621, by hand."""

HULL = Option(49, 50, 0.3846, 0.2, True)
"""The option of py_vollib's documented greeks of Black, at a rate of 5 %."""
HULL_RATE = 0.05
HULL_DELTA = 0.45107017482201828
HULL_GAMMA = 0.0640646705882
HULL_VEGA = 0.118317785624
HULL_THETA_CALL = -0.00816236877462
HULL_THETA_PUT = -0.00802799155312
"""py_vollib, tests of vollib.black.greeks.analytical: vega for a point, theta for a day."""

CENTURY = Option(100, 100, 0.5, 0.2, True)
CENTURY_RATE = 0.02
CENTURY_PRICE = 5.581106724604812
"""py_vollib 1.0.12, black('c', 100, 100, .5, .02, .2)."""
