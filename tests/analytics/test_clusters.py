from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.analytics.clusters import clusters

STEP = 0.001
SIDES = ("long", "short")


def profile(
    longs: dict[int, float], shorts: dict[int, float] | None = None, price: float = 100.0
) -> pl.DataFrame:
    """Dollars by row, counted in rows of 0.1 % of log price from the price; the rest is empty."""
    held = {"long": longs, "short": shorts or {}}
    rows = range(-120, 120)
    return pl.DataFrame(
        {
            "price_low": [price * math.exp(STEP * row) for row in rows],
            "price_high": [price * math.exp(STEP * (row + 1)) for row in rows],
            **{f"{side}_usd": [float(held[side].get(row, 0)) for row in rows] for side in SIDES},
        }
    )


def ranges(found: pl.DataFrame, price: float = 100.0) -> list[tuple[str, int, int, float]]:
    """Side, first and last row, and dollars of each cluster."""
    return [
        (
            row["side"],
            round(math.log(row["price_low"] / price) / STEP),
            round(math.log(row["price_high"] / price) / STEP) - 1,
            row["value_usd"],
        )
        for row in found.iter_rows(named=True)
    ]


masses = st.dictionaries(st.integers(-100, -1), st.integers(1, 1_000), max_size=40)


def test_a_cluster_by_hand() -> None:
    # Three rows of 2, 8 and 4 dollars; with a width of 0.2 % a neighbor counts half. Smoothed:
    # 1, 6, 11, 8, 2: at least half of 11 holds from the first row to the third.
    found = clusters(profile({-41: 2, -40: 8, -39: 4}), 100.0, width=0.002)
    assert ranges(found) == [("long", -41, -39, 14.0)]
    middle = [100 * math.exp(STEP * (row + 0.5)) for row in (-41, -40, -39)]
    mean = (2 * middle[0] + 8 * middle[1] + 4 * middle[2]) / 14
    (row,) = found.rows(named=True)
    assert row["price"] == pytest.approx(mean)
    assert row["distance"] == pytest.approx(1 - math.exp(-0.038))


def test_the_flanks_of_a_peak_below_half_its_height_are_no_part_of_it() -> None:
    # Without smoothing: rows of 1, 4, 10, 5 and 1.
    found = clusters(profile({-12: 1, -11: 4, -10: 10, -9: 5, -8: 1}), 100.0, width=STEP)
    assert ranges(found) == [("long", -10, -9, 15.0)]


@pytest.mark.parametrize(
    ("valley", "expected"),
    [
        (3, [("long", -10, -10, 10.0), ("long", -8, -8, 6.0)]),  # 3 is half of the lower peak
        (5, [("long", -10, -8, 21.0)]),  # more than three quarters of it: one peak
    ],
)
def test_a_valley_parts_two_peaks_if_it_is_deep(
    valley: int, expected: list[tuple[str, int, int, float]]
) -> None:
    found = clusters(profile({-10: 10, -9: valley, -8: 6}), 100.0, width=STEP)
    assert ranges(found) == expected


def test_two_equal_peaks_are_two_and_the_nearer_comes_first() -> None:
    found = clusters(profile({-40: 5, -20: 5}), 100.0)
    assert ranges(found) == [("long", -20, -20, 5.0), ("long", -40, -40, 5.0)]


def test_two_equal_peaks_closer_than_the_width_are_one() -> None:
    assert ranges(clusters(profile({-23: 5, -20: 5}), 100.0)) == [("long", -23, -20, 10.0)]


def test_a_plateau_is_one_cluster() -> None:
    plateau = dict.fromkeys(range(-60, -20), 0.1)
    assert ranges(clusters(profile(plateau), 100.0))[0][1:3] == (-60, -21)


def test_all_in_one_row_is_a_cluster_of_one_row() -> None:
    assert ranges(clusters(profile({}, {7: 3}), 100.0)) == [("short", 7, 7, 3.0)]


