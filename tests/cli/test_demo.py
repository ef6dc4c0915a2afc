"""The demonstration, the simulation and the overview, as a user meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import polars as pl
import pytest
from rich.console import Console

import plimsoll
from plimsoll.cli import main
from plimsoll.cli.overview import missing, sparkline, summary

if TYPE_CHECKING:
    from pathlib import Path

SHORT = ("--coins", "SOL,BTC", "--days", "11")


def leaves(code: int, *words: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    assert left.value.code == code


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A demonstration in a process of its own: its store, and what it said."""
    root = tmp_path_factory.mktemp("demo") / "store"
    done = subprocess.run(
        [sys.executable, "-m", "plimsoll", "demo", "--once", "--store", str(root), *SHORT],
        capture_output=True,
        text=True,
        check=True,
    )
    return root, done.stdout, done.stderr


def test_a_demonstration_shows_the_market_and_where_it_is_kept(
    shown: tuple[Path, str, str],
) -> None:
    root, words, _ = shown
    lines = words.splitlines()
    assert lines[0].startswith("The market's load at 2025-01-12 00:00 UTC")
    assert [line.split()[0] for line in lines if line[:3] in {"BTC", "SOL"}] == ["BTC", "SOL"]
    assert any(bar in words for bar in "▃▄▅")
    assert "estimates" in words
    assert f"store: {root}" in words
    assert (root / "heatmap.png").read_bytes().startswith(b"\x89PNG")


def test_a_demonstration_says_nothing_it_need_not(shown: tuple[Path, str, str]) -> None:
    assert "Warning" not in shown[2]
    assert "Traceback" not in shown[2]


