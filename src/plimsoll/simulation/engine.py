"""The clock: a coin's market moved on, minute by minute, in steps of ten seconds.

In each step the value moves and the exchanges learn of it, each at its own pace; what orders
displaced reverts, partly into the price of all; traders come and look; volume is turned over; the
mark price follows, and whom it reached is liquidated. Each minute volatility and mood move and
funding that is due is paid; each hour desks and option writers trade.

The compiled code draws from numpy generators, so that the same code, not compiled, gives the same
market to the bit: `NUMBA_DISABLE_JIT=1` is the plain twin.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from plimsoll.simulation.ledger import imbalance
from plimsoll.simulation.liquidations import sweep
from plimsoll.simulation.options import trade_options
from plimsoll.simulation.records import DEALER, STEPS
from plimsoll.simulation.settlement import expire, funding_rate, pay_funding
from plimsoll.simulation.traders import desk, hedge, visit

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["COUNTS", "advance"]

FUNDING_COUNT, RATIO_COUNT, POSITION_COUNT = 2, 3, 4
COUNTS = 7
"""Cursors: liquidations, deleveraged, fundings, ratios, positions, quotes, option trades."""
HALF_LIFE = 120.0
"""Seconds after which what an order displaced on one exchange is down to 1/e in quiet times."""
PASSED_ON = 0.8
"""What part of that arbitrage passes on to the price of all."""
KEPT = 0.4
"""What part of a displacement of all prices is taken for information, and stays."""
REVERSION = 90.0
"""Minutes after which the rest is down to 1/e."""
SKEW = 0.004
"""Premium over the market maker's short position as a share of the open interest aimed at."""
CALM = 40.0
"""Variance over five minutes, beside its mean, up to which market makers stay."""
NOISE = 2e-6
_DAY = 8_640.0
_LEARN = 1.0 / 30.0


@njit(cache=True)
def _season(minute: int) -> float:
    """Return how busy the hour of the day is: most at 14 h UTC, least at 2 h."""
    return 1.0 + 0.3 * math.cos(2.0 * math.pi * ((minute % 1_440) / 1_440.0 - 14.0 / 24.0))


@njit(cache=True)
def _moods(law: Any, s: Any, own: Any, market: Any, minute: int) -> None:
    """Move volatility, mood and the means that trends are told by."""
    shock = law.fast * math.sqrt(1.0 - law.fast_keep**2)
    s.fast = law.fast_keep * s.fast + shock * market.standard_normal()
    shock = law.slow * math.sqrt(1.0 - law.slow_keep**2)
    s.slow = law.slow_keep * s.slow + shock * market.standard_normal()
    spread = law.fast**2 + law.slow**2
    s.volatility = law.step_volatility * math.exp(s.fast + s.slow - spread) * _season(minute)
    arrived, jump = market.random(), market.standard_normal()
    if arrived < law.jump_chance:
        s.value += law.jump * jump
    price = s.value + s.flow
    s.mean_fast += (price - s.mean_fast) / 240.0
    s.mean_slow += (price - s.mean_slow) / 2_880.0
    daily = law.step_volatility * math.sqrt(_DAY)
    aim = law.mood if minute < law.shock_from else law.mood_after
    aim += law.herding * math.tanh((price - s.mean_slow) / (3.0 * daily))
    s.mood += (aim - s.mood) / 360.0 + 0.015 * own.standard_normal()


@njit(cache=True)
def _value(law: Any, s: Any, own: Any, market: Any, minute: int) -> None:
    """Move the latent value, and let displacements of all prices revert."""
    common, alone = market.standard_normal(), own.standard_normal()
    shared = law.common * common + math.sqrt(1.0 - law.common**2) * alone
    s.value += law.drift + s.volatility * shared
    if law.shock_from <= minute < law.shock_until:
        s.value += law.shock_step
    gone = s.flow / (REVERSION * STEPS)
    s.flow -= gone
    s.value += KEPT * gone
    gone = s.forced_flow / (REVERSION * STEPS)
    s.forced_flow -= gone
    s.forced_value += KEPT * gone


