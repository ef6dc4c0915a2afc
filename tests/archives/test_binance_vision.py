"""Binance's archive: each test writes a file byte for byte as it is published, and reads it.

Layouts: the README of github.com/binance/binance-public-data and the headers of the files. The
numbers are made up, with round results.
"""

import gzip
import zipfile
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.archives import binance_vision, source
from plimsoll.archives.binance_layouts import Series
from plimsoll.archives.binance_vision import read, recognises
from plimsoll.archives.source import Source, split_rejects
from plimsoll.errors import ArchiveError, DamagedFile, UnknownSymbol, Unrecognised

METRICS = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,"
    "count_toptrader_long_short_ratio,sum_toptrader_long_short_ratio,count_long_short_ratio,"
    "sum_taker_long_short_vol_ratio\n"
)
KLINES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n"
)
AGG_TRADES = (
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
)
FUNDING = "calc_time,funding_interval_hours,last_funding_rate\n"
DEPTH = "timestamp,percentage,depth,notional\n"
TICKER = (
    "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,"
    "transaction_time,event_time\n"
)
LIQUIDATIONS = (
    "time,side,order_type,time_in_force,original_quantity,price,average_price,order_status,"
    "last_fill_quantity,accumulated_fill_quantity\n"
)
OPTIONS = (
    "date,hour,symbol,underlying,type,strike,open,high,low,close,volume_contracts,volume_usdt,"
    "best_bid_price,best_ask_price,best_bid_qty,best_ask_qty,best_buy_iv,best_sell_iv,mark_price,"
    "mark_iv,delta,gamma,vega,theta,openinterest_contracts,openinterest_usdt\n"
)
BVOL = "calc_time,symbol,base_asset,quote_asset,index_value\n"
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)  # 1704067200 seconds

UM, CM = "data/futures/um/daily", "data/futures/cm/daily"


@pytest.fixture
def publish(tmp_path):
    def write(path, text):
        """Write the text as the archive does: NAME.csv in NAME.zip, or the bare CSV."""
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".zip":
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(f"{file.stem}.csv", text)
        else:
            file.write_text(text, encoding="utf-8", newline="")
        return Source(file)

    return write


def tables(archive):
    """Read a file as the importer does: its kept rows by kind."""
    assert recognises(archive)
    frames: dict[str, list[pl.DataFrame]] = {}
    for kind, frame in read(archive):
        frames.setdefault(kind, []).append(split_rejects(archive, kind, frame))
    return {kind: pl.concat(parts) for kind, parts in frames.items()}


def only(archive, kind):
    """Read a file that makes rows of one kind."""
    found = tables(archive)
    assert list(found) == [kind]
    return found[kind]


def at(**span):
    return NEW_YEAR + timedelta(**span)


# Metrics


def test_a_metrics_row_tells_open_interest_three_ratios_and_the_takers(publish):
    found = tables(
        publish(
            f"{UM}/metrics/BTCUSDT/BTCUSDT-metrics-2024-01-01.zip",
            METRICS + "2024-01-01 00:05:00,BTCUSDT,80000.5000000000000000,3360021000.0000000000,"
            "1.10000000,1.20000000,1.30000000,0.90000000\n",
        )
    )
    assert found["open_interest"].select(
        "exchange", "symbol", "time", "known_at", "amount", "value_usd"
    ).rows() == [("binance", "BTC/USDT:USDT", at(minutes=5), at(minutes=10), 80000.5, 3360021000.0)]
    assert set(found["long_short_ratio"].select("population", "ratio").rows()) == {
        ("top_accounts", 1.1),
        ("top_positions", 1.2),
        ("accounts", 1.3),
    }
    assert found["taker_volume"].select("time", "known_at", "interval", "ratio").rows() == [
        (at(minutes=5), at(minutes=10), 300, 0.9)
    ]


def test_headerless_metrics_are_read_by_position_and_keep_their_first_row(publish):
    found = tables(
        publish(
            f"{UM}/metrics/ETHUSDT/ETHUSDT-metrics-2021-01-01.csv",
            "2024-01-01 00:00:00,ETHUSDT,10,20000,1.1,1.2,1.3,0.9\n"
            "2024-01-01 00:05:00,ETHUSDT,11,22000,1.1,1.2,1.3,0.8\n",
        )
    )
    assert found["open_interest"]["amount"].to_list() == [10, 11]
    assert found["taker_volume"]["ratio"].to_list() == [0.9, 0.8]


