"""The CFTC's Traders in Financial Futures, in the columns of its own files."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from plimsoll.archives import cftc
from plimsoll.archives.source import Source, split_rejects
from plimsoll.errors import ArchiveError, DamagedFile

REPORTS = Path(__file__).resolve().parents[2].parent / "shared/data/real/cot"
# Year: rows of the file.
REAL = {2017: 2, 2018: 92, 2019: 70, 2025: 102, 2026: 262}
OFFICIAL = (
    '"Market_and_Exchange_Names","As_of_Date_In_Form_YYMMDD","Report_Date_as_YYYY-MM-DD",'
    '"CFTC_Contract_Market_Code","Open_Interest_All",'
    '"Dealer_Positions_Long_All","Dealer_Positions_Short_All","Dealer_Positions_Spread_All",'
    '"Asset_Mgr_Positions_Long_All","Asset_Mgr_Positions_Short_All",'
    '"Asset_Mgr_Positions_Spread_All","Lev_Money_Positions_Long_All",'
    '"Lev_Money_Positions_Short_All","Lev_Money_Positions_Spread_All",'
    '"Other_Rept_Positions_Long_All","Other_Rept_Positions_Short_All",'
    '"Other_Rept_Positions_Spread_All","Tot_Rept_Positions_Long_All",'
    '"Tot_Rept_Positions_Short_All","NonRept_Positions_Long_All","NonRept_Positions_Short_All",'
    '"Traders_Dealer_Long_All","Contract_Units","CFTC_SubGroup_Code","FutOnly_or_Combined"'
)
API = (
    "market_and_exchange_names,report_date_as_yyyy_mm_dd,cftc_contract_market_code,"
    "open_interest_all,dealer_positions_long_all,dealer_positions_short_all,"
    "dealer_positions_spread_all,asset_mgr_positions_long,asset_mgr_positions_short,"
    "asset_mgr_positions_spread,lev_money_positions_long,lev_money_positions_short,"
    "lev_money_positions_spread,other_rept_positions_long,other_rept_positions_short,"
    "other_rept_positions_spread,nonrept_positions_long_all,nonrept_positions_short_all,"
    "contract_units,futonly_or_combined"
)
BITCOIN = "BITCOIN - CHICAGO MERCANTILE EXCHANGE"
NUMBERS = "  100,   10,   20,    5,   15,    1,    2,   25,   50,    3,   11,    4,    1,"


def official(
    name=BITCOIN,
    day="2026-01-06",
    code="133741",
    units="(5 Bitcoins)",
    numbers=NUMBERS,
    group="F85",
    scope="FutOnly",
):
    return (
        f'"{name}",260106,{day},{code},{numbers}   72,   86,   28,   14,.,"{units}","{group}",'
        f'"{scope}"'
    )


def written(folder, header, *lines, name="FinFut26.txt"):
    path = folder / name
    path.write_text("\n".join([header, *lines, ""]))
    return Source(path)


def kept(source):
    assert cftc.recognises(source)
    frames = [split_rejects(source, kind, frame) for kind, frame in cftc.read(source)]
    return pl.concat(frames) if frames else None


EXPECTED = [
    ("dealer", 10.0, 20.0, 5.0),
    ("asset_manager", 15.0, 1.0, 2.0),
    ("leveraged_funds", 25.0, 50.0, 3.0),
    ("other_reportable", 11.0, 4.0, 1.0),
    ("nonreportable", 28.0, 14.0, None),
]


def test_a_report_becomes_one_row_for_each_category(tmp_path):
    frame = kept(written(tmp_path, OFFICIAL, official()))
    assert frame.select("category", "long", "short", "spread").rows() == EXPECTED
    same = frame.select("exchange", "symbol", "market", "open_interest", "contract_size").unique()
    assert same.rows() == [("cme", "BTC/USD:USD", "133741", 100.0, 5.0)]


def test_the_csv_of_the_public_api_reads_the_same(tmp_path):
    line = (
        f'"{BITCOIN}","2026-01-06T00:00:00.000","133741",{NUMBERS.replace(" ", "")}'
        '28,14,"(5 Bitcoins)","FutOnly"'
    )
    frame = kept(written(tmp_path, API, line, name="cot.csv"))
    assert frame.equals(kept(written(tmp_path, OFFICIAL, official())))


@pytest.mark.parametrize(
    ("day", "known_at"),
    [
        ("2026-01-06", datetime(2026, 1, 9, 20, 30, tzinfo=UTC)),
        ("2026-07-07", datetime(2026, 7, 10, 19, 30, tzinfo=UTC)),
        # A Monday: the week's Tuesday was New Year's Day.
        ("2018-12-31", datetime(2019, 1, 4, 20, 30, tzinfo=UTC)),
        # The clocks of New York went forward on the Sunday before the Tuesday.
        ("2026-03-10", datetime(2026, 3, 13, 19, 30, tzinfo=UTC)),
    ],
)
def test_a_report_is_known_on_friday_half_past_three_in_new_york(tmp_path, day, known_at):
    frame = kept(written(tmp_path, OFFICIAL, official(day=day)))
    assert frame["known_at"].unique().to_list() == [known_at]
    assert frame["time"].unique().to_list() == [datetime.fromisoformat(day).replace(tzinfo=UTC)]


@pytest.mark.parametrize(
    ("name", "units", "exchange", "symbol", "size"),
    [
        ("BITCOIN-USD - CBOE FUTURES EXCHANGE", "(1 Bitcoin)", "cboe", "BTC", 1.0),
        ("MICRO BITCOIN - CHICAGO MERCANTILE EXCHANGE", "(Bitcoin X $0.10)", "cme", "BTC", 0.1),
        (
            "ETHER CASH SETTLED - CHICAGO MERCANTILE EXCHANGE",
            "(50 Index Points)",
            "cme",
            "ETH",
            50.0,
        ),
        (
            "MICRO ETHER  - CHICAGO MERCANTILE EXCHANGE",
            "(0.1 Index Points)",
            "cme",
            "ETH",
            0.1,
        ),
        ("Nano Bitcoin  - LMX LABS LLC", "(1/100 X Bitcoin = $300)", "coinbase", "BTC", 0.01),
        (
            "NANO ETHER PERP STYLE - COINBASE DERIVATIVES, LLC",
            "(1/10 X Ether)",
            "coinbase",
            "ETH",
            0.1,
        ),
        (
            "NANO ETHER - COINBASE DERIVATIVES, LLC",
            "(0.1 Ether or 1/10 X$2,000 = $200)",
            "coinbase",
            "ETH",
            0.1,
        ),
        (
            "BITCOIN CASH PERP STYLE - COINBASE DERIVATIVES, LLC",
            "(1 Bitcoin)",
            "coinbase",
            "BCH",
            1.0,
        ),
        ("XRP - CHICAGO MERCANTILE EXCHANGE", "(50,000 XRP)", "cme", "XRP", 50_000.0),
        ("SOL - CHICAGO MERCANTILE EXCHANGE", "CONTRACTS OF SOMETHING", "cme", "SOL", None),
    ],
)
def test_name_and_units_tell_exchange_coin_and_size(tmp_path, name, units, exchange, symbol, size):
    frame = kept(written(tmp_path, OFFICIAL, official(name=name, units=units)))
    assert frame.select("exchange", "symbol", "contract_size").row(0) == (
        exchange,
        f"{symbol}/USD:USD",
        size,
    )


def test_other_financial_futures_are_passed_over(tmp_path):
    euro = official(name="EURO FX - CHICAGO MERCANTILE EXCHANGE", code="099741", group="F10")
    source = written(tmp_path, OFFICIAL, euro, official())
    assert kept(source).height == 5
    assert source.rejected == []


@pytest.mark.parametrize(
    ("code", "group"), [("176999", "F84"), ("999999", "F85"), ("133LM9", "F85")]
)
def test_an_unknown_digital_asset_is_rejected_not_guessed(tmp_path, code, group):
    strange = official(name="MICRO DOGWIFHAT - CHICAGO MERCANTILE EXCHANGE", code=code, group=group)
    source = written(tmp_path, OFFICIAL, official(), strange)
    assert kept(source).height == 5
    (rejected,) = source.rejected
    assert rejected.line == 3
    assert "the digital asset is not known" in rejected.reason


def test_a_known_coin_on_an_unknown_exchange_is_rejected(tmp_path):
    source = written(tmp_path, OFFICIAL, official(name="BITCOIN - BITNOMIAL EXCHANGE, LLC"))
    assert kept(source).is_empty()
    assert "the exchange is not known" in source.rejected[0].reason


def test_a_report_that_counts_options_too_is_refused(tmp_path):
    with pytest.raises(ArchiveError, match="futures only"):
        kept(written(tmp_path, OFFICIAL, official(scope="Combined")))


def test_bad_rows_are_rejected_with_their_lines(tmp_path):
    source = written(
        tmp_path,
        OFFICIAL,
        official(),
        official(numbers=NUMBERS.replace("   10,", "  -10,", 1)),
        official(numbers=NUMBERS.replace("   10,", "  NaN,", 1)),
        official(numbers=NUMBERS.replace("   10,", " many,", 1)),
        official(day="soon"),
        '"BITCOIN"',
    )
    # Line 3 and 4 lose their dealers only, the other lines everything.
    assert kept(source).height == 5 + 4 + 4
    reasons = {rejected.line: rejected.reason for rejected in source.rejected}
    assert sorted(reasons) == [3, 4, 5, 6, 7]
    assert reasons[3].startswith("long is -10.0")
    assert reasons[4].startswith("long is nan")
    assert "cannot read 'many'" in reasons[5]
    assert reasons[6].startswith("time is None")


@pytest.mark.parametrize(
    "header", [OFFICIAL.replace(",", ";"), OFFICIAL.replace("Lev_Money", "M_Money")]
)
def test_other_columns_are_not_recognised(tmp_path, header):
    assert not cftc.recognises(written(tmp_path, header))


def test_a_header_alone_gives_no_rows(tmp_path):
    source = written(tmp_path, OFFICIAL)
    assert kept(source) is None
    assert source.rejected == []


def test_an_empty_file_is_damaged(tmp_path):
    path = tmp_path / "FinFut26.txt"
    path.touch()
    with pytest.raises(DamagedFile, match="empty"):
        cftc.recognises(Source(path))


def test_a_truncated_gzip_is_damaged(tmp_path):
    lines = [official(code=f"133{n}") for n in range(3_000)]
    path = tmp_path / "FinFut26.txt.gz"
    path.write_bytes(gzip.compress("\n".join([OFFICIAL, *lines]).encode())[:-500])
    with pytest.raises(DamagedFile, match="truncated"):
        kept(Source(path))


@pytest.fixture(params=REAL)
def report(request):
    path = REPORTS / f"FinFut_crypto_{request.param}.txt"
    if not path.is_file():
        pytest.skip("the real reports are not beside this checkout")
    source = Source(path)
    return request.param, source, kept(source)


@pytest.mark.real
def test_every_row_of_a_real_report_gives_five(report):
    year, source, frame = report
    assert source.rejected == []
    assert frame.height == 5 * REAL[year]
    assert frame["contract_size"].null_count() == 0


@pytest.mark.real
def test_both_sides_of_a_real_report_sum_to_its_open_interest(report):
    # The report's own identity: each contract has one long and one short; a spread is both.
    _, _, frame = report
    sums = frame.group_by("market", "exchange", "time").agg(
        long=pl.sum("long") + pl.sum("spread"),
        short=pl.sum("short") + pl.sum("spread"),
        whole=pl.first("open_interest"),
    )
    assert sums["long"].equals(sums["whole"].alias("long"))
    assert sums["short"].equals(sums["whole"].alias("short"))
