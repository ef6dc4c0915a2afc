"""What is published of a market, and with which faults."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from plimsoll.market.schema import TABLES
from plimsoll.market.symbols import Symbol
from plimsoll.simulation import truth
from plimsoll.simulation.market import Market
from plimsoll.simulation.publish import Publisher, stamps
from plimsoll.simulation.records import LIQUIDATION
from plimsoll.simulation.scenarios import COINS, SCENARIOS

if TYPE_CHECKING:
    from plimsoll.simulation.market import Chunk
    from plimsoll.simulation.publish import Tables

LINEAR, INVERSE = "BTC/USDT:USDT", "BTC/USD:BTC"


@pytest.fixture(scope="module")
def tables(crash: tuple[Market, Chunk]) -> Tables:
    market, chunk = crash
    return Publisher(market).tables(chunk)


def of(frame: pl.DataFrame, exchange: str, symbol: str) -> pl.DataFrame:
    return frame.filter(exchange=exchange, symbol=symbol)


def test_every_row_keeps_the_rules_of_its_table(tables: Tables) -> None:
    assert len(tables) >= 8
    for kind, frame in tables.items():
        table = TABLES[kind]
        assert frame.schema == table.schema
        broken = frame.select(table.violations().alias("broken"))["broken"].drop_nulls()
        assert broken.to_list() == [], kind
        assert not frame.select(table.key).is_duplicated().any(), kind


def test_candles_are_those_of_the_market(tables: Tables, crash: tuple[Market, Chunk]) -> None:
    _, chunk = crash
    candles = of(tables["candle"], "sim-a", LINEAR).filter(price_kind="trade")
    bars = chunk.bars[:, 0]
    assert candles.height == len(bars)
    assert candles["volume"].to_list() == (bars["volume"] / 1_000).tolist()
    np.testing.assert_allclose(candles["close"], bars["close"], atol=0.051)
    # An inverse contract is a dollar: dollars are exact, coins follow from the price.
    inverse = of(tables["candle"], "sim-b", INVERSE).filter(price_kind="trade")
    np.testing.assert_allclose(inverse["quote_volume"], chunk.bars["volume"][:, 1], rtol=1e-9)
    ratio = inverse["quote_volume"] / inverse["volume"]
    assert ratio.is_between(inverse["low"] - 0.1, inverse["high"] + 0.1).mean() > 0.999


def test_open_interest_is_stated_every_five_minutes_in_coin_and_dollars(
    tables: Tables, crash: tuple[Market, Chunk]
) -> None:
    _, chunk = crash
    held = of(tables["open_interest"], "sim-a", LINEAR)
    assert held["time"].diff().drop_nulls().unique().to_list() == [timedelta(minutes=5)]
    ends = chunk.bars[4::5, 0]
    assert held["amount"].to_list() == (ends["open_interest"] / 1_000).tolist()
    np.testing.assert_allclose(held["value_usd"] / held["amount"], ends["mark_close"], rtol=1e-5)


def test_one_exchange_tells_open_interest_that_is_minutes_old(
    tables: Tables, crash: tuple[Market, Chunk]
) -> None:
    market, chunk = crash
    delay = market.contracts[1].venue.interest_delay
    assert delay == 2
    held = of(tables["open_interest"], "sim-b", INVERSE)
    true = chunk.bars["open_interest"][:, 1]
    told = held["value_usd"].to_numpy()
    np.testing.assert_array_equal(told[1:], true[9 - delay :: 5])
    assert (told != true[4::5]).any()


def test_old_open_interest_goes_on_across_pieces() -> None:
    def told(cuts: tuple[int, ...]) -> list[float]:
        start = datetime(2025, 1, 1, tzinfo=UTC)
        market = Market(SCENARIOS["calm"], COINS["SOL"], seed=1, start=start, days=1)
        publisher = Publisher(market)
        frames = [publisher.tables(market.advance(cut))["open_interest"] for cut in cuts]
        return of(pl.concat(frames), "sim-b", "SOL/USD:SOL")["value_usd"].to_list()

    assert told((40,)) == told((5, 10, 5, 20))


def test_a_throttled_feed_tells_the_largest_of_each_second(
    tables: Tables, crash: tuple[Market, Chunk]
) -> None:
    market, chunk = crash
    told = of(tables["liquidation"], "sim-a", LINEAR)
    assert told["completeness"].unique().to_list() == ["throttled"]
    assert not told["time"].dt.truncate("1s").is_duplicated().any()
    real = chunk.liquidations[chunk.liquidations["contract"] == 0]
    shock = int(market.law.shock_from)
    cascade = real[(real["minute"] >= shock) & (real["minute"] < shock + 60)]
    since = datetime.fromtimestamp(shock * 60, tz=UTC)
    heard = told.filter(pl.col("time").is_between(since, since + timedelta(minutes=60)))
    assert 0 < heard.height < 0.8 * len(cascade)  # a good part of a cascade is hidden
    assert (told["known_at"] == told["time"].dt.truncate("1s") + timedelta(seconds=1)).all()
    each = pl.DataFrame({"second": stamps(real) // 1_000_000, "lots": real["lots"]})
    largest = each.group_by("second").agg(pl.col("lots").max()).sort("second")
    # The largest by dollars is that by lots, or one filled at a slightly better price.
    np.testing.assert_allclose(told["amount"] * 1_000, largest["lots"], rtol=0.2)
    whole = of(tables["liquidation"], "sim-c", LINEAR)
    assert whole["completeness"].unique().to_list() == ["complete"]
    assert whole.height == (chunk.liquidations["contract"] == 2).sum()


def test_a_liquidation_names_the_side_and_the_price_its_exchange_gives(
    tables: Tables, crash: tuple[Market, Chunk]
) -> None:
    _, chunk = crash
    told = of(tables["liquidation"], "sim-b", INVERSE)
    real = chunk.liquidations[chunk.liquidations["contract"] == 1]
    assert told["price_kind"].unique().to_list() == ["bankruptcy"]
    longs = told.filter(side="long")
    assert longs.height == (real["side"] > 0).sum()
    # A dollar a contract, whatever the price; a long's bankruptcy lies below its trigger.
    assert sorted(told["value_usd"]) == sorted(real["lots"].tolist())
    assert (real["bankruptcy"] < real["trigger"])[real["side"] > 0].mean() > 0.95


def test_liquidations_of_a_step_follow_on_each_other_in_its_first_second() -> None:
    rows = np.zeros(3, dtype=LIQUIDATION)
    rows["minute"], rows["step"] = [7, 7, 7], [2, 2, 3]
    base = (7 * 60 + 20) * 1_000_000
    assert stamps(rows).tolist() == [base + 333_000, base + 666_000, base + 10_500_000]
    assert stamps(rows[:0]).tolist() == []


def test_funding_is_settled_at_each_exchanges_own_hours(tables: Tables) -> None:
    for exchange, hours in (("sim-a", 8), ("sim-b", 4), ("sim-c", 1)):
        rows = tables["funding"].filter(exchange=exchange, status="settled")
        assert rows["time"].diff().drop_nulls().unique().to_list() == [timedelta(hours=hours)]
        assert rows["interval_hours"].unique().to_list() == [hours]
        assert set(rows["time"].dt.hour() % hours) == {0}
    waiting = tables["funding"].filter(status="predicted")
    assert (waiting["settles"] > waiting["time"]).all()


def test_a_dated_future_ends_at_its_expiry_and_the_next_follows(tables: Tables) -> None:
    candles = tables["candle"].filter(exchange="sim-a", price_kind="trade")
    dated = candles.filter(pl.col("symbol").str.contains("-"))
    spans = dict(
        dated.group_by("symbol").agg(pl.struct(pl.col("time").min(), pl.len())).iter_rows()
    )
    assert set(spans) == {f"{LINEAR}-250328", f"{LINEAR}-250627", f"{LINEAR}-250926"}
    expiry = datetime(2025, 3, 28, 8, tzinfo=UTC)
    last = dated.filter(symbol=f"{LINEAR}-250328")["time"].max()
    assert last == expiry - timedelta(minutes=1)
    assert spans[f"{LINEAR}-250926"]["time"] == expiry
    per_minute = dated.group_by("time").len()["len"]
    assert per_minute.unique().to_list() == [2]


def test_ratios_count_accounts(tables: Tables) -> None:
    rows = tables["long_short_ratio"]
    assert set(rows["population"]) == {"accounts", "top_accounts", "top_positions"}
    share = rows["ratio"] / (1 + rows["ratio"])
    np.testing.assert_allclose(share, rows["long_share"], atol=1e-4)


def test_books_thin_in_a_crash(tables: Tables, crash: tuple[Market, Chunk]) -> None:
    market, _ = crash
    shock = datetime.fromtimestamp(int(market.law.shock_from) * 60, tz=UTC)
    near = of(tables["book_depth"], "sim-a", LINEAR).filter(distance=0.01)
    before = near.filter(pl.col("time").is_between(shock - timedelta(hours=2), shock))
    during = near.filter(
        pl.col("time").is_between(shock + timedelta(minutes=5), shock + timedelta(minutes=40))
    )
    assert during["value_usd"].min() < 0.1 * before["value_usd"].mean()


def test_a_share_of_wallets_can_be_read_and_they_tell_the_truth(
    tables: Tables, crash: tuple[Market, Chunk]
) -> None:
    market, _ = crash
    rows = tables["position"]
    assert rows["exchange"].unique().to_list() == ["sim-c"]
    hour = rows.filter(pl.col("time") == rows["time"].max())
    accounts = int(market.law.accounts[2])
    assert 0 < hour.height <= accounts * 0.1 + 1
    assert rows["wallet"].str.contains(r"^0x[0-9a-f]{40}$").all()
    assert set(rows["margin_mode"]) == {"isolated", "cross"}
    known = rows.drop_nulls("liquidation_price")
    below = known["liquidation_price"] < known["value_usd"] / known["amount"]
    assert (below == (known["side"] == "long")).mean() > 0.99
    isolated = known.filter(margin_mode="isolated")
    assert (isolated["entry_price"] * isolated["amount"] / isolated["margin"]).is_finite().all()


def test_option_quotes_have_symbols_that_can_be_read(tables: Tables) -> None:
    rows = tables["option_quote"]
    parts = [Symbol.parse(symbol) for symbol in rows["symbol"].unique()]
    assert {part.settlement for part in parts} == {"inverse"}
    assert {part.option for part in parts} == {"C", "P"}
    assert (rows["bid_price"] <= rows["ask_price"]).all()
    last = rows.filter(pl.col("time") == rows["time"].max())
    assert len({Symbol.parse(symbol).expiry for symbol in last["symbol"]}) == 6
    assert last.height == 6 * 13 * 2
    assert last["open_interest"].sum() > 0


def test_option_trades_add_up_to_the_volume_that_quotes_state(tables: Tables) -> None:
    quotes, trades = tables["option_quote"], tables["trade"]
    assert trades["exchange"].unique().to_list() == ["sim-d"]
    last = quotes["time"].max()
    day = trades.filter((pl.col("time") > last - timedelta(days=1)) & (pl.col("time") <= last))
    traded = day.group_by("symbol").agg(pl.col("amount").sum())
    stated = quotes.filter(pl.col("time") == last, pl.col("volume") > 0)
    both = stated.join(traded, on="symbol")
    assert both.height == stated.height > 20
    assert both["amount"].to_numpy() == pytest.approx(both["volume"].to_numpy())


def test_the_truth_of_an_option_trade_tells_who_and_whether_it_opens(
    crash: tuple[Market, Chunk], tables: Tables
) -> None:
    market, chunk = crash
    known = truth.tables(market, chunk)["option_trades"]
    both = known.join(tables["trade"], on=["time", "id"], validate="1:1")
    assert both.height == known.height == tables["trade"].height
    assert ((both["lots"] > 0) == (both["side"] == "buy")).all()
    opened = both.filter("opens")
    sides = opened.group_by("owner").agg(pl.col("side").unique(), pl.col("option").unique().sort())
    assert {row[0]: row[1:] for row in sides.sort("owner").iter_rows()} == {
        "hedge": (["buy"], ["P"]),
        "overwriting": (["sell"], ["C"]),
        "speculation": (["buy"], ["C", "P"]),
    }


def test_an_exchange_that_is_dark_publishes_nothing_and_a_gap_says_so() -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    market = Market(SCENARIOS["outage"], COINS["SOL"], seed=1, start=start, days=10)
    found = Publisher(market).tables(market.advance(10 * 1_440))
    since = start + timedelta(days=7)
    until = since + timedelta(minutes=180)
    inside = pl.col("time").is_between(since, until, closed="left")
    for kind, frame in found.items():
        dark = frame.filter(inside, pl.col("exchange") == "sim-b")
        assert dark.height == (0 if kind != "gap" else found["gap"].height), kind
    gaps = found["gap"]
    assert gaps["until"].unique().to_list() == [until]
    streams = {"book_depth", "candle", "liquidation", "mark_price", "open_interest"}
    assert set(gaps["stream"]) == streams | {"funding", "long_short_ratio"}
    others = found["candle"].filter(inside, pl.col("exchange") == "sim-a")
    assert others.height == 3 * 180  # trades, mark and spot


def test_instruments_and_brackets_are_known(crash: tuple[Market, Chunk]) -> None:
    market, chunk = crash
    items = Publisher(market).instruments(chunk)
    sizes = {i.symbol: i.contract_size for i in items if hasattr(i, "contract_size")}
    assert str(sizes[LINEAR]) == "0.001"
    assert sizes[INVERSE] == 1
    tables = [i for i in items if hasattr(i, "brackets")]
    for table in tables:
        for below, above in zip(table.brackets, table.brackets[1:], strict=False):
            at = below.cap
            lower = at * below.maintenance_rate - below.cum
            assert lower == pytest.approx(at * above.maintenance_rate - above.cum)


def test_the_truth_has_every_position_and_its_mass_is_the_open_interest(
    crash: tuple[Market, Chunk],
) -> None:
    market, chunk = crash
    positions = truth.snapshot(market)
    held = chunk.bars["open_interest"][-1]
    for c, contract in enumerate(market.contracts[:3]):
        mine = positions.filter(
            exchange=contract.venue.name, symbol=contract.symbol(market.coin.name, 0)
        )
        for side in (1, -1):
            assert mine.filter(side=side)["lots"].sum() == held[c]
    assert set(positions["owner"]) >= {"trend", "contrarian", "mood", "market_maker"}
    assert positions.filter(owner="market_maker")["liquidation_price"].null_count() > 0


def test_the_truth_of_a_stretch_has_flows_depth_and_causes(crash: tuple[Market, Chunk]) -> None:
    market, chunk = crash
    known = truth.tables(market, chunk)
    minutes = known["minutes"].filter(exchange="sim-a", symbol=LINEAR)
    flow = minutes["long_opened"] - minutes["long_closed"]
    assert (minutes["open_interest"].diff().drop_nulls() == flow[1:]).all()
    assert (minutes["bids_usd"] > 0).all()
    rows = known["liquidations"]
    assert rows.height == len(chunk.liquidations)
    assert rows["cascade"].drop_nulls().is_between(0, 1).all()
    assert known["deleveraged"].height == len(chunk.deleveraged)
    assert set(known["options"]["option"]) == {"C", "P"}
    assert known["value"].height == len(chunk.spot)