@njit(cache=True)
def _spot(law: Any, s: Any, own: Any) -> None:
    s.spot_info += law.spot_follow * (s.value - s.spot_info)
    s.spot = math.exp(s.spot_info + s.flow + NOISE * own.standard_normal())
    s.spot_high, s.spot_low = max(s.spot_high, s.spot), min(s.spot_low, s.spot)
    busy = s.volatility / law.step_volatility
    s.spot_turned += law.spot_volume * busy * math.exp(0.6 * own.standard_normal() - 0.18)


@njit(cache=True)
def _revert(law: Any, s: Any, c: int, own: Any, minute: int) -> None:
    """Let a contract learn the value and arbitrage bring its price back."""
    s.info[c] += law.follow[c] * (s.value - s.info[c])
    anchor = -SKEW * s.maker[c] * law.lot[c] / law.aim[c]
    if not law.inverse[c]:
        anchor *= s.mark[c]
    if law.dated[c]:
        left = law.expiries[c, s.expiry[c]] - minute
        anchor += (0.05 + 0.05 * s.mood) * left / 525_600.0
    back = (1.0 - math.exp(-10.0 / HALF_LIFE)) * math.sqrt(s.thin[c])
    moved = back * (anchor - s.premium[c])
    forced = -back * s.forced_premium[c]
    s.premium[c] += moved + NOISE * own.standard_normal()
    s.forced_premium[c] += forced
    if not law.dated[c]:
        passed = PASSED_ON * law.depth[c] / law.depth_of_all
        s.flow -= passed * moved
        s.forced_flow -= passed * forced


@njit(cache=True)
def _turn_over(law: Any, s: Any, c: int, own: Any, change: float) -> None:
    """Count market makers' round trips: as much opened as closed, on both sides."""
    busy = s.volatility / law.step_volatility * (0.6 + 0.5 * abs(change) / s.volatility)
    notional = law.volume[c] * busy * math.exp(0.7 * own.standard_normal() - 0.245)
    one = law.lot[c] if law.inverse[c] else law.lot[c] * s.price[c]
    half = np.int64(notional / one / 2.0)
    for k in range(4):
        s.flows[c, k] += half
    s.volume[c] += 2 * half
    s.turned[c] += 2 * half * one
    lean = 0.5 + 0.15 * math.tanh(change / s.volatility) + 0.05 * own.standard_normal()
    s.taker_buy[c] += np.int64(2 * half * min(1.0, max(0.0, lean)))


@njit(cache=True)
def _thin(law: Any, s: Any, c: int, change: float, minute: int) -> None:
    """Let market makers withdraw at once when it moves, and come back slowly."""
    s.variance[c] += _LEARN * (change * change - s.variance[c])
    ratio = s.variance[c] / (law.step_volatility * law.step_volatility)
    aim = min(1.0, CALM / max(ratio, 1e-12))
    if law.shock_from <= minute < law.shock_until + 60:
        aim *= law.shock_depth
    if law.dark_from[c] <= minute < law.dark_until[c]:
        aim *= 0.3
    pace = 0.3 if aim < s.thin[c] else 1.0 / 180.0
    s.thin[c] = max(0.02, s.thin[c] + pace * (aim - s.thin[c]))


@njit(cache=True)
def _mark(s: Any, c: int) -> None:
    """Move the mark price: the index, and thirty seconds of premium over it."""
    ahead = s.info[c] - s.spot_info
    s.mark_premium[c] += (ahead + s.premium[c] - s.mark_premium[c]) / 3.0
    s.forced_mark[c] += (s.forced_premium[c] - s.forced_mark[c]) / 3.0
    s.mark[c] = math.exp(s.spot_info + s.flow + s.mark_premium[c])
    s.mark_high[c] = max(s.mark_high[c], s.mark[c])
    s.mark_low[c] = min(s.mark_low[c], s.mark[c])
    s.premium_sum[c] += math.exp(ahead + s.premium[c]) - 1.0
    s.premium_steps[c] += 1


@njit(cache=True)
def _step(law: Any, s: Any, c: int, own: Any, when: Any, rows: Any, cursor: Any) -> None:
    minute = when[0]
    before = math.log(s.price[c])
    _revert(law, s, c, own, minute)
    s.price[c] = math.exp(s.info[c] + s.flow + s.premium[c])
    s.high[c], s.low[c] = max(s.high[c], s.price[c]), min(s.low[c], s.price[c])
    busy = s.volatility / law.step_volatility
    looks = own.poisson(law.visits * law.accounts[c] * min(busy, 10.0))
    if not law.dark_from[c] <= minute < law.dark_until[c]:
        for _ in range(looks):
            visit(law, s, c, int(own.random() * law.accounts[c]), own, minute)
    _turn_over(law, s, c, own, math.log(s.price[c]) - before)
    previous = s.mark[c]
    _mark(s, c)
    sweep(law, s, c, previous, when, rows, cursor)
    _thin(law, s, c, math.log(s.price[c]) - before, minute)


