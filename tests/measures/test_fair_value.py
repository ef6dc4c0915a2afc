"""What holding a coin costs, read off dated futures, and what that makes of a perpetual."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

import plimsoll

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.session import Session

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PERPETUAL = "BTC/USD:BTC"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Two dated futures that pay 4 % a year, then 8 %, and a perpetual 3 points over the index."""
    folder: Path = tmp_path_factory.mktemp("fair")
    rows = []
    for step in range(20 * 3):
        time = START + step * timedelta(hours=8)
        yearly = 0.04 if step < 30 else 0.08
        rows.append((time, PERPETUAL, 60_000 * 1.0003))
        for expiry in ("260130", "260327"):
            date = datetime.strptime(f"{expiry}08", "%y%m%d%H").replace(tzinfo=UTC)
            years = (date - time) / timedelta(days=365)
            rows.append((time, f"{PERPETUAL}-{expiry}", 60_000 * math.exp(yearly * years)))
    named = pl.DataFrame(rows, schema=["time", "symbol", "mark_price"], orient="row")
    named.with_columns(exchange=pl.lit("deribit"), index_price=pl.lit(60_000.0)).write_parquet(
        folder / "mark_price.parquet"
    )
    opened = plimsoll.open(folder / "store")
    assert opened.import_files([folder / "mark_price.parquet"]).failed == []
    return opened


def test_the_cost_of_holding_is_that_of_thirty_days(session: Session) -> None:
    """Deribit has no interest and a band of 0.025 %: (g + 1095 · 0.00025) / (1095 - g).

    At 4 % that is 2.8654 points, of which 3 - 2.8654 are left; the change at the tenth day's
    midnight is known from then on.
    """
    found = session.fair_value("BTC")
    assert found.height == 60
    assert found["cost"].to_numpy() == pytest.approx([0.04] * 30 + [0.08] * 30, abs=1e-9)
    first, last = found.row(0, named=True), found.row(-1, named=True)
    assert 1e4 * first["fair"] == pytest.approx((0.04 + 0.27375) / 1094.96 * 1e4)
    assert 1e4 * first["deviation"] == pytest.approx(3 - 2.8654, abs=1e-4)
    assert last["fair_price"] == pytest.approx(60_000 * (1 + 0.35375 / 1094.92))
    assert found["source"].unique().to_list() == ["mark"]


def test_a_later_beginning_takes_rows_away_and_changes_none(session: Session) -> None:
    whole = session.fair_value("BTC")
    for hours in (24, 31, 239, 240, 250):
        since = START + timedelta(hours=hours)
        later = session.fair_value("BTC", since=since)
        assert later.equals(whole.filter(pl.col("time") >= since))


def test_cutting_off_the_future_changes_nothing_before_it(session: Session) -> None:
    whole = session.fair_value("BTC")
    for hours in (1, 40, 241, 300):
        until = START + timedelta(hours=hours)
        known = session.fair_value("BTC", until=until)
        assert known.equals(whole.head(known.height))
        assert known.height == math.ceil(hours / 8)
