"""How traders behave: when they open, add, reduce, close, and put in more margin.

A trader looks at the market now and then. Without a position it may open one: trend followers with
the move of the last hours and days, contrarians against it, the others with the mood. With one it
takes profits, cuts losses, adds to winners (trend followers) or losers (contrarians), puts in
margin, or simply has had enough, the sooner the higher its leverage. Carry desks look every hour
and hold as much of the short side as is paid for. The writers of options hedge their delta.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from plimsoll.simulation.ledger import dollars, enter, gain, leave, top_up, worth
from plimsoll.simulation.records import CONTRARIAN, DEALER, DESK, TREND

__all__ = ["desk", "hedge", "visit"]

NEUTRAL = 0.1095
"""What leverage costs a year where the premium is nothing: 0.01 % for eight hours."""
_LARGEST = 1 << 40


@njit(cache=True)
def lots_of(law: Any, s: Any, c: int, notional: float) -> Any:
    """Return how many lots a notional in dollars is."""
    one = dollars(law, c, 1, s.price[c])
    return np.int64(min(float(_LARGEST), max(0.0, notional / one)))


@njit(cache=True)
def _lean(law: Any, s: Any, c: int, owner: int) -> float:
    """Return how much a trader leans to the long side; 0 is undecided."""
    paid = -0.8 * math.tanh((s.funding_apr[c] - NEUTRAL) / 0.5)
    price = s.value + s.flow
    daily = law.step_volatility * math.sqrt(8_640.0)
    fast = math.tanh((price - s.mean_fast) / (0.4 * daily))
    slow = math.tanh((price - s.mean_slow) / (1.5 * daily))
    if owner == TREND:
        return 0.4 * fast + 0.5 * slow + 0.4 * s.mood + paid
    if owner == CONTRARIAN:
        return -0.7 * fast - 0.5 * slow + 0.1 * s.mood + paid
    return 0.5 * s.mood + paid


@njit(cache=True)
def _allowed(law: Any, s: Any, c: int, notional: float) -> float:
    """Return the highest leverage that the bracket of a notional in dollars allows."""
    b = 0
    amount = notional if not law.inverse[c] else notional / s.price[c]
    while b < law.brackets[c] - 1 and amount >= law.bracket_cap[c, b]:
        b += 1
    return law.max_leverage[c, b]


@njit(cache=True)
def _choose(law: Any, s: Any, c: int, notional: float, uniform: float) -> float:
    """Return a leverage drawn from the mix, tilted by the mood, that the brackets allow.

    0 if they allow none.
    """
    allowed = _allowed(law, s, c, notional)
    tilt, total = law.thrill * abs(s.mood), 0.0
    for k in range(law.tiers[c]):
        if law.leverage[c, k] <= allowed:
            total += law.mix[c, k] * law.leverage[c, k] ** tilt
    reached = 0.0
    for k in range(law.tiers[c]):
        if law.leverage[c, k] <= allowed and law.mix[c, k] > 0:
            reached += law.mix[c, k] * law.leverage[c, k] ** tilt
            if uniform * total <= reached:
                return law.leverage[c, k]
    return 0.0


@njit(cache=True)
def visit(law: Any, s: Any, c: int, i: int, draw: Any, minute: int) -> None:
    """Let one trader look at the market."""
    owner = s.owner[c, i]
    if owner in (DESK, DEALER):
        return
    if s.side[c, i] == 0:
        if draw.random() < law.appetite:
            _open(law, s, c, i, draw, minute)
    else:
        _manage(law, s, c, i, draw, minute)


@njit(cache=True)
def _open(law: Any, s: Any, c: int, i: int, draw: Any, minute: int) -> None:
    lean = _lean(law, s, c, s.owner[c, i])
    side = 1 if draw.random() < 1.0 / (1.0 + math.exp(-2.0 * lean)) else -1
    notional = law.ticket[c] * s.wealth[c, i] * (0.5 + draw.random())
    leverage = _choose(law, s, c, notional, draw.random())
    crossed = draw.random() < law.cross[c]
    spare = draw.exponential(1.5) if crossed else 0.0
    size = lots_of(law, s, c, notional)
    if size == 0 or leverage == 0.0:
        return
    s.leverage[c, i], s.crossed[c, i] = leverage, crossed
    enter(law, s, c, i, side, size, spare, minute)


@njit(cache=True)
def _manage(law: Any, s: Any, c: int, i: int, draw: Any, minute: int) -> None:
    side, owner, size = s.side[c, i], s.owner[c, i], s.lots[c, i]
    made = gain(law, c, side, worth(law, c, size, s.price[c]), s.cost[c, i])
    on_margin = made / max(1.0, s.cost[c, i] / s.leverage[c, i])
    chance, leverage = draw.random(), s.leverage[c, i]
    if chance < law.closing * (1.0 + leverage / 10.0):
        leave(law, s, c, i, size)
    elif on_margin > 0.5 + s.wealth[c, i] % 1.0 and chance < 0.4:
        leave(law, s, c, i, size if draw.random() < 0.5 else max(1, size // 2))
    elif on_margin < -0.4 and i % 3 == 0:
        leave(law, s, c, i, size)  # the third that uses stops
    elif owner == TREND and side * _lean(law, s, c, owner) < -0.5 and chance < 0.5:
        leave(law, s, c, i, size)
    elif owner == TREND and on_margin > 0.2 and chance > 0.9:
        _add(law, s, c, i, size // 4, minute)
    elif owner == CONTRARIAN and on_margin < -0.2 and chance > 0.9:
        _add(law, s, c, i, size // 3, minute)
    elif on_margin < -0.3 and chance > 0.9:
        top_up(law, s, c, i, np.int64(s.margin[c, i] * (0.2 + 0.3 * draw.random())))


@njit(cache=True)
def _add(law: Any, s: Any, c: int, i: int, size: int, minute: int) -> None:
    """Add to a position, unless it would outgrow its owner, or its bracket at that leverage."""
    most = 4.0 * law.ticket[c] * s.wealth[c, i]
    notional = dollars(law, c, s.lots[c, i] + size, s.price[c])
    if size > 0 and notional < most and s.leverage[c, i] <= _allowed(law, s, c, notional):
        enter(law, s, c, i, s.side[c, i], size, 0.0, minute)


@njit(cache=True)
def desk(law: Any, s: Any, c: int, i: int, minute: int) -> None:
    """Let a carry desk move a fifth of the way to the position that is paid for.

    It is short the future while longs pay more than its hurdle, and long, with less of its
    capacity for want of coins to borrow, while shorts do.
    """
    capacity = law.desk_ticket[c]
    hurdle = law.hurdle * (1.0 + i / law.desks[c])
    apr = s.funding_apr[c]
    wanted = -capacity * min(1.0, max(0.0, (apr - hurdle) / 0.15))
    wanted += 0.5 * capacity * min(1.0, max(0.0, (-apr - hurdle) / 0.15))
    held = s.side[c, i] * dollars(law, c, s.lots[c, i], s.price[c])
    change = 0.2 * (wanted - held)
    if abs(wanted - held) < 0.02 * capacity:
        return
    size = lots_of(law, s, c, abs(change))
    shift(law, s, c, i, size if change > 0 else -size, 0.0, minute)


@njit(cache=True)
def shift(law: Any, s: Any, c: int, i: int, change: int, spare: float, minute: int) -> None:
    """Buy (or, negative, sell) lots at twofold leverage: close first, then open."""
    side = 1 if change > 0 else -1
    left = abs(change)
    if s.side[c, i] == -side:
        closed = min(left, s.lots[c, i])
        if closed > 0:
            leave(law, s, c, i, closed)
        left -= closed
    if left > 0:
        s.leverage[c, i], s.crossed[c, i] = 2.0, 1
        enter(law, s, c, i, side, left, spare, minute)


@njit(cache=True)
def hedge(law: Any, s: Any, c: int, i: int, minute: int) -> None:
    """Let the option writers hold `hedge_aim` coins of a contract."""
    aim = lots_of(law, s, c, abs(s.hedge_aim) * s.price[c])
    wanted = aim if s.hedge_aim > 0 else -aim
    change = wanted - s.side[c, i] * s.lots[c, i]
    if abs(change) * 50 < s.lots[c, i] + 1 or change == 0:
        return
    shift(law, s, c, i, change, 1.0, minute)
