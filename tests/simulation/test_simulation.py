"""Several coins at once, and into a store."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

import plimsoll
from plimsoll.errors import NoSuchData, StoreUnusable
from plimsoll.simulation.market import Market
from plimsoll.simulation.parameters import Coin, Crowd, Options, Scenario, Shock, Value, Venue
from plimsoll.simulation.records import EXPIRIES
from plimsoll.simulation.scenarios import SCENARIOS, coins, scenario
from plimsoll.simulation.simulation import LONGEST, Simulation
from plimsoll.simulation.truth import Truth, TruthWriter
from plimsoll.store.catalogue import Catalogue
from plimsoll.store.layout import Layout
from plimsoll.store.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.simulation.simulation import Piece


def pieces(seed: int, workers: int, days: int = 12) -> list[Piece]:
    made = Simulation(
        SCENARIOS["crash"], coins(("BTC", "SOL")), seed=seed, days=days, workers=workers
    )
    return list(made.run())


def equal(left: list[Piece], right: list[Piece]) -> bool:
    return [p.coin for p in left] == [p.coin for p in right] and all(
        one.tables.keys() == other.tables.keys()
        and all(frame.equals(other.tables[kind]) for kind, frame in one.tables.items())
        and all(frame.equals(other.truth[name]) for name, frame in one.truth.items())
        for one, other in zip(left, right, strict=True)
    )


def test_a_seed_gives_the_same_bytes_however_many_work_and_another_does_not() -> None:
    first = pieces(7, 2)
    assert equal(first, pieces(7, 2))
    assert equal(first, pieces(7, 1))
    assert not equal(first, pieces(8, 2))


def test_days_of_stores_are_the_same_bytes(tmp_path: Path) -> None:
    def files(name: str, workers: int) -> dict[str, bytes]:
        root = tmp_path / name
        plimsoll.open(root).simulate("calm", coins=("SOL",), days=2, workers=workers)
        found = [*(root / "tables").rglob("*.parquet"), *(root / "truth").rglob("*")]
        return {str(p.relative_to(root)): p.read_bytes() for p in found if p.is_file()}

    one, two = files("one", 1), files("two", 3)
    assert len(one) > 10
    assert one == two


def test_coins_share_a_market_and_are_not_the_same() -> None:
    made = Simulation(SCENARIOS["calm"], coins(("BTC", "SOL")), days=10)
    frames = {piece.coin: piece.tables["candle"] for piece in made.run()}
    closes = [
        frame.filter(exchange="sim-a", symbol=f"{coin}/USDT:USDT", price_kind="trade")
        .filter(pl.col("time").dt.minute() == 0)["close"]
        .log()
        .diff()
        .drop_nulls()
        for coin, frame in frames.items()
    ]
    together = pl.DataFrame(closes, schema=["a", "b"]).select(pl.corr("a", "b")).item()
    assert 0.4 < together < 0.95


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("simulated") / "store"
    plimsoll.open(root).simulate("crash", coins=("SOL",), days=11, seed=2)
    return root


def test_a_simulated_store_is_sound_and_says_where_it_is_from(store: Path) -> None:
    session = plimsoll.open(store)
    counts, findings = session.audit()
    assert findings == []
    assert counts["waiting"] == 0
    assert set(session.status()["exchange"]) == {"sim-a", "sim-b", "sim-c"}
    note = json.loads(next((store / "sources").glob("*.json")).read_text())
    assert note["path"] == "simulation:crash?seed=2&days=11"
    assert note["rows"] == counts["rows"]
    known = Catalogue(Layout(store), read_only=True)
    at = datetime(2025, 1, 2, tzinfo=UTC)
    assert known.brackets("sim-c", "SOL/USDT:USDT", at).brackets[0].maintenance_rate == 0.0125
    assert known.instrument("sim-b", "SOL/USD:SOL").contract_size == 1
    known.close()


def test_the_truth_lies_apart_and_only_scoring_reads_it(store: Path) -> None:
    session = plimsoll.open(store)
    kinds = set(session.status()["kind"])
    assert kinds & {"minutes", "value", "positions", "liquidations"} == set()
    with pytest.raises(ValueError, match="no table 'positions'"):
        session.read("positions")
    truth = Truth(store)
    assert truth.note["scenario"] == "crash"
    assert truth.note["parameters"]["scenario"]["venues"][0]["lag"] == 5  # the spot market leads
    assert truth.read("SOL", "positions")["time"].n_unique() == 11
    with pytest.raises(NoSuchData, match="no positions are known of ETH"):
        truth.read("ETH", "positions")


def test_the_same_simulation_is_not_stored_twice_but_can_go_on(store: Path) -> None:
    session = plimsoll.open(store)
    before = session.audit().counts
    again = session.simulate("crash", coins=("SOL",), days=11, seed=2)
    assert again.rows == 0
    assert session.audit().counts == before
    following = next(again.simulation.go_on())
    assert following.until == datetime(2025, 1, 12, 0, 1, tzinfo=UTC)


def test_a_store_with_other_data_is_refused(store: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match=r"holds another simulation \(crash, seed 2, 11 days\)"):
        plimsoll.open(store).simulate("calm", coins=("SOL",), days=1)
    (tmp_path / "funding.csv").write_text(
        "time,exchange,symbol,rate\n2026-01-01T00:00:00+00:00,binance,BTC/USDT:USDT,0.0001\n"
    )
    session = plimsoll.open(tmp_path / "mine")
    report = session.import_files([tmp_path / "funding.csv"])
    assert [outcome.status for outcome in report.outcomes] == ["imported"]
    with pytest.raises(StoreUnusable, match=r"holds other data \(binance\)"):
        session.simulate("calm", coins=("SOL",), days=1)
    assert session.status()["rows"].to_list() == [1]
    assert not (tmp_path / "mine" / "truth").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"scenario": "moon"}, "no scenario 'moon'; known: calm, bull"),
        ({"coins": ("BTC", "FOO")}, "no coin 'FOO'; known: BTC"),
        ({"coins": ()}, "name each coin once, and one at least; got none"),
        ({"coins": ("BTC", "BTC")}, "name each coin once"),
        ({"days": 0}, "days are from 1"),
        ({"seed": -1}, "a seed is a whole number"),
        ({"start": "2025-01-01T08:00Z"}, "starts at midnight UTC"),
        ({"start": "2005-01-01"}, "starts from 2015"),
    ],
)
def test_impossible_simulations_are_refused(
    words: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        plimsoll.open(tmp_path / "store").simulate(**({"scenario": "calm"} | words))
    assert not (tmp_path / "store" / "tables").exists()


SOUND = {
    Venue: Venue(name="x", share=1, spot=True),
    Value: Value(),
    Crowd: Crowd(),
    Coin: Coin(name="x", price=1, open_interest=1e9),
    Options: Options(),
    Shock: Shock(at=0.5, minutes=5, move=0.1),
}
NUMBERS = [
    (kind, name)
    for kind, made in SOUND.items()
    for name in made.__struct_fields__
    if type(getattr(made, name)) in {int, float}
]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, -1e9])
@pytest.mark.parametrize(("kind", "name"), NUMBERS)
def test_no_number_can_be_impossible(kind: type, name: str, wrong: float) -> None:
    with pytest.raises(ValueError, match=name):
        replace(SOUND[kind], **{name: wrong})


INF = math.inf


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Venue(name="x", share=1, brackets=((INF, 0.1, 20),)), "initial margin"),
        (lambda: Venue(name="x", share=1, brackets=((INF, math.nan, 20),)), "maintenance"),
        (lambda: Venue(name="x", share=1, brackets=((5, 0.01, 50),)), "the last to inf"),
        (
            lambda: Venue(
                name="x", share=1, brackets=((1, 0.01, 50), (1.01, 0.02, 20), (INF, 0.1, 5))
            ),
            "caps must rise by 5 %",
        ),
        (lambda: Venue(name="x", share=1, mix=(0.5, 0.6)), "one weight for each"),
        (lambda: Venue(name="x", share=1, leverage=(1, 5), mix=(0.5, 0.5)), "above one"),
        (lambda: Venue(name="x", share=1, leverage=(5, 3), mix=(0.5, 0.5)), "must rise"),
        (lambda: Venue(name="x", share=1, leverage=(2, 5), mix=(math.nan, 1)), "must sum to one"),
        (lambda: Venue(name="x", share=1, funding_hours=3), "funding_hours is one of 1, 2, 4, 8"),
        (lambda: Venue(name="x", share=1, price_kind="moon"), "price_kind is one of"),
        (lambda: Crowd(trend=0.9, contrarian=0.9), "exceed one together"),
        (lambda: replace(SCENARIOS["calm"], venues=()), "1 to 3 venues"),
        (lambda: replace(SCENARIOS["calm"], options=Options(name="sim-a")), "names of their own"),
        (lambda: replace(SCENARIOS["calm"], outage=("nobody", 0.5, 10)), "which is no venue"),
        (
            lambda: Scenario(name="x", summary="", venues=(Venue(name="a", share=1),)),
            "exactly one venue has the spot market",
        ),
        (
            lambda: Scenario(name="x", summary="", venues=(Venue(name="a", share=0.5, spot=True),)),
            "shares must sum to one",
        ),
    ],
)
def test_impossible_parameters_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_drift_that_would_carry_the_price_away_is_refused() -> None:
    made = Simulation(SCENARIOS["bull"], coins(("DOGE",)), days=2_000)
    with pytest.raises(ValueError, match="simulate at most 383 days of it"):
        next(made.run())


def test_options_go_on_for_as_long_as_can_be_simulated() -> None:
    start = datetime(2015, 1, 1, tzinfo=UTC)
    made = Market(SCENARIOS["calm"], coins(("BTC",))[0], seed=1, start=start, days=LONGEST)
    end = made.start + (LONGEST + 400) * 1_440
    for e in range(EXPIRIES):
        expiries = made.law.option_expiries[e]
        assert expiries.max() > end
        assert (np.diff(expiries[expiries > 0]) > 0).all()
    assert made.law.expiries[3].max() > end


def test_a_simulation_runs_once_and_goes_on_once() -> None:
    made = Simulation(SCENARIOS["calm"], coins(("SOL",)), days=1)
    assert list(made.run())
    with pytest.raises(ValueError, match="was run already"):
        list(made.run())
    next(made.go_on())
    with pytest.raises(ValueError, match="goes on already"):
        next(made.go_on())


def test_a_crash_between_truth_and_data_leaves_a_store_that_can_be_simulated_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = plimsoll.open(tmp_path / "store")

    def refuse(_self: Stage, _source: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Stage, "accept", refuse)
        with pytest.raises(StoreUnusable, match="nothing of the simulation was kept"):
            session.simulate("calm", coins=("SOL",), days=1)
    assert not (tmp_path / "store" / "truth").exists()
    (tmp_path / "store" / "truth").mkdir()  # what a kill between the two would leave
    (tmp_path / "store" / "truth" / "simulation.json").write_text("{}")
    assert session.simulate("calm", coins=("SOL",), days=1).rows > 0


def test_two_simulations_do_not_mix_and_nothing_is_imported_beside_one(
    store: Path, tmp_path: Path
) -> None:
    writing = TruthWriter(tmp_path, {})
    with pytest.raises(StoreUnusable, match="another simulation is being written here"):
        plimsoll.open(tmp_path).simulate("calm", coins=("SOL",), days=1)
    writing.close()
    with pytest.raises(StoreUnusable, match="with which nothing else is mixed"):
        plimsoll.open(store).import_files([tmp_path])


def test_no_question_in_sql_reaches_the_truth(store: Path) -> None:
    session = plimsoll.open(store)
    place = store / "truth" / "SOL" / "positions" / "*.parquet"
    with pytest.raises(ValueError, match="Permission"):
        session.sql(f"SELECT * FROM read_parquet('{place}')")
    assert session.sql("SELECT count(*) AS n FROM candle")["n"].item() > 0


def test_few_files_may_be_open(tmp_path: Path) -> None:
    program = """
