"""Names of instruments: as the exchanges print them, and as ccxt calls them."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plimsoll.errors import UnknownSymbol
from plimsoll.market.native import EXCHANGES, native, unified
from plimsoll.market.symbols import Symbol, plain

# Names as they stand in messages and documentation of the exchanges. Each is the current
# spelling, so it must come back.
NAMES = [
    ("binance", "BTCUSDT", "BTC/USDT:USDT"),  # forceOrder stream
    ("binance", "BTCUSDC", "BTC/USDC:USDC"),
    ("binance", "1000PEPEUSDT", "1000PEPE/USDT:USDT"),
    ("binance", "ETHUSDT_230331", "ETH/USDT:USDT-230331"),  # USD-M exchangeInfo
    ("binance", "ETHUSD_PERP", "ETH/USD:ETH"),  # COIN-M premiumIndex
    ("binance", "BTCUSD_200925", "BTC/USD:BTC-200925"),  # COIN-M trade stream
    ("binance", "BTC-251219-89000-C", "BTC/USDT:USDT-251219-89000-C"),  # option trade stream
    ("binance", "DOGE-231006-0.06-C", "DOGE/USDT:USDT-231006-0.06-C"),
    ("bybit", "PIPPINUSDT", "PIPPIN/USDT:USDT"),  # allLiquidation
    ("bybit", "BTCPERP", "BTC/USDC:USDC"),
    ("bybit", "XRPUSD", "XRP/USD:XRP"),
    ("bybit", "BTCUSDU23", "BTC/USD:BTC-230929"),  # tickers; delivered 29 September 2023
    ("bybit", "BTC-26DEC25", "BTC/USDC:USDC-251226"),
    ("bybit", "BTCUSDT-07AUG26", "BTC/USDT:USDT-260807"),
    ("bybit", "ETH-3JAN23-1250-P", "ETH/USDC:USDC-230103-1250-P"),  # instruments-info
    ("bybit", "BTC-27MAR26-70000-P-USDT", "BTC/USDT:USDT-260327-70000-P"),
    ("okx", "BTC-USDT-SWAP", "BTC/USDT:USDT"),
    ("okx", "BTC-USD-SWAP", "BTC/USD:BTC"),
    ("okx", "ADA-USDT-211224", "ADA/USDT:USDT-211224"),
    ("okx", "XRP-USD-211231", "XRP/USD:XRP-211231"),
    ("okx", "ETH-USD-211231-9600-C", "ETH/USD:ETH-211231-9600-C"),
    ("okx", "ETC-ETH", "ETC/ETH"),
    ("deribit", "BTC-PERPETUAL", "BTC/USD:BTC"),
    ("deribit", "BTC-25DEC26", "BTC/USD:BTC-261225"),
    ("deribit", "ETH-5JUN20-310-P", "ETH/USD:ETH-200605-310-P"),  # day without zero
    ("deribit", "BTC-27DEC24-240000-C", "BTC/USD:BTC-241227-240000-C"),
    ("deribit", "BTC_USDC-PERPETUAL", "BTC/USDC:USDC"),
    ("deribit", "XRP_USDC-30JUN23-0d52-C", "XRP/USDC:USDC-230630-0.52-C"),
    ("deribit", "BTC_USDC", "BTC/USDC"),
    ("bitget", "AXSUSDT", "AXS/USDT:USDT"),
    ("bitget", "BTCPERP", "BTC/USDC:USDC"),
    ("bitget", "DOGEUSD", "DOGE/USD:DOGE"),
    ("bitget", "BTCUSDZ24", "BTC/USD:BTC-241227"),
    ("gate", "TRX_USDT", "TRX/USDT:USDT"),
    ("gate", "BTC_USD", "BTC/USD:BTC"),
    ("gate", "BTC_USDT_20261225", "BTC/USDT:USDT-261225"),
    ("gate", "ETH_USDT-20231201-2300-P", "ETH/USDT:USDT-231201-2300-P"),
    ("hyperliquid", "BTC", "BTC/USDC:USDC"),
    ("hyperliquid", "kPEPE", "kPEPE/USDC:USDC"),
    ("hyperliquid", "PURR/USDC", "PURR/USDC"),
    ("kraken", "PF_XBTUSD", "BTC/USD:USD"),
    ("kraken", "PF_XDGUSD", "DOGE/USD:USD"),
    ("kraken", "PI_ETHUSD", "ETH/USD:ETH"),
    ("kraken", "FI_XBTUSD_190927", "BTC/USD:BTC-190927"),
    ("kraken", "FF_XBTUSD_261225", "BTC/USD:USD-261225"),
    ("htx", "BTC-USDT", "BTC/USDT:USDT"),
    ("htx", "BSV-USD", "BSV/USD:BSV"),
    ("htx", "BTC-USDT-211210", "BTC/USDT:USDT-211210"),
    ("htx", "BTC200925", "BTC/USD:BTC-200925"),
    ("dydx", "AVAX-USD", "AVAX/USDC:USDC"),
    ("kucoin", "XBTUSDTM", "BTC/USDT:USDT"),
    ("kucoin", "XBTUSDCM", "BTC/USDC:USDC"),
    ("kucoin", "XBTUSDM", "BTC/USD:BTC"),
    ("kucoin", "MYROUSDTM", "MYRO/USDT:USDT"),
    ("kucoin", "XBTMZ25", "BTC/USD:BTC-251226"),
    ("kucoin", "BTC-USDT", "BTC/USDT"),  # spot spells BTC
    ("coinbase", "BTC_USDC-PERPETUAL", "BTC/USDC:USDC"),
    ("coinbase", "BTC_USDC", "BTC/USDC"),
    ("mexc", "STEPN_USDT", "STEPN/USDT:USDT"),
    ("mexc", "BTC_USD", "BTC/USD:BTC"),
    ("bingx", "LTC-USDT", "LTC/USDT:USDT"),
    ("bingx", "SOL-USD", "SOL/USD:SOL"),
    ("bitmex", "XBTUSD", "BTC/USD:BTC"),
    ("bitmex", "XBTUSDT", "BTC/USDT:USDT"),
    ("bitmex", "ETHUSD", "ETH/USD:BTC"),  # quanto: settled in bitcoin
    ("bitmex", "ETHUSD_ETH", "ETH/USD:ETH"),
    ("bitmex", "XBTM26", "BTC/USD:BTC-260626"),
    ("bitmex", "XBT_USDT", "BTC/USDT"),
]
SPOT = [
    ("binance", "BTCUSDT", "BTC/USDT"),
    ("binance", "BTCFDUSD", "BTC/FDUSD"),
    ("bybit", "BITBTC", "BIT/BTC"),
    ("bitget", "SNEKUSDT", "SNEK/USDT"),
    ("gate", "BTC_USDT", "BTC/USDT"),
    ("mexc", "BTCUSDT", "BTC/USDT"),
    ("bingx", "BTC-USDT", "BTC/USDT"),
]


@pytest.mark.parametrize(("exchange", "name", "symbol"), NAMES)
def test_names_in_published_messages_are_read_and_written(exchange, name, symbol):
    assert unified(exchange, name) == symbol
    assert native(exchange, symbol) == name


@pytest.mark.parametrize(("exchange", "name", "symbol"), SPOT)
def test_a_name_of_two_markets_is_spot_when_asked(exchange, name, symbol):
    assert unified(exchange, name, market="spot") == symbol
    assert native(exchange, symbol) == name


@pytest.mark.parametrize(
    ("exchange", "name", "symbol"),
    [("coinbase", "SOL-PERP", "SOL/USDC:USDC"), ("deribit", "BTC-05JAN26", "BTC/USD:BTC-260105")],
)
def test_an_older_spelling_is_still_read(exchange, name, symbol):
    assert unified(exchange, name) == symbol


@pytest.mark.parametrize("exchange", ["binance", "gate", "mexc", "bingx"])
def test_the_derivative_is_meant_where_no_market_is_given(exchange):
    name = native(exchange, "BTC/USDT:USDT")
    assert unified(exchange, name) == unified(exchange, name, market="linear") == "BTC/USDT:USDT"


def test_a_spot_pair_without_a_derivative_needs_no_market():
    assert unified("binance", "GNTBTC") == "GNT/BTC"


@pytest.mark.parametrize(
    ("exchange", "name"),
    [
        ("binance", "btcusdt"),
        ("binance", "BTC/USDT:USDT"),
        ("binance", "BTCUSDT_261332"),
        ("binance", "BTC-251219-89000-X"),
        ("okx", "BTC-USD_UM_XPERP-310404"),
        ("deribit", "BTC-STRD-30SEP22-20000"),
        ("deribit", "BTC-FS-25DEC26_PERP"),
        ("deribit", "BTC-31FEB26"),
        ("deribit", "BTC-26DEZ25"),
        ("hyperliquid", "@162"),
        ("hyperliquid", "xyz:TSLA"),
        ("kraken", "pi_xbtusd"),
        ("kraken", "PF_"),
        ("htx", "BTC_CW"),
        ("kucoin", "XBTUSDTMZ25"),
        ("bitmex", "XBTM26_XBTU26"),
        ("bitmex", ".BXBT"),
    ],
)
def test_a_name_that_is_no_instrument_is_refused_with_examples(exchange, name):
    with pytest.raises(UnknownSymbol, match=f"{exchange} writes .*(BTC|XBT)") as refusal:
        unified(exchange, name)
    assert refusal.value.text == name


@pytest.mark.parametrize(
    ("exchange", "symbol"),
    [
        ("dydx", "BTC/USDT:USDT"),
        ("kraken", "BTC/USD:BTC-261225-90000-C"),
        ("bitmex", "BTC/USD:BTC-261218"),  # not the last Friday
        ("hyperliquid", "HYPE/USDC"),
        ("htx", "BTC/USDT"),
    ],
)
def test_a_product_the_exchange_does_not_list_is_refused(exchange, symbol):
    with pytest.raises(UnknownSymbol, match=f"{exchange} has only products such as") as refusal:
        native(exchange, symbol)
    assert refusal.value.text == symbol


def test_a_market_the_exchange_lacks_is_refused():
    with pytest.raises(UnknownSymbol, match="dydx option has no such market"):
        unified("dydx", "BTC-USD", market="option")


def test_an_unknown_exchange_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown exchange 'bybitt'; known: binance, bybit"):
        unified("bybitt", "BTCUSDT")
    with pytest.raises(ValueError, match="unknown exchange 'bybitt'; known: binance, bybit"):
        native("bybitt", "BTC/USDT:USDT")


def test_an_unknown_market_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown market 'futures'; known: spot, linear"):
        unified("binance", "BTCUSDT", market="futures")


coins = st.sampled_from(["BTC", "ETH", "DOGE", "1000PEPE", "S", "PERP", "USDC", "XUSD", "H26"])
quotes = st.sampled_from(["USDT", "USDC", "USD"])
days = st.dates(date(2019, 1, 1), date(2067, 12, 31))
strikes = st.decimals(min_value="0.0001", max_value=10**6, places=4)


@st.composite
def derivatives(draw):
    base, quote = draw(coins), draw(quotes)
    expiry = draw(st.none() | days)
    strike = draw(st.none() | strikes) if expiry else None
    return Symbol(
        base=base,
        quote=quote,
        settle=draw(st.sampled_from([base, quote])),
        expiry=expiry,
        strike=None if strike is None else Decimal(plain(strike)),
        option=None if strike is None else draw(st.sampled_from("CP")),
    )


@given(st.sampled_from(EXCHANGES), derivatives())
def test_a_derivative_an_exchange_can_name_is_read_back(exchange, symbol):
    try:
        name = native(exchange, str(symbol))
    except UnknownSymbol:
        assume(False)
    assert unified(exchange, name) == str(symbol)


@given(st.integers(2001, 2099), st.integers(1, 12))
def test_a_month_code_means_the_last_friday(year, month):
    code = "FGHJKMNQUVXZ"[month - 1]
    symbol = unified("bitmex", f"XBT{code}{year % 100:02d}")
    day = date(year, *map(int, (symbol[-4:-2], symbol[-2:])))
    assert day.month == month
    assert day.strftime("%a") == "Fri"
    assert (day + timedelta(days=7)).month != month
