"""What several questions need is made once."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from plimsoll import fits
from plimsoll.progress import Stage, heard, staged
from plimsoll.server.app import create_app
from plimsoll.server.service import Limits, Settings
from plimsoll.server.sharing import Once

if TYPE_CHECKING:
    from plimsoll.session import Session

API = "http://localhost/api/v1"
MANY = Limits(rate=10_000, burst=100_000, threads=4)
VIEW = {"symbol": "SOL", "since": "2025-01-10", "interval": "30m", "fitted": "true"}


def test_a_cold_view_of_a_symbol_fits_once(
    simulated: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, fit = [], fits.fit

    def counted(*args: Any, **rest: Any) -> Any:
        calls.append(rest)
        return fit(*args, **rest)

    monkeypatch.setattr(fits, "fit", counted)
    questions = [
        ("heatmap", VIEW),
        ("heatmap", {**VIEW, "leverage": "10-25"}),
        ("heatmap/profile", VIEW),
        ("clusters", VIEW),
        ("provenance", {**VIEW, "low": "50", "high": "500"}),
        ("leverage", {name: VIEW[name] for name in ("symbol", "since", "interval")}),
    ]

    async def work() -> list[httpx.Response]:
        app = create_app(simulated, Settings(limits=MANY))
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, timeout=300) as one:
            asked = (one.get(f"{API}/{path}", params=given) for path, given in questions)
            found = await asyncio.gather(*asked)
            found.append(await one.get(f"{API}/clusters", params={**VIEW, "until": "2025-01-12"}))
            return found

    *found, other = asyncio.run(work())
    assert [one.status_code for one in (*found, other)] == [200] * 7
    assert len(calls) == 2  # one for all of the view, and one for another end
    alone = simulated.clusters("SOL", since="2025-01-10", interval="30m", fitted=True)
    assert found[3].json()["columns"]["value_usd"] == alone["value_usd"].to_list()


class Slow:
    """Work that begins, says how far it is, and ends when it is told to."""

    def __init__(self) -> None:
        self.began, self.ends, self.calls = threading.Event(), threading.Event(), 0

    def __call__(self) -> str:
        self.calls += 1
        for _ in staged("fitting", ["a", "b"]):
            self.began.set()
            assert self.ends.wait(10)
        return "made"


def asking(once: Once, make: Slow, hear: Any, found: list[Any]) -> threading.Thread:
    def ask() -> None:
        try:
            with heard(hear):
                found.append(once.get("key", make))
        except RuntimeError as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def test_who_waits_hears_how_far_the_other_is_and_has_the_same() -> None:
    once, make, told = Once(lambda: 1), Slow(), threading.Event()
    heard_by_second: list[tuple[Stage, ...]] = []
    found: list[Any] = []

    def hear(stages: tuple[Stage, ...]) -> None:
        heard_by_second.append(stages)
        told.set()

    first = asking(once, make, lambda _: None, found)
    assert make.began.wait(10)
    second = asking(once, make, hear, found)
    assert told.wait(10)
    make.ends.set()
    first.join()
    second.join()
    assert found == ["made", "made"]
    assert make.calls == 1
    assert heard_by_second[0] == (Stage("fitting", 0, 2),)
    assert once.get("key", make) == "made"
    assert make.calls == 1


@pytest.mark.parametrize("waits", [True, False])
def test_who_asked_first_may_leave(waits: bool) -> None:
    once, make, told, left = Once(lambda: 1), Slow(), threading.Event(), threading.Event()
    found: list[Any] = []

    def leaves(_: tuple[Stage, ...]) -> None:
        if left.is_set():
            raise RuntimeError("left")

    first = asking(once, make, leaves, found)
    assert make.began.wait(10)
    threads = [first]
    if waits:
        threads.append(asking(once, make, lambda _: told.set(), found))
        assert told.wait(10)
    left.set()
    make.ends.set()
    for thread in threads:
        thread.join()
    assert make.calls == 1
    assert [str(one) for one in found] == (["made", "made"] if waits else ["left"])


def test_a_result_is_made_anew_once_the_store_has_changed() -> None:
    state = [1]
    once, calls = Once(lambda: state[0]), []

    def make() -> int:
        calls.append(state[0])
        return state[0]

    assert [once.get("key", make) for _ in range(3)] == [1, 1, 1]
    state[0] = 2
    threading.Event().wait(0.05)  # longer than it took
    assert once.get("key", make) == 2
    assert calls == [1, 2]


def test_what_failed_is_tried_again() -> None:
    once = Once(lambda: 1)

    def wrong() -> None:
        raise ValueError("no bars")

    with pytest.raises(ValueError, match="no bars"):
        once.get("key", wrong)
    assert once.get("key", lambda: "made") == "made"
