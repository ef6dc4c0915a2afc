from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest

import plimsoll
from plimsoll import cli
from plimsoll.market.instrument import Brackets
from plimsoll.store.writer import Writer

SYMBOL = "BTC/USDT:USDT"
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def data(tmp_path):
    """Ten days of two exchanges, small enough to be looked at."""
    folder = tmp_path / "data"
    folder.mkdir()
    hours = [START + timedelta(hours=n) for n in range(240)]
    for number, exchange in enumerate(("binance", "bybit"), start=1):
        ids = {"exchange": exchange, "symbol": SYMBOL}
        prices = [50_000.0 + 25 * abs(20 - n % 40) for n in range(241)]
        pl.DataFrame(
            {
                "time": hours,
                **ids,
                "amount": [1_000.0 * number + n for n in range(240)],
                "value_usd": [(1_000.0 * number + n) * p for n, p in enumerate(prices[:240])],
            }
        ).write_parquet(folder / f"open_interest_{exchange}.parquet")
        pl.DataFrame(
            {
                "time": hours[::8],
                **ids,
                "rate": [0.0001 * (-1) ** (n // 7) for n in range(30)],
            }
        ).write_parquet(folder / f"funding_{exchange}.parquet")
        pl.DataFrame(
            {
                "time": hours,
                **ids,
                "open": prices[:240],
                "high": [p * 1.002 for p in prices[:240]],
                "low": [p * 0.998 for p in prices[:240]],
                "close": prices[1:],
                "volume": [300.0] * 240,
            }
        ).write_parquet(folder / f"candles_{exchange}.parquet")
    return folder


@pytest.fixture
def store(data, root, run):
    assert run("import", str(data)).code == 0
    return root


class Ran:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def document(self):
        assert self.out, self.err
        return json.loads(self.out)


@pytest.fixture
def run(root, capfdbinary, monkeypatch):
    monkeypatch.setenv("PLIMSOLL_STORE", str(root))

    def run(*words):
        code = 0
        try:
            cli.main(words)
        except SystemExit as left:
            code = left.code
        out, err = capfdbinary.readouterr()
        return Ran(code, out.decode(), err.decode())

    return run


def test_import_reports_each_file_and_the_second_time_adds_nothing(run, data):
    first = run("import", str(data), "--json").document
    assert first["total"] == {
        "rows": 1_020,
        "added": 1_020,
        "duplicates": 0,
        "revisions": 0,
        "rejected": 0,
    }
    again = run("import", str(data), "--json").document
    assert again["total"]["added"] == 0
    assert {file["status"] for file in again["files"]} == {"known"}


def test_words_name_the_counts(run, data):
    ran = run("import", str(data))
    assert "6 files: 1,020 added, 0 duplicates, 0 revisions, 0 rejected" in ran.out


def test_a_bad_file_leaves_with_two_and_says_why(run, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("what;is;this\n1;2;3\n")
    ran = run("import", str(bad))
    assert ran.code == 2
    assert "no format knows a file with the columns what;is;this" in ran.err


@pytest.mark.usefixtures("store")
def test_status_and_audit(run):
    columns = run("status", "--json").document["columns"]
    assert sorted(set(columns["kind"])) == ["candle", "funding", "open_interest"]
    assert columns["rows"] == [240, 240, 30, 30, 240, 240]
    assert columns["gaps"] == [0] * 6
    assert columns["first"][0] == "2026-01-01T00:00:00Z"
    audited = run("audit")
    assert (audited.code, audited.out.splitlines()[-1]) == (0, "clean")


def test_a_damaged_store_leaves_with_five(run, store):
    path = next((store / "tables").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    ran = run("audit", "--json")
    assert ran.code == 5
    assert len(ran.document["findings"]) == 1


@pytest.mark.usefixtures("store")
def test_open_interest_sums_exchanges_and_counts_one_side(run):
    columns = run(
        "open-interest", SYMBOL, "--since", "2026-01-02", "--until", "2026-01-02T02:00", "--json"
    ).document["columns"]
    assert columns["time"] == ["2026-01-02T00:00:00Z", "2026-01-02T01:00:00Z"]
    assert columns["amount"] == [1_024.0 + 2_024.0, 1_025.0 + 2_025.0]
    assert columns["change"] == [48.0, 48.0]
    assert columns["coverage"] == [1.0, 1.0]
    only = run("open-interest", "BTC", "--exchange", "bybit", "--json").document["columns"]
    assert only["amount"][0] == 2_000.0


@pytest.mark.usefixtures("store")
def test_funding_says_what_it_costs_and_how_long(run):
    columns = run("funding", SYMBOL, "--exchange", "binance", "--json").document["columns"]
    assert columns["apr"][0] == pytest.approx(0.1095)
    assert columns["interval_hours"] == [8.0] * 30
    assert columns["streak"][:9] == [1, 2, 3, 4, 5, 6, 7, -1, -2]
    assert columns["cumulative"][6] == pytest.approx(0.0007)


@pytest.mark.usefixtures("store")
def test_as_of_hides_what_was_not_known(run):
    words = ("export", "candle", SYMBOL, "--exchange", "binance", "--json", "--as-of")
    columns = run(*words, "2026-01-01T05:30Z").document["columns"]
    assert len(columns["time"]) == 5  # a candle is known at its close


@pytest.mark.usefixtures("store")
def test_the_heat_map_in_json_has_its_columns_and_parameters(run):
    ran = run(
        "heatmap", SYMBOL, "--exchange", "binance", "--since", "2026-01-05", "--json"
    ).document
    assert set(ran["columns"]) == {"time", "price_low", "price_high", "side", "usd"}
    assert set(ran["columns"]["side"]) <= {"long", "short"}
    assert all(isinstance(usd, float) for usd in ran["columns"]["usd"])
    assert ran["parameters"]["exchange"] == "binance"
    assert ran["parameters"]["leverage"]


@pytest.mark.usefixtures("store")
def test_the_map_and_its_clusters_can_be_of_some_leverages_alone(run):
    words = ("--exchange", "binance", "--leverage", "20-25,50")
    ran = run("heatmap", SYMBOL, *words, "--since", "2026-01-05", "--json").document
    assert ran["parameters"]["leverage_shown"] == [20, 25, 50]
    assert "only leverage 20, 25, 50 of it" in run("heatmap", SYMBOL, *words).out
    rows = run("clusters", SYMBOL, *words, "--json").document["columns"]["leverages"]
    assert {one["leverage"] for row in rows for one in row} <= {20, 25, 50}
    assert run("heatmap", SYMBOL, "--leverage", "7").code == 2
    assert "it has 2, 3, 5, 10" in run("heatmap", SYMBOL, "--leverage", "7").err


@pytest.mark.usefixtures("store")
def test_measured_positions_stand_beside_the_map(run, tmp_path):
    # By hand: two wallets hold a tenth and a twentieth of some 1,239 coins.
    held = {
        "exchange": "binance",
        "symbol": SYMBOL,
        "time": START + timedelta(hours=238),
        "wallet": ["a", "b"],
        "side": ["long", "short"],
        "amount": [123.9, 61.95],
        "entry_price": 50_000.0,
        "liquidation_price": [45_000.0, None],
    }
    assert run("measured", SYMBOL).code == 3
    pl.DataFrame(held).write_parquet(tmp_path / "position.parquet")
    assert run("import", str(tmp_path / "position.parquet")).code == 0
    said = run("measured", SYMBOL, "--json").document["parameters"]
    assert said["exchange"] == "binance"
    assert said["coverage"] == {
        "long": pytest.approx(0.1, rel=2e-3),
        "short": pytest.approx(0.05, rel=2e-3),
    }
    assert said["unpriced_usd"] == pytest.approx(61.95 * said["price"])
    ran = run("measured", SYMBOL)
    assert "2 wallets seen, with 10" in ran.out
    assert "on the right side" in ran.out
    assert run("measured", SYMBOL, "--exchange", "bybit").code == 3
    few = run("heatmap", SYMBOL, "--exchange", "binance", "--measured")
    assert few.code == 2
    assert "the 1 measured positions tell of distances as surely as 1.0 of one size" in few.err
    pl.DataFrame(held | {"exchange": "bybit"}).write_parquet(tmp_path / "bybit.parquet")
    assert run("import", str(tmp_path / "bybit.parquet")).code == 0
    several = run("measured", SYMBOL)
    assert several.code == 2
    assert "say which with exchange: binance, bybit" in several.err


@pytest.mark.usefixtures("store")
def test_a_market_with_few_wallets_of_its_own_has_the_distances_of_its_coin(run, tmp_path):
    many = {
        "exchange": ["binance"] + ["bybit"] * 40,
        "symbol": SYMBOL,
        "time": START + timedelta(hours=238),
        "wallet": [f"w{n}" for n in range(41)],
        "side": "long",
        "amount": 1.0,
        "entry_price": 50_000.0,
        "liquidation_price": 45_000.0,
    }
    pl.DataFrame(many).write_parquet(tmp_path / "position.parquet")
    assert run("import", str(tmp_path / "position.parquet")).code == 0
    said = run("heatmap", SYMBOL, "--exchange", "binance", "--measured").out
    assert "the liquidation distances of 41 positions, binance, bybit" in said


@pytest.mark.usefixtures("store")
def test_clusters_of_measured_distances_stand_at_that_distance_from_what_was_traded(run, tmp_path):
    # By hand: at a maintenance of 0.4 %, who is liquidated at nine tenths of the entry has
    # 1/L = 1 - 0.9 · 0.996. Traded was from 49,900 to 50,601.
    held = {
        "exchange": "binance",
        "symbol": SYMBOL,
        "time": START + timedelta(hours=238),
        "wallet": [f"w{n}" for n in range(40)],
        "side": "long",
        "amount": 1.0,
        "entry_price": 50_000.0,
        "liquidation_price": 45_000.0,
    }
    pl.DataFrame(held).write_parquet(tmp_path / "position.parquet")
    assert run("import", str(tmp_path / "position.parquet")).code == 0
    words = ("clusters", SYMBOL, "--measured", "--reach", "0.2")
    answered = run(*words, "--json").document
    assert answered["parameters"]["measured"] is True
    rows = answered["columns"]
    longs = [at for at, side in enumerate(rows["side"]) if side == "long"]
    assert longs
    for at in longs:
        (only,) = rows["leverages"][at]
        assert only == {"leverage": pytest.approx(1 / (1 - 0.9 * 0.996)), "share": 1.0}
        assert rows["price_low"][at] > 0.9 * 49_900 * 0.999
        assert rows["price_high"][at] < 0.9 * 50_601 * 1.001
    said = run(*words).out
    assert "9.65x 100%" in said
    assert "leverage mix from the liquidation distances of 40 positions, binance" in said
    assert "by side, but shorts as all together (too few), of any age; maintenance" in said
    assert rows["said"][0] in said
    asked = plimsoll.open().provenance
    parts = asked(SYMBOL, 44_000, 46_000, measured=True).filter(side="long")
    assert parts["leverage"].unique().to_list() == pytest.approx([1 / (1 - 0.9 * 0.996)])
    with pytest.raises(ValueError, match="either given, or fitted, or measured"):
        asked(SYMBOL, 44_000, 46_000, measured=True, fitted=True)


@pytest.mark.usefixtures("store")
def test_the_map_says_what_wicks_of_trades_would_have_crossed(run, tmp_path):
    words = ("heatmap", SYMBOL, "--exchange", "binance")
    before = run(*words, "--json").document["parameters"]
    assert before["crossed_on"] == "trades"
    assert before["crossed_usd"] == before["crossed_on_trades_usd"]
    assert "on trades, wicks included: no mark price stored" in run(*words).out
    prices = [50_000.0 + 25 * abs(20 - n % 40) for n in range(241)]
    marks = {
        "time": [START + timedelta(hours=n) for n in range(240)],
        "exchange": "binance",
        "symbol": SYMBOL,
        "open": prices[:240],
        "high": [max(pair) for pair in pairwise(prices)],
        "low": [min(pair) for pair in pairwise(prices)],
        "close": prices[1:],
        "price_kind": "mark",
    }
    pl.DataFrame(marks).write_parquet(tmp_path / "candles_mark.parquet")
    assert run("import", str(tmp_path / "candles_mark.parquet")).code == 0
    after = run(*words, "--json").document["parameters"]
    assert after["crossed_on"] == "mark price"
    assert after["crossed_on_trades_usd"] == before["crossed_usd"]  # as without the mark price
    assert after["crossed_usd"] != before["crossed_usd"]
    assert "on the mark price; wicks of trades make it" in run(*words).out
    both = run("heatmap", SYMBOL, "--json").document["parameters"]
    assert both["crossed_on"] == "mark price"
    other = run("heatmap", SYMBOL, "--exchange", "bybit", "--json").document["parameters"]
    for name in ("crossed_usd", "crossed_on_trades_usd"):
        for side in ("long", "short"):
            assert both[name][side] == pytest.approx(after[name][side] + other[name][side])


@pytest.mark.usefixtures("store")
def test_of_several_markets_one_that_cannot_be_fitted_is_left_out(run, tmp_path):
    # Open interest changes by a coin each hour, of which a thousandth is said to be traded.
    hours = [START + timedelta(hours=n) for n in range(240)]
    who = {"time": hours, "exchange": "okx", "symbol": SYMBOL}
    price = dict.fromkeys(("open", "high", "low", "close"), [50_000.0] * 240)
    price["low"] = [49_900.0] * 240
    amount = {"amount": [500.0 + n for n in range(240)]}
    pl.DataFrame(who | amount).write_parquet(tmp_path / "open_interest_okx.parquet")
    pl.DataFrame(who | price | {"volume": 0.001}).write_parquet(tmp_path / "candles_okx.parquet")
    for name in ("open_interest_okx", "candles_okx"):
        assert run("import", str(tmp_path / f"{name}.parquet")).code == 0
    session = plimsoll.open()
    said = run("heatmap", SYMBOL, "--exchange", "okx").out
    # 240 stamps are the ends of 239 bars, the first of which has none before it.
    assert "in 238 bars open interest changed by more than was traded" in said
    assert "more than was traded" not in run("heatmap", SYMBOL, "--exchange", "binance").out
    with pytest.raises(ValueError, match="both must be in one unit"):
        session.leverage(SYMBOL, exchange="okx")
    found = session.leverage("BTC")
    assert [one.exchange for one in found] == ["binance", "bybit"]
    drawn = session.heatmap("BTC", fitted=True)
    assert drawn.fits == 0  # no liquidation of theirs is stored
    assert "leverage mix is a prior, not fitted" in drawn.said
    assert "okx" in drawn.exchange


def test_a_map_follows_dated_brackets_and_says_so(run, store):
    words = ("heatmap", SYMBOL, "--exchange", "binance")
    plain = run(*words, "--json").document["parameters"]
    assert plain["maintenance_changes"] == []
    old, new = START - timedelta(days=1), START + timedelta(days=5, minutes=30)
    with Writer(store) as writer:
        for since, rate in ((old, 0.004), (new, 0.008)):
            tiers = [(50_000.0, rate, 100.0), (1e6, 0.02, 20.0)]
            writer.remember([Brackets.build("binance", SYMBOL, since, tiers)])
    told = run(*words, "--json").document["parameters"]
    assert told["maintenance"] == 0.004
    # It came into force within a bar, so that it counts from the next.
    (change,) = told["maintenance_changes"]
    assert change == {"time": "2026-01-06T01:00:00Z", "maintenance": 0.008}
    assert "maintenance 0.008 from 2026-01-06 01:00 on, of open positions too" in run(*words).out
    both = run("heatmap", SYMBOL, "--json").document["parameters"]["maintenance_changes"]
    assert both == [change | {"exchange": "binance", "symbol": SYMBOL}]
    before = run(*words, "--until", "2026-01-06", "--json").document["parameters"]
    assert before["maintenance_changes"] == []


@pytest.mark.usefixtures("store")
def test_the_map_says_where_its_prices_come_from(run, tmp_path):
    words = ("heatmap", SYMBOL, "--exchange", "binance", "--json")
    assert run(*words).document["parameters"]["prices"] == "candles of 1:00:00"
    later = [START + timedelta(hours=n) for n in range(240, 340)]
    table = {"time": later, "exchange": "binance", "symbol": SYMBOL, "amount": 1_300.0}
    pl.DataFrame(table | {"value_usd": 1_300.0 * 50_000}).write_parquet(tmp_path / "more.parquet")
    assert run("import", str(tmp_path / "more.parquet")).code == 0
    assert run(*words).document["parameters"]["prices"] == "candles of 1:00:00"
    drawn = run(*words, "--since", "2026-01-13").document
    assert drawn["parameters"]["prices"] == "open interest, its value over its amount"
    assert drawn["columns"]["time"][-1] == "2026-01-15T02:00:00Z"


@pytest.mark.usefixtures("store")
def test_a_map_of_all_exchanges_is_the_sum_of_theirs_in_any_order(run):
    words = ("heatmap", "BTC", "--json", "--since", "2026-01-05")
    both = run(*words).document
    assert both["parameters"]["exchange"] == "binance, bybit"
    assert [market["exchange"] for market in both["parameters"]["markets"]] == ["binance", "bybit"]
    assert (
        run(*words, "--exchange", "bybit", "--exchange", "binance").document["columns"]
        == (run(*words, "--exchange", "binance", "--exchange", "bybit").document["columns"])
    )
    alone = [run(*words, "--exchange", name).document for name in ("binance", "bybit")]
    total = sum(sum(one["columns"]["usd"]) for one in alone)
    assert sum(both["columns"]["usd"]) == pytest.approx(total)
    assert "bybit" in run("heatmap", SYMBOL).out


def test_a_market_without_a_map_is_named(run, store, tmp_path):
    later = [START + timedelta(hours=n) for n in range(200, 240)]
    table = {"time": later, "exchange": "okx", "symbol": "BTC/USD:BTC", "amount": 1_300.0}
    pl.DataFrame(table).write_parquet(tmp_path / "okx.parquet")
    assert run("import", str(tmp_path / "okx.parquet")).code == 0
    ran = run("heatmap", "BTC")
    assert "without a map: okx BTC/USD:BTC" in ran.out
    assert "without a map now: okx BTC/USD:BTC" in run("clusters", "BTC").out
    assert run("heatmap", "BTC", "--exchange", "okx").code == 2
    assert store.exists()


@pytest.mark.usefixtures("store")
def test_clusters_are_told_in_words_and_written(run, tmp_path):
    columns = run("clusters", SYMBOL, "--json").document["columns"]
    assert set(columns["side"]) <= {"long", "short"}
    assert {part["exchange"] for part in columns["exchanges"][0]} == {"binance", "bybit"}
    assert columns["value_usd_p10"][0] is None
    said = run("clusters", SYMBOL).out
    assert "binance" in said
    assert "an estimate" in said
    assert "nothing stands within" in run("clusters", SYMBOL, "--reach", "1e-9").out
    assert run("clusters", SYMBOL, "--out", str(tmp_path / "c.csv")).code == 0
    written = pl.read_csv(tmp_path / "c.csv")
    assert json.loads(written["leverages"][0]) == columns["leverages"][0]


@pytest.mark.usefixtures("store")
def test_pictures_and_tables_are_written(run, tmp_path):
    for words in (
        ("heatmap", SYMBOL, "--exchange", "binance"),
        ("open-interest", SYMBOL),
        ("funding", SYMBOL),
    ):
        for suffix in ("png", "csv", "parquet", "json"):
            path = tmp_path / f"{words[0]}.{suffix}"
            ran = run(*words, "--out", str(path))
            assert (ran.code, ran.out) == (0, "")
            assert path.stat().st_size > 100
        assert (tmp_path / f"{words[0]}.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.usefixtures("store")
def test_what_is_exported_imports_again_as_it_is(run, tmp_path, monkeypatch):
    for suffix in ("csv", "parquet"):
        path = tmp_path / f"funding.{suffix}"
        assert run("export", "funding", "--out", str(path)).code == 0
        monkeypatch.setenv("PLIMSOLL_STORE", str(tmp_path / suffix))
        assert run("import", str(path), "--json").document["total"]["added"] == 60
        again = run("export", "funding", "--json").document["columns"]
        monkeypatch.setenv("PLIMSOLL_STORE", str(tmp_path / "store"))
        assert again == run("export", "funding", "--json").document["columns"]


@pytest.mark.usefixtures("store")
def test_show_gathers_what_is_stored_and_leaves_out_what_is_not(run):
    found = run("show", SYMBOL, "--json").document
    assert found["open_interest"]["markets"] == [2]
    assert sorted(found["funding"]["exchange"]) == ["binance", "bybit"]
    assert found["liquidations"] is None
    assert set(found["load"]["side"]) == {"long", "short"}
    assert "Open interest" in run("show", SYMBOL).out


@pytest.mark.usefixtures("store")
def test_sql_sees_every_table(run):
    ran = run("sql", "SELECT exchange, count(*) AS n FROM candle GROUP BY 1 ORDER BY 1", "--json")
    assert ran.document["columns"] == {"exchange": ["binance", "bybit"], "n": [240, 240]}
    assert run("sql", "SELECT count(*) AS n FROM trade", "--json").document["columns"]["n"] == [0]
    assert run("sql", "SELEC").code == 2
    numbers = run("sql", "SELECT 1.5 AS a, sum(trades) AS b, 2::HUGEINT AS c FROM candle", "--json")
    assert numbers.document["columns"] == {"a": [1.5], "b": [None], "c": [2]}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO '/tmp/plimsoll.csv'",
        "SELECT 1; SELECT 2",
        "CREATE TABLE x (a INT)",
        "SELECT * FROM read_text('/etc/hostname')",
    ],
)
def test_sql_only_asks_the_store(run, query):
    ran = run("sql", query)
    assert (ran.code, ran.out) == (2, "")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("nonsense",), 2, "No such command"),
        (("clusters", "XYZ"), 3, "no open interest is stored"),
        (("clusters", SYMBOL, "--width", "0"), 2, "positive price, reach and width"),
        (("clusters", SYMBOL, "--out", "x.png"), 2, "no picture"),
        (("show", SYMBOL, "--out", "x.csv"), 2, "several tables"),
        (("funding", "BTC/"), 2, "BASE/QUOTE"),
        (("funding", "XYZ/USDT:USDT"), 3, "stored funding: binance BTC/USDT:USDT"),
        (("heatmap", SYMBOL, "--exchange", "okx"), 3, "stored open_interest"),
        (("funding", SYMBOL, "--since", "2030-01-01"), 3, "nothing is stored"),
        (("funding", SYMBOL, "--since", "yesterday"), 2, "write an ISO date"),
        (("funding", SYMBOL, "--since", "99999999y"), 2, "write an ISO date"),
        (("export", "candle", "--as-of", "2010-01-01"), 3, "nothing of candle"),
        (("show", "XYZ/USDT:USDT"), 3, "nothing is stored"),
        (("status", "--store", ""), 2, "name a folder"),
        (("export", "trades"), 2, "there is no table 'trades'"),
        (("status", "--out", "x.txt"), 2, "must end in"),
        (("status", "--out", "x.png"), 2, "no picture"),
        (("heatmap", "BTC/USDT", "--exchange", "binance"), 2, "no linear or inverse contract"),
        (("heatmap", SYMBOL, "--exchange", "binance", "--interval", "1m"), 2, "too short"),
        (("open-interest", SYMBOL, "--every", "1 hour"), 2, "5m, 8h"),
    ],
)
def test_what_goes_wrong_says_what_to_do(run, words, code, hint):
    ran = run(*words)
    assert ran.code == code
    assert hint in ran.err
    assert "Traceback" not in ran.err


def test_a_store_that_is_not_there_leaves_with_three(run):
    ran = run("status")
    assert ran.code == 3
    assert "plimsoll import" in ran.err


def test_a_store_of_a_newer_version_leaves_with_five(run, root):
    root.mkdir()
    (root / "plimsoll.json").write_text('{"format": 99}')
    ran = run("status")
    assert ran.code == 5
    assert "upgrade Plimsoll" in ran.err
