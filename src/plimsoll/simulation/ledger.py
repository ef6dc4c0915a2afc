"""Money and contracts: every trade, deposit and fee of a simulated exchange, in whole units.

An account holds `size` lots on one side, bought for `cost`, with `margin` behind them. A market
maker takes the other side of each order. All money is whole units, and what one side of a trade
pays the other gets, so that at every moment and to the unit

    Σ (margin − side · sign · cost) + maker's cash + insurance + treasury = deposits − withdrawals

where `side` is ±1 and `sign` is 1 for linear contracts and −1 for inverse ones, whose worth in
coin falls as the price rises.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

__all__ = [
    "dollars",
    "enter",
    "fill_move",
    "gain",
    "imbalance",
    "leave",
    "maintenance",
    "place",
    "reduce",
    "top_up",
    "trade",
    "trigger",
    "worth",
]

SPREAD = 1e-5
"""Half of it, log price."""
PATIENT = 0.15
"""How far an order worked at leisure walks the book beside a forced one of its size."""
BARGAIN = 0.05
"""A displacement at which bargain hunters bring as much as rests in quiet times; log price."""
DEEPEST = 0.08
"""The farthest one order can walk the book, log price: beyond, the exchange's price band holds."""
NEVER = math.nan
_SLACK = 1e-12


@njit(cache=True)
def worth(law: Any, c: int, size: int, price: float) -> Any:
    """Return what lots are worth at a price, in whole units of money."""
    if law.inverse[c]:
        return np.int64(np.rint(size * law.lot[c] / price * law.unit[c]))
    return np.int64(np.rint(size * law.lot[c] * price * law.unit[c]))


@njit(cache=True)
def dollars(law: Any, c: int, size: int, price: float) -> float:
    """Return the notional of lots in US dollars."""
    if law.inverse[c]:
        return size * law.lot[c]
    return size * law.lot[c] * price


@njit(cache=True)
def gain(law: Any, c: int, side: int, value: int, cost: int) -> Any:
    """Return what a position bought for `cost` has made when it is worth `value`."""
    return side * law.sign[c] * (value - cost)


@njit(cache=True)
def fill_move(law: Any, s: Any, c: int, direction: int, size: int) -> float:
    """Return how far an order of that size walks the book; log price.

    The farther orders have pushed a price already, the more bargain hunters stand in the way.
    """
    pushed = max(0.0, direction * (s.premium[c] + s.flow)) / BARGAIN
    rests = law.depth[c] * (s.thin[c] + pushed * pushed)
    return min(DEEPEST, 0.01 * dollars(law, c, size, s.price[c]) / rests)


@njit(cache=True)
def fill_price(law: Any, s: Any, c: int, direction: int, move: float) -> float:
    """Return the mean price of an order that walks the book that far, on the grid of ticks."""
    price = s.price[c] * math.exp(direction * (move / 2 + SPREAD))
    return max(1.0, np.rint(price / law.tick[c])) * law.tick[c]


@njit(cache=True)
def count(s: Any, c: int, direction: int, size: int, closing: int) -> None:
    """Count what one side of a trade opened and closed: L+, L−, S+, S−."""
    if direction > 0:
        s.flows[c, 3] += closing
        s.flows[c, 0] += size - closing
        s.short[c] -= closing
        s.long[c] += size - closing
    else:
        s.flows[c, 1] += closing
        s.flows[c, 2] += size - closing
        s.long[c] -= closing
        s.short[c] += size - closing


@njit(cache=True)
def make(law: Any, s: Any, c: int, direction: int, size: int, value: int) -> None:
    """Let the market maker buy (1) or sell (−1)."""
    closing = min(size, max(0, -direction * s.maker[c]))
    count(s, c, direction, size, closing)
    s.maker[c] += direction * size
    s.maker_cash[c] -= direction * law.sign[c] * value


@njit(cache=True)
def trade(law: Any, s: Any, c: int, direction: int, size: int, forced: bool) -> Any:
    """Take liquidity from the market maker, move the price, and return what was paid.

    The taker's own opening or closing is for the caller to count.
    """
    move = fill_move(law, s, c, direction, size)
    if not forced:
        move *= PATIENT
    price = fill_price(law, s, c, direction, move)
    value = worth(law, c, size, price)
    make(law, s, c, -direction, size, value)
    s.premium[c] += direction * move
    if forced:
        s.forced_premium[c] += direction * move
    s.price[c] *= math.exp(direction * move)
    s.high[c] = max(s.high[c], price)
    s.low[c] = min(s.low[c], price)
    s.volume[c] += size
    s.turned[c] += dollars(law, c, size, price)
    if direction > 0:
        s.taker_buy[c] += size
    return value


@njit(cache=True)
def maintenance(law: Any, c: int, notional: float) -> float:
    """Return the margin a position must hold; `notional` in the settlement currency."""
    b = 0
    while b < law.brackets[c] - 1 and notional >= law.bracket_cap[c, b]:
        b += 1
    return notional * law.maintenance[c, b] - law.cum[c, b]


