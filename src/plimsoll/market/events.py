"""What happens on a market: one immutable record for each fact.

Conventions that hold for every event:

- `time` is the exchange's clock, `received` is ours, `known_at` is the moment
  the fact could first be known; all are UTC nanoseconds. Unknown is null.
- `symbol` is a ccxt unified symbol (see `symbols`).
- A price is in quote currency for one unit of base. An amount is in units of
  base: contracts and dollar lots are converted before an event is made.
- A trade's side is the aggressor's. A liquidation's side is the position's:
  a liquidated ``long`` is a forced sale.
- Open interest counts one side of each contract.
- Rates, shares and volatilities are fractions: 0.01 is one percent.

Each field carries its unit and its rule; `schema` turns them into the columns
of the one table of that kind.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

from msgspec import Meta, Struct

__all__ = [
    "EVENTS",
    "BookDepth",
    "BookLevel",
    "Candle",
    "Commitment",
    "Completeness",
    "Event",
    "Funding",
    "Gap",
    "Liquidation",
    "LiquidationTotal",
    "LongShortRatio",
    "MarkPrice",
    "OpenInterest",
    "OpenInterestTotal",
    "OptionQuote",
    "Origin",
    "Position",
    "PriceKind",
    "Side",
    "Snap",
    "StablecoinSupply",
    "TakerVolume",
    "Trade",
    "VolatilityIndex",
]


def _column(unit: str, rule: str, description: str = "") -> Meta:
    return Meta(description=description, extra={"unit": unit, "rule": rule})


# Rules: what a value must be to be kept. A value that breaks its rule rejects the row.
Price = Annotated[float, _column("quote per base", "positive")]
Premium = Annotated[float, _column("fraction of the index", "finite")]
Amount = Annotated[float, _column("base units", "nonnegative")]
QuoteAmount = Annotated[float, _column("quote units", "nonnegative")]
Dollars = Annotated[float, _column("US dollars", "nonnegative")]
Rate = Annotated[float, _column("fraction of notional per interval", "finite")]
Share = Annotated[float, _column("fraction", "share")]
Ratio = Annotated[float, _column("dimensionless", "nonnegative")]
Number = Annotated[float, _column("dimensionless", "finite")]
Volatility = Annotated[float, _column("fraction per square root of a year", "nonnegative")]
Seconds = Annotated[int, _column("seconds", "seconds")]
Count = Annotated[int, _column("count", "nonnegative")]
Nanoseconds = Annotated[int, _column("UTC", "time")]
Word = Annotated[str, _column("", "")]
Name = Annotated[str, _column("", "name")]

Side = Literal["buy", "sell"]
PositionSide = Literal["long", "short"]
Origin = Literal["screen", "combo", "block"]
PriceKind = Literal["fill", "bankruptcy", "mark"]
Completeness = Literal["complete", "throttled", "sampled", "aggregated", "unknown"]


class Snap(NamedTuple):
    """Times that round to the same multiple of `every` name one fact, where `column` is `value`."""

    every: str
    column: str
    value: str


class Event(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """One fact about one instrument on one exchange."""

    exchange: Name
    symbol: Name
    time: Nanoseconds
    received: Nanoseconds | None = None
    known_at: Nanoseconds | None = None

    key: ClassVar[tuple[str, ...]] = ()
    """Columns that, with exchange, symbol and time, name the fact."""
    snap: ClassVar[Snap | None] = None
    """Where times that differ a little name the same fact."""


class Trade(Event, frozen=True, kw_only=True, tag="trade"):
    """An exchange of one amount at one price."""

    id: Annotated[int, _column("", "", "the exchange's number; of a UUID, the first 60 bits")]
    side: Annotated[Side, _column("", "", "the aggressor's side")]
    price: Price
    amount: Amount
    grain: Annotated[
        Literal["single", "aggregate"],
        _column("", "", "aggregate: fills of one order at one price, counted once"),
    ] = "single"
    origin: (
        Annotated[
            Origin,
            _column(
                "",
                "",
                "screen: the order book; combo: a leg of a combination; block: arranged outside "
                "the book; null where the exchange does not tell",
            ),
        ]
        | None
    ) = None

    key = ("grain", "id")


class Candle(Event, frozen=True, kw_only=True, tag="candle"):
    """A bar; `time` is its opening, and it is known at its close."""

    interval: Seconds
    price_kind: Literal["trade", "mark", "index", "premium"] = "trade"
    open: Annotated[float, _column("quote per base; premium: fraction", "finite")]
    high: Annotated[float, _column("quote per base; premium: fraction", "finite")]
    low: Annotated[float, _column("quote per base; premium: fraction", "finite")]
    close: Annotated[float, _column("quote per base; premium: fraction", "finite")]
    volume: Amount | None = None
    quote_volume: QuoteAmount | None = None
    trades: Count | None = None
    taker_buy_volume: Amount | None = None
    taker_buy_quote_volume: QuoteAmount | None = None

    key = ("interval", "price_kind")


class OpenInterest(Event, frozen=True, kw_only=True, tag="open_interest"):
    """Contracts that stand open, one side counted."""

    amount: Amount | None = None
    value_usd: Dollars | None = None


class OpenInterestTotal(Event, frozen=True, kw_only=True, tag="open_interest_total"):
    """What stands open of all contracts of a protocol together; `symbol` is the protocol."""

    open_interest_usd: Dollars


class Funding(Event, frozen=True, kw_only=True, tag="funding"):
    """What longs pay shorts for one interval.

    `time` is the settlement, or the moment a prediction was made. Exchanges
    stamp a settlement some milliseconds to some minutes late, so two stamps
    that round to the same hour are one settlement.
    """

    rate: Rate
    interval_hours: (
        Annotated[float, _column("hours", "positive", "as stated by the exchange")] | None
    ) = None
    status: Literal["settled", "predicted"] = "settled"
    premium: Premium | None = None
    settles: (
        Annotated[int, _column("UTC", "time", "the settlement that a prediction is for")] | None
    ) = None

    key = ("status",)
    snap = Snap("1h", "status", "settled")


class MarkPrice(Event, frozen=True, kw_only=True, tag="mark_price"):
    """The prices that liquidation and funding go by."""

    mark_price: Price | None = None
    index_price: Price | None = None
    last_price: Price | None = None


class Liquidation(Event, frozen=True, kw_only=True, tag="liquidation"):
    """A position closed by force."""

    side: Annotated[PositionSide, _column("", "", "the side liquidated")]
    price: Price
    amount: Amount
    value_usd: Dollars | None = None
    price_kind: PriceKind
    completeness: Annotated[Completeness, _column("", "", "what the feed lets through")]
    id: Word | None = None

    key = ("side", "price", "amount", "id")


class LiquidationTotal(Event, frozen=True, kw_only=True, tag="liquidation_total"):
    """Liquidations summed over a bucket that opens at `time`."""

    interval: Seconds
    long_usd: Dollars | None = None
    short_usd: Dollars | None = None
    count: Count | None = None
    completeness: Annotated[Completeness, _column("", "", "what the sum covers")]

    key = ("interval",)


class LongShortRatio(Event, frozen=True, kw_only=True, tag="long_short_ratio"):
    """How many, or how much, stands long for each short."""

    population: Annotated[
        Literal["accounts", "top_accounts", "top_positions"],
        _column("", "", "who is counted: all accounts, the largest, or the largest by size"),
    ]
    ratio: Ratio | None = None
    long_share: Share | None = None

    key = ("population",)


class TakerVolume(Event, frozen=True, kw_only=True, tag="taker_volume"):
    """What aggressors bought and sold in a bucket that opens at `time`."""

    interval: Seconds
    buy_amount: Amount | None = None
    sell_amount: Amount | None = None
    ratio: Annotated[float, _column("bought per sold", "nonnegative")] | None = None

    key = ("interval",)


class BookLevel(Event, frozen=True, kw_only=True, tag="book_level"):
    """One level of a book snapshot; level 0 is the best quote."""

    side: Literal["bid", "ask"]
    level: Annotated[int, _column("count", "nonnegative", "0 is the best price")]
    price: Price
    amount: Amount

    key = ("side", "level")


class BookDepth(Event, frozen=True, kw_only=True, tag="book_depth"):
    """All that rests between the mid price and a distance from it."""

    distance: Annotated[
        float, _column("fraction of the mid price", "finite", "negative: bids, below the mid")
    ]
    amount: Amount
    value_usd: Dollars | None = None

    key = ("distance",)


class OptionQuote(Event, frozen=True, kw_only=True, tag="option_quote"):
    """An option's market at one moment.

    Prices of coin-settled (inverse) options are in coin, those of others in
    the settlement currency. Greeks are the exchange's own.
    """

    underlying_price: Price | None = None
    index_price: Price | None = None
    bid_price: Annotated[float, _column("settlement units per base", "nonnegative")] | None = None
    bid_amount: Amount | None = None
    ask_price: Annotated[float, _column("settlement units per base", "nonnegative")] | None = None
    ask_amount: Amount | None = None
    mark_price: Annotated[float, _column("settlement units per base", "nonnegative")] | None = None
    last_price: Annotated[float, _column("settlement units per base", "nonnegative")] | None = None
    bid_iv: Volatility | None = None
    ask_iv: Volatility | None = None
    mark_iv: Volatility | None = None
    open_interest: Amount | None = None
    open_interest_usd: Dollars | None = None
    volume: Annotated[float, _column("base units in 24 hours", "nonnegative")] | None = None
    volume_usd: Annotated[float, _column("US dollars in 24 hours", "nonnegative")] | None = None
    delta: Number | None = None
    gamma: Annotated[float, _column("delta per dollar of the underlying", "finite")] | None = None
    vega: Annotated[float, _column("dollars per point of volatility", "finite")] | None = None
    theta: Annotated[float, _column("dollars per day", "finite")] | None = None
    rho: Annotated[float, _column("dollars per point of interest", "finite")] | None = None


class VolatilityIndex(Event, frozen=True, kw_only=True, tag="volatility_index"):
    """An exchange's own index of implied volatility."""

    value: Volatility


