"""Tardis' CSV datasets, in the layouts its documentation gives."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.archives import tardis
from plimsoll.archives.source import Source, split_rejects
from plimsoll.errors import ArchiveError, DamagedFile

SAMPLES = (
    Path(__file__).resolve().parents[2].parent
    / "shared/data/raw_messages/adapter_samples/tests/test_data/tardis"
)
TICKER = (
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,"
    "predicted_funding_rate,open_interest,last_price,index_price,mark_price"
)
TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
QUOTES = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
OPTIONS = (
    "exchange,symbol,timestamp,local_timestamp,type,strike_price,expiration,open_interest,"
    "last_price,bid_price,bid_amount,bid_iv,ask_price,ask_amount,ask_iv,mark_price,mark_iv,"
    "underlying_index,underlying_price,delta,gamma,vega,theta,rho"
)
# 2024-06-01 00:00:00 UTC, and the settlement eight hours later.
T = 1_717_200_000_000_000
SETTLEMENT = T + 8 * 3600 * 1_000_000


def written(folder, name, header, *lines):
    path = folder / name
    data = "\n".join([header, *lines, ""]).encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return Source(path)


def kept(source):
    assert tardis.recognises(source)
    frames = {}
    for kind, frame in tardis.read(source):
        frames.setdefault(kind, []).append(split_rejects(source, kind, frame))
    return {kind: pl.concat(parts) for kind, parts in frames.items()}


def only(source, kind):
    (row,) = kept(source)[kind].iter_rows(named=True)
    return row


def trade(exchange, symbol, price, amount, stamp=T, identity="17", side="buy"):
    return f"{exchange},{symbol},{stamp},{stamp + 5},{identity},{side},{price},{amount}"


@pytest.mark.parametrize(
    ("exchange", "symbol", "unified", "amount"),
    [
        ("binance-futures", "BTCUSDT", "BTC/USDT:USDT", 500.0),
        ("binance", "BTCUSDT", "BTC/USDT", 500.0),
        ("bybit", "BTCUSDT", "BTC/USDT:USDT", 500.0),
        ("hyperliquid", "BTC", "BTC/USDC:USDC", 500.0),
        ("bitmex", "XBTUSD", "BTC/USD:BTC", 500 / 50_000),
        ("deribit", "BTC-PERPETUAL", "BTC/USD:BTC", 500 / 50_000),
        ("deribit", "BTC_USDC-PERPETUAL", "BTC/USDC:USDC", 500.0),
        ("bybit", "BTCUSD", "BTC/USD:BTC", 500 / 50_000),
        ("cryptofacilities", "PI_XBTUSD", "BTC/USD:BTC", 500 / 50_000),
        ("binance-delivery", "BTCUSD_PERP", "BTC/USD:BTC", 500 * 100 / 50_000),
        ("binance-delivery", "ETHUSD_PERP", "ETH/USD:ETH", 500 * 10 / 50_000),
        ("okex-swap", "BTC-USD-SWAP", "BTC/USD:BTC", 500 * 100 / 50_000),
        ("okex-swap", "BTC-USDT-SWAP", "BTC/USDT:USDT", 500 * 0.01),
        ("okex-futures", "ETH-USDT-240628", "ETH/USDT:USDT-240628", 500 * 0.1),
        ("gate-io-futures", "BTC_USDT", "BTC/USDT:USDT", 500 * 0.0001),
        ("kucoin-futures", "XBTUSDTM", "BTC/USDT:USDT", 500 * 0.001),
        ("mexc-futures", "BTC_USDT", "BTC/USDT:USDT", 500 * 0.0001),
    ],
)
def test_an_amount_of_500_at_a_price_of_50000_is_in_base_units(
    tmp_path, exchange, symbol, unified, amount
):
    row = only(
        written(tmp_path, "trades.csv", TRADES, trade(exchange, symbol, 50_000, 500)), "trade"
    )
    assert row["symbol"] == unified
    assert row["amount"] == pytest.approx(amount)


@pytest.mark.parametrize(
    ("exchange", "symbol"),
    [
        ("okex-swap", "DOGE-USDT-SWAP"),
        ("okex-swap", "BTC-USDC-SWAP"),
        ("okex-options", "BTC-USD-240628-60000-C"),
        ("bitmex", "ETHUSD"),
        ("bitmex", "XBTEUR"),
        ("gate-io-futures", "PEPE_USDT"),
        ("bitget-futures", "BTCUSD"),
        ("binance-european-options", "DOGE-240628-0.06-C"),
    ],
)
def test_a_contract_of_unknown_size_refuses_the_file_and_names_it(tmp_path, exchange, symbol):
    source = written(tmp_path, "trades.csv", TRADES, trade(exchange, symbol, 2, 5))
    with pytest.raises(ArchiveError, match=f"contract size of {symbol} on {exchange}"):
        kept(source)


def test_trades_of_huobi_futures_are_refused_because_they_count_both_sides(tmp_path):
    source = written(tmp_path, "trades.csv", TRADES, trade("huobi-dm-swap", "BTC-USD", 50_000, 8))
    with pytest.raises(ArchiveError, match="buyer and once for the seller"):
        kept(source)


def test_an_unknown_exchange_refuses_the_file(tmp_path):
    source = written(tmp_path, "trades.csv", TRADES, trade("ftx", "BTC-PERP", 50_000, 1))
    with pytest.raises(ArchiveError, match="exchange 'ftx'"):
        kept(source)


@pytest.mark.parametrize(
    ("identity", "number"),
    [
        ("4711", 4711),
        ("ETH-4711", 4711),
        ("ccc3c1fa-212c-e8b0-1706-9b9c4f3d5ecf", 0xCCC3C1FA212CE8B),
        ("014f495a0000000200000005", 0x000000200000005),
    ],
)
def test_a_trade_keeps_its_number(tmp_path, identity, number):
    line = trade("binance-futures", "BTCUSDT", 50_000, 1, identity=identity)
    assert only(written(tmp_path, "trades.csv", TRADES, line), "trade")["id"] == number


@pytest.mark.parametrize("name", ["trades.csv", "liquidations.csv.gz"])
def test_trades_and_liquidations_are_told_apart_by_name(tmp_path, name):
    line = trade("deribit", "BTC-PERPETUAL", 50_000, 500)
    assert set(kept(written(tmp_path, name, TRADES, line))) == {name.split(".")[0].rstrip("s")}


def test_the_folder_tells_what_the_name_does_not(tmp_path):
    folder = tmp_path / "deribit" / "liquidations" / "2024"
    folder.mkdir(parents=True)
    line = trade("deribit", "BTC-PERPETUAL", 50_000, 500)
    assert "liquidation" in kept(written(folder, "BTC-PERPETUAL.csv", TRADES, line))


def test_a_name_that_does_not_tell_trades_from_liquidations_is_refused(tmp_path):
    source = written(tmp_path, "x.csv", TRADES, trade("deribit", "BTC-PERPETUAL", 50_000, 500))
    with pytest.raises(ArchiveError, match="keep 'trades' or 'liquidations' in the name"):
        kept(source)


@pytest.mark.parametrize(("side", "liquidated"), [("sell", "long"), ("buy", "short")])
def test_a_forced_sale_liquidates_a_long(tmp_path, side, liquidated):
    line = trade("bybit", "BTCUSDT", 50_000, 2, side=side)
    row = only(written(tmp_path, "liquidations.csv", TRADES, line), "liquidation")
    assert row["side"] == liquidated
    assert row["price_kind"] == "bankruptcy"
    assert row["value_usd"] is None


def test_a_liquidation_counted_in_dollars_keeps_its_dollars(tmp_path):
    line = trade("bitmex", "XBTUSD", 50_000, 25_000)
    row = only(written(tmp_path, "liquidations.csv", TRADES, line), "liquidation")
    assert row["value_usd"] == 25_000
    assert row["amount"] == 0.5
    assert row["completeness"] == "unknown"


@pytest.mark.parametrize(
    ("exchange", "symbol", "day", "completeness"),
    [
        ("binance-futures", "BTCUSDT", datetime(2021, 4, 26, tzinfo=UTC), "complete"),
        ("binance-futures", "BTCUSDT", datetime(2021, 4, 27, tzinfo=UTC), "throttled"),
        ("bybit", "BTCUSDT", datetime(2025, 2, 25, tzinfo=UTC), "throttled"),
        ("bybit", "BTCUSDT", datetime(2025, 2, 26, tzinfo=UTC), "complete"),
        ("okex-swap", "BTC-USDT-SWAP", datetime(2025, 1, 1, tzinfo=UTC), "throttled"),
        ("bitget-futures", "BTCUSDT", datetime(2026, 5, 1, tzinfo=UTC), "aggregated"),
        ("deribit", "BTC-PERPETUAL", datetime(2025, 1, 1, tzinfo=UTC), "complete"),
    ],
)
def test_completeness_is_that_of_the_feed_on_that_day(
    tmp_path, exchange, symbol, day, completeness
):
    line = trade(exchange, symbol, 50_000, 1, stamp=int(day.timestamp()) * 1_000_000)
    row = only(written(tmp_path, "liquidations.csv", TRADES, line), "liquidation")
    assert row["completeness"] == completeness


def ticker(exchange, symbol, at, funding, interest, mark):
    return f"{exchange},{symbol},{at},{at + 7},{funding},,{interest},,,{mark}"


def test_a_ticker_becomes_open_interest_a_mark_price_and_a_predicted_rate(tmp_path):
    line = ticker("bitmex", "XBTUSD", T, f"{SETTLEMENT},0.0001", 1_000_000, 50_000)
    frames = kept(written(tmp_path, "derivative_ticker.csv", TICKER, line))
    interest = frames["open_interest"].row(0, named=True)
    assert (interest["amount"], interest["value_usd"]) == (20.0, 1_000_000.0)
    assert frames["mark_price"]["mark_price"].to_list() == [50_000.0]
    funding = frames["funding"].row(0, named=True)
    assert funding["status"] == "predicted"
    assert funding["rate"] == 0.0001
    assert funding["settles"] == datetime(2024, 6, 1, 8, tzinfo=UTC)
    assert funding["known_at"] == datetime(2024, 6, 1, 0, 0, 0, 7, tzinfo=UTC)


@pytest.mark.parametrize("settlement", ["", T, T - 1])
def test_a_rate_whose_settlement_is_not_ahead_is_left_out(tmp_path, settlement):
    line = ticker("bitmex", "XBTUSD", T, f"{settlement},0.0001", 1, 50_000)
    assert kept(written(tmp_path, "t.csv", TICKER, line))["funding"].is_empty()


def test_kraken_rates_before_they_were_fractions_are_left_out(tmp_path):
    switch = int(datetime(2022, 9, 29, tzinfo=UTC).timestamp()) * 1_000_000
    lines = [
        ticker("cryptofacilities", "PF_XBTUSD", at, f"{at + 9},{rate}", 1, 2)
        for at, rate in ((switch - 1, 0.3), (switch, 0.0001))
    ]
    rates = kept(written(tmp_path, "t.csv", TICKER, *lines))["funding"]["rate"]
    assert rates.to_list() == [0.0001]


def test_open_interest_of_a_coin_contract_is_left_in_coins_without_dollars(tmp_path):
    line = ticker("binance-futures", "BTCUSDT", T, ",", 91_234.5, 50_000)
    row = only(written(tmp_path, "t.csv", TICKER, line), "open_interest")
    assert (row["amount"], row["value_usd"]) == (91_234.5, None)


def test_dollars_without_a_price_have_no_amount(tmp_path):
    line = ticker("deribit", "BTC-PERPETUAL", T, ",", 1_000, "")
    row = only(written(tmp_path, "t.csv", TICKER, line), "open_interest")
    assert (row["amount"], row["value_usd"]) == (None, 1_000.0)


def test_a_value_repeated_by_the_same_symbol_is_kept_once(tmp_path):
    seen = [("BTCUSDT", 5), ("ETHUSDT", 5), ("BTCUSDT", 5), ("BTCUSDT", 6), ("BTCUSDT", 5)]
    lines = [
        ticker("binance-futures", symbol, T + n, ",", value, 1)
        for n, (symbol, value) in enumerate(seen)
    ]
    frame = kept(written(tmp_path, "t.csv", TICKER, *lines))["open_interest"]
    assert frame.select("symbol", "amount").rows() == [
        ("BTC/USDT:USDT", 5.0),
        ("ETH/USDT:USDT", 5.0),
        ("BTC/USDT:USDT", 6.0),
        ("BTC/USDT:USDT", 5.0),
    ]


class LineByLine(Source):
    def pieces(self, size=1):
        yield from super().pieces(size)


# Each example writes and reads a file line by line: how long that takes proves nothing.
@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(["BTCUSDT", "ETHUSDT"]), st.integers(0, 2)), min_size=1))
def test_a_ticker_read_line_by_line_keeps_exactly_the_changes(tmp_path_factory, seen):
    folder = tmp_path_factory.mktemp("tardis")
    lines = [
        ticker("binance-futures", symbol, T + n, ",", value, 1)
        for n, (symbol, value) in enumerate(seen)
    ]
    path = written(folder, "t.csv", TICKER, *lines).path
    changes, last = [], {}
    for n, (symbol, value) in enumerate(seen):
        if last.get(symbol) != value:
            changes.append((n, float(value)))
        last[symbol] = value
    for source in (Source(path), LineByLine(path)):
        frame = kept(source)["open_interest"]
        micros = frame["time"].dt.epoch("us") - T
        assert list(zip(micros, frame["amount"], strict=True)) == changes


def option(exchange, symbol, bid="0.0205,15.1,55.91", mark="0.0221,62.89"):
    return (
        f"{exchange},{symbol},{T},{T + 3},put,9875,{T},0.1,0.0295,{bid},0.0235,15.2,68.94,{mark},"
        "SYN.X,9756.36,-0.61752,0.00103,2.24964,-53.05655,-0.22796"
    )


def test_volatility_on_deribit_is_percent_and_becomes_a_fraction(tmp_path):
    source = written(tmp_path, "options.csv", OPTIONS, option("deribit", "BTC-9JUN20-9875-P"))
    row = only(source, "option_quote")
    assert row["symbol"] == "BTC/USD:BTC-200609-9875-P"
    assert row["bid_iv"] == pytest.approx(0.5591)
    assert row["mark_iv"] == pytest.approx(0.6289)
    assert (row["bid_price"], row["bid_amount"], row["open_interest"]) == (0.0205, 15.1, 0.1)
    assert (row["underlying_price"], row["gamma"], row["rho"]) == (9756.36, 0.00103, -0.22796)


def test_volatility_on_bybit_is_a_fraction_already(tmp_path):
    line = option("bybit-options", "SOL-28APR23-24-C", bid="0.34,10,0.6004", mark="1.99,1.4674")
    row = only(written(tmp_path, "options.csv", OPTIONS, line), "option_quote")
    assert row["bid_iv"] == 0.6004
    assert row["mark_iv"] == 1.4674


@pytest.mark.parametrize("bid", [",,", "0,0,0"])
def test_a_missing_bid_is_null_not_zero(tmp_path, bid):
    line = option("deribit", "BTC-9JUN20-9875-P", bid=bid)
    row = only(written(tmp_path, "options.csv", OPTIONS, line), "option_quote")
    assert (row["bid_price"], row["bid_amount"], row["bid_iv"]) == (None, None, None)
    assert row["ask_price"] == 0.0235


def test_a_quote_becomes_two_best_levels_and_an_absent_side_none(tmp_path):
    lines = [
        f"huobi-dm-swap,BTC-USD,{T},{T},5494,8629.3,8629.2,806",
        f"huobi-dm-swap,BTC-USD,{T + 1},{T + 1},,,8629.2,806",
    ]
    frame = kept(written(tmp_path, "quotes.csv", QUOTES, *lines))["book_level"]
    assert frame["side"].to_list() == ["bid", "ask", "bid"]
    assert frame["level"].to_list() == [0, 0, 0]
    assert frame["price"].to_list() == [8629.2, 8629.3, 8629.2]
    bid = 806 * 100 / 8629.2
    assert frame["amount"].to_list() == pytest.approx([bid, 5494 * 100 / 8629.3, bid])


def test_a_book_snapshot_becomes_a_row_for_each_level(tmp_path):
    header = ",".join(
        ["exchange,symbol,timestamp,local_timestamp"]
        + [f"asks[{n}].price,asks[{n}].amount,bids[{n}].price,bids[{n}].amount" for n in range(5)]
    )
    cells = ",".join(f"{100 + n},{n + 1},{99 - n},{n + 11}" for n in range(4))
    line = f"binance-futures,BTCUSDT,{T},{T},{cells},,,,"
    frame = kept(written(tmp_path, "book_snapshot_5.csv", header, line))["book_level"]
    rows = set(frame.select("side", "level", "price", "amount").rows())
    asks = {("ask", n, 100.0 + n, n + 1.0) for n in range(4)}
    bids = {("bid", n, 99.0 - n, n + 11.0) for n in range(4)}
    assert rows == asks | bids


def test_nanosecond_stamps_of_copies_mean_the_same_moment(tmp_path):
    line = f"binance-futures,BTCUSDT,{T}000,{T + 5}000,1,buy,50000,1"
    row = only(written(tmp_path, "trades.csv", TRADES, line), "trade")
    assert row["time"] == datetime(2024, 6, 1, tzinfo=UTC)
    assert row["received"] == datetime(2024, 6, 1, 0, 0, 0, 5, tzinfo=UTC)


def test_bad_rows_are_rejected_with_their_lines_and_the_others_kept(tmp_path):
    source = written(
        tmp_path,
        "trades.csv",
        TRADES,
        trade("binance-futures", "BTCUSDT", 50_000, 1),
        trade("binance-futures", "BTCUSDT", 50_000, "NaN"),
        trade("binance-futures", "BTCUSDT", 50_000, -1),
        trade("binance-futures", "@@@", 50_000, 1),
        trade("binance-futures", "BTCUSDT", 50_000, 1, side="unknown"),
        trade("binance-futures", "BTCUSDT", 50_000, 1, identity=""),
        "binance-futures,BTCUSDT",
    )
    assert kept(source)["trade"].height == 1
    reasons = {rejected.line: rejected.reason for rejected in source.rejected}
    assert sorted(reasons) == [3, 4, 5, 6, 7, 8]
    assert reasons[3].startswith("amount is nan")
    assert reasons[4].startswith("amount is -1.0")
    assert "cannot read the symbol '@@@'" in reasons[5]
    assert reasons[7].startswith("id is None")


def test_the_weekly_names_of_huobi_futures_are_rejected(tmp_path):
    source = written(tmp_path, "q.csv", QUOTES, f"huobi-dm,BTC_CW,{T},{T},1,9000,8999,1")
    assert kept(source)["book_level"].is_empty()
    assert source.rejected[0].line == 2
    assert "BTC_CW" in source.rejected[0].reason


@pytest.mark.parametrize(
    "header",
    [
        TRADES.replace(",", ";"),
        TRADES + ",extra",
        "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount",
        "exchange,symbol,timestamp,local_timestamp",
    ],
)
def test_other_columns_are_not_recognised(tmp_path, header):
    assert not tardis.recognises(written(tmp_path, "trades.csv", header))


def test_a_header_alone_gives_no_rows(tmp_path):
    source = written(tmp_path, "trades.csv", TRADES)
    assert kept(source) == {}
    assert source.rejected == []


def test_an_empty_file_is_damaged(tmp_path):
    path = tmp_path / "trades.csv"
    path.touch()
    with pytest.raises(DamagedFile, match="empty"):
        tardis.recognises(Source(path))


def test_a_truncated_gzip_is_damaged(tmp_path):
    lines = [trade("binance-futures", "BTCUSDT", 50_000 + n, n) for n in range(20_000)]
    path = written(tmp_path, "trades.csv.gz", TRADES, *lines).path
    path.write_bytes(path.read_bytes()[:-2_000])
    with pytest.raises(DamagedFile, match="truncated"):
        kept(Source(path))


def sample(name):
    path = SAMPLES / name
    if not path.is_file():
        pytest.skip("the sample files are not beside this checkout")
    return Source(path)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "kind", "rows"),
    [
        ("bitmex_trades_XBTUSD.csv", "trade", 10),
        ("huobi-dm-swap_quotes_BTC-USD.csv", "book_level", 20),
        ("binance-futures_book_snapshot_5_BTCUSDT.csv", "book_level", 10 * 10),
        ("binance-futures_book_snapshot_25_BTCUSDT.csv", "book_level", 10 * 50),
    ],
)
def test_real_samples_are_read_whole(name, kind, rows):
    source = sample(name)
    frames = kept(source)
    assert {kind: frame.height for kind, frame in frames.items()} == {kind: rows}
    assert source.rejected == []


@pytest.mark.real
def test_levels_of_a_real_book_go_outward_and_do_not_cross():
    book = kept(sample("binance-futures_book_snapshot_25_BTCUSDT.csv"))["book_level"]
    for (_, side), part in book.sort("level").group_by("time", "side"):
        steps = part["price"].diff().drop_nulls()
        assert (steps > 0 if side == "ask" else steps < 0).all()
    best = book.filter(pl.col("level") == 0).pivot("side", index="time", values="price")
    assert (best["bid"] < best["ask"]).all()


@pytest.mark.real
def test_a_real_trade_of_2152_dollars_is_a_quarter_of_a_bitcoin():
    first = kept(sample("bitmex_trades_XBTUSD.csv"))["trade"].row(0, named=True)
    assert first["price"] == 8531.5
    assert first["amount"] == pytest.approx(2152 / 8531.5)