@njit(cache=True)
def _open_bar(law: Any, s: Any, bars: Any, spot: Any) -> None:
    spot.open = s.spot_high = s.spot_low = s.spot
    s.spot_turned = 0.0
    for c in range(law.contracts):
        bar = bars[c]
        bar.open = s.high[c] = s.low[c] = s.price[c]
        bar.expiry = s.expiry[c]
        bar.mark_open = s.mark_high[c] = s.mark_low[c] = s.mark[c]
        s.volume[c] = s.taker_buy[c] = s.settled[c] = 0
        s.turned[c] = 0.0
        for k in range(4):
            s.flows[c, k] = 0


@njit(cache=True)
def _close_bar(law: Any, s: Any, bars: Any, spot: Any) -> None:
    spot.close, spot.volume = s.spot, s.spot_turned / s.spot
    spot.high, spot.low = max(s.spot_high, spot.open), min(s.spot_low, spot.open)
    spot.value, spot.flow, spot.mood = s.value, s.flow, s.mood
    spot.forced, spot.volatility = s.forced_value + s.forced_flow, s.volatility
    for c in range(law.contracts):
        bar = bars[c]
        bar.close = s.price[c]
        bar.high, bar.low = max(s.high[c], s.price[c]), min(s.low[c], s.price[c])
        bar.mark_close, bar.mark_high, bar.mark_low = s.mark[c], s.mark_high[c], s.mark_low[c]
        bar.thin, bar.premium, bar.forced = s.thin[c], s.premium[c], s.forced_premium[c]
        bar.volume, bar.taker_buy, bar.quote_volume = s.volume[c], s.taker_buy[c], s.turned[c]
        bar.open_interest, bar.settled = s.long[c], s.settled[c]
        bar.long_opened, bar.long_closed = s.flows[c, 0], s.flows[c, 1]
        bar.short_opened, bar.short_closed = s.flows[c, 2], s.flows[c, 3]
        bar.maker, bar.insurance, bar.treasury = s.maker[c], s.insurance[c], s.treasury[c]
        bar.deposits, bar.withdrawals = s.deposits[c], s.withdrawals[c]
        bar.imbalance = imbalance(law, s, c)
        bar.longs = bar.shorts = 0
        for i in range(law.accounts[c]):
            if s.side[c, i] > 0:
                bar.longs += s.lots[c, i]
            elif s.side[c, i] < 0:
                bar.shorts += s.lots[c, i]


@njit(cache=True)
def _fund(law: Any, s: Any, c: int, after: int, rows: Any, cursor: Any) -> None:
    """Pay what is due, predict it each hour, and let desks see what leverage costs."""
    if law.dated[c]:
        left = max(1_440, law.expiries[c, s.expiry[c]] - after)
        s.funding_apr[c] = (s.mark[c] / s.spot - 1.0) * 525_600.0 / left
        return
    rate = funding_rate(law, s, c)
    s.funding_apr[c] = rate * 525_600.0 / law.funding_minutes[c]
    due = after % law.funding_minutes[c] == 0
    if due or after % 60 == 0:
        row = rows[cursor[FUNDING_COUNT]]
        row.minute, row.contract, row.rate, row.settled = after, c, rate, due
        row.premium = s.premium_sum[c] / max(1, s.premium_steps[c])
        cursor[FUNDING_COUNT] += 1
    if due:
        pay_funding(law, s, c, rate)
        s.premium_sum[c], s.premium_steps[c] = 0.0, 0


@njit(cache=True)
def _count_accounts(law: Any, s: Any, c: int, after: int, row: Any) -> None:
    row.minute, row.contract = after, c
    row.long = row.short = row.top_long = row.top_short = 0
    row.top_long_lots = row.top_short_lots = 0
    for i in range(law.accounts[c]):
        if s.side[c, i] > 0:
            row.long += 1
            if s.top[c, i]:
                row.top_long += 1
                row.top_long_lots += s.lots[c, i]
        elif s.side[c, i] < 0:
            row.short += 1
            if s.top[c, i]:
                row.top_short += 1
                row.top_short_lots += s.lots[c, i]


