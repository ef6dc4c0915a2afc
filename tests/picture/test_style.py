"""Which part of a frame a picture is drawn of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from plimsoll.picture import style

START = datetime(2025, 1, 1, tzinfo=UTC)


def frame(known: list[int], days: int = 400) -> pl.DataFrame:
    times = [START + timedelta(days=day) for day in range(days)]
    values = [1.0 if day in known else None for day in range(days)]
    return pl.DataFrame({"time": times, "value": values}, schema_overrides={"value": pl.Float64})


def drawn(known: list[int]) -> tuple[int, int]:
    found = style.lately(frame(known), pl.col("value").is_not_null())["time"]
    return (found[0] - START).days, (found[-1] - START).days


def test_the_last_stretch_is_drawn_with_its_holes() -> None:
    assert drawn([3, 4, 200, 210, 230]) == (200, 230)


def test_a_hole_of_a_month_is_still_one_and_a_longer_one_parts() -> None:
    assert drawn([100, 131]) == (100, 131)
    assert drawn([100, 132]) == (132, 132)


def test_where_nothing_is_known_all_of_it_is_drawn() -> None:
    assert drawn([]) == (0, 399)
