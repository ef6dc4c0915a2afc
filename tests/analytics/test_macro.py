"""What bears on a market from beyond it: growth, shares and percentiles worked out by hand."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from tests.fakes.tables import rows

from plimsoll.analytics import institutional, macro
from plimsoll.market import schema

START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


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
    found = institutional.regulated_share(told, amounts)["regulated_share"].to_list()
    assert found[:5] == [None] * 5
    assert found[5:19] == [0.25] * 14  # 100 coins of 400
    assert found[19:] == [None] * 3  # a report of two weeks ago says nothing of today


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
