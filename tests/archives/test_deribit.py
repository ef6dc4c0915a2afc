"""Deribit's book summaries, in the form its documentation gives, and tables of option chains."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from plimsoll.archives import deribit
from plimsoll.archives.source import Source, split_rejects
from plimsoll.errors import ArchiveError, DamagedFile

CHAINS = (
    Path(__file__).resolve().parents[2].parent
    / "shared/data/real/option_chains_6h_deribit_btc.parquet"
)
# 2024-03-22 09:59:54.477 UTC.
STAMP = 1_711_101_594_477
OPTION = {
    "mid_price": 0.4075,
    "volume_usd": 2836.83,
    "quote_currency": "BTC",
    "estimated_delivery_price": 65479.26,
    "creation_timestamp": STAMP,
    "base_currency": "BTC",
    "underlying_index": "BTC-28JUN24",
    "underlying_price": 68827.27,
    "volume": 0.1,
    "interest_rate": 0.0,
    "price_change": 0.0,
    "open_interest": 364.1,
    "mark_iv": 68.62,
    "ask_price": 0.411,
    "bid_price": 0.404,
    "instrument_name": "BTC-28JUN24-42000-C",
    "mark_price": 0.40752052,
    "last": 0.423,
}
PERPETUAL = {
    "instrument_name": "BTC-PERPETUAL",
    "open_interest": 1_000_000,
    "mark_price": 50_000.0,
    "last": 50_001.0,
    "creation_timestamp": STAMP,
    "volume": 7377.2,
    "volume_usd": 661_040_250.0,
    "current_funding": 0.00012966,
    "funding_8h": -0.00081069,
}
CHAIN = {
    "time": "2026-01-02T03:04:05+00:00",
    "instrument_name": "BTC-16JAN26-100000-C",
    "bid_price": 0.0029,
    "ask_price": 0.0033,
    "mark_price": 0.00305802,
    "futures_price": 88728.95,
    "implied_volatility": 0.3924,
    "delta": 0.08285,
    "vega": 28.88959,
    "open_interest": 221.2,
    "volume": 51.9,
    "index_price": 88530.6,
    "volume_usd": 14393.17,
}


def answer(*items):
    return {
        "jsonrpc": "2.0",
        "result": list(items),
        "usIn": STAMP * 1000,
        "usOut": STAMP * 1000 + 27_677,
        "usDiff": 27_677,
        "testnet": False,
    }


def written(folder, text, name="summaries.json"):
    path = folder / name
    path.write_text(text)
    return Source(path)


def kept(source):
    assert deribit.recognises(source)
    frames = {}
    for kind, frame in deribit.read(source):
        frames.setdefault(kind, []).append(split_rejects(source, kind, frame))
    return {kind: pl.concat(parts) for kind, parts in frames.items()}


def chain(folder, *changes, name="chain.csv", time_zone=None):
    rows = [CHAIN | change for change in changes]
    lines = [",".join(CHAIN), *(",".join(str(cell) for cell in row.values()) for row in rows)]
    source = written(folder, "\n".join([*lines, ""]), name)
    source.time_zone = time_zone
    return source


def test_an_option_keeps_its_prices_in_coin_and_its_volatility_as_a_fraction(tmp_path):
    source = written(tmp_path, json.dumps(answer(OPTION)))
    (row,) = kept(source)["option_quote"].iter_rows(named=True)
    assert row["symbol"] == "BTC/USD:BTC-240628-42000-C"
    assert row["time"] == datetime(2024, 3, 22, 9, 59, 54, 477_000, tzinfo=UTC)
    assert row["known_at"] == datetime(2024, 3, 22, 9, 59, 54, 504_677, tzinfo=UTC)
    assert (row["bid_price"], row["ask_price"], row["mark_price"]) == (0.404, 0.411, 0.40752052)
    assert row["mark_iv"] == pytest.approx(0.6862)
    assert (row["open_interest"], row["volume"], row["volume_usd"]) == (364.1, 0.1, 2836.83)
    assert (row["last_price"], row["underlying_price"]) == (0.423, 68827.27)


@pytest.mark.parametrize("missing", [None, 0])
def test_an_absent_bid_is_null_not_zero(tmp_path, missing):
    source = written(tmp_path, json.dumps(answer(OPTION | {"bid_price": missing})))
    assert kept(source)["option_quote"]["bid_price"].to_list() == [None]


def test_open_interest_of_an_inverse_perpetual_is_dollars(tmp_path):
    frames = kept(written(tmp_path, json.dumps(answer(PERPETUAL))))
    (row,) = frames["open_interest"].iter_rows(named=True)
    assert (row["amount"], row["value_usd"]) == (20.0, 1_000_000.0)
    (mark,) = frames["mark_price"].iter_rows(named=True)
    assert (mark["mark_price"], mark["last_price"]) == (50_000.0, 50_001.0)
    assert frames["option_quote"].is_empty()


def test_open_interest_of_a_linear_perpetual_is_coins(tmp_path):
    linear = PERPETUAL | {"instrument_name": "BTC_USDC-PERPETUAL", "open_interest": 12.5}
    frames = kept(written(tmp_path, json.dumps(answer(linear))))
    (row,) = frames["open_interest"].iter_rows(named=True)
    assert (row["symbol"], row["amount"], row["value_usd"]) == ("BTC/USDC:USDC", 12.5, None)


def test_averages_of_funding_are_not_taken_for_rates(tmp_path):
    assert "funding" not in kept(written(tmp_path, json.dumps(answer(PERPETUAL))))


def test_a_document_over_several_lines_reads_as_one_answer(tmp_path):
    source = written(tmp_path, json.dumps(answer(OPTION, PERPETUAL), indent=1))
    assert {kind: frame.height for kind, frame in kept(source).items()} == {
        "option_quote": 1,
        "mark_price": 1,
        "open_interest": 1,
    }


def test_answers_one_a_line_are_read_and_bad_lines_rejected_by_number(tmp_path):
    lines = [
        json.dumps(answer(OPTION)),
        json.dumps({"jsonrpc": "2.0", "error": {"message": "too_many_requests"}}),
        json.dumps(answer(OPTION | {"creation_timestamp": STAMP + 60_000})),
        json.dumps(answer(OPTION | {"open_interest": -1, "creation_timestamp": STAMP + 1})),
        json.dumps(answer(OPTION | {"instrument_name": "BTC-FS-28JUN24_PERP"})),
        json.dumps(answer(OPTION | {"mark_price": "high"})),
        json.dumps(answer()),
        json.dumps(answer(OPTION))[:-40],
    ]
    source = written(tmp_path, "\n".join(lines), "summaries.jsonl")
    assert kept(source)["option_quote"].height == 2
    reasons = {rejected.line: rejected.reason for rejected in source.rejected}
    assert sorted(reasons) == [2, 4, 5, 6, 8]
    assert "result" in reasons[2]
    assert reasons[4].startswith("open_interest is -1.0")
    assert "BTC-FS-28JUN24_PERP" in reasons[5]
    assert "$.result[0].mark_price" in reasons[6]


def test_a_document_that_breaks_off_is_damaged(tmp_path):
    source = written(tmp_path, json.dumps(answer(OPTION, PERPETUAL), indent=1)[:-30])
    with pytest.raises(DamagedFile, match="breaks off"):
        kept(source)


def test_other_answers_are_not_recognised(tmp_path):
    other = {"jsonrpc": "2.0", "result": [{"timestamp": 1, "interest_1h": 0.0}]}
    assert not deribit.recognises(written(tmp_path, json.dumps(other)))


def test_a_row_of_a_chain_becomes_an_option_quote(tmp_path):
    (row,) = kept(chain(tmp_path, {}))["option_quote"].iter_rows(named=True)
    assert row["symbol"] == "BTC/USD:BTC-260116-100000-C"
    assert row["time"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert (row["underlying_price"], row["index_price"]) == (88728.95, 88530.6)
    assert (row["mark_iv"], row["delta"], row["vega"]) == (0.3924, 0.08285, 28.88959)
    assert (row["open_interest"], row["volume"], row["volume_usd"]) == (221.2, 51.9, 14393.17)


def test_a_chain_without_a_future_has_no_underlying_price(tmp_path):
    frame = kept(chain(tmp_path, {"futures_price": ""}))["option_quote"]
    assert frame.select("underlying_price", "index_price").row(0) == (None, 88530.6)


@pytest.mark.parametrize("bid", ["", 0.0])
def test_a_chain_row_without_a_bid_has_none(tmp_path, bid):
    frame = kept(chain(tmp_path, {"bid_price": bid}))["option_quote"]
    assert frame.select("bid_price", "ask_price").row(0) == (None, 0.0033)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_stamps_without_a_zone_are_refused_unless_one_is_given(tmp_path, form):
    source = chain(tmp_path, {"time": "2026-07-02 03:04:05"})
    if form == "parquet":
        path = tmp_path / "chain.parquet"
        pl.read_csv(source.path, try_parse_dates=True).write_parquet(path)
        source = Source(path)
    with pytest.raises(ArchiveError, match="no time zone"):
        kept(source)
    source.time_zone = "Europe/London"
    assert kept(source)["option_quote"]["time"].to_list() == [
        datetime(2026, 7, 2, 2, 4, 5, tzinfo=UTC)
    ]


def test_bad_rows_of_a_chain_are_rejected_with_their_lines(tmp_path):
    source = chain(
        tmp_path,
        {},
        {"open_interest": -1},
        {"implied_volatility": "NaN"},
        {"instrument_name": "BTC-CS-16JAN26-90000_100000"},
        {"time": "yesterday"},
    )
    assert kept(source)["option_quote"].height == 1
    reasons = {rejected.line: rejected.reason for rejected in source.rejected}
    assert sorted(reasons) == [3, 4, 5, 6]
    assert reasons[4].startswith("mark_iv is nan")
    assert reasons[6].startswith("time is None")


def test_a_chain_with_another_delimiter_is_not_recognised(tmp_path):
    source = chain(tmp_path, {})
    source.path.write_text(source.path.read_text().replace(",", ";"))
    assert not deribit.recognises(source)


def test_a_header_alone_gives_no_rows(tmp_path):
    source = chain(tmp_path)
    assert kept(source) == {}
    assert source.rejected == []


def test_an_empty_file_is_damaged(tmp_path):
    with pytest.raises(DamagedFile, match="empty"):
        deribit.recognises(written(tmp_path, ""))


def test_a_truncated_gzip_is_damaged(tmp_path):
    text = "\n".join(
        json.dumps(answer(OPTION | {"creation_timestamp": STAMP + n, "volume": n * 0.37}))
        for n in range(3_000)
    )
    path = tmp_path / "summaries.jsonl.gz"
    path.write_bytes(gzip.compress(text.encode())[:-500])
    with pytest.raises(DamagedFile, match="truncated"):
        kept(Source(path))


@pytest.fixture(scope="module")
def chains():
    if not CHAINS.is_file():
        pytest.skip("the real option chains are not beside this checkout")
    source = Source(CHAINS)
    return source, kept(source)["option_quote"]


@pytest.mark.real
def test_every_real_row_is_read(chains):
    source, frame = chains
    table = pl.scan_parquet(CHAINS).select(pl.len(), pl.col("open_interest").sum()).collect()
    assert source.rejected == []
    assert frame.select(pl.len(), pl.col("open_interest").sum()).row(0) == pytest.approx(
        table.row(0)
    )
    assert frame["symbol"].n_unique() == 13_120
    assert frame["underlying_price"].null_count() == 77_446


@pytest.mark.real
def test_real_marks_obey_put_call_parity_on_the_underlying_price(chains):
    # In coin, without interest: call - put = 1 - K/F.
    _, frame = chains
    parts = pl.col("symbol").str.extract_groups(r"^(?<pair>.*)-(?<strike>\d+)-(?<type>[CP])$")
    quotes = frame.with_columns(parts.struct.unnest()).filter(
        pl.col("underlying_price").is_not_null()
    )
    pairs = quotes.pivot(
        "type", index=["time", "pair", "strike"], values=["mark_price", "underlying_price"]
    ).drop_nulls()
    strike = pairs["strike"].cast(pl.Float64)
    gap = pairs["mark_price_C"] - pairs["mark_price_P"] - (1 - strike / pairs["underlying_price_C"])
    assert pairs.height > 300_000
    assert gap.abs().median() < 1e-4
