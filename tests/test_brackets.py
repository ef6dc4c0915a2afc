"""What a store tells of maintenance, and maps made with it against the truth of a simulation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

import plimsoll
from plimsoll import brackets, fits
from plimsoll.analytics.margins import log_factors, tier_rates
from plimsoll.market.instrument import Brackets
from plimsoll.simulation.truth import Truth
from plimsoll.store.reader import Reader
from plimsoll.store.writer import Writer
from plimsoll.validation import heatmap_score

LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"
DAYS, LEARNT = 12, 7


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bull")
    plimsoll.open(folder).simulate("bull", coins=("BTC",), days=DAYS, seed=3)
    return folder


def isolated(folder, exchange, symbol, since):
    """Positions opened from a moment on, with no more margin than their leverage asks."""
    size, paid = pl.col("lots") * pl.col("lot"), pl.col("cost") / pl.col("unit")
    linear = symbol == LINEAR
    found = (
        Truth(folder)
        .read("BTC", "positions")
        .filter(exchange=exchange, symbol=symbol, crossed=False)
        .filter((pl.col("time") >= since) & pl.col("liquidation_price").is_not_null())
        .unique(["wallet", "opened"], keep="first")
        .with_columns(
            entry=paid / size if linear else size / paid,
            usd=paid if linear else size,
            effective=paid / (pl.col("margin") / pl.col("unit")),
        )
    )
    return found.filter((pl.col("effective") / pl.col("leverage") - 1).abs() < 0.02)


def errors(positions, parameters):
    """How much farther from the entry a map puts each tier than it is, by dollars; log price."""
    found, dollars = 0.0, 0.0
    for leverage in parameters.leverage:
        held = positions.filter(leverage=leverage)
        if held.is_empty():
            continue
        long, short = log_factors(replace(parameters, leverage=(leverage,), weights=(1.0,)))[:, 0]
        is_long = (held["side"] > 0).to_numpy()
        real = np.log((held["liquidation_price"] / held["entry"]).to_numpy())
        usd = held["usd"].to_numpy()
        away = np.where(is_long, real - long, short - real)
        found += abs(float(away @ usd))
        dollars += float(usd.sum())
    return found / dollars


@pytest.mark.parametrize(("exchange", "symbol"), [("sim-a", LINEAR), ("sim-b", INVERSE)])
def test_sizes_measured_on_one_exchange_mend_the_prices_of_another(simulated, exchange, symbol):
    first = Reader(simulated).read("candle", symbol=symbol)["time"].min()
    since = first + timedelta(days=LEARNT)
    drawn = plimsoll.open(simulated).heatmap(symbol, exchange=exchange, since=since)
    by_size = drawn.parameters
    assert f"maintenance by notional from {by_size.sizes.positions} measured" in drawn.said
    assert by_size.sizes.exchanges == ("sim-c",)
    positions = isolated(simulated, exchange, symbol, since)
    assert len(positions) > 300
    before = errors(positions, replace(by_size, sizes=None))
    assert before > 0.01
    assert errors(positions, by_size) < 0.6 * before
    # The exchange's brackets forbid the largest 100x altogether.
    assert by_size.leverage[-1] < 100


def test_a_score_knows_no_size_of_the_days_it_scores(simulated, monkeypatch):
    first = Reader(simulated).read("candle", symbol=LINEAR)["time"].min()
    tried = []

    def kept(trial, *, every):
        tried.append((trial, every))
        raise InterruptedError  # before the score of so few days is stored

    monkeypatch.setattr(heatmap_score, "score", kept)
    monkeypatch.setattr(fits, "WARM", 2)
    monkeypatch.setattr(fits, "LEARN", 1)
    session, market = plimsoll.open(simulated), {"symbol": LINEAR, "exchange": "sim-a"}
    with pytest.raises(InterruptedError):
        session.score(**market, since=first + timedelta(days=LEARNT))
    (trial, _), sizes = tried[0], {}
    for day in (3, LEARNT):
        sizes[day] = session.heatmap(**market, since=first + timedelta(days=day)).parameters.sizes
    assert trial.parameters.sizes == sizes[3]
    assert sizes[3].positions < sizes[LEARNT].positions


START = datetime(2026, 1, 1, tzinfo=UTC)
TABLE = [(50_000.0, 0.004, 125.0), (5e6, 0.02, 25.0), (1e8, 0.1, 5.0)]


def wallets(known_at, notional, count=100):
    return {
        "exchange": "x",
        "symbol": "BTC/USDC:USDC",
        "time": known_at,
        "known_at": known_at,
        "wallet": [f"{notional}{n}" for n in range(count)],
        "side": "long",
        "amount": notional / 50_000,
        "entry_price": 50_000.0,
        "liquidation_price": 46_000.0,
        "value_usd": notional,
    }


@pytest.fixture
def store(tmp_path):
    """Brackets, and wallets read a day early, when asked, and a day late."""
    both = [wallets(START + timedelta(days=day), usd) for day, usd in ((-1, 10_000.0), (1, 50e6))]
    pl.concat(pl.DataFrame(one) for one in both).write_parquet(tmp_path / "position.parquet")
    root = tmp_path / "store"
    plimsoll.open(root).import_files([tmp_path / "position.parquet"])
    with Writer(root) as writer:
        writer.remember([Brackets.build("y", LINEAR, START, TABLE)])
    return Reader(root)


def priors(reader, moment, since=START, symbol=LINEAR, exchange="y", as_of=None):
    seen = moment - timedelta(days=30), moment, as_of
    return brackets.priors(reader, (exchange, symbol), (since, since + timedelta(days=9)), seen)


def test_only_sizes_that_were_known_count(store):
    early = priors(store, START)
    assert (early.sizes.positions, set(early.sizes.notional)) == (100, {10_000.0})
    assert tier_rates(early).tolist() == pytest.approx([0.004] * len(early.leverage))
    assert priors(store, START, as_of=START - timedelta(days=2)).sizes is None
    # Two days later the large are known, and are nearly all of the dollars: 5x at most, and 10 %
    # less 50,000 · (2 % - 0.4 %) and 5,000,000 · (10 % - 2 %).
    late = priors(store, START + timedelta(days=2))
    deducted = 50_000 * 0.016 + 5e6 * 0.08
    assert set(late.sizes.notional) == {50e6}
    assert late.leverage == (2, 3, 5)
    assert tier_rates(late).tolist() == pytest.approx([0.1 - deducted / 50e6] * 3)
    assert sum(late.weights) == pytest.approx(1)


def test_brackets_count_from_their_date(store):
    # Before they were stored the rate is the prior's, for all sizes.
    late = priors(store, START, since=START - timedelta(days=1))
    assert [len(one.brackets) for one in late.maintenance] == [1, 3]
    assert late.maintenance[0].brackets[0].maintenance_rate == 0.004
    assert late.maintenance[1].since == START
    # And of a market that has none, for ever.
    assert priors(store, START, exchange="z").maintenance == 0.004
    assert priors(store, START, exchange="z").sizes is None


def test_brackets_that_allow_no_leverage_are_an_error(store):
    with Writer(store.layout.root) as writer:
        writer.remember([Brackets.build("y", INVERSE, START, [(1e9, 0.6, 1.0)])])
    with pytest.raises(ValueError, match="brackets of y BTC/USD:BTC since 2026-01-01 allow none"):
        priors(store, START, symbol=INVERSE)


def test_the_greatest_leverage_of_the_first_bracket_ends_the_tiers(store):
    with Writer(store.layout.root) as writer:
        writer.remember([Brackets.build("y", "ETH/USDT:USDT", START, [(1e9, 0.004, 20.0)])])
    found = priors(store, START, symbol="ETH/USDT:USDT")
    assert found.leverage == (2, 3, 5, 10, 20)
    assert found.sizes is None
    assert found.weights == pytest.approx([w / 0.8 for w in (0.1, 0.15, 0.2, 0.25, 0.1)])
