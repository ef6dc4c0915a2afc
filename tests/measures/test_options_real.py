"""Options as Deribit really had them, where that data lies beside the repository."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

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
