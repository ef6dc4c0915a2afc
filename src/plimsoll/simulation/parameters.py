"""What a simulated market is made of: one frozen struct for each part, every number with its unit.

Rates are per hour, volatilities per square root of a day, spans in the unit the name or the line
says; shares are fractions.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CONTRACTS", "SLOTS", "Coin", "Crowd", "Options", "Scenario", "Shock", "Value", "Venue"]

CONTRACTS = 5
"""Futures of one coin that a market has room for."""
SLOTS = 1_600
"""Accounts a contract has room for."""
BRACKETS = 8
TIERS = 8

Feed = Literal["complete", "throttled"]


def _check(what: str, rules: Iterator[tuple[bool, str]]) -> None:
    for broken, message in rules:
        if broken:
            raise ValueError(f"{what}: {message}")


def _bounded(made: Struct, bounds: Mapping[str, tuple[float, float]]) -> Iterator[tuple[bool, str]]:
    """Yield a rule for each bounded number; what is no number is out of bounds."""
    for name, (low, high) in bounds.items():
        value = getattr(made, name)
        yield not low <= value <= high, f"{name} is from {low:g} to {high:g}; got {value}"


class Coin(Struct, frozen=True, kw_only=True):
    """A coin, and how large its market is.

    Attributes
    ----------
    name : str
    price : float, US dollars
        Where the latent value starts.
    open_interest : float, US dollars
        What all exchanges together hold, about, one side counted.
    volatility : float, dimensionless
        How volatile beside the scenario's figure.
    dated, options : bool
        Whether dated futures and options are listed.
    """

    name: str
    price: float
    open_interest: float
    volatility: float = 1.0
    dated: bool = False
    options: bool = False

    def __post_init__(self) -> None:
        _check(self.name, self._rules())

    def _rules(self) -> Iterator[tuple[bool, str]]:
        yield from _bounded(
            self,
            {"price": (1e-6, 1e7), "open_interest": (1e6, 1e12), "volatility": (0.1, 10)},
        )


class Value(Struct, frozen=True, kw_only=True):
    """How the latent value moves: a random walk with stochastic volatility and jumps.

    Log volatility is the sum of two mean-reverting parts, so that its autocorrelation falls
    slowly, as in every market. Part of each innovation is shared by all coins.

    Attributes
    ----------
    volatility : float, fraction per square root of a day
    drift : float, fraction a day
    fast, slow : float, log volatility
        Standard deviation of the two parts.
    fast_hours, slow_hours : float, hours
        How fast each reverts.
    jumps : float, a day
        News that nobody expects.
    jump : float, fraction
        Standard deviation of its effect.
    common : float, correlation
        Of one coin's innovation with the market's.
    """

    volatility: float = 0.022
    drift: float = 0.0
    fast: float = 0.35
    slow: float = 0.35
    fast_hours: float = 3.0
    slow_hours: float = 96.0
    jumps: float = 4.0
    jump: float = 0.0018
    common: float = 0.8

    def __post_init__(self) -> None:
        _check("value", self._rules())

    def _rules(self) -> Iterator[tuple[bool, str]]:
        yield from _bounded(
            self,
            {
                "volatility": (1e-4, 0.3),
                "drift": (-0.2, 0.2),
                "fast": (0, 1.5),
                "slow": (0, 1.5),
                "fast_hours": (0.1, 1e4),
                "slow_hours": (0.1, 1e5),
                "jumps": (0, 1_000),
                "jump": (0, 0.1),
                "common": (0, 1),
            },
        )


class Crowd(Struct, frozen=True, kw_only=True):
    """Who trades, and how.

    Attributes
    ----------
    traders : int
        Accounts on each perpetual, carry desks included; a dated future has a quarter of them.
    trend, contrarian : float, fraction
        How many follow the trend, and how many go against it; the others trade on mood.
    desks : float, fraction
        Carry desks: short the future, long the spot, while that pays more than their hurdle.
    desk_capacity : float, fraction of the open interest aimed at
        What all desks of a contract together can hold.
    hurdle : float, fraction a year
        What the keenest desk asks for; the others ask for up to twice as much.
    visits : float, an hour
        How often a trader looks at the market.
    appetite : float, probability
        That a flat trader opens when looking.
    patience : float, hours
        How long a hardly leveraged position is held on average.
    wealth : float, log dollars
        Standard deviation of account sizes.
    mood : float, dimensionless
        Where sentiment tends to: 0 is neutral, 1 crowded longs, −1 crowded shorts.
    herding : float, dimensionless
        How much a rising price lifts sentiment.
    thrill : float, dimensionless
        How strongly high sentiment, of either sign, shifts traders to higher leverage.
    """

    traders: int = 1_500
    trend: float = 0.3
    contrarian: float = 0.3
    desks: float = 0.03
    desk_capacity: float = 0.35
    hurdle: float = 0.08
    visits: float = 0.3
    appetite: float = 0.08
    patience: float = 60.0
    wealth: float = 1.0
    mood: float = 0.0
    herding: float = 0.5
    thrill: float = 0.25

    def __post_init__(self) -> None:
        _check("crowd", self._rules())

    def _rules(self) -> Iterator[tuple[bool, str]]:
        yield from _bounded(
            self,
            {
                "traders": (40, SLOTS - 1),
                "trend": (0, 1),
                "contrarian": (0, 1),
                "desks": (0, 0.5),
                "desk_capacity": (0, 10),
                "hurdle": (0, 10),
                "visits": (0.01, 60),
                "appetite": (0, 1),
                "patience": (0.1, 1e5),
                "wealth": (0, 3),
                "mood": (-3, 3),
                "herding": (0, 5),
                "thrill": (0, 5),
            },
        )
        shares = {name: getattr(self, name) for name in ("trend", "contrarian", "desks")}
        yield sum(shares.values()) > 1, f"shares must not exceed one together: {shares}"


class Venue(Struct, frozen=True, kw_only=True):
    """An exchange: its contract, its rules, and the faults of what it publishes.

    Attributes
    ----------
    name : str
    settlement : {"linear", "inverse"}
    share : float, fraction
        Of the coin's open interest.
    fee : float, fraction of notional
        What a taker pays.
    funding_hours : int
        From one settlement to the next.
    interest, clamp, cap : float, fraction for 8 hours
        The rate is P + clamp(I − P, ±clamp) over all premiums P, within ±cap.
    brackets : tuple of (float, float, float)
        Upper notional as a share of the contract's open interest aimed at, maintenance rate,
        maximum leverage.
    leverage : tuple of float
        The tiers traders choose from, rising.
    mix : tuple of float, fraction
        How often each is chosen when the mood is neutral.
    cross : float, fraction
        How many accounts stand behind their position with all their wallet.
    turnover : float, a day
        Volume over open interest in quiet times, market makers' round trips most of it.
    depth : float, fraction of the open interest aimed at
        What rests within 1 % of the price on one side, in quiet times.
    insurance : float, fraction of the open interest aimed at
        The insurance fund at the beginning.
    partial : float, fraction of the open interest aimed at
        Larger positions are liquidated a quarter at a time.
    lag : float, seconds
        How long after the leader its price has taken in half of a piece of news; 0 leads.
    liquidations : {"complete", "throttled"}
        Whether every liquidation is published, or the largest in each second.
    price_kind : {"fill", "bankruptcy"}
        Which price a published liquidation has.
    interest_delay : int, minutes
        How old the open interest is that it reports as the present.
    transparent : float, fraction
        How many wallets' positions can be read in one hour.
    spot : bool
        Whether the coin's spot market is here.
    """

    name: str
    settlement: Literal["linear", "inverse"] = "linear"
    share: float
    fee: float = 0.0004
    funding_hours: int = 8
    interest: float = 0.0001
    clamp: float = 0.0005
    cap: float = 0.02
    brackets: tuple[tuple[float, float, float], ...] = (
        (5e-5, 0.004, 125),
        (2e-4, 0.005, 100),
        (1e-3, 0.01, 50),
        (4e-3, 0.02, 25),
        (2e-2, 0.05, 10),
        (math.inf, 0.10, 5),
    )
    leverage: tuple[float, ...] = (2, 3, 5, 10, 20, 25, 50, 100)
    mix: tuple[float, ...] = (0.18, 0.20, 0.22, 0.22, 0.08, 0.05, 0.04, 0.01)
    cross: float = 0.45
    turnover: float = 2.0
    depth: float = 0.03
    insurance: float = 0.001
    partial: float = 1e-3
    lag: float = 10.0
    liquidations: Feed = "complete"
    price_kind: Literal["fill", "bankruptcy"] = "fill"
    interest_delay: int = 0
    transparent: float = 0.0
    spot: bool = False

    def __post_init__(self) -> None:
        _check(self.name, self._rules())
        _check(self.name, self._margin_rules())

    def _rules(self) -> Iterator[tuple[bool, str]]:
        yield from _bounded(
            self,
            {
                "share": (0.001, 1),
                "fee": (0, 0.01),
                "interest": (-0.01, 0.01),
                "clamp": (0, 0.1),
                "cap": (0, 1),
                "cross": (0, 1),
                "turnover": (0.01, 1_000),
                "depth": (1e-4, 10),
                "insurance": (0, 1),
                "partial": (1e-9, 10),
                "lag": (0, 3_600),
                "interest_delay": (0, 60),
                "transparent": (0, 1),
            },
        )
        words: dict[str, tuple[object, ...]] = {
            "funding_hours": (1, 2, 4, 8),
            "settlement": ("linear", "inverse"),
            "liquidations": ("complete", "throttled"),
            "price_kind": ("fill", "bankruptcy"),
        }
        for name, known in words.items():
            value = getattr(self, name)
            choices = ", ".join(map(str, known))
            yield value not in known, f"{name} is one of {choices}; got {value}"

    def _margin_rules(self) -> Iterator[tuple[bool, str]]:
        yield not 1 <= len(self.brackets) <= BRACKETS, f"give 1 to {BRACKETS} brackets"
        caps = [cap for cap, _, _ in self.brackets]
        rates = [rate for _, rate, _ in self.brackets]
        yield caps != sorted(set(caps)) or caps[-1] != math.inf, "caps must rise, the last to inf"
        yield not caps[0] > 0, "caps are above zero"
        apart = all(above >= 1.05 * below for below, above in itertools.pairwise(caps))
        yield not apart, "caps must rise by 5 % or more: they are rounded to two digits"
        rising = all(below <= above for below, above in itertools.pairwise(rates))
        yield not (rising and rates[0] > 0), "maintenance must rise from above zero"
        for _, rate, most in self.brackets:
            yield (
                not (most >= 1 and rate < 1 / most),
                f"maintenance {rate:g} must stay below initial margin, 1/{most:g}, "  # noqa: ISC004
                "or a position would be liquidated as it is opened",
            )
        yield (
            len(self.leverage) != len(self.mix) or not 1 <= len(self.leverage) <= TIERS,
            f"give one weight for each of at most {TIERS} leverages",
        )
        risen = all(below < above for below, above in itertools.pairwise(self.leverage))
        yield not risen, "leverages must rise"
        yield not 1 < self.leverage[0] <= self.leverage[-1] < 1_000, "leverages are above one"
        whole = min(self.mix) >= 0 and abs(math.fsum(self.mix) - 1) <= 1e-9
        yield not whole, "mix must sum to one"


class Options(Struct, frozen=True, kw_only=True):
    """The option market of a coin, on an exchange of its own.

    Attributes
    ----------
    name : str
        The exchange.
    open_interest : float, fraction of the coin's futures open interest
        Clients' trades are sized to lead there, about.
    hedge, speculation, overwriting : float, an hour
        Trades of each kind: puts bought below the price, calls bought above it on a good mood
        (puts on a bad one), calls sold above it against coins held.
    premium : float, dimensionless
        Implied over realised volatility.
    skew, smile : float, dimensionless
        Slope and curvature of implied volatility in standard deviations of log moneyness.
    pressure : float, volatility
        What a client's trade of one thousandth of the open interest adds to the strike traded.
    """

    name: str = "sim-d"
    open_interest: float = 0.4
    hedge: float = 2.0
    speculation: float = 2.0
    overwriting: float = 1.0
    premium: float = 1.1
    skew: float = -0.04
    smile: float = 0.03
    pressure: float = 0.002

    def __post_init__(self) -> None:
        bounds = {
            "open_interest": (0.001, 100),
            "hedge": (0.01, 1_000),
            "speculation": (0.01, 1_000),
            "overwriting": (0.01, 1_000),
            "premium": (0.1, 10),
            "skew": (-1, 1),
            "smile": (0, 1),
            "pressure": (0, 1),
        }
        _check("options", _bounded(self, bounds))


class Shock(Struct, frozen=True, kw_only=True):
    """News that moves the value for good, while books thin and the mood turns.

    Attributes
    ----------
    at : float, fraction
        When in the span simulated; it begins at 20:50 UTC of that day.
    minutes : int
        How long the value takes to move.
    move : float, log price
    depth : float, fraction
        What is left of the books meanwhile, before their own reaction to volatility.
    mood : float
        Where sentiment tends to afterwards.
    """

    at: float
    minutes: int
    move: float
    depth: float = 1.0
    mood: float = 0.0

    def __post_init__(self) -> None:
        _check("shock", self._rules())

    def _rules(self) -> Iterator[tuple[bool, str]]:
        yield not 0 <= self.at < 1, f"at is a fraction of the span, from 0 to below 1: {self.at}"
        yield from _bounded(
            self, {"minutes": (1, 1_440), "move": (-1, 1), "depth": (0.001, 1), "mood": (-3, 3)}
        )


class Scenario(Struct, frozen=True, kw_only=True):
    """A market and its history to come.

    Attributes
    ----------
    name, summary : str
    venues : tuple of Venue
    value : Value
    crowd : Crowd
    options : Options
    shock : Shock or None
    outage : tuple of (str, float, int) or None
        An exchange that goes dark, when in the span (a fraction), for how many minutes: nobody can
        trade by hand there, its books thin, liquidations go on, and nothing is published.
    """

    name: str
    summary: str
    venues: tuple[Venue, ...]
    value: Value = Value()
    crowd: Crowd = Crowd()
    options: Options = Options()
    shock: Shock | None = None
    outage: tuple[str, float, int] | None = None

    def __post_init__(self) -> None:
        _check(self.name, self._rules())

    def _rules(self) -> Iterator[tuple[bool, str]]:
        names = [venue.name for venue in self.venues]
        yield not 1 <= len(names) <= CONTRACTS - 2, f"give 1 to {CONTRACTS - 2} venues"
        every = [*names, self.options.name]
        yield len(set(every)) != len(every), f"exchanges need names of their own: {every}"
        yield not all(0 < len(name) <= 40 for name in every), "a name has 1 to 40 letters"
        yield sum(v.spot for v in self.venues) != 1, "exactly one venue has the spot market"
        total = math.fsum(venue.share for venue in self.venues)
        yield (
            not abs(total - 1) <= 1e-9,
            f"the venues' shares must sum to one; they sum to {total:g}",
        )
        yield (
            sum(venue.lag == 0 for venue in self.venues) > 1,
            "at most one venue leads (lag 0); with none, the spot market does",
        )
        if self.outage is not None:
            dark, at, minutes = self.outage
            yield dark not in names, f"the outage is of {dark}, which is no venue: {names}"
            yield not 0 <= at < 1, f"an outage begins at a fraction from 0 to below 1; got {at}"
            yield not 1 <= minutes <= 10_080, f"an outage lasts 1 to 10080 minutes; got {minutes}"
