from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import plimsoll
from plimsoll.analytics.positions import coverage, followed
from plimsoll.market.schema import TABLES
from plimsoll.simulation.truth import Truth

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def positions(*rows: tuple[float, str, str, float]) -> pl.DataFrame:
    """Rows of (hours since the start, wallet, side, amount)."""
    frame = pl.DataFrame(
        [
            {
                "exchange": "x",
                "symbol": "BTC/USDC:USDC",
                "time": START + hours * HOUR,
                "wallet": wallet,
                "side": side,
                "amount": amount,
                "entry_price": 1.0,
            }
            for hours, wallet, side, amount in rows
        ]
    )
    return TABLES["position"].conform(frame)


def interest(*rows: tuple[float, float]) -> pl.DataFrame:
    frame = pl.DataFrame(
        [
            {
                "exchange": "x",
                "symbol": "BTC/USDC:USDC",
                "time": START + hours * HOUR,
                "amount": amount,
            }
            for hours, amount in rows
        ]
    )
    return TABLES["open_interest"].conform(frame)


def test_each_wallet_counts_with_its_last_position_known_by_then() -> None:
    # By hand: a holds 10 long from 0.5 h, b 5 short from 1.5 h; a closes at 2.5 h.
    held = positions((0.5, "a", "long", 10), (1.5, "b", "short", 5), (2.5, "a", "long", 0))
    found = coverage(held, interest((0, 100), (1.9, 50)), HOUR, timedelta(days=1))
    assert found.select("time", "wallets", "long", "short").rows() == [
        (START + HOUR, 1, 10, 0),
        (START + 2 * HOUR, 2, 10, 5),
        (START + 3 * HOUR, 1, 0, 5),
    ]
    assert found["long_coverage"].to_list() == [0.1, 0.2, 0]
    assert found["short_coverage"].to_list() == [0, 0.1, 0.1]


def test_an_old_position_no_longer_counts_and_unknown_interest_is_null() -> None:
    held = positions((0, "a", "long", 10), (30, "b", "long", 1))
    found = coverage(held, interest((40, 100)), HOUR, timedelta(days=1))
    last = found.row(-1, named=True)
    assert (last["time"], last["wallets"], last["long"]) == (START + 31 * HOUR, 1, 1)
    assert last["long_coverage"] is None
    assert coverage(positions((0, "a", "long", 1)).clear(), interest((0, 1)), HOUR, HOUR).is_empty()


def test_cutting_off_the_future_changes_nothing_before_it() -> None:
    rows = [(n / 3, f"w{n % 7}", "long" if n % 2 else "short", float(n)) for n in range(60)]
    whole = coverage(positions(*rows), interest((0, 500)), HOUR, timedelta(hours=5))
    early = coverage(positions(*rows[:30]), interest((0, 500)), HOUR, timedelta(hours=5))
    before = whole.filter(pl.col("time") <= early["time"].max() - HOUR)
    assert_frame_equal(before, early[:-1])


def test_the_wallets_of_a_simulated_exchange_cover_what_they_really_hold(tmp_path: Path) -> None:
    root = tmp_path / "store"
    session = plimsoll.open(root)
    session.simulate("calm", coins=("SOL",), days=3)
    found = session.position_coverage("SOL/USDT:USDT", "sim-c").row(-1, named=True)
    true = Truth(root).read("SOL", "positions").filter(exchange="sim-c")
    last = true.filter(pl.col("time") == pl.col("time").max())
    # A tenth of the wallets is read each hour, market makers never: what is seen is up to ten
    # hours old, and close to what all accounts hold now.
    for side, sign in (("long", 1), ("short", -1)):
        mine = last.filter((pl.col("side") == sign) & (pl.col("owner") != "market_maker"))
        real = mine.select((pl.col("lots") * pl.col("lot")).sum()).item()
        assert found[side] == pytest.approx(real, rel=0.15)
    assert 0.5 < found["long_coverage"] < 1.15


def test_a_position_is_followed_from_its_first_look_until_it_is_gone() -> None:
    # By hand: what stands on the first day may be old. b is opened at 25 h, closed at 27 and opened
    # again at 28; its other side is another position.
    rows = positions(
        *((0, "a", "long", 3), (26, "a", "long", 4)),
        *((25, "b", "long", 1), (26, "b", "long", 2), (27, "b", "long", 0), (28, "b", "long", 5)),
        (28, "b", "short", 7),
    )
    found = followed(rows, timedelta(days=1)).sort("seen", "side")
    opened = (pl.col("opened") - START).dt.total_hours().alias("opened")
    assert found.select("amount", opened).rows() == [(1, 25), (2, 25), (5, 28), (7, 28)]
    assert found["spell"].rank("dense").to_list() in ([1, 1, 2, 3], [1, 1, 3, 2])