@pytest.mark.parametrize(("side", "row"), [("long", -1), ("short", 0)])
def test_a_peak_at_the_price_is_no_distance_away(side: str, row: int) -> None:
    held = {"long": profile({row: 3}), "short": profile({}, {row: 3})}[side]
    assert clusters(held, 100.0)["distance"].to_list() == [pytest.approx(0, abs=1e-12)]
    inside = clusters(held, 100 * math.exp(STEP * (row + 0.5)))
    assert inside["distance"].to_list() == [0.0]


def test_nothing_stands_nowhere() -> None:
    assert clusters(profile({}), 100.0).is_empty()
    assert clusters(profile({})[:0], 100.0).is_empty()


def test_what_begins_beyond_reach_is_left_out_and_moves_nothing() -> None:
    held = profile({-110: 9, -20: 5, -12: 4})
    near = clusters(held, 100.0)
    assert ranges(near) == [("long", -20, -20, 5.0), ("long", -12, -12, 4.0)]
    assert ranges(clusters(held, 100.0, reach=0.2))[1:] == ranges(near)


def test_rows_of_several_maps_add_up_in_any_order_and_of_any_height() -> None:
    one, other = profile({-10: 4}, {3: 1}), profile({-10: 4, -30: 3})[60:]
    both = clusters(pl.concat([one, other]), 100.0)
    assert ranges(both) == [("long", -10, -10, 8.0), ("long", -30, -30, 3.0), ("short", 3, 3, 1.0)]
    assert both.equals(clusters(pl.concat([other, one]), 100.0))


@given(masses, masses)
def test_ranges_are_disjoint_and_hold_what_they_say(
    longs: dict[int, float], shorts: dict[int, float]
) -> None:
    held = profile(longs, {-1 - row: usd for row, usd in shorts.items()})
    found = clusters(held, 100.0, reach=1.0)
    assert found["value_usd"].to_list() == sorted(found["value_usd"], reverse=True)
    for side in SIDES:
        rows = found.filter(pl.col("side") == side).sort("price_low")
        assert (rows["price_low"].to_numpy()[1:] >= rows["price_high"].to_numpy()[:-1]).all()
        for low, high, usd in rows.select("price_low", "price_high", "value_usd").rows():
            inside = (pl.col("price_low") >= low) & (pl.col("price_high") <= high)
            assert held.filter(inside)[f"{side}_usd"].sum() == pytest.approx(usd)
            assert low <= rows["price"].max()  # type: ignore[operator]


@given(masses.filter(bool))
def test_the_densest_place_is_in_a_cluster(longs: dict[int, float]) -> None:
    held = profile(longs)
    usd = held["long_usd"].to_numpy()
    smoothed = [sum(usd[max(0, i - k) : i + k + 1].sum() for k in range(5)) for i in range(240)]
    top = held.row(int(np.argmax(smoothed)), named=True)
    found = clusters(held, 100.0, reach=1.0)
    inside = (pl.col("price_low") <= top["price_low"]) & (pl.col("price_high") >= top["price_high"])
    assert found.filter(inside).height == 1


@given(masses, st.integers(-20, 20), st.floats(1e-6, 1e6))
def test_the_unit_of_dollars_and_of_prices_changes_nothing(
    longs: dict[int, float], power: int, price: float
) -> None:
    before = clusters(profile(longs), 100.0)
    scaled = profile(longs, price=price).with_columns(pl.col("long_usd") * 2.0**power)
    after = clusters(scaled, price)
    expected = [(*row[:3], row[3] * 2.0**power) for row in ranges(before)]
    assert ranges(after, price) == expected
    assert after["distance"].to_list() == pytest.approx(before["distance"].to_list(), abs=1e-9)


@pytest.mark.parametrize("words", [{"price": 0}, {"reach": 0}, {"width": -1}])
def test_impossible_questions_are_refused(words: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="clusters need"):
        clusters(profile({}), **({"price": 100.0} | words))


def test_rows_of_different_heights_are_refused() -> None:
    uneven = profile({}).with_columns(pl.col("price_high") * 1.01)
    with pytest.raises(ValueError, match="one height"):
        clusters(pl.concat([profile({}), uneven]), 100.0)
