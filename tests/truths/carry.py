"""Funding, carry and basis as others state them: each value with its origin."""

CLAMPED = [
    (0.0002, 0.0001),
    (0.0008, 0.0003),
    (-0.0003, 0.0001),
    (-0.0008, -0.0003),
    (0.0006, 0.0001),
]
"""Premium and rate of 8 hours: P + clamp(0.01 % - P, ±0.05 %), each by hand."""

DERIBIT = [(0.0003, 0.00005), (0.0001, 0.0), (-0.001, -0.00075)]
"""Premium and rate: max(0.025 %, P) + min(-0.025 %, P), by hand; support.deribit.com, Perpetual."""

HYPERLIQUID_PREMIUM = 0.01
HYPERLIQUID_EIGHT_HOURS = 0.0095
HYPERLIQUID_HOUR = 0.0011875
HYPERLIQUID_DOLLARS = 118.75
"""Of the example in Hyperliquid's documentation: 10 BTC at an oracle price of 10,000, an hour."""

NEUTRAL_SIMPLE = 0.1095
NEUTRAL_COMPOUNDED = 0.11571
"""0.01 % each 8 hours; the second is what Hyperliquid's documentation calls 11.6 % a year."""
NEUTRAL_IN_FOUR_HOURS = 0.219

FUTURE, SPOT, DAYS = 61_500.0, 60_000.0, 90.0
SIMPLE, LOG, COMPOUNDED = 0.101389, 0.100142, 0.105328
"""0.025 · 365 / 90; ln 1.025 · 365 / 90; 1.025^(365 / 90) - 1, by hand to six places."""

FAIR = [(0.05, 0.1095, -0.543), (0.05, 0.0, 0.457)]
"""What holding costs a year, interest of funding, fair premium in basis points.

(κ - ι) / (κ - g) - 1 with κ = 1095, by hand: -0.0595 / 1094.95 and 0.05 / 1094.95. The form is of
D. Ackerer, J. Hugonnier and U. Jermann, "Perpetual futures pricing".
"""
