"""Order books against a list of orders counted anew each time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.market.book import Book, Depth

prices = st.integers(1, 60).map(lambda tick: tick / 4)
amounts = st.integers(0, 5).map(float)
levels = st.lists(st.tuples(prices, amounts), max_size=12)
changes = st.lists(st.tuples(levels, levels), max_size=8)


def last(told: list[tuple[float, float]]) -> dict[float, float]:
    """What was said last of each price."""
    return {price: amount for price, amount in dict(told).items() if amount}


def test_a_book_counted_by_hand() -> None:
    # Mid 100. Within 1 %: bids 99.5 and 99, asks 100.5 and 101 (on the edge, so within it).
    book = Book(bids=[(97, 10), (99.5, 1), (99, 2)], asks=[(101, 4), (100.5, 3), (104, 1)])
    assert book.mid == 100
    assert book.bids(2) == [(99.5, 1), (99, 2)]
    assert book.asks(2) == [(100.5, 3), (101, 4)]
    assert book.depth([0.005, 0.01, 0.03]) == [
        Depth(-0.005, 1, 99.5),
        Depth(-0.01, 3, 99.5 + 2 * 99),
        Depth(-0.03, 13, 99.5 + 2 * 99 + 10 * 97),
        Depth(0.005, 3, 3 * 100.5),
        Depth(0.01, 7, 3 * 100.5 + 4 * 101),
        Depth(0.03, 7, 3 * 100.5 + 4 * 101),
    ]


def test_a_distance_beyond_the_levels_told_of_is_left_out() -> None:
    book = Book([(99, 1), (98, 1)], [(101, 1), (105, 1)], most=2)
    assert book.reach() == (0.02, 0.05)
    assert [one.distance for one in book.depth([0.01, 0.02, 0.05, 0.06])] == [
        -0.01,
        -0.02,
        0.01,
        0.02,
        0.05,
    ]


def test_of_more_levels_than_are_told_of_the_far_ones_are_not_believed() -> None:
    book = Book([(99, 1), (98, 1)], [(101, 1), (102, 1)], most=2)
    book.change([(99.5, 7)], [])  # 98 falls out of the two best, and may be gone unheard
    assert book.bids() == [(99.5, 7), (99, 1)]
    book.change([(99.5, 0), (97, 3)], [])  # so it had: of the two best 97 is the second now
    assert book.bids() == [(99, 1), (97, 3)]


def test_beyond_the_prices_that_are_known_nothing_is_kept() -> None:
    book = Book([(99, 1), (90, 1)], [(101, 1), (110, 1)], within=(90, 110))
    book.change([(80, 5), (95, 2)], [(120, 9), (101, 0)])
    assert book.bids() == [(99, 1), (95, 2), (90, 1)]
    assert book.asks() == [(110, 1)]
    low, high = book.reach()
    assert low == pytest.approx((104.5 - 90) / 104.5)
    assert high == pytest.approx((110 - 104.5) / 104.5)
    assert [one.distance for one in book.depth([0.05, 0.1])] == [-0.05, -0.1, 0.05]


def test_a_book_without_a_side_has_no_mid_and_no_depth() -> None:
    book = Book([(99, 1)], [])
    assert (book.mid, book.is_crossed, book.depth([0.1])) == (None, False, [])
    with pytest.raises(ValueError, match="empty side"):
        book.reach()


def test_a_crossed_book_says_so() -> None:
    book = Book([(99, 1)], [(101, 1)])
    assert not book.is_crossed
    book.change([(101, 1)], [])
    assert book.is_crossed


@pytest.mark.parametrize(
    "level", [(0, 1), (-1, 1), (math.nan, 1), (math.inf, 1), (1, -1), (1, math.nan), (1, math.inf)]
)
def test_what_cannot_rest_in_a_book_is_refused_and_changes_nothing(
    level: tuple[float, float],
) -> None:
    with pytest.raises(ValueError, match="cannot rest"):
        Book([level], [])
    book = Book([(99, 1)], [(101, 1)])
    with pytest.raises(ValueError, match="cannot rest"):
        book.change([(98, 1)], [(102, 1), level])
    assert (book.bids(), book.asks()) == ([(99, 1)], [(101, 1)])


@given(levels, levels, changes)
def test_a_book_is_what_was_said_last_of_each_price(
    bids: list[tuple[float, float]],
    asks: list[tuple[float, float]],
    later: list[tuple[list[tuple[float, float]], list[tuple[float, float]]]],
) -> None:
    book = Book(bids, asks)
    for change in later:
        book.change(*change)
        bids, asks = bids + change[0], asks + change[1]
    assert book.bids() == sorted(last(bids).items(), reverse=True)
    assert book.asks() == sorted(last(asks).items())


@given(levels, levels, st.lists(st.sampled_from([0.01, 0.05, 0.2, 0.5, 1.0]), unique=True))
def test_depth_is_the_sum_of_the_levels_within(
    bids: list[tuple[float, float]], asks: list[tuple[float, float]], distances: list[float]
) -> None:
    book, distances = Book(bids, asks), sorted(distances)
    found = {one.distance: one for one in book.depth(distances)}
    if book.mid is None:
        assert found == {}
        return
    for distance in distances:
        for sign, side in ((-1, last(bids)), (1, last(asks))):
            edge = book.mid * (1 + sign * distance)
            near = [(p, a) for p, a in side.items() if sign * (p - edge) <= 1e-9]
            one = found[sign * distance]
            assert one.amount == pytest.approx(sum(amount for _, amount in near))
            assert one.value == pytest.approx(sum(price * amount for price, amount in near))


@given(levels, levels, changes, st.integers(1, 5))
def test_a_book_of_the_best_levels_is_never_below_the_truth(
    bids: list[tuple[float, float]],
    asks: list[tuple[float, float]],
    later: list[tuple[list[tuple[float, float]], list[tuple[float, float]]]],
    most: int,
) -> None:
    # Who is told of the best levels only, each time they change, knows these levels exactly.
    whole, seen = Book(bids, asks), Book([], [], most=most)
    for change in [([], []), *later]:
        whole.change(*change)
        best = whole.bids(most), whole.asks(most)
        every = whole.bids(), whole.asks()
        gone = [  # what was taken back; of what fell out of the best, nothing is said
            [(price, 0.0) for price, _ in had if price not in dict(have)]
            for had, have in zip((seen.bids(), seen.asks()), every, strict=True)
        ]
        seen.change([*gone[0], *best[0]], [*gone[1], *best[1]])
        assert (seen.bids(), seen.asks()) == best
        if whole.mid is not None and not whole.is_crossed:
            truth = {one.distance: one for one in whole.depth([0.01, 0.1, 0.5])}
            for one in seen.depth([0.01, 0.1, 0.5]):
                assert one == pytest.approx(truth[one.distance])
