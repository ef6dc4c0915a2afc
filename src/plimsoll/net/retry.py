"""How long to wait before trying again, and the one place that does."""

from __future__ import annotations

import asyncio
import math
import random
from typing import TYPE_CHECKING, TypeVar

from plimsoll.errors import ExchangeError, RateLimited

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Backoff", "retried"]

T = TypeVar("T")
_FIRST, _LONGEST = 0.5, 60.0


class Backoff:
    """Waits that double from half a second to a minute, each cut short by chance.

    Chance keeps many who lost the same connection from coming back at the same moment.

    Parameters
    ----------
    first, longest : float, seconds
    """

    def __init__(self, first: float = _FIRST, longest: float = _LONGEST) -> None:
        self._first, self._longest = first, longest
        self._failures = 0

    def failed(self) -> float:
        """Count a failure, and return how long to wait; seconds."""
        wait = min(self._longest, self._first * 2.0**self._failures)
        self._failures = min(self._failures + 1, 30)
        return wait * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)

    def succeeded(self) -> None:
        """Begin anew with short waits."""
        self._failures = 0


async def retried(
    work: Callable[[], Awaitable[T]],
    *,
    tries: int,
    backoff: Backoff | None = None,
    patience: float = math.inf,
) -> T:
    """Return what some work returns, trying again while its failures are transient.

    Parameters
    ----------
    work : callable
    tries : int
        At most so many in all.
    backoff : Backoff, optional
    patience : float, seconds
        What asks us to wait longer is not tried again.

    Raises
    ------
    ExchangeError
        The last failure, or at once one that is not transient or wants more patience.
    """
    waits = backoff or Backoff()
    for left in range(tries - 1, -1, -1):
        try:
            return await work()
        except ExchangeError as error:
            if not error.transient or left == 0:
                raise
            wait = waits.failed()
            if isinstance(error, RateLimited) and error.retry_after is not None:
                wait = max(wait, error.retry_after)
            if wait > patience:
                raise
            await asyncio.sleep(wait)
    raise ValueError(f"tries must be positive; got {tries}")