def test_an_empty_or_zero_cell_of_metrics_is_unknown_and_costs_only_that_cell(publish):
    archive = publish(
        f"{UM}/metrics/BTCUSDT/BTCUSDT-metrics-2024-01-01.zip",
        METRICS + "2024-01-01 00:00:00,BTCUSDT,0,3360021000,,1.2,0,0.9\n"
        '2024-01-01 00:05:00,BTCUSDT,80000,"",1.1,"",-1,""\n',
    )
    found = tables(archive)
    assert found["open_interest"].select("amount", "value_usd").rows() == [
        (None, 3360021000.0),
        (80000.0, None),
    ]
    assert found["long_short_ratio"].select("time", "population", "ratio").rows() == [
        (at(minutes=5), "top_accounts", 1.1),
        (at(minutes=0), "top_positions", 1.2),
    ]
    assert found["taker_volume"]["ratio"].to_list() == [0.9]
    assert archive.rejected == []


@pytest.mark.parametrize(
    ("name", "symbol", "dollars"),
    [
        ("BTCUSD_PERP", "BTC/USD:BTC", 100),
        ("ETHUSD_PERP", "ETH/USD:ETH", 10),
        ("BTCUSD_240329", "BTC/USD:BTC-240329", 100),
    ],
)
def test_coin_margined_open_interest_is_in_coins_and_its_value_in_dollars(
    publish, name, symbol, dollars
):
    # The archive gives contracts and, under "value", coins.
    found = tables(
        publish(
            f"{CM}/metrics/{name}/{name}-metrics-2024-01-01.zip",
            METRICS + f'2024-01-01 00:00:00,{name},5000000.00000000,12500.00000000,"","","",0.5\n',
        )
    )
    assert found["open_interest"].select("symbol", "amount", "value_usd").rows() == [
        (symbol, 12500.0, 5_000_000 * dollars)
    ]


def test_a_metrics_row_of_an_unreadable_instrument_is_rejected_with_its_line(publish):
    archive = publish(
        f"{UM}/metrics/BTCUSDT/BTCUSDT-metrics-2024-01-01.zip",
        METRICS + "2024-01-01 00:00:00,BTCUSDT,1,1,1,1,1,1\n2024-01-01 00:05:00,???,1,1,1,1,1,1\n",
    )
    assert tables(archive)["open_interest"].height == 1
    (rejected,) = archive.rejected
    assert rejected.line == 3
    assert "???" in rejected.reason


# Funding


def test_funding_is_settled_at_its_calculation_and_known_then(publish):
    found = only(
        publish(
            "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-01.zip",
            FUNDING + "1704067200008,8,0.00037409\n",
        ),
        "funding",
    )
    time = at(milliseconds=8)
    assert found.select(
        "symbol", "time", "known_at", "rate", "interval_hours", "status"
    ).rows() == [("BTC/USDT:USDT", time, time, 0.00037409, 8.0, "settled")]


def test_funding_needs_no_folder_to_be_known_as_linear_or_inverse(publish):
    linear = publish("BTCUSDC-fundingRate-2024-01.csv", "1704067200000,8,0.0001\n")
    inverse = publish("ETHUSD_PERP-fundingRate-2024-01.csv", "1704067200000,8,0.0001\n")
    assert only(linear, "funding")["symbol"].to_list() == ["BTC/USDC:USDC"]
    assert only(inverse, "funding")["symbol"].to_list() == ["ETH/USD:ETH"]


# Candles


@pytest.mark.parametrize("unit", [1_000, 1_000_000], ids=["milliseconds", "microseconds"])
def test_spot_klines_have_no_header_and_either_unit_of_time(publish, unit):
    start, end = 1704067200 * unit, 1704067260 * unit - 1
    found = only(
        publish(
            "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-01.zip",
            f"{start},42000.00,42010.00,41990.00,42005.00,2.50000000,{end},105000.00000000,120,"
            "1.50000000,63000.00000000,0\n",
        ),
        "candle",
    )
    assert found.drop("received").to_dicts() == [
        {
            "exchange": "binance",
            "symbol": "BTC/USDT",
            "time": NEW_YEAR,
            "known_at": at(minutes=1),
            "interval": 60,
            "price_kind": "trade",
            "open": 42000.0,
            "high": 42010.0,
            "low": 41990.0,
            "close": 42005.0,
            "volume": 2.5,
            "quote_volume": 105000.0,
            "trades": 120,
            "taker_buy_volume": 1.5,
            "taker_buy_quote_volume": 63000.0,
        }
    ]


