"""Open interest and positioning as others state them: each value with its origin."""

SHARES, HHI, EFFECTIVE, GINI = (0.4, 0.3, 0.2, 0.1), 0.30, 3.3333, 0.25
"""The sum of squares; 1 / 0.30; 2 (.1 + .4 + .9 + 1.6) / 4 - 5 / 4: each by hand."""

OUTLIER, ROBUST_Z = (1.0, 2.0, 3.0, 4.0, 100.0), 65.43
"""Median 3, deviations 2 1 0 1 97, their median 1: 97 / 1.4826, by hand."""

LONG_ACCOUNT, LONG_SHORT_RATIO = 0.6442, 1.8106
"""developers.binance.com, globalLongShortAccountRatio: 0.6442 over 0.3558, printed 1.8105."""

WEIGHTED_MEDIANS = [
    ([1, 2, 3, 4, 5], [0.15, 0.1, 0.2, 0.3, 0.25], 4),
    ([1, 2, 3, 4], [0.25, 0.25, 0.25, 0.25], 2.5),
    ([1, 2, 3, 4], [0.49, 0.01, 0.25, 0.25], 2.5),
]
"""The examples of Wikipedia, "Weighted median"; of the last two the mean of lower and upper."""

VOLUME, CHANGE, LONGS_OPENED = 100.0, -20.0, 30.0
SHORTS_CLOSED, LONGS_CLOSED, SHORTS_OPENED = 70.0, 50.0, 50.0
"""L⁺ + S⁻ = V, L⁺ - L⁻ = S⁺ - S⁻ = ΔOI, by hand."""
