"""A session whose questions share what takes long: a fit is made once for all who need it."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event, Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from plimsoll.progress import Stage, heard, listener
from plimsoll.session import Session
from plimsoll.store.layout import Layout
from plimsoll.store.tail import state

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from datetime import timedelta

    from plimsoll.estimates import Learnt
    from plimsoll.maps import Market
    from plimsoll.measures.asking import Asked

__all__ = ["Once", "Sharing"]

_LOOKS = 0.2
"""How often who waits tells how far it is, seconds."""
_KEPT = 16
"""Results kept, the newest."""


@dataclass
class _Made:
    """A result, or one that is being made."""

    state: Hashable
    began: float
    ended: Event = field(default_factory=Event)
    stages: tuple[Stage, ...] = ()
    waiting: int = 0
    fresh: float = 0.0
    """Until when it holds though the store has changed."""
    result: Any = None
    failed: bool = False


class Once:
    """Makes what several ask for once: who comes while it is being made waits for it.

    A result holds while the store is as it was, and for as long as it took to make whatever the
    store does. Who asked first may leave: it is made for those who wait. If making it fails, each
    of these tries for itself.

    Parameters
    ----------
    state : callable
        Returns what changes when the store does; cheap.
    """

    def __init__(self, state: Callable[[], Hashable]) -> None:
        self._state, self._lock = state, Lock()
        self._made: dict[Hashable, _Made] = {}

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what `make` returns, called once for all who ask for this key at a time."""
        while True:
            with self._lock:
                state, found = self._state(), self._made.get(key)
                mine = found is None or not self._holds(found, state)
                if found is None or mine:
                    found = self._made[key] = _Made(state, monotonic())
            if mine:
                return self._make(key, found, make)
            self._wait(found)
            if not found.failed:
                return found.result

    def _wait(self, made: _Made) -> None:
        tell = listener()
        with self._lock:
            made.waiting += 1
        try:
            while not made.ended.wait(_LOOKS):
                tell(made.stages)
        finally:
            with self._lock:
                made.waiting -= 1

    @staticmethod
    def _holds(found: _Made, state: Hashable) -> bool:
        return not found.ended.is_set() or found.state == state or monotonic() < found.fresh

    def _make(self, key: Hashable, made: _Made, make: Callable[[], Any]) -> Any:
        tell = listener()

        def hear(stages: tuple[Stage, ...]) -> None:
            made.stages = stages
            try:
                tell(stages)
            except Exception:  # by raising anything, who asked first says that it wants no more
                if not made.waiting:  # else it goes on for those who wait
                    raise

        try:
            with heard(hear):
                made.result = make()
        except BaseException:
            made.failed = True
            with self._lock:
                del self._made[key]
            raise
        else:
            now = monotonic()
            made.fresh = 2 * now - made.began
            self._forget()
            return made.result
        finally:
            made.ended.set()

    def _forget(self) -> None:
        with self._lock:
            ended = [key for key, one in self._made.items() if one.ended.is_set()]
            for key in ended[: max(0, len(ended) - _KEPT)]:
                del self._made[key]


class Sharing(Session):
    """A session that learns what a map is drawn with once for all questions that need it.

    Those are the map, its profile, its clusters and what these are made of: of one market, over
    one span, as known at one time.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session.path)
        layout = Layout(session.path)
        self._once = Once(lambda: state(layout))

    def _learnt(
        self,
        find: Callable[..., dict[Market, Learnt]],
        symbol: str,
        what: Asked,
        interval: timedelta | None,
    ) -> dict[Market, Learnt]:
        key = (find, symbol, tuple(sorted(what.exchanges)), *what[1:], interval)
        make = super()._learnt
        found: dict[Market, Learnt] = self._once.get(
            key, lambda: make(find, symbol, what, interval)
        )
        return found