ROW = "1704067200000,60000,60000,60000,60000,3000,1704067259999,{},42,1200,{},0\n"


@pytest.mark.parametrize("header", [KLINES, ""], ids=["header", "headerless"])
def test_futures_klines_are_read_with_and_without_a_header(publish, header):
    text = header + ROW.format(180_000_000, 72_000_000)
    found = only(publish(f"{UM}/klines/BTCUSDT/1m/BTCUSDT-1m-2024-01-01.zip", text), "candle")
    assert found.select("symbol", "time", "volume", "quote_volume").rows() == [
        ("BTC/USDT:USDT", NEW_YEAR, 3000.0, 180_000_000.0)
    ]


def test_coin_margined_klines_count_contracts_and_coins_and_become_coins_and_dollars(publish):
    # 3000 contracts of 100 dollars at 60000 are 5 BTC; 1200 of them 2 BTC.
    found = only(
        publish(
            f"{CM}/klines/BTCUSD_PERP/1m/BTCUSD_PERP-1m-2024-01-01.zip",
            KLINES + ROW.format("5.00000000", "2.00000000"),
        ),
        "candle",
    )
    assert found.select(
        "symbol", "volume", "quote_volume", "taker_buy_volume", "taker_buy_quote_volume"
    ).rows() == [("BTC/USD:BTC", 5.0, 300_000.0, 2.0, 120_000.0)]


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("markPriceKlines", "mark"), ("indexPriceKlines", "index"), ("premiumIndexKlines", "premium")],
)
def test_klines_of_a_reference_price_have_no_volume(publish, folder, kind):
    found = only(
        publish(
            f"{UM}/{folder}/BTCUSDT/5m/BTCUSDT-5m-2024-01-01.zip",
            KLINES + "1704067200000,-0.0001,0.0002,-0.0003,0.0001,0,1704067499999,0,60,0,0,0\n",
        ),
        "candle",
    )
    (row,) = found.to_dicts()
    assert (row["price_kind"], row["interval"], row["open"]) == (kind, 300, -0.0001)
    assert [row[name] for name in row if "volume" in name or name == "trades"] == [None] * 5


def test_the_index_of_a_coin_margined_pair_goes_to_its_perpetual(publish):
    found = only(
        publish(
            f"{CM}/indexPriceKlines/BTCUSD/1d/BTCUSD-1d-2024-01-01.zip",
            KLINES + "1704067200000,42000,42000,42000,42000,0,1704153599999,0,86400,0,0,0\n",
        ),
        "candle",
    )
    assert found.select("symbol", "price_kind").rows() == [("BTC/USD:BTC", "index")]


@pytest.mark.parametrize(
    ("word", "seconds"),
    [("1s", 1), ("3m", 180), ("12h", 43_200), ("1d", 86_400), ("3d", 259_200), ("1w", 604_800)],
)
def test_the_name_of_a_kline_file_gives_the_interval(publish, word, seconds):
    text = "1704067200000,1,1,1,1,1,1704067200999,1,1,1,1,0\n"
    path = f"data/spot/monthly/klines/BNBBTC/{word}/BNBBTC-{word}-2024-01.zip"
    (row,) = only(publish(path, text), "candle").to_dicts()
    assert (row["symbol"], row["interval"]) == ("BNB/BTC", seconds)
    assert row["known_at"] == at(seconds=seconds)


@pytest.mark.parametrize("word", ["1mo", "1M"])
def test_monthly_klines_share_one_interval_and_are_known_at_the_end_of_their_month(publish, word):
    # 1 January and 1 February 2024; February had 29 days.
    found = only(
        publish(
            f"data/spot/monthly/klines/BTCUSDT/1mo/BTCUSDT-{word}-2024-01.zip",
            "1704067200000,1,1,1,1,1,1706745599999,1,1,1,1,0\n"
            "1706745600000,1,1,1,1,1,1709251199999,1,1,1,1,0\n",
        ),
        "candle",
    )
    assert found["interval"].to_list() == [30 * 86_400] * 2
    assert found["known_at"].to_list() == [
        datetime(2024, 2, 1, tzinfo=UTC),
        datetime(2024, 3, 1, tzinfo=UTC),
    ]


