"""A smile with arbitrage, and its repair: Axel Vogt's, in Gatheral and Jacquier (2014), section 5.

The paper prints the parameters, the jump wings and the repaired wings; the minimum of g and where
it is negative were computed from them with a root finder of SciPy.
"""

VOGT = (-0.0410, 0.1331, 0.3060, 0.3586, 0.4153)
"""a, b, ρ, m, s, at a year."""
VOGT_WINGS = (0.01742625, -0.1752111, 0.6997381, 1.316798, 0.0116249)
VOGT_LOWEST = (0.8793, -0.0328636)
"""Where g is least, and what it is there."""
VOGT_NEGATIVE = (0.6425, 1.2569)
REPAIRED_CALL_WING = 0.3493158
REPAIRED_LEAST_VARIANCE = 0.01548182
