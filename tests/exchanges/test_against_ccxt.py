"""What an exchange lists, read here and read by ccxt: the same symbols, sizes and expiries.

The answers are in the shape of each exchange's documentation, with all the fields that either of
the two reads; ccxt is given them in place of the network.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from plimsoll.exchanges import exchange
from plimsoll.exchanges.reading import Listing

if TYPE_CHECKING:
    from collections.abc import Callable

    Answer = Callable[[str, dict[str, str]], Any]

RECEIVED = 1_790_000_000_000_000_000
EXPIRY = int(datetime(2026, 12, 25, 8, tzinfo=UTC).timestamp()) * 1_000
SETTLEMENTS = {(True, False): "linear", (False, True): "inverse"}
TICK = [{"filterType": "PRICE_FILTER", "tickSize": "0.10"}]


def binance(path: str, _query: dict[str, str]) -> Any:
    perpetual = {"contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000}
    dated = {"contractType": "CURRENT_QUARTER", "deliveryDate": EXPIRY}
    linear = {"status": "TRADING", "baseAsset": "BTC", "filters": TICK}
    linear |= {"quoteAsset": "USDT", "marginAsset": "USDT"}
    inverse = {**linear, "quoteAsset": "USD", "contractStatus": "TRADING"}
    rows = {
        "/fapi/v1/exchangeInfo": [
            {**linear, **perpetual, "symbol": "BTCUSDT"},
            {**linear, **dated, "symbol": "BTCUSDT_261225"},
            {
                **linear,
                **perpetual,
                "symbol": "1000PEPEUSDC",
                "baseAsset": "1000PEPE",
                "quoteAsset": "USDC",
                "marginAsset": "USDC",
            },
        ],
        "/dapi/v1/exchangeInfo": [
            {
                **inverse,
                **perpetual,
                "symbol": "BTCUSD_PERP",
                "marginAsset": "BTC",
                "contractSize": 100,
            },
            {
                **inverse,
                **dated,
                "symbol": "ETHUSD_261225",
                "baseAsset": "ETH",
                "marginAsset": "ETH",
                "contractSize": 10,
            },
        ],
    }
    if path.endswith("fundingInfo"):
        return []
    return {"symbols": rows.get(path, []), "optionSymbols": []}


def bybit(path: str, query: dict[str, str]) -> Any:
    common = {
        "status": "Trading",
        "fundingInterval": 480,
        "priceFilter": {"tickSize": "0.10"},
        "lotSizeFilter": {"qtyStep": "1", "minOrderQty": "1", "maxOrderQty": "1000"},
        "deliveryTime": "0",
        "baseCoin": "BTC",
    }
    dated = {"deliveryTime": str(EXPIRY)}
    usdt, usdc = ({"quoteCoin": coin, "settleCoin": coin} for coin in ("USDT", "USDC"))
    usdc["quoteCoin"] = "USD"
    coin = {"quoteCoin": "USD", "settleCoin": "BTC"}
    rows = {
        "linear": [
            {**common, **usdt, "symbol": "BTCUSDT", "contractType": "LinearPerpetual"},
            {
                **common,
                **usdt,
                **dated,
                "symbol": "BTCUSDT-25DEC26",
                "contractType": "LinearFutures",
            },
        ],
        "inverse": [
            {**common, **coin, "symbol": "BTCUSD", "contractType": "InversePerpetual"},
            {**common, **coin, **dated, "symbol": "BTCUSDZ26", "contractType": "InverseFutures"},
        ],
    }
    if not path.endswith("instruments-info") or "status" in query:
        return {"retCode": 0, "retMsg": "OK", "result": {"list": []}, "time": EXPIRY}
    category = query["category"]
    result = {"category": category, "list": rows.get(category, [])}
    return {"retCode": 0, "retMsg": "OK", "result": result, "time": EXPIRY}


def okx(_path: str, query: dict[str, str]) -> Any:
    common = {"ctMult": "1", "tickSz": "0.1", "lotSz": "1", "state": "live", "expTime": ""}
    linear = {"uly": "BTC-USDT", "settleCcy": "USDT", "ctVal": "0.01", "ctValCcy": "BTC"}
    linear |= {**common, "ctType": "linear"}
    inverse = {"uly": "BTC-USD", "settleCcy": "BTC", "ctVal": "100", "ctValCcy": "USD"}
    inverse |= {**common, "ctType": "inverse"}
    swap, dated = {"instType": "SWAP"}, {"instType": "FUTURES", "expTime": str(EXPIRY)}
    rows = {
        "SWAP": [
            {**linear, **swap, "instId": "BTC-USDT-SWAP"},
            {**inverse, **swap, "instId": "BTC-USD-SWAP"},
        ],
        "FUTURES": [
            {**linear, **dated, "instId": "BTC-USDT-261225"},
            {**inverse, **dated, "instId": "BTC-USD-261225"},
        ],
    }
    return {"code": "0", "msg": "", "data": rows.get(query["instType"], [])}


def deribit(_path: str, query: dict[str, str]) -> Any:
    inverse = {
        "kind": "future",
        "instrument_type": "reversed",
        "base_currency": "BTC",
        "counter_currency": "USD",
        "quote_currency": "USD",
        "settlement_currency": "BTC",
        "settlement_period": "perpetual",
        "contract_size": 10,
        "tick_size": 0.5,
        "expiration_timestamp": 32_503_708_800_000,
        "is_active": True,
    }
    linear = {**inverse, "instrument_type": "linear", "base_currency": "ETH"}
    linear |= {"counter_currency": "USDC", "quote_currency": "USDC", "settlement_currency": "USDC"}
    linear |= {"contract_size": 0.001}
    dated = {"settlement_period": "month", "expiration_timestamp": EXPIRY}
    option = {**inverse, **dated, "kind": "option", "quote_currency": "BTC", "contract_size": 1}
    option |= {"strike": 90_000, "option_type": "call"}
    rows = [
        {**inverse, "instrument_name": "BTC-PERPETUAL"},
        {**linear, "instrument_name": "ETH_USDC-PERPETUAL"},
        {**inverse, **dated, "instrument_name": "BTC-25DEC26"},
        {**option, "instrument_name": "BTC-25DEC26-90000-C"},
    ]
    asked = query.get("kind")
    return {"jsonrpc": "2.0", "result": [row for row in rows if asked in {None, row["kind"]}]}


def bitget(path: str, query: dict[str, str]) -> Any:
    common = {"baseCoin": "BTC", "status": "online", "priceMultiplier": "0.1", "fundInterval": "8"}
    common |= {"pricePrecision": "1", "quantityPrecision": "4", "quantityMultiplier": "0.0001"}
    common |= {"type": "perpetual", "symbolType": "crypto"}
    rows = {
        "USDT-FUTURES": [{**common, "symbol": "BTCUSDT", "quoteCoin": "USDT"}],
        "USDC-FUTURES": [{**common, "symbol": "BTCPERP", "quoteCoin": "USDC"}],
        "COIN-FUTURES": [{**common, "symbol": "BTCUSD", "quoteCoin": "USD"}],
    }
    category = query.get("category", "")
    named = [{**row, "category": category} for row in rows.get(category, [])]
    found = named if path.endswith("instruments") else []
    return {"code": "00000", "msg": "success", "requestTime": EXPIRY, "data": found}


def gate(path: str, _query: dict[str, str]) -> Any:
    common = {"order_price_round": "0.1", "mark_price_round": "0.01", "funding_interval": 28_800}
    common |= {"order_size_min": 1, "order_size_max": 1_000, "order_price_deviate": "0.5"}
    common |= {"maker_fee_rate": "0", "taker_fee_rate": "0.0005", "in_delisting": False}
    common |= {"leverage_min": "1", "leverage_max": "100", "mark_price": "90000"}
    rows = {
        "usdt": [{**common, "name": "BTC_USDT", "type": "direct", "quanto_multiplier": "0.0001"}],
        "btc": [{**common, "name": "BTC_USD", "type": "inverse", "quanto_multiplier": "0"}],
    }
    parts = path.split("/")
    return rows.get(parts[-2], []) if parts[-1] == "contracts" else []


def kraken(_path: str, _query: dict[str, str]) -> Any:
    common = {"tickSize": 0.5, "contractSize": 1, "tradeable": True, "marginLevels": []}
    common |= {"contractValueTradePrecision": 0, "impactMidSize": 1}
    dated = {"lastTradingTime": "2026-12-25T16:00:00.000Z"}
    inverse = {**common, "type": "futures_inverse", "base": "BTC", "quote": "USD"}
    linear = {**common, "type": "flexible_futures", "base": "ETH", "quote": "USD"}
    rows = [
        {**inverse, "symbol": "PI_XBTUSD"},
        {**inverse, **dated, "symbol": "FI_XBTUSD_261225"},
        {**linear, "symbol": "PF_ETHUSD"},
        {**linear, **dated, "symbol": "FF_ETHUSD_261225"},
    ]
    return {"result": "success", "instruments": rows}


def dydx(_path: str, _query: dict[str, str]) -> Any:
    market = {
        "clobPairId": "0",
        "ticker": "BTC-USD",
        "status": "ACTIVE",
        "oraclePrice": "90000",
        "priceChange24H": "1",
        "volume24H": "1",
        "trades24H": 1,
        "initialMarginFraction": "0.02",
        "maintenanceMarginFraction": "0.012",
        "openInterest": "381.7",
        "nextFundingRate": "0.00000254",
        "tickSize": "1",
        "stepSize": "0.0001",
        "marketType": "CROSS",
        "openInterestLowerCap": "0",
        "openInterestUpperCap": "0",
    }
    return {"markets": {"BTC-USD": market}}


def mexc(path: str, _query: dict[str, str]) -> Any:
    linear = {"symbol": "BTC_USDT", "baseCoin": "BTC", "quoteCoin": "USDT", "settleCoin": "USDT"}
    linear |= {"contractSize": 0.0001, "priceUnit": 0.1, "state": 0, "futureType": 1}
    linear |= {"priceScale": 1, "volScale": 0, "volUnit": 1, "apiAllowed": True, "isHidden": False}
    inverse = {"symbol": "BTC_USD", "quoteCoin": "USD", "settleCoin": "BTC", "contractSize": 100}
    data = [linear, {**linear, **inverse}] if path.endswith("contract/detail") else []
    return {"success": True, "code": 0, "data": data, "symbols": []}


def kucoin(path: str, _query: dict[str, str]) -> Any:
    linear = {
        "symbol": "XBTUSDTM",
        "type": "FFWCSX",
        "firstOpenDate": 1_585_555_200_000,
        "expireDate": None,
        "baseCurrency": "XBT",
        "quoteCurrency": "USDT",
        "settleCurrency": "USDT",
        "multiplier": 0.001,
        "isInverse": False,
        "lotSize": 1,
        "tickSize": 0.1,
        "status": "Open",
        "nextFundingRateTime": 1_000,
        "fundingRateGranularity": 28_800_000,
    }
    inverse = {**linear, "quoteCurrency": "USD", "settleCurrency": "XBT"}
    inverse |= {"isInverse": True, "multiplier": -1.0, "type": "FFWCSX"}
    dated = {"expireDate": EXPIRY, "nextFundingRateTime": None, "type": "FFICSX"}
    rows = [
        linear,
        {**inverse, "symbol": "XBTUSDM"},
        {**inverse, **dated, "symbol": "XBTMZ26"},
    ]
    return {"code": "200000", "data": rows if path.endswith("contracts/active") else []}


ANSWERS: dict[str, tuple[str, Answer, dict[str, Any]]] = {
    "binance": ("binance", binance, {"fetchMarkets": {"types": ["linear", "inverse"]}}),
    "bybit": ("bybit", bybit, {"fetchMarkets": {"types": ["linear", "inverse"]}}),
    "okx": ("okx", okx, {"fetchMarkets": {"types": ["swap", "future"]}}),
    "deribit": ("deribit", deribit, {}),
    "bitget": ("bitget", bitget, {"uta": True}),
    "gate": ("gate", gate, {"fetchMarkets": {"types": ["swap"]}}),
    "kraken": ("krakenfutures", kraken, {}),
    "dydx": ("dydx", dydx, {}),
    "mexc": ("mexc", mexc, {"fetchMarkets": {"types": {"spot": False}}}),
    "kucoin": ("kucoinfutures", kucoin, {}),
}


def here(name: str, answer: Answer) -> dict[str, Any]:
    """What is read here, by native name: symbol, contract size, settlement and expiry."""
    made, found = exchange(name), dict[tuple[str, str], Listing]()
    for request in made.instruments():
        if request.kind != "instrument":
            continue
        payload = json.dumps(answer(urlsplit(request.url).path, request.query)).encode()
        for item in made.decoder(found.values()).read(payload, RECEIVED, request):
            if isinstance(item, Listing):
                found[item.category, item.native] = item
    return {
        one.native: (
            one.symbol,
            float(one.instrument.contract_size),
            one.instrument.settlement,
            one.instrument.parts.expiry,
        )
        for one in found.values()
        if one.category != "index"  # no contract: ccxt does not list it
    }


def there(name: str, answer: Answer, options: dict[str, Any]) -> dict[str, Any]:
    """What ccxt reads."""
    ccxt = pytest.importorskip("ccxt")
    made = getattr(ccxt, name)({"options": {"fetchMargins": False, **options}})

    def fetch(url: str, *_: Any) -> Any:
        parts = urlsplit(url)
        return answer(parts.path, dict(parse_qsl(parts.query)))

    made.fetch = fetch
    return {
        market["id"]: (
            market["symbol"],
            market["contractSize"],
            {(True, False): "linear", (False, True): "inverse"}[
                market["linear"], market["inverse"]
            ],
            # Deribit's perpetuals expire in the year 3000.
            None if market["swap"] else datetime.fromtimestamp(market["expiry"] / 1e3, UTC).date(),
        )
        for market in made.fetch_markets()
        if market
    }


@pytest.mark.parametrize("name", ANSWERS)
def test_an_exchange_lists_the_same_for_us_and_for_ccxt(name: str) -> None:
    other, answer, options = ANSWERS[name]
    ours, theirs = here(name, answer), there(other, answer, options)
    assert ours
    assert ours == theirs
