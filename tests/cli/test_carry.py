"""What leverage costs and what carry earns, asked of a small store as users ask."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import plimsoll
from plimsoll import cli
from plimsoll.errors import NoSuchData

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = range(0, 241, 8)
LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"
RATES = [0.0001, 0.0003, -0.0001]


def rows(exchange, symbol, **columns):
    times = [START + timedelta(hours=hour) for hour in HOURS]
    return pl.DataFrame({"time": times, "exchange": exchange, "symbol": symbol, **columns})


def candles(exchange, symbol, price):
    """Bars of eight hours that close at `price` of the hour."""
    closes = [price(hour + 8) for hour in HOURS]
    return rows(
        exchange, symbol, interval=28_800, open=closes, high=closes, low=closes, close=closes
    ).with_columns(volume=pl.lit(10.0))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Ten days: spot, two perpetuals and two dated futures on one exchange; options on another."""
    folder = tmp_path_factory.mktemp("carry")
    spot = lambda hour: 50_000.0 + 10 * hour  # noqa: E731
    made = {
        "candle_spot": candles("binance", "BTC/USDT", spot),
        "candle_linear": candles("binance", LINEAR, spot),
        "candle_inverse": candles("binance", INVERSE, lambda hour: spot(hour) + 5),
        "candle_march": candles("binance", "BTC/USDT:USDT-260327", lambda hour: spot(hour) * 1.01),
        "candle_june": candles("binance", "BTC/USDT:USDT-260626", lambda hour: spot(hour) * 1.03),
        "funding_linear": rows("binance", LINEAR, rate=[RATES[n % 3] for n in range(31)]),
        "funding_inverse": rows("binance", INVERSE, rate=[0.0002] * 31),
        "funding_elsewhere": rows("gate", LINEAR, rate=[0.0001] * 31),
        "option_quote_chain": pl.concat(
            rows("deribit", f"BTC/USD:BTC-260327-{strike}-C").with_columns(
                underlying_price=pl.lit(50_500.0), index_price=pl.lit(50_000.0)
            )
            for strike in (40_000, 60_000)
        ),
    }
    for name, frame in made.items():
        frame.write_parquet(folder / f"{name}.parquet")
    report = plimsoll.open(folder / "store").import_files(sorted(folder.glob("*.parquet")))
    assert {outcome.status for outcome in report.outcomes} == {"imported"}
    return folder / "store"


@pytest.fixture
def session(store):
    return plimsoll.open(store)


@pytest.fixture
def run(store, capfdbinary, monkeypatch):
    monkeypatch.setenv("PLIMSOLL_STORE", str(store))

    def run(*words):
        code = 0
        try:
            cli.main(words)
        except SystemExit as left:
            code = left.code
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return run


def test_carry_where_prices_are_equal_is_its_settlements_less_fees(session):
    earned = session.carry(LINEAR, "binance", spot_fee=0.0, perpetual_fee=0.0)
    # The first close is known at 8:00, when the second rate is settled: 29 follow.
    paid = [RATES[n % 3] for n in range(2, 31)]
    last = earned.row(-1, named=True)
    assert (last["settlements"], last["missing"]) == (29, 0)
    assert last["rates"] == math.fsum(paid)
    worth = [rate * (50_000 + 80 * n) / 50_080 for n, rate in enumerate(paid, start=2)]
    assert last["net"] == last["funding"] == pytest.approx(math.fsum(worth), rel=1e-14)
    assert last["basis"] == 0


def test_carry_costs_four_trades(session):
    first = session.carry(LINEAR, "binance").row(0, named=True)
    assert first["net"] == pytest.approx(-2 * (0.001 + 0.0005))


def test_carry_is_of_the_span_asked_for(session):
    earned = session.carry(LINEAR, "binance", since="2026-01-03", until="2026-01-05")
    # The bar that opens at since closes eight hours later.
    assert earned["time"][0] == datetime(2026, 1, 3, 8, tzinfo=UTC)
    assert earned["time"][-1] <= datetime(2026, 1, 5, tzinfo=UTC)