# The market, where the folders are gone


def test_bare_klines_with_a_header_are_of_futures(publish):
    archive = publish("BTCUSDT-1m-2024-01-01.zip", KLINES + ROW.format(1, 1))
    assert only(archive, "candle")["symbol"].to_list() == ["BTC/USDT:USDT"]


def test_bare_klines_in_microseconds_are_of_spot(publish):
    text = "1735689600000000,1,1,1,1,1,1735689659999999,1,1,1,1,0\n"
    archive = publish("BTCUSDT-1m-2025-01-01.zip", text)
    assert only(archive, "candle")["symbol"].to_list() == ["BTC/USDT"]


def test_bare_klines_of_a_quote_without_futures_are_of_spot(publish):
    archive = publish("BTCFDUSD-1m-2024-01-01.zip", ROW.format(1, 1))
    assert only(archive, "candle")["symbol"].to_list() == ["BTC/FDUSD"]


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTCUSD_PERP", "BTC/USD:BTC"),
        ("BNBUSD_240329", "BNB/USD:BNB-240329"),
        ("BTCUSDT_240329", "BTC/USDT:USDT-240329"),
        ("ETHBUSD_210129", "ETH/BUSD:BUSD-210129"),
    ],
)
def test_the_name_of_a_future_gives_its_market(publish, name, symbol):
    archive = publish(f"{name}-1m-2024-01-01.zip", ROW.format(1, 1))
    assert only(archive, "candle")["symbol"].to_list() == [symbol]


def test_bare_klines_that_fit_spot_and_futures_are_refused_with_what_to_do(publish):
    archive = publish("BTCUSDT-1m-2021-01-01.zip", ROW.format(1, 1))
    assert recognises(archive)
    with pytest.raises(Unrecognised, match="put the file under spot/ or futures/um/"):
        list(read(archive))


def test_klines_without_volume_need_the_folder_that_names_their_price(publish):
    text = KLINES + "1704067200000,1,1,1,1,0,1704067259999,0,60,0,0,0\n"
    with pytest.raises(Unrecognised, match="markPriceKlines/, indexPriceKlines/"):
        list(read(publish("BTCUSDT-1m-2024-01-01.zip", text)))
    kept = publish("markPriceKlines/BTCUSDT-1m-2024-01-01.zip", text)
    assert only(kept, "candle").select("symbol", "price_kind").rows() == [("BTC/USDT:USDT", "mark")]


@pytest.mark.parametrize(
    ("path", "symbol"),
    [
        ("spot/BTCUSDT-1m-2021-01-01.csv", "BTC/USDT"),
        ("futures/um/BTCUSDT-1m-2021-01-01.csv", "BTC/USDT:USDT"),
        ("spot/futures/um/BTCUSDT-1m-2021-01-01.csv", "BTC/USDT:USDT"),
    ],
)
def test_the_nearest_folder_decides_the_market(publish, path, symbol):
    assert only(publish(path, ROW.format(1, 1)), "candle")["symbol"].to_list() == [symbol]


# Trades


