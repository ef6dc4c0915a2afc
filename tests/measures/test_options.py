from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from tests.fakes.chains import START, market, name

import plimsoll
from plimsoll.errors import NoSuchData

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.session import Session

HOUR = timedelta(hours=1)
LAST = START + 234 * HOUR


def stored(folder: Path, **tables: pl.DataFrame) -> Session:
    """Return a session on a store of these tables."""
    for kind, frame in tables.items():
        known = [column.name for column in frame if column.null_count() < len(column)]
        frame.select(known).write_parquet(folder / f"{kind}.parquet")
    opened = plimsoll.open(folder / "store")
    report = opened.import_files(sorted(folder.glob("*.parquet")))
    assert report.failed == []
    return opened


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    quoted, traded = market()
    return stored(tmp_path_factory.mktemp("options"), option_quote=quoted, trade=traded)


def test_the_state_is_of_the_newest_quote(session: Session) -> None:
    state = session.options("BTC")
    assert (state.time, state.price, state.market) == (LAST, 60_000, "BTC")
    assert state.counts == {"live": 28, "stale": 0}
    # 14 calls of 10 coins, one of them 39 quotes later; 14 puts of 5.
    assert state.value("open_interest") == 14 * 10 + 39 + 14 * 5
    assert state.value("put_call_open_interest") == pytest.approx(70 / 179)
    assert state.by_strike["calls"].sum() == 179
    assert state.by_expiry["puts"].to_list() == [35, 35]


def test_a_ratio_that_only_fell_ranks_lowest(session: Session) -> None:
    row = session.options("BTC").summary.row(
        by_predicate=pl.col("measure") == "put_call_open_interest", named=True
    )
    # Ten midnights and the last moment, each with a lower ratio than before.
    assert row["observations"] == 11
    assert row["percentile"] == pytest.approx(0.5 / 11)
    assert row["coverage"] == 1


def test_a_flat_smile_is_flat_and_its_index_agrees(session: Session) -> None:
    state = session.options("BTC")
    assert state.term["atm"].to_list() == pytest.approx([0.5, 0.5], abs=1e-3)
    assert state.term["risk_reversal"].to_list() == pytest.approx([0, 0], abs=2e-3)
    assert state.value("atm_30") == pytest.approx(0.5, abs=1e-3)
    assert (state.smile["iv"] == 0.5).all()
    assert state.smile["fitted"].drop_nulls().to_list() == pytest.approx([0.5] * 14, abs=2e-3)
    assert state.curves["volatility"].to_numpy() == pytest.approx(0.5, abs=2e-3)


def test_takers_explain_what_they_opened(session: Session) -> None:
    state = session.options("BTC")
    seen = 39 / 49  # of the one option that was traded: ten coins stood there before
    assert state.taker_coverage == pytest.approx(49 / 249)
    assert seen > 0.7
    assert state.taker_zero.price is None
    assert state.taker_zero.reason is not None
    assert state.taker_zero.reason.startswith("20 % of open interest")
    gammas = {row["measure"]: row["value"] for row in state.summary.iter_rows(named=True)}
    assert gammas["taker_usd"] < 0 < gammas["naive_usd"] < gammas["unsigned_usd"]
    assert state.intents is not None
    shares = dict(state.intents.select("intent", "share").iter_rows())
    assert shares["ambiguous"] + shares["speculation"] == 1  # a call bought, 27 to 17 days away


def test_blocks_are_kept_apart_and_their_share_is_told(tmp_path: Path) -> None:
    quoted, traded = market()
    marked = traded.with_row_index("_n").with_columns(
        origin=pl.when(pl.col("_n") < 30).then(pl.lit("screen")).otherwise(pl.lit("block"))
    )
    opened = stored(tmp_path, option_quote=quoted, trade=marked.drop("_n"))
    state = opened.options("BTC")
    share = state.summary.row(by_predicate=pl.col("measure") == "block_share", named=True)
    last = traded["amount"].sum() - 30  # a coin each
    assert share["value"] == pytest.approx(last / traded["amount"].sum())
    assert (share["coverage"], share["unit"]) == (1, "fraction traded, 30 days")
    assert state.value("combo_share") == 0
    assert state.intents is not None
    assert state.intents.filter(intent="block")["share"].item() == pytest.approx(share["value"])
    assert "not counted as bought or sold by takers" in state.said[-1]
    # Of 49 coins 39 came, up to as many as the blocks in blocks.
    assert (39 - last) / 49 < 0.7
    assert state.taker_coverage == 0


def test_where_no_trade_tells_whether_it_was_a_block_that_is_said(session: Session) -> None:
    state = session.options("BTC")
    share = state.summary.row(by_predicate=pl.col("measure") == "block_share", named=True)
    assert (share["value"], share["coverage"]) == (None, 0)
    assert "may be block trades in part" in state.said[-1]