import resource, sys, plimsoll
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
session = plimsoll.open(sys.argv[1])
print(session.simulate("calm", coins=("BTC", "SOL"), days=40).rows, session.audit().findings)
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "store")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    rows, findings = run.stdout.split(maxsplit=1)
    assert int(rows) > 1_000_000
    assert findings.strip() == "[]"


def test_a_market_can_be_led_by_a_future() -> None:
    calm = scenario("calm")
    first, *rest = calm.venues
    led = replace(calm, venues=(replace(first, lag=0), *rest))
    made = Simulation(led, coins(("SOL",)), days=10)
    candles = next(made.run()).tables["candle"].filter(price_kind="trade", exchange="sim-a")
    wide = candles.pivot("symbol", index="time", values="close").with_columns(
        pl.exclude("time").log().diff()
    )
    spot, future = pl.col("SOL/USDT"), pl.col("SOL/USDT:USDT")
    ahead, behind = wide.select(
        pl.corr(future.shift(1), spot).alias("ahead"), pl.corr(spot.shift(1), future).alias("back")
    ).row(0)
    assert ahead > behind + 0.01


INTERRUPTED = """
import sys, plimsoll
from plimsoll.cli import main
main(["simulate", "calm", "--coins", "SOL,XRP", "--days", "400", "--store", sys.argv[1]])
"""


