from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.analytics.clusters import clusters


def profile(*rows: tuple[float, float, float]) -> pl.DataFrame:
    """Rows of (middle price, longs, shorts), a tenth of a dollar high."""
    return pl.DataFrame(
        [
            {"price_low": p - 0.05, "price_high": p + 0.05, "long_usd": long, "short_usd": short}
            for p, long, short in rows
        ],
        schema=dict.fromkeys(("price_low", "price_high", "long_usd", "short_usd"), pl.Float64),
    )


def test_the_nearest_large_band_is_the_cluster() -> None:
    # By hand, around 100: bands of 0.5 % of log price. 99.8 and 99.7 share the first (3 dollars),
    # 97.8 is alone in the fifth (10), 95 in the eleventh (16): the first that holds 8 is the fifth.
    found = clusters(profile((99.8, 2, 0), (99.7, 1, 0), (97.8, 10, 0), (95, 16, 0)), 100.0)
    assert found.rows() == [("long", pytest.approx(0.02), pytest.approx(97.8), 10.0)]


def test_each_side_has_its_own_and_a_band_its_mean_price() -> None:
    found = clusters(profile((99.8, 1, 0), (99.6, 3, 0), (100.2, 0, 1), (103, 0, 5)), 100.0)
    assert found["side"].to_list() == ["long", "short"]
    assert found["price"].to_list() == pytest.approx([99.65, 103.0])
    assert found["value_usd"].to_list() == [4.0, 5.0]


def test_what_is_beyond_reach_or_on_the_wrong_side_is_no_cluster() -> None:
    assert clusters(profile((80, 9, 0), (101, 9, 0), (99, 0, 9)), 100.0).is_empty()
    assert clusters(profile(), 100.0).is_empty()


def test_rows_of_several_maps_add_up() -> None:
    one = profile((99, 4, 0))
    assert clusters(pl.concat([one, one]), 100.0)["value_usd"].to_list() == [8.0]


@given(st.floats(0.1, 1e6))
def test_scaling_dollars_scales_the_answer_and_moves_nothing(scale: float) -> None:
    rows = profile((99.1, 2, 0), (98.2, 5, 0), (101.7, 0, 3))
    scaled = rows.with_columns(pl.col("long_usd", "short_usd") * scale)
    before, after = clusters(rows, 100.0), clusters(scaled, 100.0)
    assert after["distance"].to_list() == before["distance"].to_list()
    assert after["value_usd"].to_list() == pytest.approx([v * scale for v in before["value_usd"]])


@pytest.mark.parametrize(
    "words", [{"price": 0}, {"reach": 0}, {"width": -1}, {"least": 0}, {"least": 1.5}]
)
def test_impossible_questions_are_refused(words: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="clusters need"):
        clusters(profile(), **({"price": 100.0} | words))