def test_spot_aggregate_trades_have_eight_columns_and_capital_booleans(publish):
    # The buyer is the maker, so the aggressor sold.
    found = only(
        publish(
            "BTCUSDT-aggTrades-2025-01-01.zip",
            "3000000001,93000.00000000,0.00100000,4000000001,4000000002,1735689600123456,True,True\n"
            "3000000002,93000.01000000,0.00200000,4000000003,4000000003,1735689600123457,False,True\n",
        ),
        "trade",
    )
    time = datetime(2025, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
    assert found.drop("exchange", "received", "origin").rows() == [
        ("BTC/USDT", time, time, 3000000001, "sell", 93000.0, 0.001, "aggregate"),
        (
            "BTC/USDT",
            time + timedelta(microseconds=1),
            time + timedelta(microseconds=1),
            3000000002,
            "buy",
            93000.01,
            0.002,
            "aggregate",
        ),
    ]


@pytest.mark.parametrize("header", [AGG_TRADES, ""], ids=["header", "headerless"])
def test_futures_aggregate_trades_have_seven_columns(publish, header):
    text = header + "26129,42000.1,0.5,100,101,1704067200123,true\n"
    found = only(publish("BTCUSDT-aggTrades-2024-01-01.zip", text), "trade")
    assert found.select("symbol", "time", "side", "amount").rows() == [
        ("BTC/USDT:USDT", at(milliseconds=123), "sell", 0.5)
    ]


@pytest.mark.parametrize(
    ("name", "amount"), [("BTCUSD_PERP", 0.25), ("ETHUSD_PERP", 0.025), ("BTCUSD_240329", 0.25)]
)
def test_coin_margined_aggregate_trades_are_contracts_and_become_coins(publish, name, amount):
    # 100 contracts at 40000: of 100 dollars 0.25 coins, of 10 dollars 0.025.
    text = AGG_TRADES + "1,40000.0,100,1,1,1704067200000,false\n"
    found = only(publish(f"{name}-aggTrades-2024-01-01.zip", text), "trade")
    assert found.select("side", "amount").rows() == [("buy", amount)]


def test_spot_trades_have_seven_columns(publish):
    text = "1,42000.00000000,0.50000000,21000.00000000,1704067200000,False,True\n"
    found = only(publish("BTCUSDT-trades-2024-01-01.csv", text), "trade")
    assert found.select("symbol", "id", "side", "amount", "grain").rows() == [
        ("BTC/USDT", 1, "buy", 0.5, "single")
    ]


def test_futures_trades_have_six_columns(publish):
    text = "id,price,qty,quote_qty,time,is_buyer_maker\n7,42000,0.5,21000,1704067200000,true\n"
    found = only(publish("BTCUSDT-trades-2024-01-01.zip", text), "trade")
    assert found.select("symbol", "id", "side", "amount", "grain").rows() == [
        ("BTC/USDT:USDT", 7, "sell", 0.5, "single")
    ]


def test_coin_margined_trades_give_the_coins_themselves(publish):
    text = "id,price,qty,base_qty,time,is_buyer_maker\n7,40000.0,100,0.25,1704067200000,true\n"
    found = only(publish("BTCUSD_PERP-trades-2024-01-01.zip", text), "trade")
    assert found.select("symbol", "amount").rows() == [("BTC/USD:BTC", 0.25)]


def test_a_word_that_is_no_boolean_rejects_its_trade(publish):
    archive = publish(
        f"{UM}/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01-01.csv",
        AGG_TRADES + "1,42000,0.5,1,1,1704067200000,maybe\n2,42000,0.5,1,1,1704067200000,true\n",
    )
    assert only(archive, "trade")["id"].to_list() == [2]
    assert [(item.line, item.reason) for item in archive.rejected] == [
        (2, "is_buyer_maker: cannot read 'maybe' as Boolean")
    ]


@given(
    st.floats(1e-3, 1e6),
    st.integers(1, 10**9),
    st.sampled_from([10.0, 100.0]),
)
def test_coins_at_their_price_are_worth_the_contracts(price, contracts, size):
    series = Series("inverse", "BTC/USD:BTC", size)
    rows = pl.DataFrame({"q": [float(contracts)], "p": [price]})
    (amount,) = rows.select(series.base("q", "p")).to_series()
    assert amount * price == pytest.approx(contracts * size)


# Books


def test_book_depth_is_signed_by_side_and_a_fraction(publish):
    found = only(
        publish(
            f"{UM}/bookDepth/BTCUSDT/BTCUSDT-bookDepth-2026-01-01.zip",
            DEPTH + "2024-01-01 00:00:08,-5.00,8000.00000000,328000000.00000000\n"
            "2024-01-01 00:00:08,-0.20,100.00000000,4195800.00000000\n"
            "2024-01-01 00:00:08,0.20,90.00000000,3787560.00000000\n",
        ),
        "book_depth",
    )
    assert found.select("time", "distance", "amount", "value_usd").rows() == [
        (at(seconds=8), -0.05, 8000.0, 328_000_000.0),
        (at(seconds=8), -0.002, 100.0, 4_195_800.0),
        (at(seconds=8), 0.002, 90.0, 3_787_560.0),
    ]


def test_coin_margined_book_depth_is_contracts_and_coins(publish):
    found = only(
        publish(
            f"{CM}/bookDepth/BTCUSD_PERP/BTCUSD_PERP-bookDepth-2024-01-01.zip",
            DEPTH + "2024-01-01 00:00:08,1,40000,100.0\n",
        ),
        "book_depth",
    )
    assert found.select("symbol", "distance", "amount", "value_usd").rows() == [
        ("BTC/USD:BTC", 0.01, 100.0, 4_000_000.0)
    ]


def test_headerless_book_depth_keeps_its_first_row(publish):
    text = "2024-01-01 00:00:08,-1,10,420000\n2024-01-01 00:00:08,1,10,424000\n"
    found = only(publish("BTCUSDT-bookDepth-2023-01-01.csv", text), "book_depth")
    assert found["distance"].to_list() == [-0.01, 0.01]


def test_a_book_ticker_row_is_the_best_bid_and_the_best_ask(publish):
    found = only(
        publish(
            f"{UM}/bookTicker/BTCUSDT/BTCUSDT-bookTicker-2024-01-01.zip",
            TICKER + "1,42000.0,1.5,42000.1,2.5,1704067200000,1704067200005\n",
        ),
        "book_level",
    )
    assert found.select("time", "known_at", "side", "level", "price", "amount").rows() == [
        (NEW_YEAR, at(milliseconds=5), "bid", 0, 42000.0, 1.5),
        (NEW_YEAR, at(milliseconds=5), "ask", 0, 42000.1, 2.5),
    ]


def test_of_book_updates_within_one_millisecond_the_last_stands(publish):
    found = only(
        publish(
            "BTCUSDT-bookTicker-2024-01-01.csv",
            "1,42000,1,42001,1,1704067200000,1704067200001\n"
            "2,42000,2,42001,1,1704067200000,1704067200001\n"
            "3,42000,3,42001,1,1704067200001,1704067200002\n",
        ),
        "book_level",
    )
    assert found.filter(side="bid")["amount"].to_list() == [2, 3]


def test_coin_margined_quotes_are_turned_into_coins_at_their_own_price(publish):
    text = TICKER + "1,40000,400,50000,400,1704067200000,1704067200000\n"
    found = only(publish("BTCUSD_PERP-bookTicker-2024-01-01.csv", text), "book_level")
    assert found.select("side", "amount").rows() == [("bid", 1.0), ("ask", 0.8)]


# Liquidations


def test_a_forced_sale_of_contracts_is_a_liquidated_long_at_its_average_fill(publish):
    # 43 of 50 contracts filled at 30000: 4300 dollars, 4300 / 30000 BTC.
    found = only(
        publish(
            f"{CM}/liquidationSnapshot/BTCUSD_PERP/BTCUSD_PERP-liquidationSnapshot-2024-01-01.zip",
            LIQUIDATIONS + "1704067200926,SELL,LIMIT,IOC,50,29900.5,30000.0,FILLED,1,43\n",
        ),
        "liquidation",
    )
    assert found.drop("exchange", "received", "known_at", "id").to_dicts() == [
        {
            "symbol": "BTC/USD:BTC",
            "time": at(milliseconds=926),
            "side": "long",
            "price": 30000.0,
            "amount": pytest.approx(4300 / 30000),
            "value_usd": 4300.0,
            "price_kind": "fill",
            "completeness": "throttled",
        }
    ]


def test_a_forced_purchase_of_coins_is_a_liquidated_short(publish):
    found = only(
        publish(
            f"{UM}/liquidationSnapshot/BTCUSDT/BTCUSDT-liquidationSnapshot-2023-07-01.zip",
            LIQUIDATIONS + "1704067200000,BUY,LIMIT,IOC,0.6,30100,30000,FILLED,0.1,0.5\n",
        ),
        "liquidation",
    )
    assert found.select("symbol", "side", "price", "amount", "value_usd").rows() == [
        ("BTC/USDT:USDT", "short", 30000.0, 0.5, 15000.0)
    ]


def test_liquidations_the_archive_writes_twice_are_both_handed_on(publish):
    row = "1704067200926,BUY,LIMIT,IOC,7,30741.3,30631.6,FILLED,6,7\n"
    archive = publish("BTCUSD_PERP-liquidationSnapshot-2023-06-25.zip", LIQUIDATIONS + 2 * row)
    found = only(archive, "liquidation")
    assert found.height == 2
    assert found.n_unique() == 1


# Options


def test_an_option_hour_is_known_at_its_end_and_what_is_empty_or_zero_is_unknown(publish):
    found = only(
        publish(
            "data/option/daily/EOHSummary/BTCUSDT/BTCUSDT-EOHSummary-2023-10-20.zip",
            OPTIONS + "2023-10-20,07,BTC-231027-33000-C,BTCUSDT,C,231027-33000,10,12,9,11,0.5,5.5,"
            '10.5,11.5,3,4,"",0.56,11,0.55,0.25,0.0001,8.5,-20,12.5,375000\n'
            "2023-10-20,08,BTC-231027-20000-P,BTCUSDT,P,231027-20000,0E-8,0E-8,0E-8,0E-8,0E-8,0E-8,"
            '0E-8,5,0E-8,2,"",0.9,0.1,0.8,-0.01,0.00001,0.5,-1,0E-8,0E-8\n',
        ),
        "option_quote",
    )
    call, put = found.to_dicts()
    seven = datetime(2023, 10, 20, 7, tzinfo=UTC)
    assert {name: value for name, value in call.items() if value is not None} == {
        "exchange": "binance",
        "symbol": "BTC/USDT:USDT-231027-33000-C",
        "time": seven,
        "known_at": seven + timedelta(hours=1),
        "bid_price": 10.5,
        "bid_amount": 3.0,
        "ask_price": 11.5,
        "ask_amount": 4.0,
        "mark_price": 11.0,
        "last_price": 11.0,
        "ask_iv": 0.56,
        "mark_iv": 0.55,
        "open_interest": 12.5,
        "open_interest_usd": 375000.0,
        "delta": 0.25,
        "gamma": 0.0001,
        "vega": 8.5,
        "theta": -20.0,
    }
    assert put["symbol"] == "BTC/USDT:USDT-231027-20000-P"
    assert (put["bid_price"], put["last_price"]) == (None, None)
    assert (put["bid_amount"], put["open_interest"]) == (0.0, 0.0)


def test_an_option_row_of_an_unreadable_name_is_rejected_even_where_it_is_the_only_one(publish):
    archive = publish(
        "BTCUSDT-EOHSummary-2023-10-20.csv",
        OPTIONS + "2023-10-20,7,BTC-COMBO,BTCUSDT,C,x" + ",1" * 20 + "\n",
    )
    assert only(archive, "option_quote").is_empty()
    assert [item.line for item in archive.rejected] == [2]


def test_the_volatility_index_is_a_fraction_of_the_family_of_options(publish):
    found = only(
        publish(
            "data/option/daily/BVOLIndex/BTCBVOLUSDT/BTCBVOLUSDT-BVOLIndex-2024-01-01.zip",
            BVOL + "1704067200000,BTCBVOLUSDT,BTCBVOL,USDT,55.5000\n",
        ),
        "volatility_index",
    )
    assert found.select("symbol", "time", "value").rows() == [("BTC/USDT:USDT", NEW_YEAR, 0.555)]


# Files that are not as they should be


def test_a_file_without_a_byte_is_damaged(publish):
    archive = publish("BTCUSDT-metrics-2024-01-01.zip.csv", "")
    with pytest.raises(DamagedFile, match="empty"):
        recognises(archive)


def test_an_empty_table_in_a_zip_is_damaged(publish):
    archive = publish("BTCUSDT-metrics-2024-01-01.zip", "")
    assert recognises(archive)
    with pytest.raises(DamagedFile, match="empty"):
        list(read(archive))


@pytest.mark.parametrize(
    ("name", "header"),
    [("metrics", METRICS), ("1m", KLINES), ("aggTrades", AGG_TRADES), ("fundingRate", FUNDING)],
)
def test_a_header_alone_is_no_rows(publish, name, header):
    for text in (header, header.strip()):
        archive = publish(f"BTCUSDT-{name}-2024-01-01.zip", text)
        assert recognises(archive)
        assert list(read(archive)) == []


def test_a_table_cut_by_semicolons_is_not_recognised(publish):
    text = (AGG_TRADES + "1,42000,1,1,1,1704067200000,true\n").replace(",", ";")
    assert not recognises(publish("BTCUSDT-aggTrades-2024-01-01.csv", text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("trades.csv", "1,42000,0.5,21000,1704067200000,true\n"),
        ("BTCUSDT-trades-2024.csv", "1,42000,0.5,21000,1704067200000,true\n"),
        ("BTCUSDT-orders-2024-01-01.csv", "1,42000,0.5,21000,1704067200000,true\n"),
        ("BTCUSDT-trades-2024-01-01.csv", "1,42000,0.5\n"),
        ("BTCUSDT-trades-2024-01-01.csv", "id,qty,price,quote_qty,time,is_buyer_maker\n"),
    ],
    ids=["no name", "no month", "unknown type", "too few columns", "columns in another order"],
)
def test_a_foreign_name_or_layout_is_not_recognised(publish, name, text):
    assert not recognises(publish(name, text))


def test_a_file_of_a_foreign_name_cannot_be_read(publish):
    with pytest.raises(Unrecognised, match=r"data\.binance\.vision"):
        list(read(publish("trades.csv", "1,42000,0.5,21000,1704067200000,true\n")))


def test_a_gzip_that_is_called_a_zip_is_read_by_its_content(tmp_path):
    file = tmp_path / "BTCUSDT-aggTrades-2024-01-01.zip"
    file.write_bytes(gzip.compress(AGG_TRADES.encode() + b"1,42000,1,1,1,1704067200000,true\n"))
    assert only(Source(file), "trade").height == 1


def test_a_zip_whose_table_was_renamed_is_known_by_its_own_name(tmp_path):
    file = tmp_path / "BTCUSDT-aggTrades-2024-01-01.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("table.csv", AGG_TRADES + "1,42000,1,1,1,1704067200000,true\n")
    assert only(Source(file), "trade")["symbol"].to_list() == ["BTC/USDT:USDT"]


def test_a_zip_that_breaks_off_is_damaged(publish):
    path = publish("BTCUSDT-aggTrades-2024-01-01.zip", AGG_TRADES * 1000).path
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DamagedFile, match="truncated or damaged"):
        recognises(Source(path))


