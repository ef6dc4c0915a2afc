"""What falls due: funding from longs to shorts, and the expiry of dated futures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from plimsoll.simulation.ledger import gain, place, worth

__all__ = ["expire", "funding_rate", "pay_funding"]


@njit(cache=True)
def funding_rate(law: Any, s: Any, c: int) -> float:
    """Return the rate of the interval so far: P + clamp(I − P), for its hours, within the cap."""
    premium = s.premium_sum[c] / max(1, s.premium_steps[c])
    inside = min(law.clamp[c], max(-law.clamp[c], law.interest[c] - premium))
    rate = (premium + inside) * law.funding_minutes[c] / 480.0
    return min(law.cap[c], max(-law.cap[c], rate))


@njit(cache=True)
def pay_funding(law: Any, s: Any, c: int, rate: float) -> None:
    """Let longs pay shorts, at the mark price; what rounding leaves goes to the treasury."""
    left = np.int64(0)
    for i in range(law.accounts[c]):
        side = s.side[c, i]
        if side != 0:
            due = side * np.int64(np.rint(rate * worth(law, c, s.lots[c, i], s.mark[c])))
            s.margin[c, i] -= due
            left += due
            place(law, s, c, i)
    due = np.int64(np.rint(rate * worth(law, c, s.maker[c], s.mark[c])))
    s.maker_cash[c] -= due
    s.treasury[c] += left + due


@njit(cache=True)
def expire(law: Any, s: Any, c: int) -> None:
    """Settle every position of a dated future at the index, and begin the next one empty.

    The market maker's account moves to the next future with its cash. Who lost more than the
    margin is made good by the fund.
    """
    price = math.exp(s.spot_info + s.flow)
    before = s.maker_cash[c]
    total = np.int64(0)
    for i in range(law.accounts[c]):
        side = s.side[c, i]
        if side != 0:
            value = worth(law, c, s.lots[c, i], price)
            over = s.margin[c, i] + gain(law, c, side, value, s.cost[c, i])
            total += side * law.sign[c] * value
            if over >= 0:
                s.withdrawals[c] += over
            else:
                s.insurance[c] += over
            s.lots[c, i] = s.cost[c, i] = s.margin[c, i] = 0
            place(law, s, c, i)
    s.maker_cash[c] = before - total  # what accounts were worth together, the maker was short of
    s.maker[c] = 0
    s.settled[c] = s.long[c]
    s.long[c] = s.short[c] = 0
    s.ceiling[c], s.floor[c] = 0.0, math.inf
    s.expiry[c] += 1
    s.premium[c] = s.forced_premium[c] = s.mark_premium[c] = s.forced_mark[c] = 0.0
