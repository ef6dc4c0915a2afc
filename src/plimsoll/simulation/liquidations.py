"""The liquidation engine: triggers, forced orders, the insurance fund, auto-deleveraging.

A position whose trigger the mark price reached is sold into the book, a large one a quarter at a
time while most of its maintenance margin is left. What remains pays a fee to the insurance fund;
what is missing the fund pays. Where the fund could not, the position is closed against winners
instead, at the price that makes it bankrupt, and no order reaches the book.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from plimsoll.simulation.ledger import (
    count,
    dollars,
    fill_move,
    fill_price,
    gain,
    maintenance,
    make,
    place,
    reduce,
    trade,
    worth,
)

__all__ = ["ADL_COUNT", "LIQUIDATION_COUNT", "sweep"]

LIQUIDATION_COUNT, ADL_COUNT = 0, 1
"""Which cursor counts the rows written."""
CLEARANCE = 0.005
"""The engine's fee, fraction of notional, as far as margin is left."""
FULL = 2
"""How many times its first size the fund grows to; what else comes in the exchange keeps."""
SAVED = 2 / 3
"""A large position is closed in parts while its equity exceeds this part of its maintenance."""


@njit(cache=True)
def sweep(law: Any, s: Any, c: int, previous: float, when: Any, rows: Any, cursor: Any) -> None:
    """Liquidate whom the mark price reached; `when` is minute and step."""
    mark = s.mark[c]
    if s.floor[c] > mark > s.ceiling[c]:
        return
    for i in range(law.accounts[c]):
        side = s.side[c, i]
        if side != 0 and side * (mark - s.trigger[c, i]) <= 0:
            _liquidate(law, s, c, i, previous, when, rows, cursor)
    _frontier(law, s, c)


@njit(cache=True)
def _frontier(law: Any, s: Any, c: int) -> None:
    """Find the triggers nearest to the price."""
    ceiling, floor = 0.0, math.inf
    for i in range(law.accounts[c]):
        price = s.trigger[c, i]
        if s.side[c, i] > 0 and price > ceiling:
            ceiling = price
        elif s.side[c, i] < 0 and price < floor:
            floor = price
    s.ceiling[c], s.floor[c] = ceiling, floor


@njit(cache=True)
def _part(law: Any, s: Any, c: int, i: int) -> Any:
    """Return how much of a position the engine takes now."""
    held, mark = s.lots[c, i], s.mark[c]
    if dollars(law, c, held, mark) <= law.partial[c] or held < 4:
        return held
    value = worth(law, c, held, mark)
    equity = s.margin[c, i] + gain(law, c, s.side[c, i], value, s.cost[c, i])
    needed = maintenance(law, c, value / law.unit[c]) * law.unit[c]
    return held // 4 if equity > SAVED * needed else held


@njit(cache=True)
def _liquidate(
    law: Any, s: Any, c: int, i: int, previous: float, when: Any, rows: Any, cursor: Any
) -> None:
    side, held = s.side[c, i], s.lots[c, i]
    size = _part(law, s, c, i)
    row = rows[0][cursor[LIQUIDATION_COUNT]]
    _describe(law, s, c, i, previous, when, row)
    row.rank = cursor[LIQUIDATION_COUNT]
    cursor[LIQUIDATION_COUNT] += 1
    row.lots = size
    if size == held and _too_deep(law, s, c, i):
        row.filled = row.bankruptcy
        row.deleveraged = _deleverage(law, s, c, i, when, rows[1], cursor)
        return
    value = trade(law, s, c, -side, size, True)
    count(s, c, -side, size, size)
    row.filled = _price(law, c, size, value)
    fee = np.int64(np.rint(value * CLEARANCE))
    if size == held:
        left = s.margin[c, i] + gain(law, c, side, value, s.cost[c, i])
        fee = min(fee, max(left, 0))
    kept = min(fee, max(0, FULL * law.insurance[c] - s.insurance[c]))
    s.insurance[c] += kept
    s.treasury[c] += fee - kept
    over = reduce(law, s, c, i, size, value, fee, True)
    _settle(s, c, over)
    place(law, s, c, i)


@njit(cache=True)
def _settle(s: Any, c: int, over: int) -> None:
    """Give what is left over to the owner, or take what is missing from the fund."""
    if over >= 0:
        s.withdrawals[c] += over
        return
    paid = min(-over, max(s.insurance[c], 0))
    s.insurance[c] -= paid
    s.treasury[c] += over + paid  # the exchange's own money, when nobody is left to deleverage


