"""Several coins' markets at once, in pieces that come in the same order however many work."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
from msgspec.structs import asdict

from plimsoll.market.schema import Batch
from plimsoll.simulation import truth
from plimsoll.simulation.market import EPOCH, Chunk, Market
from plimsoll.simulation.publish import Publisher, Tables

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from plimsoll.market.instrument import Brackets, Instrument
    from plimsoll.simulation.parameters import Coin, Scenario

__all__ = ["LONGEST", "START", "Piece", "Simulation"]

START = datetime(2025, 1, 1, tzinfo=UTC)
LONGEST = 3_660
_PIECE = timedelta(days=10)
_DAY = 1_440


class Piece(NamedTuple):
    """A stretch of one coin's market.

    Attributes
    ----------
    coin : str
    minutes : int
    tables : dict of str to DataFrame
        What is published.
    instruments : list of Instrument or Brackets
    truth : dict of str to DataFrame
        What is not; see `truth`.
    """

    coin: str
    minutes: int
    tables: Tables
    instruments: list[Instrument | Brackets]
    truth: dict[str, pl.DataFrame]


class Simulation:
    """A simulated market of several coins and exchanges.

    The same arguments give the same market, to the bit, whatever `workers` is.

    Parameters
    ----------
    scenario : Scenario
    coins : tuple of Coin
    seed : int
    days : int
        What `run` simulates.
    start : datetime
        The first minute, in UTC; at midnight.
    workers : int
        Threads; the compiled clock runs beside Python.

    Raises
    ------
    ValueError
        If days, seed or start are out of range.
    """

    def __init__(
        self,
        scenario: Scenario,
        coins: tuple[Coin, ...],
        *,
        seed: int = 1,
        days: int = 90,
        start: datetime = START,
        workers: int = 2,
    ) -> None:
        if not 1 <= days <= LONGEST:
            raise ValueError(f"days are from 1 to {LONGEST}; got {days}")
        if not 0 <= seed < 2**63:
            raise ValueError(f"a seed is a whole number from 0 to 2^63 − 1; got {seed}")
        if start.tzinfo is None or start.astimezone(UTC).time() != datetime.min.time():
            raise ValueError(f"a simulation starts at midnight UTC; got {start}")
        if not 2015 <= start.year <= 2080:
            raise ValueError(f"a simulation starts from 2015 to 2080; got {start:%Y-%m-%d}")
        self.scenario, self.coins, self.seed, self.days = scenario, coins, seed, days
        self.start, self.workers = start.astimezone(UTC), workers
        self._lives: dict[str, tuple[Market, Publisher]] = {}
        self._goes_on = False

    @property
    def note(self) -> dict[str, Any]:
        """What this simulates, as plain words and numbers."""
        return {
            "scenario": self.scenario.name,
            "coins": [coin.name for coin in self.coins],
            "seed": self.seed,
            "days": self.days,
            "start": self.start.isoformat(),
            "parameters": {
                "scenario": asdict(self.scenario),
                "coins": [asdict(coin) for coin in self.coins],
            },
        }

    def run(self) -> Generator[Piece]:
        """Yield the days asked for, piece by piece, coin by coin."""
        if self._lives:
            raise ValueError("this simulation was run already; make another one")
        whole = self.days * _DAY
        step = _PIECE // timedelta(minutes=1)
        lengths = [min(step, whole - first) for first in range(0, whole, step)]
        self._life(self.coins[0])  # compiles, where an interrupt is heard
        work = [(coin, length) for length in lengths for coin in self.coins]
        with ThreadPoolExecutor(self.workers) as pool:
            # A coin's pieces follow on each other, so no more are begun than there are coins.
            begun = {i: pool.submit(self._piece, *work[i]) for i in range(len(self.coins))}
            try:
                for i in range(len(work)):
                    piece = begun.pop(i).result()
                    if (following := i + len(self.coins)) < len(work):
                        begun[following] = pool.submit(self._piece, *work[following])
                    yield piece
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def go_on(self, minutes: int = 1) -> Iterator[Batch]:
        """Yield what is published of the minutes that follow, without end.

        Parameters
        ----------
        minutes : int
            In one batch.
        """
        if self._goes_on:
            raise ValueError("this simulation goes on already; make another one")
        self._goes_on = True
        while True:
            yield self._batch(minutes)

    def skip(self, until: datetime) -> None:
        """Move on to a moment, and tell nothing of what happens before it."""
        for coin in self.coins:
            market, publisher = self._life(coin)
            left = (until - EPOCH) // timedelta(minutes=1) - market.now
            for first in range(0, left, _DAY):
                publisher.tables(market.advance(min(_DAY, left - first)))

    def batches(self, minutes: int = _DAY) -> Iterator[Batch]:
        """Yield what is published of the days asked for, as a feed reads it.

        Parameters
        ----------
        minutes : int
            In one batch.
        """
        whole = self.days * _DAY
        for first in range(0, whole, minutes):
            yield self._batch(min(minutes, whole - first))

    def _batch(self, minutes: int) -> Batch:
        found: dict[str, list[pl.DataFrame]] = {}
        until = 0
        for coin in self.coins:
            market, publisher = self._life(coin)
            for kind, frame in publisher.tables(market.advance(minutes)).items():
                found.setdefault(kind, []).append(frame)
            until = market.now
        tables = {kind: pl.concat(frames) for kind, frames in found.items()}
        return Batch(EPOCH + timedelta(minutes=until), tables)

    def _life(self, coin: Coin) -> tuple[Market, Publisher]:
        if coin.name not in self._lives:
            market = Market(self.scenario, coin, seed=self.seed, start=self.start, days=self.days)
            self._lives[coin.name] = (market, Publisher(market))
        return self._lives[coin.name]

    def _piece(self, coin: Coin, minutes: int) -> Piece:
        """Simulate a stretch; every position is written down at the end of each day."""
        market, publisher = self._life(coin)
        chunks, positions = [], []
        for first in range(0, minutes, _DAY):
            chunks.append(market.advance(min(_DAY, minutes - first)))
            positions.append(truth.snapshot(market))
        chunk = Chunk.join(chunks)
        known = truth.tables(market, chunk) | {"positions": pl.concat(positions)}
        instruments = publisher.instruments(chunk)
        return Piece(coin.name, minutes, publisher.tables(chunk), instruments, known)