def test_as_of_hides_what_was_not_known(session):
    cut = datetime(2026, 1, 5, tzinfo=UTC)
    full = session.carry(LINEAR, "binance").filter(pl.col("time") <= cut)
    assert session.carry(LINEAR, "binance", as_of=cut).equals(full)


def test_arbitrage_tells_each_pair_and_what_has_no_price(session):
    found = session.arbitrage("BTC")
    pairs = found.filter(pl.col("net").is_not_null())
    assert set(pairs.select("long", "short").rows()) == {
        ("binance BTC/USDT", "binance BTC/USDT:USDT"),
        ("binance BTC/USDT", "binance BTC/USD:BTC"),
    }
    best = pairs.row(0, named=True)
    assert best["short"] == "binance BTC/USD:BTC"
    assert best["rates"] == best["funding"] == math.fsum([0.0002] * 29)
    (row,) = found.filter(pl.col("net").is_null()).iter_rows(named=True)
    assert (row["long"], row["short"]) == (None, "gate BTC/USDT:USDT")
    assert row["reason"] == "no price of it is stored"


def test_what_cannot_be_carried_says_why(session):
    with pytest.raises(NoSuchData, match="no spot market of BTC in dollars is stored on gate"):
        session.carry(LINEAR, "gate")
    with pytest.raises(ValueError, match="no perpetual settled in"):
        session.carry("BTC/USDT:USDT-260327", "binance")
    with pytest.raises(ValueError, match="fees are fractions"):
        session.carry(LINEAR, "binance", spot_fee=1.5)
    with pytest.raises(NoSuchData, match="no funding of a perpetual of ETH"):
        session.arbitrage("ETH")


def test_the_curve_is_of_futures_with_spot_and_of_options_without(session):
    found = session.basis("BTC")
    expiries = found.filter(kind="expiry")
    assert expiries.select("exchange", "maturity", "source").rows() == [
        ("deribit", "2026-03-27", "option"),
        ("binance", "2026-03-27", "trade"),
        ("binance", "2026-06-26", "trade"),
    ]
    assert expiries["basis"].to_list() == pytest.approx([0.01, 0.01, 0.03])
    assert set(expiries["state"]) == {"contango"}
    # 75 and 166 days are left at the last close; 90 days lie between.
    last = datetime(2026, 1, 11, 8, tzinfo=UTC)
    assert expiries["days"].to_list()[1:] == [
        (datetime(2026, 3, 27, 8, tzinfo=UTC) - last).days,
        (datetime(2026, 6, 26, 8, tzinfo=UTC) - last).days,
    ]
    (ninety,) = found.filter(exchange="binance", maturity="90d")["log"]
    near, far = math.log(1.01), math.log(1.03)
    assert ninety == pytest.approx((near + (far - near) * 15 / 91) * 365 / 90)


def test_one_contract_may_be_asked_for(session):
    assert set(session.basis("BTC/USD:BTC")["exchange"]) == {"deribit"}
    assert set(session.basis("BTC", exchange="binance")["contract"]) == {LINEAR}
    with pytest.raises(NoSuchData, match="no dated future of ETH"):
        session.basis("ETH")


def test_perpetuals_are_held_against_what_is_fair(session):
    """Spot is 50,080 at the first close; the inverse one is 5 dollars, 0.998 points, above it.

    At 5 % it would be fair 4.544 points below. No future ends within 60 days, so that nothing
    tells what holding costs where no rate is given.
    """
    found = session.fair_value("BTC", rate=0.05)
    assert found.columns[:3] == ["time", "exchange", "symbol"]
    first = {row["symbol"]: row for row in found.head(2).iter_rows(named=True)}
    assert first[LINEAR]["premium"] == 0
    assert first[INVERSE]["premium"] == pytest.approx(5 / 50_080)
    assert first[INVERSE]["deviation"] == pytest.approx(5 / 50_080 + 4.544e-4, abs=1e-7)
    untold = session.fair_value(LINEAR)
    assert untold["fair"].null_count() == untold.height == found.height / 2
    assert untold["premium"].null_count() == 0
    assert untold["reason"].unique().to_list() == [
        "no dated future tells what holding costs then; give a rate"
    ]


