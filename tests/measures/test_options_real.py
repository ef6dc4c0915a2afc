"""Options as Deribit really had them, where that data lies beside the repository."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

import plimsoll
from plimsoll.analytics.chain import chain
from plimsoll.analytics.options import max_pain, put_call

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.session import Session

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def file(real: Path) -> Path:
    path = real / "option_chains_6h_deribit_btc.parquet"
    if not path.is_file():
        pytest.skip(f"no option chains at {path}")
    return path


@pytest.fixture(scope="module")
def session(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    opened = plimsoll.open(tmp_path_factory.mktemp("real") / "store")
    report = opened.import_files([file])
    assert report.failed == []
    return opened


@pytest.fixture(scope="module")
def quotes(session: Session) -> pl.DataFrame:
    return session.read("option_quote")


@pytest.fixture(scope="module")
def whole(quotes: pl.DataFrame) -> pl.DataFrame:
    return chain(quotes, quotes["time"], timedelta(hours=1))


def test_every_snapshot_is_a_chain(quotes: pl.DataFrame, whole: pl.DataFrame) -> None:
    assert whole["at"].n_unique() == 931
    assert whole.height == quotes.height
    assert (whole["at"] == whole["time"]).all()


def test_puts_over_calls_are_those_of_the_file(file: Path, whole: pl.DataFrame) -> None:
    ratio = put_call(whole)["put_call_open_interest"]
    assert ratio.null_count() == 0
    assert 0.42 <= ratio.min() <= ratio.max() <= 0.81  # type: ignore[operator]
    assert ratio.mean() == pytest.approx(0.65, abs=0.01)
    # The file's own columns, summed by another way: its names, not its parsed symbols.
    raw = pl.read_parquet(file)
    side = pl.col("instrument_name").str.slice(-1)
    sums = [pl.col("open_interest").filter(side == kind).sum() for kind in "PC"]
    direct = raw.group_by("time").agg(ratio=sums[0] / sums[1]).sort("time")
    assert ratio.to_numpy() == pytest.approx(direct["ratio"].to_numpy(), rel=1e-12)


def test_a_forward_read_off_calls_and_puts_is_the_future_s(
    quotes: pl.DataFrame, whole: pl.DataFrame
) -> None:
    moments = quotes["time"].unique().sort().gather_every(20)
    hidden = quotes.filter(pl.col("time").is_in(moments.implode())).with_columns(
        underlying_price=pl.lit(None, pl.Float64)
    )
    read = chain(hidden, moments, timedelta(hours=1)).select("at", "symbol", read="forward")
    both = whole.filter(forward_from="stated").join(read, on=["at", "symbol"])
    apart = (both["read"] / both["forward"] - 1).abs()
    assert both.height > 30_000
    assert apart.median() < 1e-4  # type: ignore[operator]
    assert apart.quantile(0.99) < 1e-3  # type: ignore[operator]


def test_deltas_are_near_the_exchange_s(quotes: pl.DataFrame, whole: pl.DataFrame) -> None:
    stated = quotes.select("time", "symbol", stated="delta")
    both = whole.join(stated, on=["time", "symbol"]).filter(pl.col("days") > 0.5)
    apart = (both["delta"] - both["stated"]).abs()
    assert both.height > 700_000
    assert apart.median() < 2e-4  # type: ignore[operator]
    assert apart.quantile(0.99) < 0.01  # type: ignore[operator]


def test_max_pain_of_a_real_expiry_pays_least(session: Session) -> None:
    state = session.options("BTC")
    held = state.by_expiry.sort("open_interest").row(-1, named=True)
    rows = state.by_strike.filter(expiry=held["expiry"])
    at = held["max_pain"]
    assert at == max_pain(rows["strike"], rows["calls"], rows["puts"])

    def paid(price: float) -> float:
        over = (price - pl.col("strike")).clip(lower_bound=0) * pl.col("calls")
        under = (pl.col("strike") - price).clip(lower_bound=0) * pl.col("puts")
        found: float = rows.select((over + under).sum()).item()
        return found

    assert all(paid(at) <= paid(strike) for strike in rows["strike"])
    assert state.naive_zero.price is not None
    assert 0.5 < state.naive_zero.price / state.price < 1.5  # type: ignore[operator]


@pytest.fixture(scope="module")
def last(file: Path) -> pl.DataFrame:
    """The newest snapshot of the file, with Black-76 written out anew on the future's price."""
    rows = pl.read_parquet(file).filter(pl.col("time") == pl.col("time").max())
    expiry = pl.col("expiry_datetime").cast(pl.String).str.slice(0, 10).str.to_datetime("%Y-%m-%d")
    away = expiry + timedelta(hours=8) - pl.col("time").dt.replace_time_zone(None)
    rows = rows.with_columns(years=away.dt.total_seconds() / (365 * 86_400))
    forward, strike, years, iv = (
        rows[name].to_numpy() for name in ("futures_price", "strike", "years", "implied_volatility")
    )
    d1 = (np.log(forward / strike) + iv**2 * years / 2) / (iv * np.sqrt(years))
    call = (rows["option_type"] == "call").to_numpy()
    return rows.with_columns(
        own=pl.Series(norm.cdf(d1) - ~call),
        dollars=pl.Series(norm.pdf(d1) / (iv * np.sqrt(years)) * forward * 0.01),
        put=pl.Series(~call),
    )


