"""What streams into a store, and out of it: the part of a session that takes time."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from plimsoll.feed import record, replay
from plimsoll.measures.asking import moment, names
from plimsoll.store.reader import Reader
from plimsoll.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path

    from plimsoll.backfill import Reached
    from plimsoll.doctor import Finding
    from plimsoll.market.events import Event
    from plimsoll.measures.asking import Exchanges, When
    from plimsoll.recording import Recording, Wanted
    from plimsoll.simulate import Simulated
    from plimsoll.simulation.parameters import Scenario

__all__ = ["Streams"]


class Streams:
    """A store that is simulated into, replayed, and recorded to.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.path)

    def simulate(
        self,
        scenario: str | Scenario = "crash",
        *,
        coins: tuple[str, ...] = ("BTC", "ETH", "SOL"),
        seed: int = 1,
        days: int = 90,
        start: When = None,
        workers: int = 2,
        progress: Callable[[int], None] = lambda _minutes: None,
    ) -> Simulated:
        """Simulate a market into an empty store, and its truth beside it.

        Parameters
        ----------
        scenario : str or Scenario
            A name, such as ``crash``, or parameters of your own.
        coins : tuple of str
        seed, days : int
        start : datetime or str, optional
            The first day; always the same if left out, as the same seed gives the same bytes.
        workers : int
            Threads.
        progress : callable
            Told how many more minutes of one coin were simulated.
        """
        from plimsoll import simulate  # noqa: PLC0415 (brings numba)

        simulation = simulate.simulation(
            scenario, coins, seed=seed, days=days, start=moment(start), workers=workers
        )
        with Writer(self.path) as writer:
            return simulate.simulate(writer, simulation, progress)

    def replay(
        self,
        kinds: Iterable[str] = (),
        symbol: str | None = None,
        *,
        exchange: Exchanges = None,
        since: When = None,
        until: When = None,
        as_of: When = None,
        speed: float | None = None,
    ) -> AsyncIterator[Event]:
        """Stream what is stored, in the order in which it could be known.

        Parameters
        ----------
        kinds : iterable of str
            Tables; all if empty.
        symbol : str, optional
        exchange : str or list of str, optional
        since, until, as_of : datetime or str, optional
        speed : float, optional
            Seconds of history in one of ours; as fast as possible if left out.

        """
        batches = replay.stored(
            self._reader,
            kinds=kinds,
            exchanges=names(exchange),
            symbol=symbol,
            since=moment(since),
            until=moment(until),
            as_of=moment(as_of),
        )
        return replay.replay(batches, speed=speed)

    def live(self, made: Simulated, *, speed: float = 1.0) -> AsyncIterator[Event]:
        """Stream how a simulated market goes on from where its days end.

        Parameters
        ----------
        made : Simulated
            What `simulate` returned.
        speed : float
            Seconds of the market's time in one of ours.

        """
        if not 0 < speed < math.inf:
            raise ValueError(f"speed must be positive and finite; got {speed}")
        half_a_second = min(1_440, max(1, round(speed / 120)))  # of ours, in the market's minutes
        return replay.replay(made.simulation.go_on(half_a_second), speed=speed)

    async def record(
        self,
        feed: AsyncIterator[Event],
        *,
        every: float = 1.0,
        kept: Callable[[list[Event]], None] = lambda _events: None,
    ) -> int:
        """Keep the events of a stream until it ends or is cancelled, and return how many.

        See `plimsoll.feed.record.record`, which is given the same.
        """
        with Writer(self.path) as writer:
            return await record.record(feed, writer, every=every, kept=kept)

    async def record_exchanges(
        self,
        wanted: Sequence[Wanted],
        recording: Recording,
        *,
        keep_raw: bool = False,
        address: Callable[[str], str] = lambda url: url,
    ) -> None:
        """Record exchanges until cancelled; see `plimsoll.recording`.

        Parameters
        ----------
        wanted : sequence of Wanted
            What to record of each exchange.
        recording : Recording
            Kept up to date while it runs, for whoever looks.
        keep_raw : bool
            Keep every frame as it came, too.
        address : callable, optional
            Returns the URL to use in place of one: for tests, and for mirrors.
        """
        from plimsoll import recording as recordings  # noqa: PLC0415 (brings the network)

        with Writer(self.path) as writer:
            await recordings.record_exchanges(
                writer, wanted, recording, keep_raw=keep_raw, address=address
            )

    async def backfill(
        self,
        exchange: str,
        symbol: str,
        kinds: Sequence[str] = (),
        *,
        since: When = "30d",
        until: When = None,
        progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
        address: Callable[[str], str] = lambda url: url,
    ) -> list[Reached]:
        """Bring an exchange's history into the store; what was brought before is passed over.

        Parameters
        ----------
        exchange : str
        symbol : str
            A unified symbol, or a coin for all its contracts.
        kinds : sequence of str
            Tables; empty for all with history.
        since, until : datetime or str
        progress : callable
            Told what is being brought, how many windows are done, and how many there are.
        address : callable, optional
            Returns the URL to use in place of one.

        Returns
        -------
        list of Reached
            How far back each kind went, and why it stops there.
        """
        from plimsoll import backfill as filling  # noqa: PLC0415 (brings the network)

        span = (_nanoseconds(since), _nanoseconds(until or datetime.now(tz=UTC)))
        with Writer(self.path) as writer:
            return await filling.backfill(
                writer, exchange, symbol, kinds, span, progress=progress, address=address
            )

    async def doctor(
        self, exchanges: Sequence[str] = (), *, address: Callable[[str], str] = lambda url: url
    ) -> tuple[list[Finding], tuple[int, int]]:
        """Ask which exchanges answer from here; also return bytes free and in all on the disk.

        Parameters
        ----------
        exchanges : sequence of str
            All if empty.
        address : callable, optional
            Returns the URL to use in place of one.
        """
        from plimsoll import doctor as examination  # noqa: PLC0415 (brings the network)

        found = await examination.examine(exchanges, address=address)
        return found, examination.room(self.path)


def _nanoseconds(when: When) -> int:
    found = moment(when) or datetime.now(tz=UTC)
    return round(found.timestamp()) * 1_000_000_000
