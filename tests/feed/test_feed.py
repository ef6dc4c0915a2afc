"""Streams: the same events in the same order, whatever they come from."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plimsoll
from plimsoll.errors import NoSuchData, StoreUnusable
from plimsoll.feed.merge import merge
from plimsoll.feed.record import record
from plimsoll.feed.replay import known, ordered, replay, stored
from plimsoll.market.events import Candle, Event, Funding, Trade
from plimsoll.market.interval import MINUTE, SECOND
from plimsoll.market.schema import Batch, rows
from plimsoll.simulation.scenarios import SCENARIOS, coins
from plimsoll.simulation.simulation import Simulation
from plimsoll.store.audit import audit
from plimsoll.store.reader import Reader
from plimsoll.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator
    from pathlib import Path

START = datetime(2025, 1, 1, tzinfo=UTC)
BASE = int(START.timestamp()) * SECOND


def trade(second: float, number: int = 0, exchange: str = "here") -> Trade:
    moment = BASE + round(second * SECOND)
    return Trade(
        exchange=exchange,
        symbol="BTC/USDT",
        time=moment,
        known_at=moment,
        id=number,
        side="buy",
        price=1,
        amount=1,
    )


async def collect(feed: AsyncIterator[Event], most: int | None = None) -> list[Event]:
    found = []
    async for event in feed:
        found.append(event)
        if most is not None and len(found) == most:
            break
    return found


async def until(what: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError("it did not happen in time")
        await asyncio.sleep(0.002)


async def listed(events: Iterable[Event], pause: float = 0.0) -> AsyncIterator[Event]:
    for event in events:
        await asyncio.sleep(pause)
        yield event


@pytest.fixture(scope="module", params=["crash", "outage"])
def simulated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[Event]]:
    """A simulated market in a store, and its own events as it published them."""
    root = tmp_path_factory.mktemp("feed") / "store"
    plimsoll.open(root).simulate(request.param, coins=("BTC", "SOL"), days=2, seed=4)
    again = Simulation(SCENARIOS[request.param], coins(("BTC", "SOL")), seed=4, days=2)
    return root, list(ordered(again.batches(minutes=37)))


def test_a_stored_market_replays_as_the_market_itself_to_the_bit(
    simulated: tuple[Path, list[Event]],
) -> None:
    root, events = simulated
    again = asyncio.run(collect(plimsoll.open(root).replay()))
    assert len(again) == len(events) > 50_000
    assert again == events
    assert {type(event).__name__ for event in again} >= {"Candle", "Liquidation", "Position"}


@pytest.mark.parametrize("step", [timedelta(hours=7), timedelta(days=3)])
def test_how_history_is_cut_does_not_matter(
    simulated: tuple[Path, list[Event]], step: timedelta
) -> None:
    root, events = simulated
    assert list(ordered(stored(Reader(root), step=step))) == events


def test_events_come_when_they_could_be_known(simulated: tuple[Path, list[Event]]) -> None:
    _, events = simulated
    moments = [known(event) for event in events]
    assert moments == sorted(moments)
    candle = next(event for event in events if isinstance(event, Candle))
    assert known(candle) == candle.time + MINUTE


def test_a_replay_can_be_of_a_part(simulated: tuple[Path, list[Event]]) -> None:
    root, events = simulated
    session = plimsoll.open(root)
    since, until = START + timedelta(hours=6), START + timedelta(hours=30)
    part = asyncio.run(
        collect(
            session.replay(["funding"], "SOL/USDT:USDT", exchange="sim-c", since=since, until=until)
        )
    )
    low, high = BASE + 6 * 60 * MINUTE, BASE + 30 * 60 * MINUTE
    expected = [
        event
        for event in events
        if isinstance(event, Funding)
        and (event.symbol, event.exchange) == ("SOL/USDT:USDT", "sim-c")
        and low <= event.time < high
    ]
    assert part == expected
    assert len(part) == 24


def test_a_replay_of_nothing_or_of_no_kind_says_so(simulated: tuple[Path, list[Event]]) -> None:
    session = plimsoll.open(simulated[0])
    with pytest.raises(NoSuchData, match="nothing to replay"):
        asyncio.run(collect(session.replay(exchange="nowhere")))
    with pytest.raises(ValueError, match="no table 'price'"):
        asyncio.run(collect(session.replay(["price"])))
    with pytest.raises(ValueError, match="speed must be positive"):
        asyncio.run(collect(session.replay(speed=0)))


def batch_of(events: list[Event], end: float) -> Batch:
    return Batch(START + timedelta(seconds=end), rows(events))


def test_a_replay_keeps_time() -> None:
    events = [trade(0), trade(2), trade(5)]

    async def timed() -> list[float]:
        began = time.monotonic()
        return [time.monotonic() - began async for _ in replay([batch_of(events, 10)], speed=20)]

    seen = asyncio.run(timed())
    assert seen[0] < 0.1
    assert seen[1] >= 0.1
    assert seen[2] >= 0.25


def endless() -> Iterator[Batch]:
    for second in itertools.count():
        yield batch_of([trade(second + 0.5, second)], second + 1)


def test_a_live_source_keeps_time_and_holds_up_nobody() -> None:
    def slow() -> Iterator[Batch]:
        for batch in itertools.islice(endless(), 300):
            time.sleep(0.002)  # a source at work, in its own thread
            yield batch

    async def run() -> tuple[list[Event], int]:
        turns = 0

        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.ensure_future(tick())
        found = await collect(replay(slow(), speed=1e6))
        ticking.cancel()
        return found, turns

    found, turns = asyncio.run(run())
    assert found == [trade(second + 0.5, second) for second in range(300)]
    assert turns > 20

    async def timed() -> float:
        began = time.monotonic()
        await collect(replay(endless(), speed=10), most=3)
        return time.monotonic() - began

    assert asyncio.run(timed()) >= 0.2
    with pytest.raises(ValueError, match="speed must be positive"):
        asyncio.run(collect(replay(endless(), speed=-1), most=1))


@given(st.lists(st.lists(st.integers(0, 1_000), max_size=30), min_size=1, max_size=5))
def test_a_merge_is_ordered_and_loses_nothing(times: list[list[int]]) -> None:
    feeds = [
        [trade(second, n, f"x{i}") for n, second in enumerate(sorted(each))]
        for i, each in enumerate(times)
    ]
    merged = asyncio.run(collect(merge(*(listed(feed) for feed in feeds))))
    assert [event.time for event in merged] == sorted(e.time for feed in feeds for e in feed)
    for i, feed in enumerate(feeds):
        assert [event for event in merged if event.exchange == f"x{i}"] == feed


def test_of_events_at_one_moment_the_stream_named_first_comes_first() -> None:
    feeds = [[trade(1, n, name) for n in range(2)] for name in "ba"]
    merged = asyncio.run(collect(merge(*(listed(feed) for feed in feeds))))
    assert [event.exchange for event in merged] == ["b", "b", "a", "a"]


def test_a_merge_holds_one_event_of_each_stream() -> None:
    taken = [0, 0]

    async def counted(i: int) -> AsyncIterator[Event]:
        for second in itertools.count():
            taken[i] += 1
            yield trade(second)

    async def run() -> None:
        feed = merge(counted(0), counted(1))
        for _ in range(10):
            await anext(feed)
            await asyncio.sleep(0.001)  # a slow reader
        await feed.aclose()

    asyncio.run(run())
    assert sum(taken) <= 10 + 2 * 2


def test_a_silent_stream_holds_up_a_patient_merge_only_so_long() -> None:
    async def silent() -> AsyncIterator[Event]:
        await asyncio.sleep(0.3)
        yield trade(0, 9, "late")

    async def run() -> list[Event]:
        busy = listed([trade(1, 1), trade(2, 2)])
        return await collect(merge(busy, silent(), patience=0.02))

    found = asyncio.run(run())
    assert [event.id for event in found if isinstance(event, Trade)] == [1, 2, 9]
    with pytest.raises(ValueError, match="patience"):
        asyncio.run(collect(merge(listed([]), patience=-1)))


def test_a_silent_stream_slows_nobody_down_for_long() -> None:
    async def silent() -> AsyncIterator[Event]:
        await asyncio.sleep(2)
        yield trade(0, 9, "late")

    async def run() -> int:
        busy = listed([trade(n, n) for n in range(500)])
        feed = merge(busy, silent(), patience=0.05)
        began, count = time.monotonic(), 0
        async for _ in feed:
            count += 1
            if time.monotonic() - began > 1:
                break
        await feed.aclose()
        return count

    assert asyncio.run(run()) >= 500


def test_what_was_taken_before_a_failure_is_told() -> None:
    async def bad() -> AsyncIterator[Event]:
        yield trade(0, 1, "bad")
        raise RuntimeError("lost")

    async def run() -> list[Event]:
        found: list[Event] = []
        feed = merge(listed([trade(5, 2), trade(6, 3)]), bad())
        try:
            found.extend([await anext(feed), await anext(feed)])
            await anext(feed)
        except RuntimeError:
            return found
        raise AssertionError("the failure was not heard")

    found = asyncio.run(run())
    assert [event.id for event in found if isinstance(event, Trade)] == [1, 2]


def test_a_failing_stream_is_heard_and_the_others_are_closed() -> None:
    closed = []

    async def good() -> AsyncIterator[Event]:
        try:
            for second in itertools.count():
                yield trade(second)
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    async def bad() -> AsyncIterator[Event]:
        yield trade(0)
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        asyncio.run(collect(merge(good(), bad())))
    assert closed == [True]


def test_what_is_recorded_is_what_was_streamed(tmp_path: Path) -> None:
    session = plimsoll.open(tmp_path / "store")
    events = [trade(second, second) for second in range(250)]
    told: list[list[Event]] = []

    async def run() -> int:
        return await session.record(listed(events, 0.0005), every=0.02, kept=told.append)

    assert asyncio.run(run()) == 250
    assert [event for batch in told for event in batch] == events
    assert len(told) > 1
    assert asyncio.run(collect(session.replay())) == events


def test_a_recording_that_is_cancelled_keeps_what_had_come(tmp_path: Path) -> None:
    root = tmp_path / "store"
    given_out: list[Event] = []

    async def source() -> AsyncIterator[Event]:
        for number in itertools.count():
            event = trade(number, number)
            given_out.append(event)
            yield event
            await asyncio.sleep(0.001)

    async def run() -> None:
        with Writer(root) as writer:
            task = asyncio.ensure_future(record(source(), writer, every=30, seal=0.05))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
    kept = list(ordered(stored(Reader(root))))
    assert kept == given_out[: len(kept)]
    assert len(given_out) - len(kept) <= 1  # one may have been on its way
    assert len(kept) > 10


def test_a_cancelled_recording_waits_for_what_is_being_written(tmp_path: Path) -> None:
    class Slow(Writer):
        def append(self, batch: Iterable[Event]) -> int:
            time.sleep(0.05)
            return super().append(batch)

    async def run(wait: float) -> tuple[list[Event], list[Event], list[Event]]:
        root = tmp_path / f"store{wait}"
        given_out: list[Event] = []
        told: list[Event] = []

        async def source() -> AsyncIterator[Event]:
            for number in itertools.count():
                event = trade(number, number)
                given_out.append(event)
                yield event
                await asyncio.sleep(0.001)

        with Slow(root) as writer:
            task = asyncio.ensure_future(record(source(), writer, every=0.01, kept=told.extend))
            await asyncio.sleep(wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return given_out, told, list(ordered(stored(Reader(root))))

    for wait in (0.1, 0.13, 0.17, 0.2, 0.23):
        given_out, told, kept = asyncio.run(run(wait))
        assert kept == given_out[: len(kept)]
        assert len(given_out) - len(kept) <= 1
        assert told == kept


def test_an_event_that_cannot_be_is_rejected_alone(tmp_path: Path) -> None:
    bad = Trade(exchange="x", symbol="BTC/USDT", time=BASE, id=1, side="buy", price=-1, amount=1)
    told: list[str] = []

    async def run() -> int:
        with Writer(tmp_path / "store") as writer:
            feed = listed([trade(1, 1), bad, trade(2, 2)])
            return await record(feed, writer, rejected=lambda _event, why: told.append(why))

    assert asyncio.run(run()) == 2
    assert told == ["price cannot be -1"]
    assert len(list(ordered(stored(Reader(tmp_path / "store"))))) == 2


def test_a_recording_seals_now_and_then(tmp_path: Path) -> None:
    root = tmp_path / "store"

    async def run() -> bool:
        with Writer(root) as writer:
            feed = listed([trade(n, n) for n in range(400)], 0.003)
            task = asyncio.ensure_future(record(feed, writer, every=0.01, seal=0.05))
            await until(lambda: any((root / "tables").rglob("*.parquet")))
            early = not task.done()
            await task
            return early

    assert asyncio.run(run())
    assert Reader(root).read("trade").height == 400
    with pytest.raises(ValueError, match="must be positive"):
        asyncio.run(record(listed([]), None, every=0))  # type: ignore[arg-type]


def test_what_is_settled_is_read_from_a_stage_and_no_longer_from_the_journal(
    tmp_path: Path,
) -> None:
    root = tmp_path / "store"

    async def run() -> tuple[int, int]:
        with Writer(root) as writer:
            feed = listed([trade(n, n) for n in range(100)], 0.003)
            task = asyncio.ensure_future(record(feed, writer, every=0.01, settle=0.02))
            await task
            staged = len(list((root / "staged").rglob("*.parquet")))
            return staged, Reader(root).read("trade").height

    staged, kept = asyncio.run(run())
    assert staged > 0
    assert kept == 100
    assert Reader(root).read("trade").height == 100
    assert audit(Reader(root)).findings == []
    assert not list((root / "staged").iterdir())
    assert not list((root / "sources").iterdir())


def test_events_are_kept_while_a_slow_seal_goes_on(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Writer):
        def settle(self) -> None:
            begun.set()
            go_on.wait(10)
            super().settle()

    told: list[Event] = []

    async def run() -> int:
        with Slow(tmp_path / "store") as writer:
            feed = listed([trade(n, n) for n in range(200)], 0.003)
            work = record(feed, writer, every=0.01, settle=0.01, kept=told.extend)
            task = asyncio.ensure_future(work)
            await until(begun.is_set)
            before = len(told)
            await until(lambda: len(told) > before + 20)
            go_on.set()
            return await task

    assert asyncio.run(run()) == 200
    assert Reader(tmp_path / "store").read("trade").height == 200


def test_what_takes_long_to_settle_is_settled_less_often(tmp_path: Path) -> None:
    times: list[tuple[float, float]] = []

    class Slow(Writer):
        def settle(self) -> None:
            began = time.monotonic()
            time.sleep(0.1)
            times.append((began, time.monotonic()))

    async def run() -> None:
        with Slow(tmp_path / "store") as writer:
            feed = listed([trade(n, n) for n in range(400)], 0.003)
            await record(feed, writer, every=0.01, settle=0.01)

    asyncio.run(run())
    assert len(times) > 1
    assert all(
        next_ - began > 5 * (end - began) for (began, end), (next_, _) in itertools.pairwise(times)
    )


def test_a_disk_that_refuses_to_settle_ends_a_recording_with_the_reason(tmp_path: Path) -> None:
    class Full(Writer):
        def settle(self) -> None:
            raise StoreUnusable(self.layout.root, "no room")

    async def run() -> None:
        with Full(tmp_path / "store") as writer:
            feed = listed([trade(n, n) for n in range(200)], 0.003)
            await record(feed, writer, every=0.01, settle=0.01)

    with pytest.raises(StoreUnusable, match="no room"):
        asyncio.run(run())
    assert 0 < Reader(tmp_path / "store").read("trade").height < 200
