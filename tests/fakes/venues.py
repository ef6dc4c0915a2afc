"""How each exchange speaks: its listings, its answers to subscriptions, and its liquidations.

Messages are modelled on each exchange's documentation, and made here, not by our adapters.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fakes.server import Fake

__all__ = ["VENUES", "Forced", "Venue"]

START = 1_767_225_600_000  # 2026-01-01
STEP = 1_000
"""Milliseconds from one liquidation to the next: no two in one second."""


class Forced(NamedTuple):
    """A liquidation; `time` in milliseconds, `size` in the exchange's own unit."""

    number: int
    time: int
    is_long: bool
    price: float
    size: float


@dataclass(frozen=True)
class Venue:
    """How an exchange speaks.

    Attributes
    ----------
    name : str
    answers : dict of str to object
        What paths that end so answer.
    greeting : callable
        Returns the replies to a message on a socket.
    message : callable
        Returns a frame that tells of liquidations.
    size : callable
        Returns an amount of coins, at a price, in the exchange's own unit.
    amount : float
        Of a usual liquidation, in coins.
    batch : int
        How many liquidations one frame tells of.
    sampled : bool
        Whether only the last liquidation of each second is published.
    """

    name: str
    answers: dict[str, Any]
    greeting: Callable[[Any], list[Any]]
    message: Callable[[list[Forced]], Any]
    size: Callable[[float, float], float] = lambda amount, _price: amount
    amount: float = 0.5
    batch: int = 10
    sampled: bool = False

    def prepare(self, fake: Fake) -> None:
        """Make a server speak so."""
        for path, body in self.answers.items():
            fake.serve(
                path,
                lambda _query, _body, body=body: body(_query, _body) if callable(body) else body,
            )
        fake.greeting = self.greeting

    def time(self, n: int) -> int:
        """Return when liquidation number n happened, in milliseconds."""
        return START + n * STEP

    def forced(self, n: int, time: int | None = None) -> Forced:
        """Return liquidation number n; even ones are of longs."""
        price = 90_000.0 + n % 1_000
        when = self.time(n) if time is None else time
        return Forced(n, when, n % 2 == 0, price, self.size(self.amount, price))

    def liquidations(self, numbers: Iterable[int]) -> Any:
        """Return the frame that tells of some liquidations."""
        return self.message([self.forced(n) for n in numbers])

    def published(self, forced: Iterable[Forced]) -> list[Forced]:
        """Return those of some liquidations, by rising time, that the exchange tells of."""
        rows = list(forced)
        if not self.sampled:
            return rows
        return list({row.time // 1_000: row for row in rows}.values())

    def frames(self, forced: Iterable[Forced]) -> list[Any]:
        """Return the frames that the exchange publishes when these happen."""
        rows = self.published(forced)
        parts = (rows[at : at + self.batch] for at in range(0, len(rows), self.batch))
        return [self.message(part) for part in parts]


def _dollars(amount: float, price: float) -> float:
    """Return what coins are worth, which is what some exchanges count."""
    return amount * price


def _text(number: float) -> str:
    """Return a number as exchanges write it, without the dust of binary fractions."""
    return f"{number:.10f}".rstrip("0").rstrip(".")


def _bybit_list(query: dict[str, str], _body: bytes) -> Any:
    rows = {
        "linear": [
            {"symbol": "BTCUSDT", "fundingInterval": 480, "priceFilter": {"tickSize": "0.1"}}
        ],
        "inverse": [],
        "option": [],
    }[query["category"]]
    return {"retCode": 0, "retMsg": "OK", "result": {"list": rows}, "time": START}


BYBIT = Venue(
    name="bybit",
    answers={
        "instruments-info": _bybit_list,
        "risk-limit": {"retCode": 0, "retMsg": "OK", "result": {"list": []}, "time": START},
    },
    greeting=lambda sent: [
        {"success": True, "ret_msg": "", "op": sent["op"], "req_id": sent.get("req_id", "")}
    ],
    message=lambda rows: {
        "topic": "allLiquidation.BTCUSDT",
        "type": "snapshot",
        "ts": START,
        "data": [
            {
                "T": one.time,
                "s": "BTCUSDT",
                "S": "Buy" if one.is_long else "Sell",
                "v": _text(one.size),
                "p": _text(one.price),
            }
            for one in rows
        ],
    },
)


def _seconds(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1_000, tz=UTC).isoformat(timespec="milliseconds")


BINANCE = Venue(
    name="binance",
    answers={
        "exchangeInfo": lambda query, _body: (
            {"symbols": []}
            if "showPermissionSets" in query
            else {
                "optionSymbols": [],
                "symbols": [
                    {
                        "symbol": "BTCUSDT",
                        "contractType": "PERPETUAL",
                        "status": "TRADING",
                        "contractStatus": "TRADING",
                        "baseAsset": "BTC",
                        "quoteAsset": "USDT",
                        "contractSize": 100,
                        "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.10"}],
                    }
                ],
            }
        ),
        "fundingInfo": [],
    },
    greeting=lambda sent: [{"result": None, "id": sent["id"]}],
    message=lambda rows: {
        "stream": "!forceOrder@arr",
        "data": {
            "e": "forceOrder",
            "E": rows[0].time,
            "o": {
                "s": "BTCUSDT",
                "S": "SELL" if rows[0].is_long else "BUY",
                "o": "LIMIT",
                "f": "IOC",
                "q": _text(rows[0].size),
                "p": "90000",
                "ap": _text(rows[0].price),
                "X": "FILLED",
                "l": "0.001",
                "z": _text(rows[0].size),
                "T": rows[0].time,
            },
        },
    },
    batch=1,
    sampled=True,
)

