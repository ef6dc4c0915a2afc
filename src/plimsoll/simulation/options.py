"""The option market: who buys and sells what and why, and what that does to implied volatility.

Three kinds of clients trade with the writers: hedgers buy puts below the price, speculators buy
calls above it when the mood is good and puts when it is bad, and holders of coins sell calls above
it. The writers take the other side of all, and hold the future against their delta.

Marks are Black-76 on the forward, in coin. Implied volatility is a term structure between what is
realized and its long-run mean, a smile over standard deviations of log moneyness, and what recent
trades have added to a strike.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from plimsoll.simulation.records import EXPIRIES, STRIKES

__all__ = ["KINDS", "OVERWRITING", "QUOTE_COUNT", "list_options", "trade_options"]

QUOTE_COUNT, TRADE_COUNT = 5, 6
HEDGE, SPECULATION, OVERWRITING = range(3)
KINDS = ("hedge", "speculation", "overwriting")
"""What clients trade for, in the order of the constants."""
CALL, PUT = 0, 1
MINUTES = 525_600.0
_MIDDLE = STRIKES // 2
_REACH = 2.5
"""Strikes reach this many standard deviations to either side."""
_CARRY = 0.05
_SQRT2 = math.sqrt(2.0)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


@njit(cache=True)
def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / _SQRT2)


@njit(cache=True)
def black(forward: float, strike: float, years: float, iv: float, put: int) -> Any:
    """Return price over forward, delta, gamma, vega and theta of an option (Black, 1976).

    Vega is dollars for a point of volatility, theta dollars a day.
    """
    deviation = iv * math.sqrt(years)
    d1 = math.log(forward / strike) / deviation + deviation / 2
    d2 = d1 - deviation
    density = _DENSITY * math.exp(-d1 * d1 / 2)
    sign = -1.0 if put else 1.0
    price = sign * (_normal(sign * d1) - strike / forward * _normal(sign * d2))
    delta = sign * _normal(sign * d1)
    gamma = density / (forward * deviation)
    vega = forward * density * math.sqrt(years) / 100.0
    theta = -forward * density * iv / (2 * math.sqrt(years)) / 365.0
    return max(price, 0.0), delta, gamma, vega, theta


@njit(cache=True)
def _round_step(width: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20 … that is not above a width."""
    power = 10.0 ** math.floor(math.log10(width))
    for factor in (5.0, 2.0):
        if width >= factor * power:
            return factor * power
    return power


@njit(cache=True)
def list_options(law: Any, s: Any, e: int, minute: int) -> None:
    """List the strikes of an expiry around the price."""
    years = (law.option_expiries[e, s.option_expiry[e]] - minute) / MINUTES
    price = math.exp(s.spot_info + s.flow)
    width = _REACH * 0.55 * math.sqrt(years) / _MIDDLE * price
    step = _round_step(min(width, 0.12 * price))
    middle = np.rint(price / step)
    for j in range(STRIKES):
        s.strike[e, j] = step * (middle + j - _MIDDLE)
        for put in range(2):
            s.shift[e, j, put] = 0.0
            for kind in range(3):
                s.held[e, j, put, kind] = 0
            for hour in range(24):
                s.traded[hour, e, j, put] = 0
    s.option_listed[e] = 1


@njit(cache=True)
def _iv(law: Any, s: Any, e: int, j: int, put: int, forward: float, years: float) -> float:
    realized = math.sqrt(max(s.realized, 1e-12) * MINUTES) * law.iv_premium
    mean = law.step_volatility * math.sqrt(8_640.0 * 365.0) * law.iv_premium
    level = mean + (realized - mean) * math.exp(-years * 365.0 / 45.0)
    z = math.log(s.strike[e, j] / forward) / (level * math.sqrt(years))
    z = min(3.0, max(-3.0, z))
    skew = law.skew + 0.02 * s.mood
    return max(0.05, level * (1.0 + skew * z + law.smile * z * z) + s.shift[e, j, put])


