"""How far long work has come."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from plimsoll.progress import Stage, heard, staged


def test_stages_stand_within_one_another_and_are_left_again() -> None:
    told = []
    with heard(told.append):
        for _ in staged("reading", "ab"):
            pass
        for _ in staged("fitting", "cd"):
            assert list(staged("candidates", "x")) == ["x"]
    assert told == [
        (("reading", 0, 2),),
        (("reading", 1, 2),),
        (("fitting", 0, 2),),
        (("fitting", 0, 2), ("candidates", 0, 1)),
        (("fitting", 1, 2),),
        (("fitting", 1, 2), ("candidates", 0, 1)),
    ]


def test_nobody_need_listen() -> None:
    assert list(staged("reading", (1, 2))) == [1, 2]


def test_a_listener_can_end_the_work_and_the_next_one_starts_afresh() -> None:
    def enough(stages: object) -> None:
        raise KeyboardInterrupt(stages)

    with pytest.raises(KeyboardInterrupt), heard(enough):
        list(staged("reading", "ab"))
    told = []
    with heard(told.append):
        list(staged("drawing", "a"))
    assert told == [(("drawing", 0, 1),)]
    assert list(staged("reading", "ab")) == ["a", "b"]


def test_work_in_threads_is_told_as_it_comes_and_ended_with_the_listener() -> None:
    told, begun = [], []

    def slow(item: int) -> int:
        begun.append(item)
        time.sleep(0.02)
        return item

    def enough(stages: tuple[Stage, ...]) -> None:
        told.append(stages[0].done)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), ThreadPoolExecutor(1) as threads, heard(enough):
        list(staged("candidates", threads.map(slow, range(50)), 50))
    assert told == [0, 1]
    assert len(begun) < 10
