"""Tables of research collections, in the columns they are published with."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import plimsoll

COLUMNS = "time,exchange,crypto,pair,contract,open,high,low,close,volume,funding rate\n"


@pytest.fixture
def imported(tmp_path, root):
    def imported(*lines):
        file = tmp_path / "spot_perp.csv"
        file.write_text(COLUMNS + "\n".join(lines) + "\n", encoding="utf-8")
        session = plimsoll.open(root)
        report = session.import_files([file])
        assert [outcome.status for outcome in report.outcomes] == ["imported"]
        return session

    return imported


def test_stamps_are_british_and_bars_of_two_exchanges_open_earlier(imported):
    session = imported(
        "2023-01-02 08:00:00,binance,bitcoin,BTCUSDT,perpetual,1,3,1,2,10,0.0001",
        "2023-07-02 09:00:00,binance,bitcoin,BTCUSDT,perpetual,1,3,1,2,10,0.0002",
        "2023-07-02 09:00:00,bybit,bitcoin,BTCUSDCM,perpetual,1,3,1,2,10,0.0003",
        "2023-07-02 09:00:00,okx,bitcoin,BTC/USDT,spot,1,3,1,2,10,",
    )
    bars = session.read("candle").select("exchange", "symbol", "time", "volume")
    assert bars.rows() == [
        ("binance", "BTC/USDT:USDT", datetime(2023, 1, 2, 8, tzinfo=UTC), 10),
        ("binance", "BTC/USDT:USDT", datetime(2023, 7, 2, 8, tzinfo=UTC), 10),
        ("bybit", "BTC/USD:BTC", datetime(2023, 7, 2, 4, tzinfo=UTC), None),
        ("okx", "BTC/USDT", datetime(2023, 7, 2, 4, tzinfo=UTC), None),
    ]
    settled = session.read("funding").select("exchange", "time", "rate")
    assert settled.rows() == [
        ("binance", datetime(2023, 1, 2, 8, tzinfo=UTC), 0.0001),
        ("binance", datetime(2023, 7, 2, 8, tzinfo=UTC), 0.0002),
        ("bybit", datetime(2023, 7, 2, 8, tzinfo=UTC), 0.0003),
    ]


def test_an_hour_that_does_not_exist_is_refused(imported):
    session = imported(
        "2023-03-26 01:30:00,binance,bitcoin,BTCUSDT,perpetual,1,3,1,2,10,0.0001",
        "2023-03-26 09:00:00,binance,bitcoin,BTCUSDT,perpetual,1,3,1,2,10,0.0001",
    )
    assert session.read("candle")["time"].to_list() == [datetime(2023, 3, 26, 8, tzinfo=UTC)]
