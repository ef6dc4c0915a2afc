"""Options of Bybit, for `bybit`: their trades as they happen, and what tickers quote of them.

Traps: a contract is one coin, and prices are of one coin in the settlement currency. One channel
brings the trades of all options on a coin, block trades too, which a flag tells. The options'
socket names what it accepts in its answer, and repeats no name of a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert

from plimsoll.exchanges.base import Channel
from plimsoll.exchanges.reading import Acknowledged, Refused, picked
from plimsoll.market import native
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plimsoll.exchanges.reading import Decoder, Listing

__all__ = ["ANSWER", "COINS", "OPTION", "channels", "is_new", "quoted", "subscribed"]

OPTION: Literal["option"] = "option"
COINS = ("BTC", "ETH", "SOL")
"""Whose options are asked for."""
ANSWER = "COMMAND_RESP"
"""The type of an answer to a subscription."""


class _Topics(Struct):
    successTopics: tuple[str, ...] = ()
    failTopics: tuple[str, ...] = ()


def channels(socket: str, listings: Sequence[Listing]) -> list[Channel]:
    """Return one channel of trades for each coin that options are listed on."""
    coins = sorted({one.coin for one in listings if one.category == OPTION})
    return [
        Channel(url=f"{socket}/{OPTION}", topic=f"publicTrade.{coin}", kinds=("trade",))
        for coin in coins
    ]


def subscribed(data: Any, why: str) -> list[Acknowledged | Refused]:
    """Return which topics of a subscription were accepted, and which were not."""
    topics = _Topics() if data is None else convert(data, _Topics)
    accepted = [Acknowledged(topics.successTopics)] if topics.successTopics else []
    refused = topics.failTopics or (() if accepted else ("",))
    return [*accepted, *(Refused(topic, why or "is refused") for topic in refused)]


def is_new(decoder: Decoder, name: str) -> bool:
    """Return whether a name is that of an option listed since we last asked.

    Raises
    ------
    UnknownSymbol, ValueError
        If it is of no option.
    """
    if (OPTION, name) in decoder.listings:
        return False
    if Symbol.parse(native.unified(decoder.exchange, name, market=OPTION)).kind != OPTION:
        raise ValueError(f"{name} is no option")
    return True


def quoted(row: dict[str, Any]) -> dict[str, Any]:
    """Return an option's market from its ticker."""
    return picked(row, _QUOTE)


_QUOTE = {
    "underlying_price": "underlyingPrice",
    "index_price": "indexPrice",
    "bid_price": "bid1Price",
    "bid_amount": "bid1Size",
    "ask_price": "ask1Price",
    "ask_amount": "ask1Size",
    "mark_price": "markPrice",
    "last_price": "lastPrice",
    "bid_iv": "bid1Iv",
    "ask_iv": "ask1Iv",
    "mark_iv": "markIv",
    "open_interest": "openInterest",
    "volume": "volume24h",
    "volume_usd": "turnover24h",
    "delta": "delta",
    "gamma": "gamma",
    "vega": "vega",
    "theta": "theta",
}