@njit(cache=True)
def _read_wallets(law: Any, s: Any, c: int, after: int, rows: Any, cursor: Any) -> None:
    """Write down the wallets that can be read in this hour: what they hold, and what is gone."""
    every = np.int64(np.rint(1.0 / law.transparent[c]))
    for i in range((after // 60) % every, law.accounts[c], every):
        side = s.side[c, i]
        if s.shown[c, i] != side and s.shown[c, i] != 0:
            _write_wallet(s, c, i, after, rows[cursor[POSITION_COUNT]], s.shown[c, i])
            cursor[POSITION_COUNT] += 1
        if side != 0:
            _write_wallet(s, c, i, after, rows[cursor[POSITION_COUNT]], side)
            cursor[POSITION_COUNT] += 1
        s.shown[c, i] = side


@njit(cache=True)
def _write_wallet(s: Any, c: int, i: int, after: int, row: Any, side: int) -> None:
    row.minute, row.contract, row.account, row.side = after, c, i, side
    gone = side != s.side[c, i]
    row.lots = 0 if gone else s.lots[c, i]
    row.cost, row.margin = s.cost[c, i], s.margin[c, i]
    row.leverage, row.trigger = s.leverage[c, i], s.trigger[c, i]
    row.crossed, row.mark, row.owner = s.crossed[c, i], s.mark[c], s.owner[c, i]
    row.opened = s.opened[c, i]


@njit(cache=True)
def _hour(law: Any, s: Any, own: Any, after: int, rows: Any, cursor: Any) -> None:
    for c in range(law.contracts):
        if not law.dark_from[c] <= after < law.dark_until[c]:
            for i in range(law.desks[c]):
                desk(law, s, c, i, after)
        _count_accounts(law, s, c, after, rows[3][cursor[RATIO_COUNT]])
        cursor[RATIO_COUNT] += 1
        if law.transparent[c] > 0:
            _read_wallets(law, s, c, after, rows[4], cursor)
    if law.options:
        trade_options(law, s, own, after, (rows[5], rows[6]), cursor)
        last = law.accounts[0] - 1
        if s.owner[0, last] == DEALER:
            hedge(law, s, 0, last, after)


@njit(cache=True)
def _minute(
    law: Any, s: Any, own: Any, market: Any, minute: int, out: Any, rows: Any, cursor: Any
) -> None:
    bars, spot = out
    _open_bar(law, s, bars, spot)
    if minute % 60 == 0:
        _hour(law, s, own, minute, rows, cursor)
    _moods(law, s, own, market, minute)
    for step in range(STEPS):
        _value(law, s, own, market, minute)
        _spot(law, s, own)
        for c in range(law.contracts):
            _step(law, s, c, own, (minute, step), rows, cursor)
    after = minute + 1
    change = math.log(s.spot / spot.open)
    s.realized += (change * change - s.realized) / 4_320.0
    for c in range(law.contracts):
        _fund(law, s, c, after, rows[2], cursor)
        if law.dated[c] and after >= law.expiries[c, s.expiry[c]]:
            expire(law, s, c)
    _close_bar(law, s, bars, spot)


def _compiled(_sources: int) -> Callable[..., int]:
    """Return the compiled clock; its cache is found by the text of all it calls, not of this file.

    Numba looks up a cached function by its own file and by what it closes over.
    """

    @njit(cache=True, nogil=True)
    def advance(
        law: Any, s: Any, own: Any, market: Any, first: int, bars: Any, spot: Any, rows: Any,
        cursor: Any, limits: Any,
    ) -> int:  # fmt: skip
        _ = _sources
        for t in range(len(bars)):
            for k in range(COUNTS):
                if cursor[k] > limits[k]:
                    return t
            _minute(law, s, own, market, first + t, (bars[t], spot[t]), rows, cursor)
        return len(bars)

    return advance


advance = _compiled(
    zlib.crc32(b"".join(p.read_bytes() for p in sorted(Path(__file__).parent.glob("*.py"))))
)
"""Move a market on for as many minutes as there are bars to write; return how many were."""
