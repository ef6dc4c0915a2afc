"""The measured map, against positions placed by hand and against a simulated exchange's truth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import plimsoll
from plimsoll import maps
from plimsoll.analytics.inventory import Grid, Parameters
from plimsoll.analytics.measured import measured
from plimsoll.analytics.provenance import Standing
from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES
from plimsoll.simulation.truth import Truth
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRID = Grid.covering(50, 200, 0.001)


def position(wallet: str, side: str, amount: float, liquidated: float | None, **rest: Any) -> Any:
    """A row read an hour ago, entered at 100."""
    return {
        "exchange": "x",
        "symbol": "BTC/USDC:USDC",
        "time": NOW - HOUR,
        "wallet": wallet,
        "side": side,
        "amount": amount,
        "entry_price": 100.0,
        "liquidation_price": liquidated,
    } | rest


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    return TABLES["position"].conform(pl.DataFrame(rows, infer_schema_length=None))


def standing(
    price: float = 100.0, settlement: str = "linear", **modelled: tuple[float, float]
) -> Standing:
    """A column at a price with $1,000 of open interest; dollars of each side at one price."""
    usd = np.zeros((2, 1, 1, GRID.rows))
    for at, side in enumerate(("long", "short")):
        if side in modelled:
            where, dollars = modelled[side]
            usd[at, 0, 0, np.searchsorted(GRID.edges, where) - 1] = dollars
    return Standing(
        time=NOW,
        interval=HOUR,
        price=price,
        edges=GRID.edges,
        usd=usd,
        coverage=0.5,
        open_interest_usd=1_000.0,
        bars=pl.DataFrame(),
        parameters=Parameters(settlement=settlement),  # type: ignore[arg-type]
    )


def at(found: pl.DataFrame, side: str, price: float) -> float:
    """The dollars of a side in the row that holds a price."""
    row = found.filter((pl.col("price_low") <= price) & (price < pl.col("price_high")))
    return float(row[f"{side}_usd"].item())


def test_dollars_stand_in_the_row_of_their_liquidation_price() -> None:
    # By hand, at 100: longs of 2 + 1 + 1 coins and shorts of 1 + 1 are seen, of $1,000 each.
    found = measured(
        table(
            position("a", "long", 2.0, 90.05),
            position("b", "short", 1.0, 110.0),
            position("c", "long", 1.0, None),
            position("d", "long", 1.0, 101.0),  # the price is below it already
            position("e", "short", 1.0, 500.0),
            position("f", "long", 7.0, 80.0),
            position("f", "long", 0.0, None, time=NOW - HOUR / 2),  # closed
            position("g", "long", 7.0, 80.0, time=NOW - 25 * HOUR),  # read too long ago
            position("h", "long", 7.0, 80.0, known_at=NOW + HOUR),  # not known yet
        ),
        standing(),
    )
    assert at(found.rows, "long", 90.05) == 200
    assert at(found.rows, "short", 110.0) == 100
    assert found.rows.select(pl.col("long_usd", "short_usd").sum()).row(0) == (200, 100)
    assert (found.unpriced_usd, found.passed_usd, found.outside_usd) == (100, 100, 100)
    assert found.seen_usd == (400, 200)
    assert found.coverage == (0.4, 0.2)
    assert found.wallets == 5
    assert found.within([0.05, 0.11])["measured_usd"].to_list() == [0, 0, 200, 100]


def test_an_inverse_position_is_the_dollars_of_its_face() -> None:
    # $300 of contracts were 3 coins when the price was 100; at 150 they still are $300.
    rows = table(position("a", "long", 3.0, 80.0, value_usd=300.0))
    assert at(measured(rows, standing(150.0, "inverse")).rows, "long", 80.0) == 300
    assert at(measured(rows, standing(150.0)).rows, "long", 80.0) == 450


def test_the_newest_row_known_then_counts_and_the_future_changes_nothing() -> None:
    early = [
        position("a", "long", 1.0, 90.0, time=NOW - 3 * HOUR),
        position("a", "long", 2.0, 91.0, time=NOW - 2 * HOUR),
        position("a", "long", 9.0, 92.0, time=NOW - 4 * HOUR, known_at=NOW - HOUR),  # came late
    ]
    found = measured(table(*early), standing())
    assert at(found.rows, "long", 91.0) == 200
    assert found.seen_usd == (200, 0)
    later = measured(table(*early, position("a", "long", 5.0, 95.0, time=NOW + HOUR)), standing())
    assert_frame_equal(later.rows, found.rows)


def test_the_match_compares_shares_by_band_and_by_side() -> None:
    # By hand: the map has 1:1 in two bands, positions 3:1; 3/4 and 1/4 against 1/2 and 1/2.
    model = {"long": (95.0, 10.0), "short": (105.0, 10.0)}
    rows = table(position("a", "long", 3.0, 95.0), position("b", "short", 1.0, 105.0))
    match = measured(rows, standing(**model)).match
    assert (match.overlap, match.sides) == (0.75, 0.75)
    assert match.rank_correlation == pytest.approx(1.0, abs=0.02)  # the map ties its two bands
    # As much on either side, but all in other bands.
    rows = table(position("a", "long", 2.0, 90.0), position("b", "short", 2.0, 110.0))
    match = measured(rows, standing(**model)).match
    assert (match.overlap, match.sides) == (0, 1)
    assert match.rank_correlation is not None
    assert match.rank_correlation < 0


def test_where_nothing_is_seen_there_is_no_match() -> None:
    rows = table(position("a", "long", 1.0, None))
    found = measured(rows, standing(long=(95.0, 10.0)))
    assert set(found.describe()["match"].values()) == {None}  # type: ignore[attr-defined]
    assert found.coverage == (0.1, 0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("measured") / "store"
    plimsoll.open(root).simulate("calm", coins=("SOL",), days=3)
    return root


def test_a_simulated_exchange_shows_what_its_wallets_really_hold(store: Path) -> None:
    true = Truth(store).read("SOL", "positions").filter(exchange="sim-c")
    midnight = true["time"].unique().sort()[1]
    now = true.filter(pl.col("time") == midnight)
    read = plimsoll.open(store).read("position", "SOL/USDT:USDT", exchange="sim-c")
    # Carry desks trade at the hour, between the truth's look and the reading.
    desks = now.filter(pl.col("owner") == "carry_desk")["wallet"]
    read = read.filter(~pl.col("wallet").is_in(desks.to_list()))
    (column,), _ = maps.standing(
        Reader(store),
        "SOL/USDT:USDT",
        ["sim-c"],
        span=(None, midnight + timedelta(minutes=5), None),
        interval=None,
        parameters=None,
    )
    assert column.time == midnight
    found = measured(read, column, max_age=timedelta(minutes=5))
    seen = read.filter((pl.col("time") == midnight) & (pl.col("amount") > 0))["wallet"]
    assert found.wallets == len(seen) > 20
    held = now.filter(pl.col("wallet").is_in(seen.to_list())).with_columns(
        usd=pl.col("lots") * pl.col("lot") * column.price,
        price=pl.col("liquidation_price").round(_digits(read)),
    )
    for side, sign in (("long", 1), ("short", -1)):
        mine = held.filter(pl.col("side") == sign)
        assert sum(found.seen_usd) == pytest.approx(held["usd"].sum())
        priced = mine.drop_nulls("price").filter((column.price - pl.col("price")) * sign > 0)
        real, _ = np.histogram(priced["price"], bins=column.edges, weights=priced["usd"])
        assert found.rows[f"{side}_usd"].to_numpy() == pytest.approx(real, rel=1e-6)


def _digits(read: pl.DataFrame) -> int:
    texts = read["liquidation_price"].drop_nulls().cast(pl.String).str.split(".").list.last()
    return int(texts.str.len_chars().max())  # type: ignore[arg-type]


def test_the_session_shows_all_wallets_but_market_makers(store: Path) -> None:
    # A tenth of the wallets is read each hour: what is seen is up to ten hours old.
    session = plimsoll.open(store)
    found = session.measured("SOL/USDT:USDT")
    assert (found.exchange, found.symbol) == ("sim-c", "SOL/USDT:USDT")
    true = Truth(store).read("SOL", "positions").filter(exchange="sim-c")
    last = true.filter(pl.col("time") == pl.col("time").max())
    total = (pl.col("lots") * pl.col("lot")).sum()
    for sign, covered in zip((1, -1), found.coverage, strict=True):
        side = last.filter(pl.col("side") == sign)
        accounts = side.filter(pl.col("owner") != "market_maker")
        real = accounts.select(total).item() / side.select(total).item()
        assert covered == pytest.approx(real, rel=0.15)
    assert found.match.rank_correlation is not None
    everything = [found.unpriced_usd, found.passed_usd, found.outside_usd]
    everything += found.rows.select(pl.col("long_usd", "short_usd").sum()).row(0)
    assert sum(everything) == pytest.approx(sum(found.seen_usd))
    with pytest.raises(NoSuchData, match="nothing stored for position sim-a"):
        session.measured("SOL/USDT:USDT", exchange="sim-a")


def test_a_map_of_measured_distances_says_so(store: Path) -> None:
    session = plimsoll.open(store)
    since = "2025-01-02"
    drawn = session.heatmap("SOL/USDT:USDT", exchange="sim-c", since=since, measured=True)
    assert drawn.distances is not None
    assert drawn.said.startswith("an estimate: leverage mix from the liquidation distances of ")
    assert drawn.describe()["measured"] == drawn.distances.describe()
    # An exchange that shows no wallet has the distances of the one that does, at its own margin.
    other = session.heatmap("SOL/USDT:USDT", exchange="sim-a", since=since, measured=True)
    assert other.distances is not None
    assert other.distances.exchanges == ("sim-c",)
    assert other.parameters.maintenance != drawn.parameters.maintenance
    with pytest.raises(ValueError, match="either given, or fitted, or measured"):
        session.heatmap("SOL/USDT:USDT", fitted=True, measured=True)
