from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.fakes.chains import market

import plimsoll
from plimsoll import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("options")
    for kind, frame in zip(("option_quote", "trade"), market(hours=48), strict=True):
        known = [column.name for column in frame if column.null_count() < len(column)]
        frame.select(known).write_parquet(folder / f"{kind}.parquet")
    plimsoll.open(folder / "store").import_files(sorted(folder.glob("*.parquet")))
    return folder / "store"


def ran(*words: str) -> int:
    try:
        cli.main(words)
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def test_words_say_levels_ranks_and_doubts(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("options", "BTC", "--store", str(store)) == 0
    said = capsys.readouterr().out
    for words in ("28 options, 0 left out", "put_call_open_interest", "max_pain", "ambiguous"):
        assert words in said
    assert "zero gamma, dealers against takers: unknown: " in said


def test_a_document_has_every_table(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("options", "BTC", "--store", str(store), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["parameters"]["coin"] == "BTC"
    assert document["price"] == 60_000
    assert document["taker_zero"]["price"] is None
    for table in ("summary", "by_expiry", "by_strike", "smile", "term", "profile"):
        assert document[table]


def test_a_history_is_a_table(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("options", "BTC", "--history", "--every", "12h", "--store", str(store), "--json")
    assert ran(*words) == 0
    columns = json.loads(capsys.readouterr().out)["columns"]
    assert len(columns["time"]) == len(columns["put_call_open_interest"]) == 4


@pytest.mark.parametrize("more", [[], ["--history"]])
def test_both_can_be_drawn(store: Path, tmp_path: Path, more: list[str]) -> None:
    drawn = tmp_path / "options.png"
    assert ran("options", "BTC", *more, "--store", str(store), "--out", str(drawn)) == 0
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert drawn.stat().st_size > 20_000


def test_what_cannot_be_given_is_refused(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("options", "BTC", "--since", "7d", "--store", str(store)) == 2
    assert "--since is for --history" in capsys.readouterr().err
    assert ran("options", "ETH", "--store", str(store)) == 3
    assert ran("options", "BTC", "--out", "a.csv", "--store", str(store)) == 2
    assert "write it to a .json or .png file" in capsys.readouterr().err


def test_show_has_a_line_on_options(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran("show", "BTC/USD:BTC", "--store", str(store), "--json") == 0
    (row,) = [
        dict(zip(part, values, strict=True))
        for part in [json.loads(capsys.readouterr().out)["options"]]
        for values in zip(*part.values(), strict=True)
    ]
    assert row["put_call_open_interest"] == pytest.approx(70 / 147)
    assert row["max_pain"] in {40_000, 50_000, 55_000, 60_000, 65_000, 70_000, 80_000}
    assert row["largest_expiry"] == "2026-03-28T08:00:00Z"