@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_an_interrupt_leaves_a_clean_store(tmp_path: Path, seconds: float) -> None:
    root = tmp_path / "store"
    run = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(root)], stderr=subprocess.PIPE, text=True
    )
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        run.send_signal(signal.SIGINT)
    _, words = run.communicate(timeout=60)
    if run.returncode in {-signal.SIGINT, 1}:
        pytest.skip("interrupted while Python was starting")
    assert run.returncode == 130
    assert "stopped; n" in words.replace("everything acknowledged before is safe", "n")
    assert not (root / "truth").exists()
    assert not (root / "truth.new").exists()
    if root.exists():
        assert list((root / "staged").glob("[!.]*")) == []
        assert plimsoll.open(root).simulate("calm", coins=("SOL",), days=1).rows > 0


FULL = """
import resource, signal, sys, plimsoll
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
session = plimsoll.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
from plimsoll.cli import main
main(["simulate", "calm", "--coins", "SOL", "--days", "12", "--store", sys.argv[1]])
"""


def test_a_full_disk_is_named_and_nothing_is_kept(tmp_path: Path) -> None:
    root = tmp_path / "store"
    run = subprocess.run(
        [sys.executable, "-c", FULL, str(root)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 5, run.stderr
    assert "the disk refused" in run.stderr
    assert "nothing of the simulation was kept" in run.stderr
    assert not (root / "truth").exists()
    assert not list(root.glob("truth.new"))
    with pytest.raises(NoSuchData):
        plimsoll.open(root).read("candle")
