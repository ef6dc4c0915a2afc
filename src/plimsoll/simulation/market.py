"""One coin's market: built from a scenario, moved on, and read off as arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from plimsoll.market.instrument import cumulative
from plimsoll.simulation import records
from plimsoll.simulation.engine import COUNTS, advance
from plimsoll.simulation.options import list_options
from plimsoll.simulation.parameters import CONTRACTS, SLOTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plimsoll.simulation.parameters import Coin, Scenario, Venue

    Table = NDArray[np.void]

__all__ = ["Chunk", "Contract", "Market"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BURN_IN = timedelta(days=10)
"""How long a market runs unseen, so that positions of every age stand when it is first seen."""
_DAY = 1_440
_NEVER = np.iinfo(np.int64).max // 4
_LINEAR_UNIT = 1e4
_TURNS = 3.4
"""Positions of mean size, times this, over the accounts, make the open interest aimed at."""
_ROWS = (1 << 17, 1 << 17, 1 << 13, 1 << 13, 1 << 16, 1 << 16, 1 << 16)
_FORCED = CONTRACTS * SLOTS * records.STEPS
_QUOTES = 2 * records.EXPIRIES * records.STRIKES
_CLIENTS = 1 << 14
_MOST = (_FORCED, _FORCED, CONTRACTS, CONTRACTS, 2 * CONTRACTS * SLOTS, _QUOTES, _CLIENTS)
"""Rows a buffer holds, and the most that one minute can write."""
_MANY = 1 << 60
"""A sum of money so large, in units, is counted anew before it could overflow."""


def minutes(moment: datetime) -> int:
    """Return whole minutes since 1970."""
    return (moment - EPOCH) // timedelta(minutes=1)


@dataclass(frozen=True)
class Contract:
    """A future of the coin, as the market counts it.

    Attributes
    ----------
    venue : Venue
    lot : float, base units (linear) or US dollars (inverse)
    unit : float
        Whole units of money in one of the settlement currency.
    tick : float, quote per base
    dated : bool
    """

    venue: Venue
    lot: float
    unit: float
    tick: float
    dated: bool = False

    def symbol(self, coin: str, expiry: int) -> str:
        """Return the unified symbol; `expiry` in minutes since 1970, for a dated future."""
        base = f"{coin}/USD:{coin}" if self.venue.settlement == "inverse" else f"{coin}/USDT:USDT"
        if not self.dated:
            return base
        return f"{base}-{EPOCH + timedelta(minutes=expiry):%y%m%d}"


@dataclass(frozen=True)
class Chunk:
    """What happened in some minutes.

    Attributes
    ----------
    first : int
        The first minute, since 1970.
    bars : ndarray of BAR, shape (minutes, contracts)
    spot : ndarray of COIN_BAR, shape (minutes,)
    liquidations, deleveraged, fundings, ratios, positions, quotes, option_trades : ndarray
        Of `records.LIQUIDATION`, `ADL`, `FUNDING`, `RATIO`, `POSITION`, `QUOTE` and
        `OPTION_TRADE`.
    """

    first: int
    bars: Table
    spot: Table
    liquidations: Table
    deleveraged: Table
    fundings: Table
    ratios: Table
    positions: Table
    quotes: Table
    option_trades: Table

    @classmethod
    def join(cls, chunks: list[Chunk]) -> Chunk:
        """Return chunks that follow on each other as one."""
        names = [field.name for field in fields(cls)][1:]
        whole = {name: np.concatenate([getattr(c, name) for c in chunks]) for name in names}
        return cls(chunks[0].first, **whole)


class Market:
    """One coin's market.

    Parameters
    ----------
    scenario : Scenario
    coin : Coin
    seed : int
        With the coin's name it decides every draw; with the seed alone, the draws that all coins
        share.
    start : datetime
        The first minute seen.
    days : int
        What the times of a shock or an outage are fractions of.

    Attributes
    ----------
    now : int
        The minute that comes next, since 1970.
    law, state : numpy record
        See `records.LAWS` and `records.STATE`.
    """

    def __init__(
        self, scenario: Scenario, coin: Coin, *, seed: int, start: datetime, days: int
    ) -> None:
        _check_drift(scenario, coin, days)
        self.scenario, self.coin, self.days = scenario, coin, days
        self.start = minutes(start)
        self.now = self.start - BURN_IN // timedelta(minutes=1)
        self.contracts = _contracts(scenario, coin)
        self._own = np.random.default_rng([seed, *coin.name.encode()])
        self._shared = np.random.default_rng([seed, 0])
        self.law = records.empty(records.LAWS)
        self.state = records.empty(records.STATE)
        self._rule_coin()
        for c, contract in enumerate(self.contracts):
            self._rule_contract(c, contract)
        self._found()
        self._buffers = tuple(
            np.zeros(rows, dtype=kind).view(np.recarray)
            for rows, kind in zip(_ROWS, _KINDS, strict=True)
        )
        self._limits = np.array(_ROWS) - np.array(_MOST)
        while self.now < self.start:
            self.advance(min(self.start - self.now, _DAY))

    def advance(self, count: int) -> Chunk:
        """Move on, and return what happened.

        Parameters
        ----------
        count : int
            Minutes.
        """
        first = self.now
        self._count_anew()
        bars = np.zeros((count, len(self.contracts)), dtype=records.BAR).view(np.recarray)
        spot = np.zeros(count, dtype=records.COIN_BAR).view(np.recarray)
        kept: list[list[Table]] = [[] for _ in _KINDS]
        done = 0
        while done < count:
            cursor = np.zeros(COUNTS, dtype=np.int64)
            done += advance(
                self.law, self.state, self._own, self._shared, first + done,
                bars[done:], spot[done:], self._buffers, cursor, self._limits,
            )  # fmt: skip
            for rows, buffer, used in zip(kept, self._buffers, cursor, strict=True):
                rows.append(np.asarray(buffer[:used]).copy())
        self.now += count
        whole = [np.concatenate(rows) for rows in kept]
        return Chunk(first, np.asarray(bars), np.asarray(spot), *whole)

    def _count_anew(self) -> None:
        """Let what was both deposited and withdrawn cancel, before sums outgrow their numbers.

        Raises
        ------
        ValueError
            If money or contracts have outgrown them all the same: the price has run away.
        """
        s = self.state
        for c in range(len(self.contracts)):
            if max(s.deposits[c], s.withdrawals[c]) > _MANY:
                both = min(s.deposits[c], s.withdrawals[c])
                s.deposits[c] -= both
                s.withdrawals[c] -= both
            if max(abs(s[name][c]) for name in ("deposits", "maker_cash", "treasury")) > _MANY:
                raise ValueError(f"{self.coin.name}: the price has run away; simulate fewer days")

    def expiry(self, c: int, count: int) -> int:
        """Return when expiry number `count` of a dated future is, in minutes since 1970."""
        return int(self.law.expiries[c, count])

    def _rule_coin(self) -> None:
        """Write down the laws of the value, the crowd and the option market."""
        law, value, crowd = self.law, self.scenario.value, self.scenario.crowd
        deviation = value.volatility * self.coin.volatility
        law.step_volatility = deviation / math.sqrt(_DAY * records.STEPS)
        law.drift = (value.drift * self.coin.volatility - deviation**2 / 2) / _DAY / records.STEPS
        law.fast, law.slow, law.common = value.fast, value.slow, value.common
        law.fast_keep = math.exp(-1 / (60 * value.fast_hours))
        law.slow_keep = math.exp(-1 / (60 * value.slow_hours))
        law.jump_chance, law.jump = value.jumps / _DAY, value.jump * self.coin.volatility
        law.mood = law.mood_after = crowd.mood
        law.herding, law.thrill = crowd.herding, crowd.thrill
        law.visits = crowd.visits / 60 / records.STEPS
        law.appetite, law.hurdle = crowd.appetite, crowd.hurdle
        law.closing = 1 / (crowd.visits * crowd.patience)
        law.spot_follow = 1.0 if all(v.lag > 0 for v in self.scenario.venues) else _pace(5)
        law.shock_from = law.shock_until = _NEVER
        law.shock_depth = 1.0
        self._rule_shock()
        self._rule_options()

    def _rule_shock(self) -> None:
        law, shock = self.law, self.scenario.shock
        if shock is None:
            return
        day = self.start + int(shock.at * self.days) * _DAY
        law.shock_from = day - day % _DAY + 20 * 60 + 50
        law.shock_until = law.shock_from + shock.minutes
        law.shock_step = shock.move * self.coin.volatility / shock.minutes / records.STEPS
        law.shock_depth, law.mood_after = shock.depth, shock.mood

    def _rule_options(self) -> None:
        law, coin, options = self.law, self.coin, self.scenario.options
        law.options = int(coin.options)
        law.option_lot = 10.0 ** math.floor(math.log10(10_000 / coin.price))
        law.option_unit = _coin_unit(coin.price)
        hourly = options.hedge + options.speculation + options.overwriting
        standing = hourly * 250  # a client's position is closed, or expires, after ten days or so
        notional = options.open_interest * coin.open_interest / standing
        law.option_ticket = notional / (law.option_lot * coin.price)
        law.hedge, law.speculation = options.hedge, options.speculation
        law.overwriting, law.iv_premium = options.overwriting, options.premium
        law.skew, law.smile, law.pressure = options.skew, options.smile, options.pressure
        for e, expiries in enumerate(_option_expiries(self.now)):
            law.option_expiries[e, : len(expiries)] = expiries

    def _rule_contract(self, c: int, contract: Contract) -> None:
        law, coin, venue = self.law, self.coin, contract.venue
        crowd, size = self.scenario.crowd, 0.15 if contract.dated else 1.0
        law.inverse[c] = venue.settlement == "inverse"
        law.sign[c] = -1 if law.inverse[c] else 1
        law.dated[c] = contract.dated
        law.lot[c], law.unit[c], law.tick[c] = contract.lot, contract.unit, contract.tick
        aim = law.aim[c] = venue.share * coin.open_interest * size
        law.fee[c], law.cross[c], law.partial[c] = venue.fee, venue.cross, venue.partial * aim
        law.depth[c] = venue.depth * aim
        law.volume[c] = venue.turnover * aim / _DAY / records.STEPS
        law.follow[c] = _pace(venue.lag + 5 * contract.dated)
        law.funding_minutes[c] = venue.funding_hours * 60
        law.interest[c], law.clamp[c], law.cap[c] = venue.interest, venue.clamp, venue.cap
        law.transparent[c] = 0.0 if contract.dated else venue.transparent
        law.accounts[c] = crowd.traders // 4 if contract.dated else crowd.traders
        law.desks[c] = round(crowd.desks * law.accounts[c])
        law.desk_ticket[c] = crowd.desk_capacity * aim / max(1, law.desks[c])
        law.ticket[c] = _TURNS * aim / law.accounts[c]
        law.insurance[c] = round(venue.insurance * aim * self._money(c))
        law.dark_from[c] = law.dark_until[c] = _NEVER
        if self.scenario.outage is not None and self.scenario.outage[0] == venue.name:
            _, at, lasts = self.scenario.outage
            law.dark_from[c] = self.start + int(at * self.days * _DAY)
            law.dark_until[c] = law.dark_from[c] + lasts
        law.tiers[c] = len(venue.mix)
        law.leverage[c, : len(venue.mix)] = venue.leverage
        law.mix[c, : len(venue.mix)] = venue.mix
        self._rule_brackets(c, venue)
        if contract.dated:
            expiries = _quarters(self.now)[c - len(self.scenario.venues) :: 2]
            law.expiries[c, : len(expiries)] = expiries

    def _rule_brackets(self, c: int, venue: Venue) -> None:
        law = self.law
        rates = [rate for _, rate, _ in venue.brackets]
        caps = [bracket_cap(cap * law.aim[c], self.coin, venue) for cap, _, _ in venue.brackets]
        floors = [0.0, *caps[:-1]]
        law.brackets[c] = len(rates)
        law.bracket_floor[c, : len(rates)] = floors
        law.bracket_cap[c, : len(rates)] = caps
        law.maintenance[c, : len(rates)] = rates
        law.cum[c, : len(rates)] = cumulative(floors, rates)
        law.max_leverage[c, : len(rates)] = [most for _, _, most in venue.brackets]

    def _money(self, c: int) -> float:
        """Return whole units of money in a dollar, at the first price."""
        unit = float(self.law.unit[c])
        return unit / self.coin.price if self.law.inverse[c] else unit

    def _found(self) -> None:
        """Write down how the market stands at first: no position, and all at one price."""
        law, s, price = self.law, self.state, math.log(self.coin.price)
        law.contracts = len(self.contracts)
        law.depth_of_all = float(law.depth[law.dated == 0].sum())
        law.spot_volume = 0.25 * float(law.volume.sum())
        s.value = s.mean_fast = s.mean_slow = s.spot_info = price
        s.spot, s.mood = self.coin.price, self.scenario.crowd.mood
        s.volatility = law.step_volatility
        s.realized = law.step_volatility**2 * records.STEPS
        s.trigger[:] = math.nan
        s.floor[:] = math.inf
        for c in range(law.contracts):
            s.info[c], s.price[c], s.mark[c], s.thin[c] = price, self.coin.price, self.coin.price, 1
            s.variance[c] = law.step_volatility**2
            s.insurance[c] = s.deposits[c] = law.insurance[c]
            self._people(c)
        if law.options:
            s.owner[0, law.accounts[0] - 1] = records.DEALER
            for e in range(records.EXPIRIES):
                list_options(law, s, e, self.now)

    def _people(self, c: int) -> None:
        law, s, crowd = self.law, self.state, self.scenario.crowd
        count, desks = int(law.accounts[c]), int(law.desks[c])
        wealth = self._own.lognormal(-(crowd.wealth**2) / 2, crowd.wealth, count)
        wealth[:desks] = 1.0
        s.wealth[c, :count] = np.minimum(wealth, 40.0)
        kinds = self._own.random(count)
        s.owner[c, :count] = np.where(
            kinds < crowd.trend,
            records.TREND,
            np.where(kinds < crowd.trend + crowd.contrarian, records.CONTRARIAN, records.MOOD),
        )
        s.owner[c, :desks] = records.DESK
        s.top[c, desks:count] = wealth[desks:] >= np.quantile(wealth[desks:], 0.8)


_FARTHEST = math.log(100)
"""How far a drift may carry the price, log price: ticks and lots are made for the first one."""


def _check_drift(scenario: Scenario, coin: Coin, days: int) -> None:
    carried = abs(scenario.value.drift) * coin.volatility * days
    if carried > _FARTHEST:
        most = int(_FARTHEST / abs(scenario.value.drift) / coin.volatility)
        raise ValueError(
            f"{scenario.name} drifts: after {days} days {coin.name} would be a hundred times away; "
            f"simulate at most {most} days of it"
        )


_KINDS = (
    records.LIQUIDATION,
    records.ADL,
    records.FUNDING,
    records.RATIO,
    records.POSITION,
    records.QUOTE,
    records.OPTION_TRADE,
)


def _pace(lag: float) -> float:
    """Return what part of news a step takes in, where half is taken in after `lag` seconds."""
    return 1.0 if lag == 0 else 1 - 0.5 ** (10 / lag)


def _coin_unit(price: float) -> float:
    """Return how many units a coin is counted in, so that one is well below a cent."""
    return 10.0 ** (math.ceil(math.log10(price)) + 3)


def bracket_cap(dollars: float, coin: Coin, venue: Venue) -> float:
    """Return a bracket's upper end in the currency of notional: round figures, as published."""
    if math.isinf(dollars):
        return 1e18
    amount = dollars / coin.price if venue.settlement == "inverse" else dollars
    digits = 1 - math.floor(math.log10(amount))
    return round(amount, digits)