@njit(cache=True)
def _price(law: Any, c: int, size: int, value: float) -> float:
    """Return the price at which lots are worth that much."""
    if law.inverse[c]:
        return size * law.lot[c] * law.unit[c] / value
    return value / (size * law.lot[c] * law.unit[c])


@njit(cache=True)
def _too_deep(law: Any, s: Any, c: int, i: int) -> bool:
    """Return whether selling into the book would cost more than margin and fund."""
    side, size = s.side[c, i], s.lots[c, i]
    price = fill_price(law, s, c, -side, fill_move(law, s, c, -side, size))
    value = worth(law, c, size, price)
    left = s.margin[c, i] + gain(law, c, side, value, s.cost[c, i])
    return bool(left + s.insurance[c] < 0)


@njit(cache=True)
def _describe(law: Any, s: Any, c: int, i: int, previous: float, when: Any, row: Any) -> None:
    side = s.side[c, i]
    row.minute, row.step = when[0], when[1]
    row.contract, row.account, row.side, row.owner = c, i, side, s.owner[c, i]
    row.held, row.cost, row.margin = s.lots[c, i], s.cost[c, i], s.margin[c, i]
    row.opened, row.leverage, row.crossed = s.opened[c, i], s.leverage[c, i], s.crossed[c, i]
    row.trigger, row.mark, row.previous_mark = s.trigger[c, i], s.mark[c], previous
    value = s.cost[c, i] - side * law.sign[c] * s.margin[c, i]
    row.bankruptcy = _price(law, c, s.lots[c, i], value) if value > 0 else math.nan
    row.deleveraged = 0
    moved = math.log(s.mark[c]) - s.entry_mark[c, i]
    displaced = s.forced_value + s.forced_flow + s.forced_mark[c] - s.forced[c, i]
    row.cascade = min(1.0, max(0.0, displaced / moved)) if side * moved < 0 else math.nan


@njit(cache=True)
def _winner(law: Any, s: Any, c: int, side: int) -> Any:
    """Return the account on a side that gained most on its margin, times its leverage."""
    best, found = 0.0, -1
    for j in range(law.accounts[c]):
        if s.side[c, j] != side:
            continue
        value = worth(law, c, s.lots[c, j], s.mark[c])
        made = gain(law, c, side, value, s.cost[c, j])
        equity = s.margin[c, j] + made
        if made > 0 and equity > 0:
            score = made / s.cost[c, j] * (value / equity)
            if score > best:
                best, found = score, j
    return found, best


@njit(cache=True)
def _deleverage(law: Any, s: Any, c: int, i: int, when: Any, rows: Any, cursor: Any) -> Any:
    """Close a bankrupt position against winners, and return how many lots were."""
    side, size = s.side[c, i], s.lots[c, i]
    worthless = s.cost[c, i] - side * law.sign[c] * s.margin[c, i]
    left, due = size, worthless
    while left > 0 and cursor[ADL_COUNT] < len(rows):
        j, score = _winner(law, s, c, -side)
        if j < 0:
            break
        taken = min(left, s.lots[c, j])
        value = due if taken == left else np.int64(np.rint(worthless * (taken / size)))
        _record(law, s, c, j, taken, value, score, when, rows[cursor[ADL_COUNT]])
        rows[cursor[ADL_COUNT]].rank = cursor[ADL_COUNT]
        cursor[ADL_COUNT] += 1
        count(s, c, side, taken, taken)
        over = reduce(law, s, c, j, taken, value, 0, s.crossed[c, j])
        _settle(s, c, over)
        place(law, s, c, j)
        left, due = left - taken, due - value
    closed = size - left
    if left > 0:  # nobody gained: the market maker takes the rest at the same price
        make(law, s, c, side, left, due)
    count(s, c, -side, size, size)
    s.volume[c] += size
    s.turned[c] += dollars(law, c, size, s.price[c])
    if side < 0:
        s.taker_buy[c] += size
    _settle(s, c, reduce(law, s, c, i, size, worthless, 0, True))
    place(law, s, c, i)
    return closed


@njit(cache=True)
def _record(
    law: Any, s: Any, c: int, j: int, size: int, value: int, score: float, when: Any, row: Any
) -> None:
    row.minute, row.step, row.contract, row.account = when[0], when[1], c, j
    row.side, row.lots, row.owner = s.side[c, j], size, s.owner[c, j]
    row.price, row.score = _price(law, c, size, value), score
