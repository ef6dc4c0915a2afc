"""What bears on a market from beyond it: growth, shares and percentiles worked out by hand."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.analytics import macro
from plimsoll.market import schema
from plimsoll.market.schema import TABLES

START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def rows(kind, records):
    names = [name for name, dtype in TABLES[kind].schema.items() if dtype == schema.TIME]
    given = {name for record in records for name in record}
    overrides = {name: schema.TIME for name in names if name in given}
    frame = pl.DataFrame(records, schema_overrides=overrides, infer_schema_length=None)
    return TABLES[kind].conform(frame)


def coins(*told):
    """Rows of (day, coin, dollars)."""
    return rows(
        "stablecoin_supply",
        [
            {"exchange": "x", "symbol": coin, "time": START + day * DAY, "supply_usd": float(usd)}
            for day, coin, usd in told
        ],
    )


def test_supply_grows_over_a_week_and_over_thirty_days():
    total = [(day, "TOTAL", 100 + day) for day in range(31)]
    found = macro.supply(coins(*total, (30, "USDT", 65)))
    last = {row["symbol"]: row for row in found.tail(2).rows(named=True)}
    assert last["TOTAL"]["growth_7d"] == pytest.approx(130 / 123 - 1)
    assert last["TOTAL"]["growth_30d"] == pytest.approx(0.3)
    assert last["USDT"]["dominance"] == pytest.approx(0.5)
    assert last["USDT"]["growth_7d"] is None


def test_supply_of_which_nothing_was_heard_for_days_is_unknown():
    found = macro.supply(coins((0, "USDT", 10), (11, "USDT", 20)))
    assert found["supply_usd"].to_list() == [10] * 4 + [None] * 7 + [20]
    assert found["growth_7d"].to_list()[-1] is None


def held(*told):
    """Rows of (day, exchange, dollars)."""
    return rows(
        "open_interest",
        [
            {
                "exchange": e,
                "symbol": "BTC/USDT:USDT",
                "time": START + d * DAY,
                "value_usd": float(u),
            }
            for d, e, u in told
        ],
    )


def test_the_share_on_chains_is_of_what_is_stored():
    """Hyperliquid 9.57bn of 16.91bn on chains were 57 %; here they are 9.57 of 95.7."""
    found = macro.chain_share(
        held((0, "hyperliquid", 9.57e9), (0, "binance", 86.13e9), (1, "binance", 80e9)), 2 * HOUR
    )
    assert found["share"].to_list() == [pytest.approx(0.1), None]
    assert found["coverage"].to_list() == [1, 0.5]
    assert found["exchanges"].to_list() == [2, 1]
    alone = macro.chain_share(held((0, "hyperliquid", 1.0)), 2 * HOUR)
    assert alone["share"].item() is None


def test_protocols_are_summed_and_the_largest_named():
    """In January 2026 Hyperliquid held 9.57bn, the next five together 7.34bn."""
    told = rows(
        "open_interest_total",
        [
            {"exchange": "defillama", "symbol": name, "time": START, "open_interest_usd": usd}
            for name, usd in (("hyperliquid", 9.57e9), ("aster", 4.34e9), ("lighter", 3e9))
        ],
    )
    found = macro.protocols(told).row(0, named=True)
    assert found["open_interest_usd"] == pytest.approx(16.91e9)
    assert (found["protocols"], found["largest"]) == (3, "hyperliquid")
    assert found["largest_share"] == pytest.approx(0.566, abs=5e-4)


def reports(*told, size=5.0):
    """Rows of (week, market, category, long, short, open interest): contracts."""
    return rows(
        "commitment",
        [
            {
                "exchange": "cme",
                "symbol": "BTC/USD:USD",
                "time": START + DAY + 7 * week * DAY,
                "known_at": START + 4 * DAY + timedelta(hours=20.5) + 7 * week * DAY,
                "market": market,
                "category": category,
                "long": float(long),
                "short": float(short),
                "open_interest": float(whole),
                "contract_size": size if market == "133741" else 0.1 if market else None,
            }
            for week, market, category, long, short, whole in told
        ],
    )


def test_contracts_of_five_coins_and_of_a_tenth_are_added_as_coins():
    found = macro.commitments(
        reports(
            (0, "133741", "leveraged_funds", 1_000, 9_000, 20_000),
            (0, "133742", "leveraged_funds", 5_000, 15_000, 30_000),
            (0, "133741", "asset_manager", 8_000, 1_000, 20_000),
        )
    )
    funds = found.filter(pl.col("category") == "leveraged_funds").row(0, named=True)
    assert (funds["long"], funds["short"], funds["net"]) == (5_500, 46_500, -41_000)
    assert funds["open_interest"] == 103_000
    assert funds["net_share"] == pytest.approx(-41 / 103)
    assert (funds["markets"], funds["coverage"]) == (2, 1)
    managers = found.filter(pl.col("category") == "asset_manager").row(0, named=True)
    assert managers["net"] == 35_000


def test_a_contract_of_unknown_size_is_left_out_and_that_is_said():
    both = macro.commitments(
        reports((0, "133741", "dealer", 1, 2, 4), (0, "", "dealer", 7, 7, 7))
    ).row(0, named=True)
    assert (both["long"], both["markets"], both["coverage"]) == (5, 1, 0.5)
    assert macro.commitments(reports((0, "", "dealer", 7, 7, 7))).height == 0


def test_a_report_counts_from_the_friday_on():
    """Told on Friday at 20:30 in UTC, so that Saturday is the first day that knows it."""
    amounts = pl.DataFrame(
        {"time": [START + n * DAY for n in range(22)], "amount": [300.0] * 22},
        schema_overrides={"time": schema.TIME},
    )
    told = macro.commitments(reports((0, "133741", "dealer", 1, 2, 20)))
    found = macro.regulated_share(told, amounts)["regulated_share"].to_list()
    assert found[:5] == [None] * 5
    assert found[5:19] == [0.25] * 14  # 100 coins of 400
    assert found[19:] == [None] * 3  # a report of two weeks ago says nothing of today


def hourly(closes, first=START - HOUR):
    return rows(
        "candle",
        [
            {
                "exchange": "binance",
                "symbol": "BTC/USDT:USDT",
                "time": first + n * HOUR,
                "interval": 3_600,
                **dict.fromkeys(("open", "high", "low", "close"), float(close)),
            }
            for n, close in enumerate(closes)
        ],
    )


def test_were_all_hours_alike_new_york_would_have_its_share_of_them():
    closes = 100 * np.exp(0.01 * (np.arange(24 * 36 + 1) % 2))
    share = macro.us_hours(hourly(closes))["us_hours_share"]
    assert share.drop_nulls().to_list() == pytest.approx([5 * 7 / 168] * len(share.drop_nulls()))
    assert share.null_count() == 27
    assert len(share) > 30


def test_of_a_day_that_is_not_over_nothing_is_told():
    closes = 100 * np.exp(0.01 * (np.arange(24 * 30 + 1) % 2))
    whole, seen = (macro.us_hours(hourly(closes[:n])) for n in (len(closes), len(closes) - 6))
    assert whole["time"][-1] == START + timedelta(days=30)
    assert seen.equals(whole.head(whole.height - 1))


def test_a_market_that_moves_in_one_hour_of_new_york_alone_is_all_there():
    """From 14:00 to 15:00 in UTC it is nine to ten in New York in winter."""
    steps = np.array([1.0 if n % 24 == 14 and n // 24 % 7 < 5 else 0.0 for n in range(24 * 30)])
    closes = 100 * np.exp(np.concatenate([[0.0], np.cumsum(0.01 * steps)]))
    assert macro.us_hours(hourly(closes))["us_hours_share"].drop_nulls()[-1] == pytest.approx(1)


def test_weekends_are_measured_against_days():
    """A price that rises by 1 % an hour rises by 49 % over a weekend, and by 24 % in a day."""
    closes = 100 * np.exp(0.01 * np.arange(24 * 60))
    found = macro.weekends(hourly(closes))["weekend_gap"].drop_nulls()
    assert found[-1] == pytest.approx(49 / 24)


def test_the_premium_is_over_what_a_dollar_coin_costs():
    """100,200 dollars on Coinbase, 100,100 USDT elsewhere, and 0.999 dollars for one."""
    found = macro.premium(hourly([100_200] * 24), hourly([100_100] * 24), hourly([0.999] * 24))
    assert found["coinbase_premium"][0] == pytest.approx(100_200 / (100_100 * 0.999) - 1)


def daily(name, values):
    return pl.DataFrame(
        {"time": [START + n * DAY for n in range(len(values))], name: values},
        schema_overrides={"time": schema.TIME, name: pl.Float64},
    )


def test_the_composite_is_the_average_percentile_of_what_is_known():
    """The share is the highest of 40 days, and the gap the highest too, which is the least."""
    found = macro.composite(
        [daily("regulated_share", range(40)), daily("weekend_gap", range(40))]
    ).row(-1, named=True)
    assert found["regulated_share_percentile"] == pytest.approx(39.5 / 40)
    assert found["weekend_gap_percentile"] == pytest.approx(0.5 / 40)
    assert found["score"] == pytest.approx(0.5)
    assert (found["known"], found["coinbase_premium"]) == (2, None)


def test_parts_that_are_known_weigh_the_same_whatever_is_missing():
    highest = [daily("basis_gap", range(40)), daily("volatility_slope", range(40))]
    found = macro.composite([*highest, daily("weekend_gap", range(40))]).row(-1, named=True)
    # Percentiles 39.5/40, 39.5/40 and 0.5/40: their mean, of three parts of seven.
    assert found["score"] == pytest.approx((39.5 + 39.5 + 0.5) / 120)
    assert (found["known"], found["coverage"]) == (3, 3 / len(macro.PARTS))
    assert found["regulated_share"] is None


def test_the_basis_of_regulated_futures_is_beside_the_median_of_others():
    """CME pays 9 % a year, others 5, 6 and 12: 9 less the median of 6 is 3 %."""
    rows = [("cme", 0.09), ("binance", 0.05), ("okx", 0.06), ("deribit", 0.12)]
    curves = pl.DataFrame(
        [
            {"time": START, "exchange": name, "kind": "constant", "maturity": term, "log": log}
            for name, log in rows
            for term in ("30d", "90d")
        ]
    ).with_columns(pl.when(pl.col("maturity") == "90d").then(9.0).otherwise("log").alias("log"))
    assert macro.basis_gap(curves)["basis_gap"].to_list() == [pytest.approx(0.03)]
    without = macro.basis_gap(curves.filter(pl.col("exchange") != "cme"))
    alone = macro.basis_gap(curves.filter(pl.col("exchange") == "cme"))
    assert without["basis_gap"].to_list() == alone["basis_gap"].to_list() == [None]


def test_the_slope_of_volatility_is_far_less_near_where_both_are_known():
    near = pl.DataFrame({"at": [START, START + DAY], "value": [0.4, 0.5]})
    far = pl.DataFrame({"at": [START, START + DAY], "value": [0.45, None]})
    found = macro.volatility_slope(near, far)
    assert found["volatility_slope"].to_list() == [pytest.approx(0.05), None]


def traded(day, origin, amount, count=20):
    """So many trades of an option in one day, that make up an amount."""
    spread = [START + day * DAY + (n + 0.5) * DAY / count for n in range(count)]
    option = {"exchange": "deribit", "symbol": "BTC/USD:BTC-260327-70000-C", "side": "buy"}
    each = {"price": 0.01, "amount": amount / count, "grain": "single", "origin": origin}
    return rows("trade", [{**option, **each, "id": n, "time": t} for n, t in enumerate(spread)])


def test_the_share_of_blocks_is_of_the_days_of_a_week_that_tell():
    """Each day 60 coins on the screen, 10 as legs, 30 in blocks, and 500 of which nobody tells.

    On the eighth day all is a block: of seven days (6 · 30 + 100) / 700 = 0.4.
    """
    kinds = [("screen", 60.0), ("combo", 10.0), ("block", 30.0), (None, 500.0)]
    usual = [traded(day, *kind) for day in (*range(7), 8) for kind in kinds]
    found = macro.block_share([*usual, traded(7, "block", 100.0)])
    assert found["time"].to_list() == [START + day * DAY for day in range(1, 9)]
    assert found["block_share"].to_list()[:6] == [None] * 6
    assert found["block_share"].to_list()[6:] == pytest.approx([0.3, 0.4])


def test_where_few_trades_tell_whether_they_were_blocks_nothing_is_said():
    """Two blocks a day are 14 in a week; trades that do not tell count for none."""
    few = [traded(day, "block", 1.0, count=2) for day in range(9)]
    assert macro.block_share(few)["block_share"].null_count() == 8
    assert macro.block_share(few, least=14)["block_share"].to_list()[6:] == [1.0, 1.0]
    untold = [traded(day, None, 1.0, count=200) for day in range(9)]
    assert macro.block_share(untold, least=0)["block_share"].null_count() == 8
    assert macro.block_share([]).height == 0


def test_a_block_counts_from_when_it_was_known():
    """What was arranged on the first day, and told on the ninth, is in no week before."""
    late = traded(0, "block", 1_000.0).with_columns(pl.col("known_at") + 8 * DAY)
    usual = [traded(day, "screen", 100.0) for day in range(10)]
    shares = macro.block_share([*usual, late])["block_share"].to_list()
    assert shares[6:] == pytest.approx([0.0, 0.0, 1_000 / 1_700])


@given(st.integers(1, 12 * 20))
def test_the_future_changes_no_share_of_blocks(cut):
    draw = np.random.default_rng(2)
    days = [traded(day, kind, draw.uniform(1, 9)) for day in range(12) for kind in ("block", None)]
    days += [traded(day, "screen", draw.uniform(1, 9)) for day in range(12)]
    whole, moment = pl.concat(days), START + cut * DAY / 20
    found = macro.block_share([whole])
    known = macro.block_share([whole.filter(pl.col("known_at") <= moment)])
    assert known.equals(found.head(known.height))
    assert known["time"].max() is None or known["time"].max() <= moment


def test_a_percentile_says_nothing_before_thirty_days():
    found = macro.composite([daily("regulated_share", range(31))])
    assert found["score"].null_count() == 29
    assert found["known"].to_list() == [0] * 29 + [1, 1]
    assert macro.composite([]).height == 0


@given(st.integers(1, 39))
def test_the_future_changes_no_score(cut):
    values = np.random.default_rng(1).normal(size=(2, 40))
    whole = macro.composite([daily("regulated_share", values[0]), daily("weekend_gap", values[1])])
    known = macro.composite(
        [daily("regulated_share", values[0][:cut]), daily("weekend_gap", values[1][:cut])]
    )
    assert known.equals(whole.head(cut))


@pytest.mark.real
def test_growth_is_what_the_publisher_of_the_supply_says(real):
    """The file has a column of its own: the change over 30 days, in percent."""
    file = pl.read_csv(real / "stablecoin_supply_daily.csv", infer_schema_length=None)
    told = file.select(
        day=pl.col("date").str.to_date(), usd="total_usd", percent="total_chg_30d_pct"
    )
    frame = coins(*(((day - date(2026, 1, 5)).days, "TOTAL", usd) for day, usd, _ in told.rows()))
    found = macro.supply(frame).select(day=pl.col("time").dt.date(), grown="growth_30d")
    both = told.join(found, on="day").drop_nulls()
    assert both.height > 300
    difference = (both["grown"] * 100 - both["percent"]).abs()
    assert difference.median() < 0.01


@pytest.mark.real
def test_shares_are_those_of_the_official_report(real, tmp_path):
    """The CFTC prints shares of open interest itself, with one decimal."""
    import plimsoll  # noqa: PLC0415

    session = plimsoll.open(tmp_path / "store")
    session.import_files([real / "cot"])
    official = pl.read_csv(real / "cot" / "FinFut_crypto_2026.txt", infer_schema_length=None)
    bitcoin = official.filter(pl.col("CFTC_Contract_Market_Code").cast(pl.String) == "133741")
    told = session.read("commitment", "BTC/USD:USD").filter(pl.col("market") == "133741")
    found = macro.commitments(told).filter(pl.col("category") == "leveraged_funds")
    printed = bitcoin.select(
        day=pl.col("Report_Date_as_YYYY-MM-DD").cast(pl.String).str.to_date(strict=False),
        long="Pct_of_OI_Lev_Money_Long_All",
        short="Pct_of_OI_Lev_Money_Short_All",
    )
    both = printed.join(
        found.select("long_share", "short_share", day=pl.col("time").dt.date()), on="day"
    )
    assert both.height == bitcoin.height > 20
    for side in ("long", "short"):
        percent = both[side].str.strip_chars().cast(pl.Float64)
        assert (both[f"{side}_share"] * 100 - percent).abs().max() <= 0.051
