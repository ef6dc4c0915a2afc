"""Who answers questions, how often, and what is kept."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from typing import TYPE_CHECKING

import pytest

from plimsoll.progress import staged
from plimsoll.server.desk import Desk
from plimsoll.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LARGE = 1_000_000


class Asked:
    """A question that can be held back, and counts how often it was answered."""

    def __init__(self, body: bytes = b"an answer", *, held: bool = False) -> None:
        self.body, self.count, self.go = body, 0, threading.Event()
        self.begun = threading.Event()
        if not held:
            self.go.set()

    def __call__(self) -> bytes:
        self.count += 1
        self.begun.set()
        assert self.go.wait(30)
        return self.body


def desk_of(state: Callable[[], object] = int, **limits: int) -> Desk:
    sizes = {"threads": 1, "queue": 8, "size": LARGE, "largest": LARGE, **limits}
    return Desk(state, **sizes)  # type: ignore[arg-type]


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 60))  # type: ignore[arg-type]


def test_a_question_asked_by_many_at_once_is_answered_once() -> None:
    async def work() -> None:
        desk, asked = desk_of(), Asked(held=True)
        asks = [asyncio.ensure_future(desk.ask("q", asked, "identity")) for _ in range(50)]
        await asyncio.to_thread(asked.begun.wait)
        asked.go.set()
        bodies = await asyncio.gather(*asks)
        assert asked.count == 1
        assert {body.content for body in bodies} == {b"an answer"}
        desk.close()

    run(work)


def test_who_looks_again_and_again_hears_how_far_it_is_and_at_last_the_answer() -> None:
    def made() -> bytes:
        for _ in staged("fitting", ["a", "b"]):
            for _ in staged("candidates", range(2)):
                steps.put("begun")
                go.get(timeout=30)
        return b"an answer"

    steps: queue.Queue[str] = queue.Queue()
    go: queue.Queue[None] = queue.Queue()

    async def work() -> None:
        desk, seen = desk_of(), []
        for _ in range(4):
            looking = asyncio.ensure_future(desk.ask("q", made, "identity", patience=0.2))
            await asyncio.to_thread(steps.get)
            seen.append([tuple(stage) for stage in (await looking).stages])
            go.put(None)
        body = await desk.ask("q", made, "identity", patience=30)
        assert body.content == b"an answer"
        assert desk.answered == 1
        inner = [("candidates", 0, 2), ("candidates", 1, 2)]
        assert seen == [[("fitting", done, 2), one] for done in range(2) for one in inner]
        desk.close()

    run(work)


@pytest.mark.parametrize("patience", [None, 0.05])
def test_work_that_nobody_waits_for_any_more_ends_at_its_next_stage(
    patience: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plimsoll.server.desk._AWAY", 0.1)
    done, begun, go = [], threading.Event(), threading.Event()

    def made() -> bytes:
        for step in staged("fitting", range(5)):
            begun.set()
            assert go.wait(30)
            done.append(step)
        return b"never sent"

    async def work() -> None:
        desk = desk_of()
        asked = asyncio.ensure_future(desk.ask("q", made, "identity", patience=patience))
        await asyncio.to_thread(begun.wait)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await asyncio.sleep(0.3)
        go.set()
        assert (await desk.ask("other", Asked(), "identity")).content == b"an answer"
        assert done == [0]
        assert (desk.waiting, desk.held) == (0, len(b"an answer"))
        desk.close()

    run(work)


def test_a_refusal_waits_for_the_one_who_looks_again() -> None:
    count = []

    def made() -> bytes:
        count.append(1)
        time.sleep(0.2)
        raise ValueError("no such thing")

    async def work() -> None:
        desk = desk_of()
        await desk.ask("q", made, "identity", patience=0.01)
        await asyncio.sleep(0.4)  # it fails meanwhile
        with pytest.raises(ValueError, match="no such thing"):
            await desk.ask("q", made, "identity", patience=5)
        assert len(count) == 1
        desk.close()

    run(work)


def test_an_answer_holds_while_the_store_does_and_no_longer() -> None:
    async def work() -> None:
        state = [0]
        desk, asked = desk_of(lambda: state[0]), Asked()
        for expected in (1, 1):
            await desk.ask("q", asked, "identity")
            assert asked.count == expected
        state[0] = 1
        await asyncio.sleep(0.2)  # longer than it took to make
        await desk.ask("q", asked, "identity")
        assert asked.count == 2
        await desk.ask("another", asked, "identity")
        assert asked.count == 3
        desk.close()

    run(work)


def test_an_answer_that_counts_from_now_does_not_hold_for_ever() -> None:
    async def work() -> None:
        desk, asked = desk_of(), Asked()
        await desk.ask("q", asked, "identity", lasts=0.05)
        await asyncio.sleep(0.1)
        await desk.ask("q", asked, "identity", lasts=0.05)
        assert asked.count == 2
        desk.close()

    run(work)


def test_a_question_nobody_waits_for_is_never_begun() -> None:
    async def work() -> None:
        desk, first, second = desk_of(), Asked(held=True), Asked()
        busy = asyncio.ensure_future(desk.ask("first", first, "identity"))
        await asyncio.to_thread(first.begun.wait)
        left = asyncio.ensure_future(desk.ask("second", second, "identity"))
        await asyncio.sleep(0.05)
        left.cancel()
        await asyncio.gather(left, return_exceptions=True)
        first.go.set()
        await busy
        await asyncio.sleep(0.05)
        assert (second.count, desk.waiting) == (0, 0)
        desk.close()

    run(work)


def test_one_that_leaves_takes_no_answer_from_the_others() -> None:
    async def work() -> None:
        desk, asked = desk_of(), Asked(held=True)
        stays, leaves = (asyncio.ensure_future(desk.ask("q", asked, "identity")) for _ in range(2))
        await asyncio.to_thread(asked.begun.wait)
        leaves.cancel()
        asked.go.set()
        assert (await stays).content == b"an answer"
        assert asked.count == 1
        desk.close()

    run(work)


def test_more_questions_than_the_queue_holds_are_refused() -> None:
    async def work() -> None:
        desk, asked = desk_of(queue=2), Asked(held=True)
        asks = [asyncio.ensure_future(desk.ask(n, asked, "identity")) for n in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(Problem) as refused:
            await desk.ask("one more", asked, "identity")
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
        asked.go.set()
        await asyncio.gather(*asks)
        await desk.ask("one more", asked, "identity")
        desk.close()

    run(work)


def test_a_failure_is_told_to_all_who_wait_and_not_kept() -> None:
    async def work() -> None:
        desk, count = desk_of(), [0]

        def fails() -> bytes:
            count[0] += 1
            raise ValueError("no")

        for _ in range(2):
            answers = await asyncio.gather(
                *(desk.ask("q", fails, "identity") for _ in range(3)), return_exceptions=True
            )
            assert [str(error) for error in answers] == ["no"] * 3
        assert count[0] == 2
        desk.close()

    run(work)


def test_an_answer_too_large_is_refused_and_what_is_kept_is_bounded() -> None:
    async def work() -> None:
        desk = desk_of(largest=1_000, size=2_500)
        with pytest.raises(Problem, match="at most 1,000") as refused:
            await desk.ask("large", Asked(bytes(1_001)), "identity")
        assert refused.value.status == 413
        asked = [Asked(bytes(900)) for _ in range(5)]
        for number, one in enumerate(asked):
            await desk.ask(number, one, "identity")
            assert desk.held <= 2_500
        await desk.ask(4, asked[4], "identity")
        await desk.ask(0, asked[0], "identity")
        assert (asked[4].count, asked[0].count) == (1, 2)
        desk.close()

    run(work)


def test_a_tag_tells_contents_and_encodings_apart() -> None:
    async def work() -> None:
        desk = desk_of()
        body = b"0123456789" * 500
        one = await desk.ask("a", Asked(body), "gzip")
        same = await desk.ask("b", Asked(body), "gzip")
        plain = await desk.ask("a", Asked(body), "identity")
        other = await desk.ask("c", Asked(body + b"."), "gzip")
        assert one.tag == same.tag
        assert len({one.tag, plain.tag, other.tag}) == 3
        assert len(one.content) < len(plain.content)
        assert (await desk.ask("d", Asked(b"small"), "gzip")).encoding == "identity"
        desk.close()

    run(work)
