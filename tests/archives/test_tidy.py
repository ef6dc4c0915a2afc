from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from plimsoll.archives import recognise, tidy
from plimsoll.archives.source import Source, split_rejects
from plimsoll.errors import ArchiveError, DamagedFile, Unrecognised

HEADER = "time,exchange,symbol,amount,value_usd"
ROW = "2026-01-01T00:00:00Z,binance,BTC/USDT:USDT,90000.5,7.9e9"


def written(tmp_path, *lines, name="open_interest.csv"):
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Source(path)


def rows(source):
    assert recognise(source) is tidy
    frames = {}
    for kind, frame in tidy.read(source):
        frames.setdefault(kind, []).append(split_rejects(source, kind, frame))
    return {kind: pl.concat(parts) for kind, parts in frames.items()}


def test_a_table_is_told_by_its_columns(tmp_path):
    (kind, frame), *_ = rows(written(tmp_path, HEADER, ROW, name="any.csv")).items()
    assert kind == "open_interest"
    row = frame.row(0, named=True)
    assert (row["amount"], row["value_usd"]) == (90000.5, 7.9e9)
    assert row["time"] == row["known_at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert row["received"] is None


@pytest.mark.parametrize(
    "stamp",
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01 00:00:00+00:00",
        "2026-01-01T01:00:00.000+0100",
        "2026-01-01 00:00:00 UTC",
        "1767225600",
        "1767225600000",
        "1767225600000000",
        "1767225600000000000",
    ],
)
def test_every_unambiguous_way_to_write_a_time_is_read(tmp_path, stamp):
    found = rows(written(tmp_path, HEADER, f"{stamp},x,BTC/USDT:USDT,1,1"))
    assert found["open_interest"]["time"].to_list() == [datetime(2026, 1, 1, tzinfo=UTC)]


def test_a_time_without_a_zone_is_refused_unless_the_zone_is_said(tmp_path):
    source = written(tmp_path, HEADER, "2026-07-01 01:00:00,x,BTC/USDT:USDT,1,1")
    with pytest.raises(ArchiveError, match="--time-zone"):
        rows(source)
    source.time_zone = "Europe/London"
    assert rows(source)["open_interest"]["time"].item() == datetime(2026, 7, 1, tzinfo=UTC)


def test_an_unknown_column_is_refused_with_those_that_are_known(tmp_path):
    with pytest.raises(Unrecognised, match=r"'wallets'.*open_interest knows: .*amount \(base"):
        rows(written(tmp_path, HEADER + ",wallets", ROW + ",5"))


def test_an_unknown_unit_is_refused_with_the_one_that_is_known(tmp_path):
    header = "time,exchange,symbol,amount_contracts,value_usd"
    with pytest.raises(Unrecognised, match="unit 'contracts'.*amount in base units"):
        rows(written(tmp_path, header, ROW))


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(Unrecognised, match="column .*rate.* is missing for funding"):
        rows(written(tmp_path, "time,exchange,symbol,interval_hours", ROW))


def test_the_length_of_bars_is_seen_from_their_steps(tmp_path):
    lines = [
        f"2026-01-01T{hour:02}:00:00Z,x,BTC/USDT:USDT,1,3,1,2,10" for hour in (0, 4, 8, 16, 20)
    ]
    found = rows(written(tmp_path, "time,exchange,symbol,open,high,low,close,volume", *lines))[
        "candle"
    ]
    assert found["interval"].to_list() == [4 * 3_600] * 5
    assert found["known_at"][0] == datetime(2026, 1, 1, 4, tzinfo=UTC)


def test_a_candle_that_cannot_be_is_rejected(tmp_path):
    header = "time,exchange,symbol,interval,open,high,low,close"
    source = written(
        tmp_path,
        header,
        "2026-01-01T00:00:00Z,x,BTC/USDT:USDT,60,1,3,1,2",
        "2026-01-01T00:01:00Z,x,BTC/USDT:USDT,60,1,3,2,2",
    )
    assert rows(source)["candle"].height == 1
    assert source.rejected[0].reason == "open and close must lie between low and high"


def test_an_impossible_bar_length_is_rejected_and_not_computed_with(tmp_path):
    path = tmp_path / "x.parquet"
    pl.DataFrame(
        {
            "time": [datetime(2026, 1, 1, tzinfo=UTC)] * 3,
            "exchange": ["x"] * 3,
            "symbol": ["BTC/USDT:USDT"] * 3,
            "interval": [60.0, 60.5, 2.0**62],
            **dict.fromkeys(("open", "high", "low", "close"), [1.0] * 3),
        }
    ).write_parquet(path)
    source = Source(path)
    assert rows(source)["candle"].height == 1
    assert [item.line for item in source.rejected] == [2, 3]


