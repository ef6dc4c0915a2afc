"""How far long work has come, for whoever waits for it.

No part of any answer: numbers are the same with a listener and without one.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

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


def staged(name: str, items: Collection[T]) -> Iterator[T]:
    """Yield items one by one, and tell the listener before each how many are done."""
    listener = _LISTENER.get(None)
    if listener is None:
        yield from items
        return
    around = _STAGES.get()
    for done, item in enumerate(items):
        stages = (*around, Stage(name, done, len(items)))
        _STAGES.set(stages)  # what is done with the item is a part of this
        listener(stages)
        yield item
    _STAGES.set(around)
