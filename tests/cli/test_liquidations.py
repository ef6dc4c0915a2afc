"""The commands about liquidations and what lies beyond a market, as a user sees them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from plimsoll import cli

START = datetime(2026, 1, 5, tzinfo=UTC)
SYMBOL = "BTC/USDT:USDT"
HOURS = 24 * 4
CRASH = START + timedelta(days=3, minutes=10)


@pytest.fixture
def run(tmp_path, capfdbinary, monkeypatch):
    monkeypatch.setenv("PLIMSOLL_STORE", str(tmp_path / "store"))

    def run(*words):
        code = 0
        try:
            cli.main(words)
        except SystemExit as left:
            code = left.code
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return run


def write(folder, kind, rows):
    folder.mkdir(exist_ok=True)
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(folder / f"{kind}.parquet")


@pytest.fixture
def store(run, tmp_path):
    """A dollar a minute closed on a throttled feed, then a crash; another feed sees a part."""
    folder = tmp_path / "data"
    ids = {"exchange": "binance", "symbol": SYMBOL}
    quiet = [(START + timedelta(hours=n, minutes=30), "long", 60.0) for n in range(HOURS)]
    crash = [(CRASH + timedelta(minutes=n), "long", usd) for n, usd in enumerate((40, 900, 500.0))]
    orders = [
        {
            **ids,
            "time": time,
            "side": side,
            "price": 100.0,
            "amount": usd / 100,
            "price_kind": "fill",
            "completeness": "throttled",
        }
        for time, side, usd in quiet + crash
    ]
    orders += [
        {
            **orders[0],
            "exchange": "bybit",
            "time": CRASH,
            "side": "short",
            "completeness": "complete",
        }
    ]
    write(folder, "liquidation", orders)
    write(
        folder,
        "candle",
        [
            {
                **ids,
                "time": START + timedelta(minutes=n),
                "interval": 60,
                **dict.fromkeys(("open", "high", "low", "close"), 100.0),
                "volume": 50.0,
                "quote_volume": 5_000.0,
                "taker_buy_quote_volume": 2_000.0,
            }
            for n in range(60 * HOURS)
        ],
    )
    code, _, err = run("import", str(folder))
    assert code == 0, err


@pytest.mark.usefixtures("store")
def test_words_say_what_each_sum_covers(run):
    code, out, _ = run("liquidations", "BTC")
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("binance"))
    assert "$7.2k" in line  # 96 hours of 60, and 1440 in the crash
    assert "throttled" in line
    assert (
        next(line for line in out.splitlines() if line.startswith("bybit")).count("complete") == 1
    )
    assert "Bursts, BTC, all 1" in out
    assert "2026-01-08 00:1" in out


@pytest.mark.usefixtures("store")
def test_a_sum_over_all_bears_the_weakest_label(run):
    _, out, _ = run("liquidations", "BTC", "--by", "all", "--every", "1h", "--json")
    columns = json.loads(out)["columns"]
    at = columns["time"].index("2026-01-08T00:00:00Z")
    assert columns["long_usd"][at] == 1_500
    assert columns["short_usd"][at] == 60
    assert columns["completeness"][at] == "throttled"
    assert columns["coverage"][at] == 1
    # 4 minutes told of any, 3000 dollars sold in each; bybit has no candles, and is complete.
    assert columns["long_most_usd"][at] == 4 * 3_000


@pytest.mark.usefixtures("store")
def test_bursts_alone_and_pictures(run, tmp_path):
    _, out, _ = run("liquidations", "BTC", "--bursts", "--json")
    columns = json.loads(out)["columns"]
    assert columns["start"] == ["2026-01-08T00:10:00Z"]
    assert columns["long_usd"] == [1_440]
    assert columns["after_1h"] == [0]
    assert columns["priced_on"] == [f"binance {SYMBOL}"]
    for name, more in (("all.png", ()), ("some.png", ("--since", "2026-01-08T02:00Z"))):
        code, _, err = run("liquidations", "BTC", "--out", str(tmp_path / name), *more)
        assert code == 0, err
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("store")
def test_what_is_not_stored_is_said(run):
    code, _, err = run("liquidations", "DOGE")
    assert code == 3
    assert "no liquidations are stored for DOGE" in err
    code, _, err = run("liquidations", "BTC", "--since", "2026-03-01")
    assert code == 3
    code, _, err = run("macro", SYMBOL)
    assert code == 2
    assert "name its coin alone" in err
    code, _, err = run("macro", "DOGE")
    assert code == 3


def test_sums_of_a_day_are_not_told_by_the_hour(run, tmp_path):
    ids = {"exchange": "aggregate", "symbol": "BTC", "interval": 86_400, "completeness": "unknown"}
    days = [
        {**ids, "time": START + timedelta(days=n), "long_usd": 5e6, "short_usd": 1e6}
        for n in range(3)
    ]
    write(tmp_path / "data", "liquidation_total", days)
    assert run("import", str(tmp_path / "data"))[0] == 0
    code, _, err = run("liquidations", "BTC")
    assert code == 3
    assert "only sums over 1 day" in err
    code, out, _ = run("liquidations", "BTC", "--every", "1d")
    assert code == 0
    assert "$15m" in out
    assert "unknown" in out


def test_macro_tells_each_part_and_what_is_missing(run, tmp_path):
    coins = [
        {"exchange": "x", "symbol": name, "time": START + timedelta(days=n), "supply_usd": usd + n}
        for n in range(40)
        for name, usd in (("TOTAL", 200.0), ("USDT", 120.0))
    ]
    write(tmp_path / "data", "stablecoin_supply", coins)
    ids = {"exchange": "cme", "symbol": "BTC/USD:USD", "market": "133741", "contract_size": 5.0}
    reports = [
        {
            **ids,
            "time": START + timedelta(days=1 + 7 * n),
            "known_at": START + timedelta(days=4 + 7 * n, hours=20, minutes=30),
            "category": category,
            "long": 10.0 + n,
            "short": 20.0,
            "open_interest": 100.0,
        }
        for n in range(4)
        for category in ("asset_manager", "leveraged_funds")
    ]
    write(tmp_path / "data", "commitment", reports)
    code, _, err = run("import", str(tmp_path / "data"))
    assert code == 0, err
    code, out, _ = run("macro", "BTC")
    assert code == 0
    assert "Open interest on chains, all coins: not stored" in out
    assert "leveraged_funds" in out
    document = json.loads(run("macro", "BTC", "--json")[1])
    assert document["chains"] is None
    assert document["stablecoins"]["growth_7d"][-2] == pytest.approx(239 / 232 - 1)
    assert document["commitments"]["net"][-1] == (13 - 20) * 5
    picture = tmp_path / "macro.png"
    assert run("macro", "BTC", "--out", str(picture))[0] == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("store")
def test_show_gathers_liquidations_with_their_labels_and_the_last_burst(run):
    found = json.loads(run("show", SYMBOL, "--json")[1])
    assert found["liquidations"]["exchange"] == ["binance", "bybit"]
    assert found["liquidations"]["completeness"] == ["throttled", "complete"]
    assert found["bursts"]["start"] == ["2026-01-08T00:10:00Z"]
    assert found["options"] is None
    assert found["macro"] is None
    code, out, _ = run("show", SYMBOL)
    assert code == 0
    assert "Liquidations, the last day with any, at least" in out
