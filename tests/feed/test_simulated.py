"""A simulated crash, told by loopback exchanges in their own words and recorded by the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from fakes.recorder import recorded, run, stored, until
from fakes.venues import VENUES, Forced, Venue
from plimsoll.simulation.scenarios import coins, scenario
from plimsoll.simulation.simulation import Simulation

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.server import Fake


@pytest.fixture(scope="module")
def crash() -> pl.DataFrame:
    """What three exchanges publish of the liquidations of five days; a crash on the last."""
    market = Simulation(scenario("crash"), coins(("BTC",)), seed=1, days=5)
    tables = [batch.tables for batch in market.batches()]
    return pl.concat([table["liquidation"] for table in tables if "liquidation" in table])


def _standing_for(venue: Venue) -> str:
    """Return the simulated exchange whose contracts and feed are like an exchange's."""
    if venue.sampled:
        return "sim-a"  # one of each second
    return "sim-b" if venue.name in {"deribit", "kraken"} else "sim-c"  # dollars of coin; all


@pytest.mark.parametrize("venue", VENUES, ids=lambda venue: venue.name)
def test_a_simulated_crash_is_recorded_as_it_was_published(
    venue: Venue, crash: pl.DataFrame, tmp_path: Path
) -> None:
    is_perpetual = ~pl.col("symbol").str.contains("-")
    of_one = crash.filter((pl.col("exchange") == _standing_for(venue)) & is_perpetual).sort("time")
    assert of_one.height > 20
    assert set(of_one["side"]) == {"long", "short"}
    happened = [
        Forced(n, when, side == "long", price, venue.size(amount, price))
        for n, (when, side, price, amount) in enumerate(
            of_one.select(pl.col("time").dt.epoch("ms"), "side", "price", "amount").iter_rows()
        )
    ]

    async def play(fake: Fake) -> None:
        async with recorded(fake, tmp_path / "store", venue) as (told, _):
            for frame in venue.frames(happened):
                await fake.send(frame)
            await until(lambda: told.kept == len(happened))

    run(venue, play)
    rows = stored(tmp_path / "store").sort("time")
    same = ("time", "side", "price")
    assert rows.select(same).equals(of_one.select(same))
    assert rows["amount"].to_list() == pytest.approx(of_one["amount"].to_list(), rel=1e-8)
    assert rows["value_usd"].to_list() == pytest.approx(of_one["value_usd"].to_list(), rel=1e-7)
    assert set(rows["completeness"] == "throttled") == {venue.sampled}