def test_what_has_no_fair_value_says_why(session):
    with pytest.raises(NoSuchData, match="no perpetual of ETH is stored with its index"):
        session.fair_value("ETH")
    with pytest.raises(ValueError, match=r"such as 0\.05 for 5 %, not 50"):
        session.fair_value("BTC", rate=50)


def test_a_picture_of_what_is_fair_is_drawn_where_it_is_known(run, tmp_path):
    drawn = tmp_path / "fair.png"
    code, _, err = run("fair-value", "BTC", "--out", str(drawn))
    assert code == 3
    assert "no dated future tells what holding costs then; give a rate" in err
    for symbol in ("BTC", LINEAR):
        assert run("fair-value", symbol, "--rate", "0.05", "--out", str(drawn))[0] == 0
        assert drawn.stat().st_size > 10_000


def test_the_history_of_curves_is_on_a_grid(session):
    found = session.basis("BTC", exchange="binance", every="1d")
    assert found["time"].n_unique() == 10
    slopes = found.filter(kind="slope")
    assert slopes["log"].null_count() == 10  # 30 days lie before half of the first expiry


def test_persistence_and_dispersion(session):
    lasting = session.funding_persistence("BTC")
    rest = dict(lasting.select(pl.format("{} {}", "exchange", "symbol"), "at_neutral").iter_rows())
    assert rest["gate BTC/USDT:USDT"] == 1
    assert rest["binance BTC/USD:BTC"] == 0
    assert rest["binance BTC/USDT:USDT"] == 11 / 31
    apart = session.funding_dispersion("BTC", since="2026-01-02")
    assert apart["time"][0] == datetime(2026, 1, 2, tzinfo=UTC)
    # 0.0002 against 0.0001 twice, eight hours each.
    assert apart["highest"].to_list()[0] == pytest.approx(0.219)
    assert set(apart["markets"]) == {3}


def test_funding_is_weighted_by_volume(session):
    weighted = session.weighted_funding("BTC", weight="volume", since="2026-01-03")
    assert weighted["apr"].null_count() < weighted.height


@pytest.mark.parametrize(
    "words",
    [
        ("funding", "BTC"),
        ("funding", "BTC", "--by", "market"),
        ("funding", "BTC", "--by", "year"),
        ("funding", "BTC", "--by", "time", "--every", "1d"),
        ("carry", "BTC"),
        ("carry", LINEAR, "--exchange", "binance", "--spot-fee", "0"),
        ("fair-value", "BTC"),
        ("fair-value", LINEAR, "--rate", "0.05", "--every", "1d"),
        ("basis", "BTC"),
        ("basis", "BTC", "--history", "--exchange", "binance"),
    ],
)
def test_each_answer_is_told_and_given_as_json(run, words):
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    assert "%" in out
    code, out, _ = run(*words, "--json")
    columns = json.loads(out)["columns"]
    assert code == 0
    assert len({len(column) for column in columns.values()}) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("funding", "BTC"),
        ("funding", "BTC", "--by", "time"),
        ("carry", LINEAR, "--exchange", "binance"),
        ("basis", "BTC"),
        ("basis", "BTC", "--history"),
    ],
)
def test_pictures_are_drawn(run, tmp_path, words):
    picture = tmp_path / "answer.png"
    code, _, err = run(*words, "--out", str(picture))
    assert (code, err) == (0, f"wrote {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("carry", LINEAR), "name the one --exchange"),
        (("carry", "BTC", "--spot", "BTC/USDT"), "--spot belongs to one perpetual"),
        (("funding", "BTC", "--by", "hour"), "--by"),
        (("basis", "BTC", "--every", "soon", "--history"), "cannot read the span"),
        (("carry", "BTC", "--out", "table.png"), "no picture"),
    ],
)
def test_what_goes_wrong_says_what_to_do(run, words, hint):
    code, _, err = run(*words)
    assert code == 2
    assert hint in err


def test_why_a_maturity_is_missing_is_told(run):
    _, out, _ = run("basis", "BTC", "--exchange", "binance")
    assert "binance BTC/USDT:USDT of 180d: the last expiry is 166 days away" in out
    _, out, _ = run("carry", "BTC")
    assert "gate BTC/USDT:USDT: no price of it is stored" in out