OKX = Venue(
    name="okx",
    answers={
        "instruments": lambda query, _body: {
            "code": "0",
            "msg": "",
            "data": [
                {
                    "instId": "BTC-USDT-SWAP",
                    "instType": "SWAP",
                    "ctVal": "0.01",
                    "ctMult": "1",
                    "ctValCcy": "BTC",
                    "ctType": "linear",
                    "tickSz": "0.1",
                }
            ]
            if query["instType"] == "SWAP"
            else [],
        },
        "liquidation-orders": {"code": "0", "msg": "", "data": []},
    },
    greeting=lambda sent: [
        {"event": "subscribe", "arg": arg, "connId": "a4d3ae55"} for arg in sent["args"]
    ],
    message=lambda rows: {
        "arg": {"channel": "liquidation-orders", "instType": "SWAP"},
        "data": [
            {
                "instId": "BTC-USDT-SWAP",
                "instType": "SWAP",
                "instFamily": "BTC-USDT",
                "uly": "BTC-USDT",
                "details": [
                    {
                        "bkLoss": "0",
                        "bkPx": _text(one.price),
                        "ccy": "",
                        "posSide": "long" if one.is_long else "short",
                        "side": "sell" if one.is_long else "buy",
                        "sz": _text(one.size),
                        "ts": str(one.time),
                    }
                    for one in rows
                ],
            }
        ],
    },
    size=lambda amount, _price: amount / 0.01,
    sampled=True,
)

GATE = Venue(
    name="gate",
    answers={
        "usdt/contracts": [
            {
                "name": "BTC_USDT",
                "type": "direct",
                "quanto_multiplier": "0.0001",
                "order_price_round": "0.1",
                "funding_interval": 28_800,
            }
        ],
        "btc/contracts": [],
        "risk_limit_tiers": [],
        "liq_orders": [],
    },
    greeting=lambda sent: (
        []
        if sent["channel"] == "futures.ping"
        else [
            {
                "time": START // 1_000,
                "channel": sent["channel"],
                "event": "subscribe",
                "error": None,
                "payload": sent["payload"],
                "result": {"status": "success"},
            }
        ]
    ),
    message=lambda rows: {
        "time": START // 1_000,
        "time_ms": START,
        "channel": "futures.public_liquidates",
        "event": "update",
        "result": [
            {
                "price": _text(one.price),
                "size": ("" if one.is_long else "-") + _text(one.size),
                "time": one.time,
                "time_ms": one.time,
                "contract": "BTC_USDT",
            }
            for one in rows
        ],
    },
    size=lambda amount, _price: amount / 0.0001,
)

DERIBIT = Venue(
    name="deribit",
    answers={
        "get_instruments": lambda query, _body: {
            "jsonrpc": "2.0",
            "usOut": START * 1_000,
            "result": [
                {
                    "instrument_name": "BTC-PERPETUAL",
                    "kind": "future",
                    "instrument_type": "reversed",
                    "settlement_currency": "BTC",
                    "contract_size": 10,
                    "tick_size": 0.5,
                }
            ]
            if query["kind"] == "future"
            else [],
        },
        "get_last_trades_by_instrument_and_time": {
            "jsonrpc": "2.0",
            "usOut": START * 1_000,
            "result": {"trades": [], "has_more": False},
        },
    },
    greeting=lambda sent: (
        [{"jsonrpc": "2.0", "id": sent["id"], "result": sent["params"]["channels"]}]
        if sent["method"] == "public/subscribe"
        else [{"jsonrpc": "2.0", "id": sent.get("id"), "result": {"version": "1.2.26"}}]
    ),
    message=lambda rows: {
        "jsonrpc": "2.0",
        "method": "subscription",
        "params": {
            "channel": "trades.BTC-PERPETUAL.100ms",
            "data": [
                {
                    "trade_seq": one.number,
                    "trade_id": str(one.number),
                    "timestamp": one.time,
                    "tick_direction": 3,
                    "price": one.price,
                    "liquidation": "T",
                    "instrument_name": "BTC-PERPETUAL",
                    "index_price": 90_000.0,
                    "direction": "sell" if one.is_long else "buy",
                    "amount": one.size,
                }
                for one in rows
            ],
        },
    },
    size=_dollars,
)