def test_zoned_times_keep_their_zone_beside_times_that_name_none(tmp_path):
    source = written(
        tmp_path,
        HEADER,
        "2026-07-01T01:00:00Z,x,BTC/USDT:USDT,1,1",
        "2026-07-01 01:00:00,x,BTC/USDT:USDT,2,1",
        "soon,x,BTC/USDT:USDT,3,1",
    )
    source.time_zone = "Europe/London"
    found = rows(source)["open_interest"]
    assert found["time"].to_list() == [
        datetime(2026, 7, 1, 1, tzinfo=UTC),
        datetime(2026, 7, 1, 0, tzinfo=UTC),
    ]
    assert [item.line for item in source.rejected] == [4]


def test_a_partly_unknown_time_column_is_no_naive_one(tmp_path):
    header = "time,exchange,symbol,rate,settles"
    first = "2026-01-01T00:00:00Z,x,BTC/USDT:USDT,0.1,2026-01-01T08:00:00Z"
    second = "2026-01-01T01:00:00Z,x,BTC/USDT:USDT,0.1,"
    found = rows(written(tmp_path, header, first, second))["funding"]
    assert found["settles"].to_list() == [datetime(2026, 1, 1, 8, tzinfo=UTC), None]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2300-01-01T00:00:00Z,x,BTC/USDT:USDT,1,1,", "2009 to 2100"),
        ("2026-01-01T00:00:00Z,,BTC/USDT:USDT,1,1,", "exchange is None"),
        ("2026-01-01T00:00:00Z,x,BTC/USDT:USDT,1,1,2025-01-01T00:00:00Z", "before it happens"),
    ],
)
def test_what_cannot_be_is_rejected(tmp_path, line, reason):
    good = "2026-01-01T01:00:00Z,x,BTC/USDT:USDT,1,1,"
    source = written(tmp_path, HEADER + ",known_at", good, line)
    assert rows(source)["open_interest"].height == 1
    assert reason in source.rejected[0].reason


def test_a_single_bar_without_a_length_is_refused(tmp_path):
    header = "time,exchange,symbol,open,high,low,close,volume"
    with pytest.raises(ArchiveError, match="add a column interval"):
        rows(written(tmp_path, header, "2026-01-01T00:00:00Z,x,BTC/USDT:USDT,1,3,1,2,10"))


def test_rows_that_break_a_rule_are_rejected_with_their_line_and_the_others_kept(tmp_path):
    source = written(
        tmp_path,
        HEADER,
        ROW,
        "2026-01-01T01:00:00Z,x,BTC/USDT:USDT,-1,1",
        "2026-01-01T02:00:00Z,x,BTC/USDT:USDT,NaN,1",
        "2026-01-01T03:00:00Z,x,BTC/USDT:USDT,many,1",
        "2026-01-01T04:00:00Z,x,BTC/USDT:USDT,1",
        "2026-01-01T05:00:00Z,x,BTCUSDT,1,1",
        "2026-01-01T06:00:00Z,x,BTC/USDT:USDT,1,1",
    )
    assert rows(source)["open_interest"].height == 2
    reasons = {item.line: item.reason for item in source.rejected}
    assert sorted(reasons) == [3, 4, 5, 6, 7]
    assert "amount is -1.0, expected nonnegative" in reasons[3]
    assert "nan" in reasons[4]
    assert "cannot read 'many'" in reasons[5]
    assert "4 cells where 5 belong" in reasons[6]
    assert "BASE/QUOTE" in reasons[7]


def test_seconds_where_milliseconds_stand_are_rejected_with_the_reason(tmp_path):
    source = written(
        tmp_path,
        HEADER,
        "1767225600000,x,BTC/USDT:USDT,1,1",
        "1767225601,x,BTC/USDT:USDT,1,1",
    )
    assert rows(source)["open_interest"].height == 1
    assert "another unit" in source.rejected[0].reason


def test_parquet_is_read_as_csv_is(tmp_path):
    path = tmp_path / "x.parquet"
    pl.DataFrame(
        {
            "time": [datetime(2026, 1, 1, tzinfo=UTC)],
            "exchange": ["x"],
            "symbol": ["BTC/USDT:USDT"],
            "rate": [0.0001],
        }
    ).write_parquet(path)
    assert rows(Source(path))["funding"]["rate"].to_list() == [0.0001]


def test_an_empty_file_is_damaged_and_a_lone_header_holds_nothing(tmp_path):
    empty = tmp_path / "a.csv"
    empty.touch()
    with pytest.raises(DamagedFile, match="empty"):
        recognise(Source(empty))
    assert rows(written(tmp_path, HEADER)) == {}


def test_another_delimiter_is_not_taken_for_a_table(tmp_path):
    with pytest.raises(Unrecognised, match="no format knows a file with the columns time;exchange"):
        rows(written(tmp_path, HEADER.replace(",", ";"), ROW.replace(",", ";")))


def test_a_truncated_parquet_is_damaged(tmp_path):
    path = tmp_path / "x.parquet"
    pl.DataFrame({"time": [1], "exchange": ["x"], "symbol": ["y"]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedFile, match="truncated or damaged"):
        recognise(Source(path))