def test_other_commands_work_on_its_store(
    shown: tuple[Path, str, str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    root = str(shown[0])
    main(["overview", "--store", root, "--json"])
    columns = json.loads(capfdbinary.readouterr().out)["columns"]
    assert columns["coin"] == ["BTC", "SOL"]
    assert columns["exchanges"] == [3, 3]
    assert columns["coverage"] == [1, 1]
    for coin in range(2):
        price = columns["price"][coin]
        assert 0.75 * price < columns["long_cluster_price"][coin] < price
        assert price < columns["short_cluster_price"][coin] < price / 0.75
        assert 0 < columns["load"][coin] < 1
        assert len(columns["open_interest_history"][coin]) > 200
    main(["funding", "SOL", "--store", root, "--json"])
    assert b"sim-c" in capfdbinary.readouterr().out
    main(["audit", "--store", root])
    assert b"clean" in capfdbinary.readouterr().out


def test_an_overview_goes_to_a_table_or_a_file(
    shown: tuple[Path, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(shown[0])
    main(["overview", "--store", root, "--exchange", "sim-c"])
    assert "SOL" in capsys.readouterr().out
    main(["overview", "--store", root, "--out", str(tmp_path / "all.csv")])
    assert pl.read_csv(tmp_path / "all.csv")["coin"].to_list() == ["BTC", "SOL"]
    leaves(3, "overview", "--store", root, "--exchange", "binance")
    leaves(3, "overview", "--store", str(tmp_path / "none"))


def test_an_overview_knows_only_what_was_known(shown: tuple[Path, str, str]) -> None:
    session = plimsoll.open(shown[0])
    early = session.overview(until="2025-01-09")
    assert early["time"].max() < session.overview()["time"].max()
    assert early.equals(session.overview(until="2025-01-09", as_of="2025-01-09T00:00Z"))


def store_of(folder: Path, **tables: list[str]) -> plimsoll.Session:
    """A store of tables given as lines of CSV, the head first."""
    for kind, lines in tables.items():
        (folder / f"my_{kind}.csv").write_text("\n".join(lines) + "\n")
    session = plimsoll.open(folder / "store")
    report = session.import_files(sorted(folder.glob("my_*.csv")))
    assert {outcome.status for outcome in report.outcomes} == {"imported"}
    return session


def interest(exchange: str, amount: str = "100", value: str = "9000000") -> list[str]:
    return [
        f"2026-01-0{day}T0{hour}:00:00+00:00,{exchange},BTC/USDT:USDT,{amount},{value}"
        for day in (1, 2, 3)
        for hour in range(10)
    ]


HEAD = "time,exchange,symbol,amount,value_usd"


def test_what_nobody_tells_is_unknown_not_zero(tmp_path: Path) -> None:
    session = store_of(tmp_path, open_interest=[HEAD, *interest("here")])
    row = session.overview().row(0, named=True)
    assert row["price"] == 90_000
    assert row["price_change"] == 0
    for name in ("funding_apr", "long_short", "liquidated_usd", "liquidated_completeness"):
        assert row[name] is None, name


@pytest.mark.parametrize(("amount", "value"), [("100", ""), ("0", "0"), ("", "9000000")])
def test_open_interest_without_amount_or_value_has_no_price(
    amount: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = store_of(tmp_path, open_interest=[HEAD, *interest("here", amount, value)])
    row = session.overview().row(0, named=True)
    assert (row["price"], row["price_change"], row["load"]) == (None, None, None)
    main(["overview", "--store", str(tmp_path / "store")])
    assert "nan" not in capsys.readouterr().out


def test_an_exchange_without_liquidations_has_an_overview(tmp_path: Path) -> None:
    forced = "2026-01-03T01:00:00+00:00,aa,BTC/USDT:USDT,long,90000,1,fill,throttled"
    head = "time,exchange,symbol,side,price,amount,price_kind,completeness"
    session = store_of(
        tmp_path,
        open_interest=[HEAD, *interest("aa"), *interest("bb")],
        liquidation=[head, forced],
    )
    assert session.overview(exchange="bb")["liquidated_usd"].to_list() == [None]
    row = session.overview(exchange="aa").row(0, named=True)
    assert (row["liquidated_usd"], row["liquidated_completeness"]) == (90_000, "throttled")


def test_a_day_without_a_liquidation_is_unknown_and_not_zero(tmp_path: Path) -> None:
    forced = "2025-12-03T01:00:00+00:00,aa,BTC/USDT:USDT,long,90000,1,fill,complete"
    head = "time,exchange,symbol,side,price,amount,price_kind,completeness"
    session = store_of(tmp_path, open_interest=[HEAD, *interest("aa")], liquidation=[head, forced])
    row = session.overview().row(0, named=True)
    assert (row["liquidated_usd"], row["liquidated_completeness"]) == (None, None)


def test_old_funding_is_not_shown_as_that_of_now(tmp_path: Path) -> None:
    session = store_of(
        tmp_path,
        open_interest=[HEAD, *interest("here")],
        funding=[
            "time,exchange,symbol,rate,interval_hours",
            "2026-01-01T00:00:00+00:00,here,BTC/USDT:USDT,0.005,8",
            "2026-01-01T08:00:00+00:00,here,BTC/USDT:USDT,0.005,8",
        ],
    )
    assert session.overview()["funding_apr"].to_list() == [None]
    early = session.overview(until="2026-01-01T09:30:00Z")
    assert early["funding_apr"].to_list() == [pytest.approx(0.005 * 3 * 365)]


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_narrow_terminal_shows_less_but_whole(shown: tuple[Path, str, str], width: int) -> None:
    screen = Console(width=width)
    with screen.capture() as words:
        screen.print(summary(plimsoll.open(shown[0]).overview(), width))
    lines = words.get().splitlines()
    coins = [line[:3] for line in lines if line.startswith(("BTC", "SOL"))]
    assert coins == ["BTC", "SOL"]
    table = "\n".join(lines[1:6])
    assert ("long/short" in table) == (width >= 108)
    assert "…" not in table


def test_simulate_tells_what_it_kept(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    root = tmp_path / "store"
    words = ["simulate", "calm", "--coins", "SOL", "--days", "1", "--store", str(root)]
    main([*words, "--start", "2026-02-01", "--json"])
    told = json.loads(capfdbinary.readouterr().out)
    assert told["start"] == "2026-02-01T00:00:00+00:00"
    assert told["rows"] == plimsoll.open(root).audit().counts["rows"]
    main([*words, "--start", "2026-02-01"])
    assert b"holds this simulation already" in capfdbinary.readouterr().out
    leaves(5, *words)
    assert b"holds another simulation" in capfdbinary.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("simulate", "moon"), "no scenario 'moon'; known: calm"),
        (("simulate", "calm", "--coins", "BTC,FOO"), "no coin 'FOO'; known: BTC"),
        (("simulate", "calm", "--days", "0"), "days are from 1"),
        (("simulate", "calm", "--start", "yesterday"), "yesterday"),
        (("demo", "--scenario", "moon"), "no scenario 'moon'"),
        (("demo", "--speed", "0"), "must be above 0"),
        (("demo", "--speed", "inf"), "must be above 0"),
        (("demo", "--out", "nowhere/map.png"), "a folder that exists"),
        (("demo", "--out", "map.txt"), "must end in .png"),
        (("demo", "--days", "x"), "not a valid integer"),
    ],
)
def test_bad_input_is_named(
    words: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leaves(2, *words, "--store", str(tmp_path / "store"))
    assert message in capsys.readouterr().err
    assert not (tmp_path / "store" / "tables").exists()


def test_a_demonstration_goes_on_live_until_it_is_stopped(tmp_path: Path) -> None:
    root = tmp_path / "store"
    words = ["demo", "--store", str(root), "--coins", "SOL", "--days", "11", "--speed", "6000"]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    run = subprocess.Popen(
        [sys.executable, "-m", "plimsoll", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    assert run.stdout is not None
    page = ""
    for line in run.stdout:
        if line.startswith("the page: "):
            page = line.split()[-1]
        if "Ctrl-C stops" in line:
            break
    time.sleep(6)
    assert httpx.get(f"{page}api/v1/about").json()["simulated"] is True
    run.send_signal(signal.SIGINT)
    rest, errors = run.communicate(timeout=60)
    assert run.returncode == 0, errors
    assert "live events are kept" in rest
    assert rest.count("The market's load at") >= 1
    session = plimsoll.open(root)
    assert session.audit().findings == []
    last = session.read("candle", "SOL/USDT:USDT")["time"].max()
    assert last.isoformat() > "2025-01-12T01"


def test_a_sparkline_runs_from_the_least_to_the_greatest() -> None:
    assert sparkline([1, 8], points=8) == "▁█"
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], points=8) == "▁▂▃▄▅▆▇█"
    assert sparkline([5, 5], points=4) == "▁▁"
    assert sparkline([None, None, 3, 4], points=2) == " ▁"
    assert sparkline([], points=3) == ""
    assert sparkline([None], points=3) == " "
    assert len(sparkline([float(n) for n in range(1_000)])) == 12


def seen(**columns: object) -> pl.DataFrame:
    """Return an overview of two coins of which all is known, but for what is given."""
    names = ("open_interest_usd", "funding_apr", "long_short", "load", "liquidated_usd")
    known = {name: [1.0, 1.0] for name in names}
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    told = {"coin": ["BTC", "ETH"], "time": [noon, noon], "coverage": [1.0, 1.0]}
    return pl.DataFrame({**told, **known, **columns})


def test_an_overview_says_how_fresh_it_is_and_what_is_missing() -> None:
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert missing(seen(), noon + timedelta(minutes=7)) == (
        "The newest report is of 2026-01-05 12:00 UTC, 7 min ago. All coins are of that hour. "
        "Nothing is missing."
    )
    found = missing(
        seen(
            time=[noon, noon - timedelta(days=3)],
            coverage=[0.75, 1.0],
            load=[None, 0.1],
            funding_apr=[None, None],
        )
    )
    assert found == (
        "The newest report is of 2026-01-05 12:00 UTC. Behind it: ETH by 3 days. "
        "Not known: funding of BTC, ETH; load of BTC. "
        "Silent markets are left out of the sum of BTC (75% are in it)."
    )


def test_many_missing_coins_are_counted() -> None:
    coins = [f"C{number}" for number in range(8)]
    frame = pl.concat([seen(coin=[coin, coin], load=[None, None])[:1] for coin in coins])
    assert "load of C0, C1, C2, C3, C4, 3 more." in missing(frame)