class Position(Event, frozen=True, kw_only=True, tag="position"):
    """A wallet's public position."""

    wallet: Name
    side: Annotated[PositionSide, _column("", "", "the side held")]
    amount: Amount
    entry_price: Price
    leverage: Annotated[float, _column("notional over margin", "positive")] | None = None
    margin: Annotated[float, _column("settlement units", "finite")] | None = None
    margin_mode: Literal["isolated", "cross"] | None = None
    liquidation_price: Price | None = None
    value_usd: Dollars | None = None

    key = ("wallet", "side")


class StablecoinSupply(Event, frozen=True, kw_only=True, tag="stablecoin_supply"):
    """Dollars of a stablecoin in circulation; `symbol` is the coin, or ``TOTAL``."""

    supply_usd: Dollars


class Commitment(Event, frozen=True, kw_only=True, tag="commitment"):
    """A trader category's futures positions in the CFTC's weekly report.

    `time` is the Tuesday reported, `known_at` the Friday of publication.
    """

    market: Annotated[str, _column("", "", "the CFTC's contract market code")]
    category: Literal[
        "dealer", "asset_manager", "leveraged_funds", "other_reportable", "nonreportable"
    ]
    long: Annotated[float, _column("contracts", "nonnegative")]
    short: Annotated[float, _column("contracts", "nonnegative")]
    spread: Annotated[float, _column("contracts", "nonnegative")] | None = None
    open_interest: Annotated[float, _column("contracts", "nonnegative", "of the whole market")]
    contract_size: Annotated[float, _column("base units per contract", "positive")] | None = None

    key = ("market", "category")


class Gap(Event, frozen=True, kw_only=True, tag="gap"):
    """A stretch, from `time` to `until`, in which a stream was not seen."""

    stream: Annotated[str, _column("", "", "the kind of event that is missing")]
    until: Nanoseconds
    reason: Word

    key = ("stream",)


EVENTS: dict[str, type[Event]] = {
    kind.__struct_config__.tag: kind  # type: ignore[misc]
    for kind in (
        Trade,
        Candle,
        OpenInterest,
        OpenInterestTotal,
        Funding,
        MarkPrice,
        Liquidation,
        LiquidationTotal,
        LongShortRatio,
        TakerVolume,
        BookLevel,
        BookDepth,
        OptionQuote,
        VolatilityIndex,
        Position,
        StablecoinSupply,
        Commitment,
        Gap,
    )
}
"""Every kind of event by its name, which is also the name of its table."""