KRAKEN = Venue(
    name="kraken",
    answers={
        "instruments": {
            "result": "success",
            "instruments": [
                {
                    "symbol": "PI_XBTUSD",
                    "type": "futures_inverse",
                    "tickSize": 0.5,
                    "contractSize": 1,
                    "tradeable": True,
                    "marginLevels": [
                        {"contracts": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01}
                    ],
                }
            ],
        },
        "history": {"result": "success", "history": []},
    },
    greeting=lambda sent: [
        {"event": "subscribed", "feed": sent["feed"], "product_ids": sent["product_ids"]}
    ],
    message=lambda rows: {
        "feed": "trade",
        "product_id": "PI_XBTUSD",
        "uid": f"{rows[0].number:08x}-5c04-4ed6-999e-5922cd0b6160",
        "side": "sell" if rows[0].is_long else "buy",
        "type": "liquidation",
        "seq": rows[0].number,
        "time": rows[0].time,
        "qty": rows[0].size,
        "price": rows[0].price,
    },
    size=_dollars,
    batch=1,
)

BITGET = Venue(
    name="bitget",
    answers={
        "instruments": lambda query, _body: {
            "code": "00000",
            "msg": "success",
            "requestTime": START,
            "data": [
                {
                    "symbol": "BTCUSDT",
                    "category": "USDT-FUTURES",
                    "baseCoin": "BTC",
                    "quoteCoin": "USDT",
                    "pricePrecision": "1",
                    "priceMultiplier": "0.1",
                    "fundInterval": "8",
                    "type": "perpetual",
                    "status": "online",
                }
            ]
            if query["category"] == "USDT-FUTURES"
            else [],
        },
        "position-tier": {"code": "00000", "msg": "success", "requestTime": START, "data": []},
        "liquidations": {
            "code": "00000",
            "msg": "success",
            "requestTime": START,
            "data": {"list": [], "cursor": ""},
        },
    },
    greeting=lambda sent: [{"event": "subscribe", "arg": arg} for arg in sent["args"]],
    message=lambda rows: {
        "action": "update",
        "arg": {"instType": "usdt-futures", "topic": "liquidation"},
        "data": [
            {
                "symbol": "BTCUSDT",
                "side": "buy" if one.is_long else "sell",
                "price": _text(one.price),
                "amount": _text(one.size),
                "ts": str(one.time),
            }
            for one in rows
        ],
        "ts": START,
    },
    size=_dollars,
)

DYDX = Venue(
    name="dydx",
    answers={
        "perpetualMarkets": {
            "markets": {
                "BTC-USD": {
                    "clobPairId": "0",
                    "ticker": "BTC-USD",
                    "status": "ACTIVE",
                    "oraclePrice": "90000",
                    "initialMarginFraction": "0.02",
                    "maintenanceMarginFraction": "0.012",
                    "openInterest": "381.7",
                    "nextFundingRate": "0.00000254",
                    "tickSize": "1",
                    "marketType": "CROSS",
                }
            }
        },
        "perpetualMarket/BTC-USD": {"trades": []},
    },
    greeting=lambda sent: [
        {
            "type": "subscribed",
            "connection_id": "004a1efa",
            "message_id": 1,
            "id": sent["id"],
            "channel": sent["channel"],
            "contents": {"trades": []},
        }
    ],
    message=lambda rows: {
        "type": "channel_data",
        "connection_id": "004a1efa",
        "message_id": 2,
        "id": "BTC-USD",
        "channel": "v4_trades",
        "version": "2.1.0",
        "contents": {
            "trades": [
                {
                    "id": f"{one.number:08x}0000000200000005",
                    "size": _text(one.size),
                    "price": _text(one.price),
                    "side": "SELL" if one.is_long else "BUY",
                    "createdAt": _seconds(one.time).replace("+00:00", "Z"),
                    "type": "LIQUIDATED",
                }
                for one in rows
            ]
        },
    },
)

VENUES = [BINANCE, BYBIT, OKX, DERIBIT, BITGET, GATE, KRAKEN, DYDX]