@njit(cache=True)
def trigger(law: Any, c: int, side: int, size: int, cost: int, margin: int) -> float:
    """Return the mark price at which a position is liquidated; NaN if at none.

    It is where margin and gain equal the maintenance margin of the bracket the position is then
    in. Written apart from `analytics.liquidation`, which tests hold against it.
    """
    amount, wallet = size * law.lot[c], margin / law.unit[c]
    paid = side * cost / law.unit[c]
    for b in range(law.brackets[c]):
        rate, held = law.maintenance[c, b], wallet + law.cum[c, b]
        if law.inverse[c]:
            over, under = amount * (side + rate), held + paid
        else:
            over, under = held - paid, amount * (rate - side)
        if under == 0 or over / under <= 0:
            continue
        price = over / under
        notional = amount / price if law.inverse[c] else amount * price
        floor, cap = law.bracket_floor[c, b], law.bracket_cap[c, b]
        if floor * (1 - _SLACK) <= notional <= cap * (1 + _SLACK):
            return price
    return NEVER


@njit(cache=True)
def place(law: Any, s: Any, c: int, i: int) -> None:
    """Compute anew where a position would be liquidated."""
    if s.lots[c, i] == 0:
        s.side[c, i] = 0
        s.trigger[c, i] = NEVER
        return
    price = trigger(law, c, s.side[c, i], s.lots[c, i], s.cost[c, i], s.margin[c, i])
    s.trigger[c, i] = price
    if s.side[c, i] > 0:
        s.ceiling[c] = max(s.ceiling[c], price)
    elif price < s.floor[c]:
        s.floor[c] = price


@njit(cache=True)
def enter(
    law: Any, s: Any, c: int, i: int, side: int, size: int, spare: float, minute: int
) -> None:
    """Open a position or add to one, with margin for its leverage.

    `spare` is what else a crossed wallet holds, in initial margins.
    """
    value = trade(law, s, c, side, size, False)
    count(s, c, side, size, 0)
    fee = np.int64(np.rint(value * law.fee[c]))
    margin = np.int64(np.rint(value / s.leverage[c, i] * (1.0 + spare)))
    s.deposits[c] += margin + fee
    s.treasury[c] += fee
    before = s.lots[c, i]
    if before == 0:
        s.side[c, i], s.opened[c, i] = side, minute
        s.forced[c, i] = s.entry_mark[c, i] = 0.0
    share = size / (before + size)
    displaced = s.forced_value + s.forced_flow + s.forced_mark[c]
    s.forced[c, i] += share * (displaced - s.forced[c, i])
    s.entry_mark[c, i] += share * (math.log(s.mark[c]) - s.entry_mark[c, i])
    s.lots[c, i] = before + size
    s.cost[c, i] += value
    s.margin[c, i] += margin
    place(law, s, c, i)


@njit(cache=True)
def reduce(law: Any, s: Any, c: int, i: int, size: int, value: int, fee: int, keep: bool) -> Any:
    """Take lots sold for `value` off a position, and return what is left over of their margin.

    With `keep` all margin and gain stay behind the rest, if there is one. What the lots lost
    beyond their margin is taken from the margin of the rest; only what that cannot bear, or if
    there is no rest, is returned as a negative.
    """
    held, side = s.lots[c, i], s.side[c, i]
    whole = size == held
    cost = s.cost[c, i] if whole else np.int64(np.rint(s.cost[c, i] * (size / held)))
    freed = s.margin[c, i]
    if not whole:
        freed = np.int64(0 if keep else np.rint(freed * (size / held)))
    over = freed + gain(law, c, side, value, cost) - fee
    s.lots[c, i] -= size
    s.cost[c, i] -= cost
    s.margin[c, i] -= freed
    if not whole and (over < 0 or keep):
        taken = max(over, -s.margin[c, i])
        s.margin[c, i] += taken
        over -= taken
    return over


@njit(cache=True)
def leave(law: Any, s: Any, c: int, i: int, size: int) -> None:
    """Close some or all of a position at the market, of the owner's own will."""
    side = s.side[c, i]
    value = trade(law, s, c, -side, size, False)
    count(s, c, -side, size, size)
    fee = np.int64(np.rint(value * law.fee[c]))
    s.treasury[c] += fee
    over = reduce(law, s, c, i, size, value, fee, s.crossed[c, i])
    if over >= 0:
        s.withdrawals[c] += over
    else:
        s.treasury[c] += over  # slipped beyond its margin before the engine took it: rare
    place(law, s, c, i)


@njit(cache=True)
def top_up(law: Any, s: Any, c: int, i: int, margin: int) -> None:
    """Put more margin behind a position."""
    s.deposits[c] += margin
    s.margin[c, i] += margin
    place(law, s, c, i)


@njit(cache=True)
def imbalance(law: Any, s: Any, c: int) -> Any:
    """Return money that appeared from nowhere, in units; zero at every moment."""
    held = s.maker_cash[c] + s.insurance[c] + s.treasury[c] - s.deposits[c] + s.withdrawals[c]
    for i in range(law.accounts[c]):
        if s.side[c, i] != 0:
            held += s.margin[c, i] - s.side[c, i] * law.sign[c] * s.cost[c, i]
    return held
