"""Commands about open interest and crowds, on a simulated market, against its tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import plimsoll
from plimsoll import cli

BTC = "BTC/USDT:USDT"
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    opened = plimsoll.open(tmp_path_factory.mktemp("crowd") / "store")
    opened.simulate("bull", coins=("BTC",), days=9, seed=2)
    return opened


@pytest.fixture
def run(session, capfdbinary, monkeypatch):
    monkeypatch.setenv("PLIMSOLL_STORE", str(session.path))

    def run(*words):
        code = 0
        try:
            cli.main(words)
        except SystemExit as left:
            code = left.code
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return run


def columns(run, *words):
    code, out, err = run(*words, "--json")
    assert code == 0, err
    return json.loads(out)["columns"]


def test_parts_add_up_to_the_sum(run, session):
    held = session.open_interest("BTC").tail(1)
    for by in ("exchange", "margin", "symbol", "expiry"):
        found = pl.DataFrame(columns(run, "open-interest", "BTC", "--by", by))
        last = found.filter(pl.col("time") == pl.col("time").max())
        assert last["value_usd"].sum() == pytest.approx(held["value_usd"][0])
        assert last["share"].sum() == pytest.approx(1)
    words = run("open-interest", "BTC", "--by", "exchange")[1]
    assert f"HHI {held['hhi'][0]:.4f}" in words


def test_candles_are_those_of_the_stored_sum(run, session):
    candles = columns(run, "open-interest", "BTC", "--candles", "1d", "--until", "2025-01-08")
    hourly = session.open_interest("BTC", until="2025-01-08T00:00:01Z")
    day = hourly.filter(
        pl.col("time").is_between(
            pl.datetime(2025, 1, 5, time_zone="UTC"), pl.datetime(2025, 1, 6, time_zone="UTC")
        )
    )["amount"]
    at = candles["time"].index("2025-01-05T00:00:00Z")
    told = [candles[name][at] for name in ("open", "high", "low", "close")]
    assert told == pytest.approx([day[0], day.max(), day.min(), day[-1]])
    code, _, err = run("open-interest", "BTC", "--candles", "90m")
    assert (code, "no multiple" in err) == (2, True)


def test_growth_and_turnover_are_told(run, session):
    code, out, _ = run("open-interest", "BTC", "--growth", "--json")
    grown = json.loads(out)
    assert code == 0
    assert grown["growth"]["hours"] == [1, 4, 24, 168, 720, 2160]
    assert grown["growth"]["relative_change"][4:] == [None, None]
    held = session.open_interest("BTC")["amount"]
    assert grown["growth"]["change"][2] == pytest.approx(held[-1] - held[-25])
    last = {
        name: values[-1]
        for name, values in columns(
            run, "open-interest", "BTC", "--turnover", "--supply", "2e7"
        ).items()
    }
    assert last["to_supply"] == pytest.approx(held[-1] / 2e7)
    end = session.read("candle", BTC, exchange="sim-a")["time"].max()
    traded = [
        session.read("candle", symbol, since=end - timedelta(days=1) + timedelta(minutes=1))
        .filter(pl.col("price_kind") == "trade")["volume"]
        .sum()
        for symbol in session.status().filter(kind="open_interest")["symbol"].unique()
    ]
    assert last["turnover"] == pytest.approx(sum(traded) / held[-1])


def test_all_coins_are_summed_in_dollars_only(run, session):
    one, every = session.open_interest("BTC"), session.open_interest("ALL")
    assert every["value_usd"].to_list() == one["value_usd"].to_list()
    assert every["amount"].null_count() == every.height
    found = pl.DataFrame(columns(run, "open-interest", "ALL", "--by", "coin"))
    assert found["part"].unique().to_list() == ["BTC"]
    grown = session.interest_growth("ALL")
    assert grown["relative_change"].null_count() == grown.height
    assert (
        grown["relative_change_usd"][0] == session.interest_growth("BTC")["relative_change_usd"][0]
    )


def test_options_that_contradict_are_refused(run):
    code, _, err = run("open-interest", "BTC", "--growth", "--turnover")
    assert (code, "give one of" in err) == (2, True)
    code, _, err = run("open-interest", "BTC", "--growth", "--since", "2025-01-02")
    assert (code, "leave out --since" in err) == (2, True)


def test_sound_exchanges_are_believed_and_the_sum_is_theirs(run, session):
    code, out, err = run("consensus", "BTC", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert {row["grade"] for row in found["grades"]} == {"A"}
    assert found["total"]["left_out"][-1] == []
    held = session.open_interest("BTC", every="5m")["value_usd"][-1]
    assert found["total"]["value_usd"][-1] == pytest.approx(held)
    words = run("consensus", "BTC")[1]
    assert "of 5 markets on 3 exchanges, coverage 100%" in words


def test_funding_and_ratios_are_graded_each_population_by_itself(run, session):
    grades = session.consensus("BTC").grades
    told = {(row["metric"], row["population"]) for row in grades.iter_rows(named=True)}
    populations = {("long_short", name) for name in ("accounts", "top_accounts", "top_positions")}
    assert told == {("open_interest", None), ("price", None), ("funding", None)} | populations
    settled = session.funding("BTC", exchange="sim-c")["apr"][-8:].mean()
    own = grades.filter(pl.col("exchange") == "sim-c", pl.col("metric") == "funding")
    whole = grades.filter(pl.col("exchange") == "sim-a", pl.col("metric") == "funding")
    assert own["value"].item() == pytest.approx(session.funding("BTC", exchange="sim-c")["apr"][-1])
    rates = [settled, session.funding("BTC", exchange="sim-b")["apr"][-2:].mean()]
    assert whole["others"].item() == pytest.approx(sum(rates) / 2)
    out = run("consensus", "BTC")[1]
    assert "Funding, a simple rate a year" in out
    assert "top_positions" in out


def test_entries_hold_no_more_than_stands_open(run, session):
    found = pl.DataFrame(columns(run, "entries", BTC, "--exchange", "sim-c"))
    held = session.open_interest(BTC, exchange="sim-c")["value_usd"][-1]
    for side in ("long_usd", "short_usd"):
        assert 0 < found[side].sum() <= held * 1.02
    assert (
        "an estimate; entries are known of: sim-c"
        in (run("entries", BTC, "--exchange", "sim-c")[1])
    )


def test_a_quadrant_without_a_month_of_history_says_what_is_missing(run):
    code, out, _ = run("quadrant", "BTC")
    assert code == 0
    assert "too little is known of the price" in out
    assert set(columns(run, "quadrant", "BTC")["state"]) == {None}


def test_crowding_shows_each_of_its_terms(run):
    found = columns(run, "positioning", "BTC")
    terms = ("accounts", "top_accounts", "top_positions", "takers", "funding")
    ranks = [found[f"{name}_percentile"][-1] for name in terms]
    assert found["terms"][-1] == 5
    assert found["crowding"][-1] == pytest.approx(100 * (2 * sum(ranks) / 5 - 1))
    words = run("positioning", "BTC")[1]
    assert f"crowding {found['crowding'][-1]:+.0f} of ±100, of 5 of 5 terms" in words
    assert "of 3 exchanges" in words


def test_each_exchanges_own_ratios_are_those_stored(run, session):
    found = pl.DataFrame(columns(run, "positioning", BTC, "--by-exchange"))
    stored = session.read("long_short_ratio", BTC)
    assert found.height == stored.height
    assert sorted(found["ratio"]) == sorted(stored["ratio"])


def test_takers_of_contracts_are_summed_as_the_candles_have_them(run, session):
    found = columns(run, "flow", BTC, "--exchange", "sim-a")
    rows = session.read("candle", BTC, exchange="sim-a").filter(pl.col("price_kind") == "trade")
    net = (2 * rows["taker_buy_volume"] - rows["volume"]).sum()
    assert found["futures_cvd"][-1] == pytest.approx(net)
    assert found["spot_coverage"][-1] == 0
    assert found["spot_cvd"][-1] is None
    for low, longs, high in zip(
        found["longs_low"][1:], found["longs"][1:], found["longs_high"][1:], strict=True
    ):
        assert low <= longs <= high


@pytest.mark.parametrize(
    "words",
    [
        ("open-interest", "BTC", "--by", "symbol"),
        ("open-interest", "BTC", "--candles", "1d"),
        ("open-interest", "BTC", "--turnover"),
        ("consensus", "BTC"),
        ("quadrant", "BTC", "--every", "4h", "--over", "4h"),
        ("entries", "BTC"),
        ("positioning", "BTC"),
        ("positioning", "BTC", "--by-exchange"),
        ("flow", "BTC"),
    ],
)
def test_every_answer_has_a_picture(run, tmp_path, words):
    path = tmp_path / "picture.png"
    code, _, err = run(*words, "--out", str(path))
    assert code == 0, err
    assert path.read_bytes()[:4] == PNG


def test_nothing_stored_leaves_with_three(run):
    for command in ("consensus", "quadrant", "entries", "positioning", "flow"):
        code, _, err = run(command, "LTC")
        assert code == 3, (command, err)


@pytest.mark.parametrize("cut", ["2025-01-05", "2025-01-08T05:00"])
def test_what_comes_later_changes_nothing_told_before(session, cut):
    for ask in (
        lambda until: session.positioning("BTC", until=until),
        lambda until: session.flow("BTC", until=until),
        lambda until: session.turnover("BTC", until=until),
        lambda until: session.interest_candles("BTC", "4h", until=until),
        lambda until: session.long_short(BTC, exchange="sim-a", until=until),
        lambda until: session.divided_interest("BTC", "margin", until=until)[0],
    ):
        whole, seen = ask(None), ask(cut)
        known = seen.filter(pl.col("time") < datetime.fromisoformat(cut).replace(tzinfo=UTC))
        keys = [n for n in ("exchange", "symbol", "population", "part", "time") if n in known]
        both = known.join(whole, on=keys, how="left", suffix="_whole", nulls_equal=True)
        for name in (n for n in known.columns if n not in keys and known[n].dtype.is_float()):
            one, other = both[name], both[f"{name}_whole"]
            assert one.is_null().equals(other.is_null(), check_names=False), name
            assert ((one - other).abs() <= 1e-9 * (1 + one.abs())).drop_nulls().all(), name
