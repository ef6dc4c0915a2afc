"""How far long work has come, for whoever waits for it.

No part of any answer: numbers are the same with a listener and without one.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from operator import length_hint
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Stage", "heard", "staged"]

T = TypeVar("T")


class Stage(NamedTuple):
    """What is being done, and how often of how many times it is done already.

    Attributes
    ----------
    name : str
        ``reading``, ``moving``, ``comparing``, ``fitting`` and ``drawing`` count markets; within
        these, ``candidates`` counts assumptions tried, and ``draws`` those sampled.
    done, of : int
    """

    name: str
    done: int
    of: int


_LISTENER: ContextVar[Callable[[tuple[Stage, ...]], None] | None] = ContextVar("listener")
_STAGES: ContextVar[tuple[Stage, ...]] = ContextVar("stages")


@contextmanager
def heard(listener: Callable[[tuple[Stage, ...]], None]) -> Iterator[None]:
    """Let a listener hear of the work done within.

    Parameters
    ----------
    listener : callable
        Takes the stages, the widest first, in the thread that works. What it raises ends the work.

    Examples
    --------
    >>> with heard(print):
    ...     for market in staged("reading", ["a", "b"]):
    ...         pass
    (Stage(name='reading', done=0, of=2),)
    (Stage(name='reading', done=1, of=2),)
    """
    listening, stages = _LISTENER.set(listener), _STAGES.set(())
    try:
        yield
    finally:
        _LISTENER.reset(listening)
        _STAGES.reset(stages)


def staged(name: str, items: Iterable[T], of: int | None = None) -> Iterator[T]:
    """Yield items one by one, and tell the listener before each how many are done.

    Parameters
    ----------
    name : str
        See `Stage`.
    items : iterable
        Where the listener ends the work, one that can be closed is.
    of : int, optional
        How many there are, where they do not know it themselves.
    """
    listener = _LISTENER.get(None)
    if listener is None:
        yield from items
        return
    around, total = _STAGES.get(), length_hint(items) if of is None else of
    try:
        for done, item in enumerate(items):
            stages = (*around, Stage(name, done, total))
            _STAGES.set(stages)  # what is done with the item is a part of this
            listener(stages)
            yield item
    finally:
        if isinstance(items, Generator):
            items.close()
    _STAGES.set(around)