def _contracts(scenario: Scenario, coin: Coin) -> list[Contract]:
    """Return the perpetuals of all venues, then two dated futures where the spot market is."""
    tick = 10.0 ** math.floor(math.log10(coin.price * 1e-5))
    made = []
    for venue in scenario.venues:
        inverse = venue.settlement == "inverse"
        lot = 1.0 if inverse else 10.0 ** math.floor(math.log10(100 / coin.price))
        unit = _coin_unit(coin.price) if inverse else _LINEAR_UNIT
        made.append(Contract(venue, lot, unit, tick))
    if coin.dated:
        home = next(contract for contract in made if contract.venue.spot)
        made += [Contract(home.venue, home.lot, home.unit, tick, dated=True)] * 2
    return made


def _last_friday(year: int, month: int) -> date:
    after = date(year + month // 12, month % 12 + 1, 1)
    return after - timedelta(days=(after.weekday() - 4) % 7 or 7)


def _at_eight(day: date) -> int:
    return minutes(datetime(day.year, day.month, day.day, 8, tzinfo=UTC))


def _months(since: int, count: int) -> list[int]:
    """Return the expiries of the months that follow: their last Fridays at 8:00 UTC."""
    day = (EPOCH + timedelta(minutes=since)).date()
    months = [(day.year + m // 12, m % 12 + 1) for m in range(day.month - 1, day.month + count)]
    ends = (_at_eight(_last_friday(*month)) for month in months)
    return [end for end in ends if end > since + 2 * _DAY][:count]


def _quarters(since: int) -> list[int]:
    ends = _months(since, 6 * records.SCHEDULE)
    quarterly = [end for end in ends if (EPOCH + timedelta(minutes=end)).month % 3 == 0]
    return quarterly[: 2 * records.SCHEDULE]


def _option_expiries(since: int) -> list[list[int]]:
    """Return, for each slot, its expiries in turn: two weekly, two monthly, two quarterly."""
    monthly = _months(since, 6 * records.SCHEDULE)
    quarters = set(quarterly := _quarters(since))
    day = (EPOCH + timedelta(minutes=since)).date()
    friday = day + timedelta(days=(4 - day.weekday()) % 7)
    fridays = [_at_eight(friday + timedelta(weeks=n)) for n in range(3 * records.SCHEDULE)]
    weekly = [end for end in fridays if end > since + 2 * _DAY and end not in set(monthly)]
    between = [end for end in monthly if end not in quarters]
    slots = [kind[n::2] for kind in (weekly, between, quarterly) for n in range(2)]
    return [slot[: records.SCHEDULE] for slot in slots]