def test_amounts_that_cannot_be_are_rejected_with_the_line_of_the_file(publish):
    archive = publish(
        f"{UM}/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01-01.zip",
        AGG_TRADES
        + "1,42000,0.5,1,1,1704067200000,true\n"
        + "2,42000,-0.5,1,1,1704067200000,true\n"
        + "3,42000,NaN,1,1,1704067200000,true\n"
        + "4,0,0.5,1,1,1704067200000,true\n"
        + "5,42000,many,1,1,1704067200000,true\n"
        + "6,42000,0.5,1,1,1704067200000\n"
        + "7,42000,0.5,1,1,1704067200000,true\n",
    )
    assert only(archive, "trade")["id"].to_list() == [1, 7]
    reasons = {item.line: item.reason.split()[0] for item in archive.rejected}
    assert reasons == {3: "amount", 4: "amount", 5: "price", 6: "quantity:", 7: "6"}


@pytest.mark.parametrize(
    ("stamp", "unit"), [("1704067200", "seconds"), ("1704067200000000000", "nanoseconds")]
)
def test_a_file_whose_stamps_are_in_another_unit_is_refused_by_name_of_the_unit(
    publish, stamp, unit
):
    archive = publish("BTCUSDT-aggTrades-2024-01-01.csv", f"1,42000,1,1,1,{stamp},true\n")
    with pytest.raises(ArchiveError, match=f"transact_time is {stamp}, which looks like {unit}"):
        list(read(archive))


