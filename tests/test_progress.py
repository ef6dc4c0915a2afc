"""How far long work has come."""

from __future__ import annotations

import pytest

from plimsoll.progress import heard, staged


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