def test_as_of_a_moment_nothing_later_is_known(session: Session) -> None:
    early = session.options("BTC", as_of=START + 100 * HOUR)
    assert early.time == START + 96 * HOUR
    assert early.value("open_interest") == 140 + 16 + 70
    assert early.intents is not None
    assert early.intents["amount"].sum() == 16
    until = session.options("BTC", until=START + 100 * HOUR)
    assert until.summary.equals(early.summary)


def test_a_history_is_the_states_that_were(session: Session) -> None:
    told = session.option_history("BTC", every="6h")
    moment = told.filter(pl.col("time") == told["time"][20])
    then = session.options("BTC", as_of=told["time"][20])
    for measure in ("put_call_open_interest", "leverage", "effective", "naive_usd"):
        assert moment[measure].item() == pytest.approx(then.value(measure), rel=1e-9)
    recent = session.option_history("BTC", every="6h", since=told["time"][20])
    assert recent.equals(told[20:])
    short = session.option_history("BTC", every="6h", as_of=told["time"][20])
    assert short.height == 20  # it ends at the last quote, not at the moment asked about
    assert short.equals(told[:20])


def test_a_grid_goes_on_over_the_end_of_a_month(tmp_path: Path) -> None:
    """Quotes from 1 March to 5 April, each good for twelve hours: no step is left out."""
    quoted, _ = market(hours=24 * 23)
    moved = quoted.with_columns(pl.col("time", "known_at") + 240 * HOUR)
    ends = moved.filter(~pl.col("symbol").str.contains("260328"))
    told = stored(tmp_path, option_quote=ends).option_history("BTC", every="5h")
    assert told["time"].diff().drop_nulls().unique().to_list() == [5 * HOUR]
    assert told["time"].dt.month().unique().sort().to_list() == [3, 4]
    assert (told["time"].dt.timestamp("ms") % (5 * 3_600_000) == 0).all()


def test_open_interest_is_compared_with_a_week_before(session: Session) -> None:
    told = session.option_history("BTC", every="6h")
    assert told["open_interest_change"][:27].null_count() >= 27
    held = told["open_interest"]
    assert told["open_interest_change"][-1] == pytest.approx(held[-1] / held[-29] - 1)


def test_smiles_are_fitted_through_time_if_asked(session: Session) -> None:
    told = session.option_history("BTC", every="1d", smiles=True)
    assert told["atm_30"].drop_nulls().to_numpy() == pytest.approx(0.5, abs=1e-3)
    assert "atm_30" not in session.option_history("BTC", every="1d").columns


def test_a_level_is_told_with_its_ambiguity(session: Session) -> None:
    said = " ".join(session.options("BTC").said)
    assert "0.39" in said
    assert "below 0.7" in said
    assert "ambiguous" in said
    assert "crowded rather than confidence" in said


def test_everything_is_plain_to_json(session: Session) -> None:
    plain = session.options("BTC").describe()
    assert plain["by_strike"]["strike"][0] == 40_000
    assert plain["taker_zero"]["price"] is None
    assert plain["said"]


def test_a_chain_long_ago_leaves_holes_and_not_zeros(tmp_path: Path) -> None:
    quoted, _ = market(hours=24)
    first = quoted.filter(pl.col("time") == START)
    late = first.with_columns(pl.col("time", "known_at") + 76 * HOUR)
    opened = stored(tmp_path, option_quote=pl.concat([quoted, late]))
    told = opened.option_history("BTC", every="6h")
    hole = told.filter(pl.col("live") == 0)
    assert hole.height == 7  # from 12 h after the last of the first day on
    assert hole["put_call_open_interest"].null_count() == hole.height
    assert hole["stale"].to_list() == [28] * 6 + [0]  # two days after, nobody misses them
    assert told["put_call_open_interest"][-1] is not None


def test_what_is_not_stored_is_said(session: Session, tmp_path: Path) -> None:
    with pytest.raises(NoSuchData, match="no quote of an option on ETH is stored"):
        session.options("ETH")
    with pytest.raises(NoSuchData, match="in that span of time"):
        session.options("BTC", until=START - HOUR)
    with pytest.raises(ValueError, match="is one option; ask for its coin, or for BTC/USD:BTC"):
        session.options(name("260331", 60_000, "C"))
    quoted, _ = market(hours=6)
    alone = stored(tmp_path, option_quote=quoted)
    assert alone.options("BTC/USD:BTC").intents is None
    assert alone.options("BTC").taker_coverage == 0


def test_a_chain_of_nothing_but_nulls_is_no_state_of_zeros(tmp_path: Path) -> None:
    quoted, _ = market(hours=6)
    bare = quoted.select("exchange", "symbol", "time", "known_at", "volume")
    held = bare.with_columns(open_interest=pl.lit(1.0))
    state = stored(tmp_path, option_quote=held).options("BTC")
    assert state.price is None
    assert state.value("leverage") is None
    assert state.value("unsigned_usd") is None
    assert state.naive_zero.price is None
    assert state.profile.height == 0
    assert state.value("put_call_open_interest") == 1