def test_a_single_stamp_in_another_unit_rejects_its_row(publish):
    archive = publish(
        "BTCUSDT-aggTrades-2024-01-01.csv",
        "1,42000,1,1,1,1704067200000,true\n2,42000,1,1,1,1704067200,true\n",
    )
    assert only(archive, "trade")["id"].to_list() == [1]
    (rejected,) = archive.rejected
    assert rejected.line == 2
    assert "another unit" in rejected.reason


def test_a_name_without_a_known_quote_is_refused_as_a_symbol(publish):
    archive = publish("BTCXYZ-fundingRate-2024-01.csv", "1704067200000,8,0.0001\n")
    with pytest.raises(UnknownSymbol, match="BTCXYZ"):
        list(read(archive))


def test_a_long_file_is_read_in_pieces_and_every_row_once(publish, monkeypatch):
    monkeypatch.setattr(source.Source.pieces, "__defaults__", (1000,))
    rows = "".join(f"{n},42000,0.5,{n},{n},{1704067200000 + n},true\n" for n in range(500))
    archive = publish(f"{UM}/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2024-01-01.zip", AGG_TRADES + rows)
    pieces = [frame for _, frame in read(archive)]
    assert len(pieces) > 10
    assert pl.concat(pieces)["id"].to_list() == list(range(500))
    assert pl.concat(pieces)[source.LINE].to_list() == list(range(2, 502))


def test_the_format_says_what_it_accepts():
    assert binance_vision.NAME == "binance_vision"
    assert all(name in binance_vision.ACCEPTS for name in binance_vision.LAYOUTS)