@njit(cache=True)
def _client(
    law: Any, s: Any, e: int, j: int, put: int, kind: int, size: int, now: Any, out: Any
) -> None:
    """Let a client buy (or, negative, sell) from the writers, for money of the writers'."""
    forward, years = now
    minute, rows, cursor = out
    iv = _iv(law, s, e, j, put, forward, years)
    price = black(forward, s.strike[e, j], years, iv, put)[0]
    paid = np.int64(np.rint(size * law.option_lot * price * law.option_unit))
    s.held[e, j, put, kind] += size
    s.traded[(minute // 60) % 24, e, j, put] += abs(size)
    s.option_cash[kind] -= paid
    s.option_cash[3] += paid
    s.shift[e, j, put] += law.pressure * size / law.option_ticket
    if cursor[TRADE_COUNT] < len(rows):
        row = rows[cursor[TRADE_COUNT]]
        row.minute, row.is_put, row.lots = minute, put, size
        row.expiry, row.strike = law.option_expiries[e, s.option_expiry[e]], s.strike[e, j]
        row.owner, row.price = kind, price
        cursor[TRADE_COUNT] += 1


@njit(cache=True)
def _clients(law: Any, s: Any, own: Any, price: float, out: Any) -> None:
    rates = (
        law.hedge * math.exp(-0.5 * s.mood),
        law.speculation * math.exp(0.7 * abs(s.mood)),
        law.overwriting * math.exp(0.3 * s.mood),
    )
    minute = out[0]
    for kind in range(3):
        for _ in range(own.poisson(rates[kind])):
            e = int(own.random() * EXPIRIES)
            if kind == SPECULATION:
                e = e // 2  # the near ones
            away = 1 + int(own.random() * (_MIDDLE - 1))
            size = np.int64(1 + law.option_ticket * own.standard_exponential())
            put = PUT if kind == HEDGE or (kind == SPECULATION and s.mood < 0) else CALL
            j = _MIDDLE - away if put == PUT else _MIDDLE + away
            years = (law.option_expiries[e, s.option_expiry[e]] - minute) / MINUTES
            if years < 2.0 / 8_760.0:
                continue
            now = (price * math.exp(_CARRY * years), years)
            _client(law, s, e, j, put, kind, -size if kind == OVERWRITING else size, now, out)


@njit(cache=True)
def _expire(law: Any, s: Any, e: int, price: float) -> None:
    """Pay out an expiry at the index."""
    for j in range(STRIKES):
        for put in range(2):
            sign = -1.0 if put else 1.0
            payoff = max(0.0, sign * (price - s.strike[e, j])) / price
            for kind in range(3):
                size = s.held[e, j, put, kind]
                paid = np.int64(np.rint(size * law.option_lot * payoff * law.option_unit))
                s.option_cash[kind] += paid
                s.option_cash[3] -= paid
                s.held[e, j, put, kind] = 0
    s.option_expiry[e] += 1


@njit(cache=True)
def _wane(law: Any, s: Any, e: int, own: Any, now: Any, out: Any) -> None:
    """Let some clients close, and what trades have added to volatility fade."""
    for j in range(STRIKES):
        for put in range(2):
            s.shift[e, j, put] *= 0.97
            for kind in range(3):
                size = s.held[e, j, put, kind]
                if size != 0 and own.random() < 0.004:
                    _client(law, s, e, j, put, kind, -size, now, out)


@njit(cache=True)
def _quote(law: Any, s: Any, place: Any, minute: int, now: Any, price: float, row: Any) -> float:
    """Write a quote down, and return the clients' delta in coins."""
    e, j, put = place
    forward, years = now
    iv = _iv(law, s, e, j, put, forward, years)
    mark, delta, gamma, vega, theta = black(forward, s.strike[e, j], years, iv, put)
    row.minute, row.expiry, row.is_put = minute, law.option_expiries[e, s.option_expiry[e]], put
    row.strike, row.forward, row.index, row.mark, row.iv = s.strike[e, j], forward, price, mark, iv
    row.delta, row.gamma, row.vega, row.theta = delta, gamma, vega, theta
    held = s.held[e, j, put]
    row.hedge, row.speculation, row.overwriting = held[0], held[1], held[2]
    net, bought, sold = held[0] + held[1] + held[2], 0, 0
    for kind in range(3):
        bought += max(held[kind], 0)
        sold += max(-held[kind], 0)
    row.open_interest = max(bought, sold)
    volume = 0
    for hour in range(24):
        volume += s.traded[hour, e, j, put]
    row.volume = volume
    return float(net * law.option_lot * delta)


@njit(cache=True)
def trade_options(law: Any, s: Any, own: Any, minute: int, rows: Any, cursor: Any) -> None:
    """Move the option market by an hour, and say what futures the writers want to hold."""
    quotes, out = rows[0], (minute, rows[1], cursor)
    price = math.exp(s.spot_info + s.flow)
    hour = (minute // 60) % 24
    for e in range(EXPIRIES):
        if s.option_listed[e] and minute >= law.option_expiries[e, s.option_expiry[e]]:
            _expire(law, s, e, price)
            list_options(law, s, e, minute)
        for j in range(STRIKES):
            for put in range(2):
                s.traded[hour, e, j, put] = 0
    _clients(law, s, own, price, out)
    delta = 0.0
    for e in range(EXPIRIES):
        years = (law.option_expiries[e, s.option_expiry[e]] - minute) / MINUTES
        now = (price * math.exp(_CARRY * years), years)
        _wane(law, s, e, own, now, out)
        for j in range(STRIKES):
            for put in range(2):
                row = quotes[cursor[QUOTE_COUNT]]
                delta += _quote(law, s, (e, j, put), minute, now, price, row)
                cursor[QUOTE_COUNT] += 1
    s.hedge_aim = delta
