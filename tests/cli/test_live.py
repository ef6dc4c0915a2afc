"""Commands that reach exchanges, without any exchange to reach."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from plimsoll.cli import main
from plimsoll.cli.live import exposition, status
from plimsoll.cli.overview import console
from plimsoll.errors import ExchangeError
from plimsoll.exchanges import EXCHANGES
from plimsoll.feed.health import Health
from plimsoll.recording import Recording
from plimsoll.session import Session

if TYPE_CHECKING:
    from pathlib import Path


def leaves(code: int, *words: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    assert left.value.code == code


def test_what_each_exchange_publishes_is_shown(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    main(["exchanges", "--json"])
    rows = json.loads(capfdbinary.readouterr().out)["offers"]
    assert {row["exchange"] for row in rows} == set(EXCHANGES)
    told = {(row["exchange"], row["kind"]): row for row in rows}
    assert told["binance", "liquidation"]["completeness"] == "throttled"
    assert ("hyperliquid", "liquidation") not in told
    main(["exchanges"])
    assert b"throttled" in capfdbinary.readouterr().out


def test_an_exchange_nobody_knows_is_named(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    leaves(2, "record", "binanc", "--store", str(tmp_path / "s"))
    assert "unknown exchange 'binanc'; known: binance, bybit" in capsys.readouterr().err
    leaves(2, "backfill", "binanc", "BTC", "--store", str(tmp_path / "s"))
    assert "unknown exchange" in capsys.readouterr().err
    leaves(2, "doctor", "binanc")


def test_what_servers_say_is_shown_as_it_is() -> None:
    said = "refused: [/b] [red] [Errno 1]"
    told = Recording(problems=[said], health=[Health("x", problem=said)])
    screen = console()
    with screen.capture() as words:
        screen.print(status(told))
    assert words.get().count(said) == 2


def test_before_anything_is_recorded_only_the_reason_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ExchangeError("record", "bybit: cannot be reached")

    async def nothing(*_: object, **__: object) -> None:
        raise refused

    monkeypatch.setattr(Session, "record_exchanges", nothing)
    leaves(4, "record", "bybit", "--store", str(tmp_path / "s"))
    told = capsys.readouterr()
    assert told.out == ""
    assert "bybit: cannot be reached" in told.err


def test_what_is_going_on_is_shown_and_measured() -> None:
    told = Recording(kept=7, problems=["bybit: funding is late"])
    one = Health("bybit liquidation 3 channels", state="live", gaps=2)
    one.came(time.time_ns() - 2_000_000_000, time.time_ns())
    told.health.append(one)
    screen = console()
    with screen.capture() as words:
        screen.print(status(told))
    text = words.get()
    assert "7 events kept" in text
    assert "funding is late" in text
    assert "live" in text
    page = exposition(told).splitlines()
    assert "plimsoll_events_kept 7" in page
    assert 'plimsoll_stream_gaps{stream="bybit liquidation 3 channels"} 2' in page
    assert 'plimsoll_stream_live{stream="bybit liquidation 3 channels"} 1' in page