def test_the_newest_state_is_that_of_another_computation(
    session: Session, last: pl.DataFrame
) -> None:
    """By scipy, from the file: gamma times squared forward is a density over its deviation."""
    held = pl.col("open_interest")
    moves = held * pl.col("own").abs()
    costs = held * pl.col("mark_price") * pl.col("index_price")

    def ratio(value: pl.Expr) -> pl.Expr:
        return value.filter("put").sum() / value.filter(~pl.col("put")).sum()

    truth = last.select(
        put_call_open_interest=ratio(held),
        put_call_volume=ratio(pl.col("volume")),
        put_call_premium=ratio(costs),
        put_call_delta=ratio(moves),
        leverage=(moves * pl.col("index_price")).filter(pl.col("mark_price") > 0).sum()
        / costs.sum(),
        beyond_90=held.filter(pl.col("years") > 90 / 365).sum() / held.sum(),
        unsigned_usd=(held * pl.col("dollars")).sum(),
        naive_usd=(held * pl.col("dollars") * (1 - 2 * pl.col("put").cast(pl.Int8))).sum(),
    ).row(0, named=True)
    state = session.options("BTC")
    for name, value in truth.items():
        assert state.value(name) == pytest.approx(value, rel=1e-9), name


def test_the_newest_index_is_that_of_another_computation(
    session: Session, last: pl.DataFrame
) -> None:
    """The method of the VIX, strike by strike in a loop, on the two expiries around 30 days."""
    variances = []
    for (years,), one in last.group_by("years"):
        forward = one["futures_price"].median()
        base = max(strike for strike in one["strike"] if strike <= forward)
        quotes = {(k, put): (b, a) for k, put, b, a in one.select(
            "strike", "put", "bid_price", "ask_price").rows()}  # fmt: skip
        prices: dict[float, list[float]] = {}
        for put, side in ((True, -1), (False, 1)):
            away = sorted({k for k, p in quotes if p == put and side * (k - base) >= 0})[::side]
            silent = 0
            for strike in away:
                bid, ask = quotes[strike, put]
                silent = 0 if bid else silent + 1
                if silent == 2:
                    break
                if bid:
                    prices.setdefault(strike, []).append((bid + ask) / 2 * forward)
        strikes = np.array(sorted(prices))
        middle = np.array([np.mean(prices[strike]) for strike in strikes])
        cost = (np.gradient(strikes, edge_order=1) * middle / strikes**2).sum()
        variances.append((years, 2 * cost - (forward / base - 1) ** 2))
    month = 30 / 365
    near, after = (
        max(v for v in variances if v[0] <= month),
        min(v for v in variances if v[0] >= month),
    )
    share = (month - near[0]) / (after[0] - near[0])
    index = np.sqrt((near[1] + share * (after[1] - near[1])) / month)
    assert session.options("BTC").value("index_30") == pytest.approx(index, rel=1e-9)


def test_a_smile_is_ranked_as_its_history_of_midnights_has_it(session: Session) -> None:
    until = "2026-06-01T00:00:01"
    state = session.options("BTC", until=until)
    past = session.option_history("BTC", since="2026-03-01", until=until, every="1d", smiles=True)
    summary = {row["measure"]: row for row in state.summary.iter_rows(named=True)}
    for name in ("atm_30", "risk_reversal_30", "strangle_30"):
        values = past.filter(pl.col("time") < state.time)[name].drop_nulls().to_numpy()
        values = np.append(values[-(summary[name]["observations"] - 1) :], summary[name]["value"])
        assert len(values) == 91
        middle = np.median(values)
        z = (values[-1] - middle) / (1.4826 * np.median(np.abs(values - middle)))
        assert summary[name]["z"] == pytest.approx(z, rel=1e-6)
        rank = (np.sum(values < values[-1]) + 0.5) / len(values)
        assert summary[name]["percentile"] == pytest.approx(rank)


def test_three_weeks_of_chains_rank_no_smile(session: Session) -> None:
    state = session.options("BTC", until="2026-01-20")
    assert state.maturities["atm"].count() >= 3
    assert state.maturities["atm_z"].count() == state.maturities["atm_percentile"].count() == 0
    assert state.maturities["atm_observations"].max() < 30  # type: ignore[operator]
