from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import plimsoll
from plimsoll.errors import NoSuchData
from plimsoll.market.events import OpenInterest
from plimsoll.market.interval import HOUR, SECOND
from plimsoll.store import parquet
from plimsoll.store.reader import Reader
from plimsoll.store.snapshot import Snapshot
from plimsoll.store.writer import Writer

if TYPE_CHECKING:
    import polars as pl

START = 1_769_817_600 * SECOND  # 2026-01-31T00:00:00Z: a day before the next month
DAWN = datetime(2026, 1, 31, tzinfo=UTC)
COINS, EXCHANGES = ("BTC", "ETH"), ("binance", "okx")


def interest(coin: str, exchange: str, hour: int, amount: float) -> OpenInterest:
    return OpenInterest(
        exchange=exchange,
        symbol=f"{coin}/USDT:USDT",
        time=START + hour * HOUR,
        known_at=START + hour * HOUR,
        amount=amount,
    )


FACTS = st.builds(
    interest,
    st.sampled_from(COINS),
    st.sampled_from(EXCHANGES),
    st.integers(0, 40),
    st.sampled_from([1.0, 2.0, 3.0]),
)
QUESTIONS = st.fixed_dictionaries(
    {
        "exchanges": st.sampled_from([(), ("okx",), ("binance", "okx")]),
        "symbol": st.sampled_from([None, "BTC/USDT:USDT", "ETH/USDT:USDT"]),
        "since": st.none() | st.integers(0, 40).map(lambda hour: DAWN + timedelta(hours=hour)),
        "until": st.none() | st.integers(0, 40).map(lambda hour: DAWN + timedelta(hours=hour)),
    }
)


def answer(reader: Reader, question: dict[str, object]) -> pl.DataFrame | str:
    try:
        # A contradiction that waits is known from the moment it is met, another for each look.
        return reader.read("open_interest", **question).drop("known_at")
    except NoSuchData as error:
        return str(error)


@settings(max_examples=12)
@given(
    sealed=st.lists(st.lists(FACTS, min_size=1, max_size=12), min_size=1, max_size=3),
    waiting=st.lists(FACTS, max_size=12),
    questions=st.lists(QUESTIONS, min_size=1, max_size=6),
)
def test_it_answers_as_the_store_does(tmp_path_factory, sealed, waiting, questions):
    root = tmp_path_factory.mktemp("store")
    for batch in sealed:  # several, so that one contradicts another
        with Writer(root) as writer:
            writer.append(batch)
    with Writer(root) as writer:
        if waiting:
            writer.append(waiting)
        looked = Snapshot(Reader(root))
        for question in questions * 2:  # and again, from what is kept
            expected, found = answer(Reader(root), question), answer(looked, question)
            if isinstance(expected, str):
                assert found == expected
            else:
                assert_frame_equal(found, expected)


def test_what_is_sealed_while_it_is_used_is_still_found(root):
    with Writer(root) as writer:
        writer.append([interest("BTC", "okx", hour, 1.0) for hour in range(3)])
        looked = Snapshot(Reader(root))
        assert looked.read("open_interest").height == 3
    assert not list((root / "staged").iterdir())  # what it saw waiting has moved
    assert looked.read("open_interest").height == 3


def test_coins_are_told_apart(root):
    with Writer(root) as writer:
        writer.append([interest(coin, "okx", 1, 1.0) for coin in ("BTC", "BTCDOM", "ETH")])
    for reader in (Reader(root), Snapshot(Reader(root))):
        found = reader.series("open_interest", coin="BTC")
        assert [one.symbol for one in found] == ["BTC/USDT:USDT"]
        assert len(reader.series("open_interest")) == 3


def test_a_look_at_the_market_opens_each_file_once(root, monkeypatch):
    session = plimsoll.open(root)
    session.simulate("calm", coins=("BTC", "ETH"), days=2)
    opened: list[str] = []
    scan = parquet.scan
    monkeypatch.setattr(
        parquet, "scan", lambda path, *more: opened.append(str(path)) or scan(path, *more)
    )
    session.market()
    assert opened
    assert len(opened) == len(set(opened))


def test_large_files_are_not_kept(root, monkeypatch):
    with Writer(root) as writer:
        writer.append([interest("BTC", "okx", hour, 1.0) for hour in range(3)])
    monkeypatch.setattr("plimsoll.store.snapshot._LARGE", 0)
    looked = Snapshot(Reader(root))
    assert looked.read("open_interest").height == 3
    assert not looked.kept


@pytest.mark.parametrize("size", [0, 10_000_000])
def test_it_keeps_no_more_than_it_may(root, monkeypatch, size):
    with Writer(root) as writer:
        for coin in COINS:
            writer.append([interest(coin, "okx", hour, 1.0) for hour in range(40)])
    monkeypatch.setattr("plimsoll.store.snapshot._SIZE", size)
    looked = Snapshot(Reader(root))
    for _ in range(2):
        assert looked.read("open_interest").height == 80
    assert looked.kept <= size
