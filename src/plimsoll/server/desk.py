"""Where questions are answered: a few threads, each question once, answers kept while they hold."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from plimsoll.progress import Stage, heard
from plimsoll.server.forms import packed
from plimsoll.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Body", "Desk", "Underway"]

T = TypeVar("T")
_LONGEST = 10.0
_SMALL = 1_024
"""What is not worth compressing."""
_AWAY = 5.0
"""How long work goes on for one who looks again and again, and does not at the moment, seconds."""


@dataclass(frozen=True)
class Body:
    """An answer as it is sent.

    Attributes
    ----------
    content : bytes
    encoding : str
        Of the content: ``gzip``, ``br`` or ``identity``.
    tag : str
        Changes when the content does.
    """

    content: bytes
    encoding: str
    tag: str


@dataclass(frozen=True)
class _Kept:
    body: Body
    state: Hashable
    fresh: float
    expires: float


class Underway(NamedTuple):
    """How far an answer has come that is not made yet.

    Attributes
    ----------
    stages : tuple of Stage
        The widest first; empty while it waits for a thread.
    """

    stages: tuple[Stage, ...]


class _Abandoned(Exception):
    """Nobody waits for the answer any more."""


class _Work:
    """A question that is being answered: how many wait for it, and how far it is."""

    def __init__(self) -> None:
        self.waiting = 0
        self.wanted_until = -inf
        self.stages: tuple[Stage, ...] = ()
        self.future: asyncio.Future[Body]

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits, nor looked lately."""
        return not self.waiting and monotonic() > self.wanted_until

    def hear(self, stages: tuple[Stage, ...]) -> None:
        """Note how far it is; end it if nobody cares."""
        if self.abandoned:
            raise _Abandoned
        self.stages = stages


class Desk:
    """A few threads that answer, and what they answered.

    A question that several ask at once is answered once, and given up when all have left. An answer
    holds while the store is as it was, and for as long as it took to make (at most ten seconds)
    whatever the store does: one that is recorded to changes every second, and no machine could
    answer anew each time.

    Parameters
    ----------
    state : callable
        Returns what changes when the store does; cheap.
    threads : int
    queue : int
        Questions that may be answered or wait for a thread; more are refused.
    size : int, bytes
        How much is kept.
    largest : int, bytes
        The largest answer; others are refused.
    """

    def __init__(
        self, state: Callable[[], Hashable], *, threads: int, queue: int, size: int, largest: int
    ) -> None:
        self._state, self._queue = state, queue
        self._size, self._largest = size, largest
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="answer")
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._work: dict[Hashable, _Work] = {}
        self.held = self.answered = self.reused = 0

    @property
    def waiting(self) -> int:
        """Questions that are being answered, or wait for a thread."""
        return len(self._work)

    async def ask(
        self,
        key: Hashable,
        make: Callable[[], bytes],
        encoding: str,
        *,
        lasts: float = inf,
        patience: float | None = None,
    ) -> Body | Underway:
        """Return the answer to a question.

        Parameters
        ----------
        key : hashable
            The question and its form; two with one key have one answer.
        make : callable
            Makes the answer, in a thread.
        encoding : str
            ``gzip``, ``br`` or ``identity``.
        lasts : float, seconds
            How long an answer holds at most, though the store stay as it is.
        patience : float, seconds, optional
            How long to wait at most; after that, how far it is. Who asks the same again before
            five seconds have passed goes on waiting for the same work.

        Raises
        ------
        Problem
            If too many questions wait, or the answer is too large.
        """
        whole = (key, encoding)
        state, now, kept = self._state(), monotonic(), self._kept.get(whole)
        if kept and now < kept.expires and (kept.state == state or now < kept.fresh):
            self._kept.move_to_end(whole)
            self.reused += 1
            return kept.body
        work = self._work.get(whole)
        if work is None:
            if len(self._work) >= self._queue:
                raise _busy()
            work = self._work[whole] = _Work()
            answer = self._answer(whole, work, make, encoding, state, lasts)
            work.future = asyncio.ensure_future(answer)
            work.future.add_done_callback(lambda _: self._ended(whole, work))
        try:
            return await _awaited(work, patience)
        except _Abandoned:  # as the last one left, this one came
            return await self.ask(key, make, encoding, lasts=lasts, patience=patience)

    async def run(self, make: Callable[[], T]) -> T:
        """Return what a call returns that is made in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, make)

    def close(self) -> None:
        """Take no more questions; those that wait are dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ended(self, whole: Hashable, work: _Work) -> None:
        """Forget work that is done; a refusal only once those who look again had time to see it."""
        failure = None if work.future.cancelled() else work.future.exception()
        left = work.wanted_until - monotonic()
        if failure is None or isinstance(failure, _Abandoned) or left <= 0:
            self._work.pop(whole, None)
        else:
            asyncio.get_running_loop().call_later(left, self._work.pop, whole, None)

    async def _answer(
        self,
        whole: Hashable,
        work: _Work,
        make: Callable[[], bytes],
        encoding: str,
        state: Hashable,
        lasts: float,
    ) -> Body:
        began = monotonic()
        body = await self.run(lambda: self._made(work, make, encoding))
        now = monotonic()
        self.answered += 1
        took = min(now - began, _LONGEST)
        self._keep(whole, _Kept(body, state, now + min(took, lasts), now + lasts))
        return body

    def _made(self, work: _Work, make: Callable[[], bytes], encoding: str) -> Body:
        with heard(work.hear):
            work.hear(())
            content = make()
        if len(content) > self._largest:
            raise Problem(
                413,
                "too-large",
                "The answer is too large",
                f"it has {len(content):,} bytes, this server sends at most {self._largest:,}; ask "
                "for a shorter span, fewer rows, or longer steps",
            )
        if len(content) < _SMALL:
            encoding = "identity"
        tag = hashlib.blake2b(content, digest_size=12).hexdigest()
        if encoding != "identity":
            content = packed(content, encoding)
        return Body(content, encoding, f'"{tag}-{encoding}"')

    def _keep(self, whole: Hashable, made: _Kept) -> None:
        old = self._kept.pop(whole, None)
        self.held += len(made.body.content) - (len(old.body.content) if old else 0)
        self._kept[whole] = made
        while self.held > self._size:
            _, oldest = self._kept.popitem(last=False)
            self.held -= len(oldest.body.content)


async def _awaited(work: _Work, patience: float | None) -> Body | Underway:
    """Wait for work, and be counted among those who do."""
    work.waiting += 1
    try:
        await asyncio.wait({work.future}, timeout=patience)
        return work.future.result() if work.future.done() else Underway(work.stages)
    finally:
        work.waiting -= 1
        if patience is not None:
            work.wanted_until = monotonic() + _AWAY
        elif work.abandoned:
            work.future.cancel()  # what has not begun never will, what has ends at its next stage


def _busy() -> Problem:
    detail = "many questions are being answered; ask again in a second"
    return Problem(503, "busy", "The server is busy", detail, {"Retry-After": "1"})
