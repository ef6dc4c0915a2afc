"""How much may be asked in how long: one limiter for all who share an allowance."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Limiter"]

_SHARE = 0.9
"""What part of an allowance is used: others behind the same address have some too."""
_DUST = 1e-9


class Limiter:
    """An allowance of weight in any stretch of some seconds.

    Whoever asks waits for its turn, first come, first served. What the server says of the use of
    this address, by others too, counts more than what was counted here.

    Parameters
    ----------
    amount : float
        Of weight, in `seconds`.
    seconds : float
    clock : callable, optional
        Returns seconds; the event loop's if left out.
    """

    def __init__(
        self, amount: float, seconds: float, *, clock: Callable[[], float] | None = None
    ) -> None:
        if not (amount > 0 and seconds > 0):
            raise ValueError(f"an allowance is positive; got {amount} in {seconds} s")
        self._most, self._seconds = amount, seconds / _SHARE
        self._clock = clock
        self._spent: deque[tuple[float, float]] = deque()
        self._sum = 0.0
        self._closed_until = 0.0
        self._turn = asyncio.Lock()

    async def take(self, weight: float = 1.0, *, patience: float = math.inf) -> bool:
        """Wait until so much may be asked.

        Parameters
        ----------
        weight : float
        patience : float, seconds
            A silence that is longer, now or imposed while this waits, is not waited out.

        Returns
        -------
        bool
            Whether it may be asked; False if the silence is too long.

        Raises
        ------
        ValueError
            If it is more than may ever be asked at once.
        """
        if weight > self._most:
            raise ValueError(f"a weight of {weight} is above the allowance of {self._most:g}")
        async with self._turn:
            while (wait := self._wait(weight)) > 0:
                if self.silence > patience:
                    return False
                await asyncio.sleep(wait)
            self._spend(weight)
        return True

    def used(self, amount: float) -> None:
        """Hear from the server how much of the allowance is used."""
        self._forget()
        if amount > self._sum:
            self._spend(amount - self._sum)

    def pause(self, seconds: float) -> None:
        """Ask nothing for a while: the server said so."""
        self._closed_until = max(self._closed_until, self._now() + seconds)

    @property
    def silence(self) -> float:
        """For how many seconds more nothing may be asked; zero if something may."""
        return max(0.0, self._closed_until - self._now())

    def _now(self) -> float:
        return self._clock() if self._clock else asyncio.get_running_loop().time()

    def _spend(self, weight: float) -> None:
        self._spent.append((self._now(), weight))
        self._sum += weight

    def _forget(self) -> None:
        """Drop what was spent longer ago than the stretch that counts."""
        start = self._now() - self._seconds
        while self._spent and self._spent[0][0] <= start:
            self._sum -= self._spent.popleft()[1]

    def _wait(self, weight: float) -> float:
        """Return how long until so much is free; zero if it is."""
        self._forget()
        now, over = self._now(), self._sum + weight - self._most
        wait = self._closed_until - now
        for when, spent in self._spent:
            if over <= _DUST:
                break
            over -= spent
            wait = when + self._seconds - now
        return max(0.0, wait, self._closed_until - now)
