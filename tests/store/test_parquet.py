from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.store import parquet

if TYPE_CHECKING:
    from pathlib import Path

decimals = st.decimals(min_value=-1_000_000, max_value=1_000_000, places=8).map(float)
anything = st.floats(allow_nan=False, allow_infinity=False)
cells = st.one_of(st.none(), decimals, anything)


def written(path: Path, frame: pl.DataFrame) -> None:
    writer = parquet.TableWriter(path, parquet.scales(frame))
    writer.write(frame)
    writer.close()


@given(st.lists(cells, min_size=1), st.lists(st.one_of(st.none(), decimals), min_size=1))
def test_what_is_read_is_exactly_what_was_written(tmp_path, mixed, prices):
    size = min(len(mixed), len(prices))
    frame = pl.DataFrame(
        {"mixed": mixed[:size], "price": prices[:size]},
        schema={"mixed": pl.Float64, "price": pl.Float64},
    )
    written(tmp_path / "a.parquet", frame)
    back = parquet.read(tmp_path / "a.parquet")
    assert back.equals(frame)


def test_prices_are_kept_as_decimals_that_another_program_reads(tmp_path):
    prices = [0.1, 64123.7, 1e-8, None, -3.25]
    written(tmp_path / "a.parquet", pl.DataFrame({"price": prices}))
    described = duckdb.sql(f"DESCRIBE SELECT price FROM '{tmp_path}/a.parquet'").fetchall()
    assert described[0][1] == "DECIMAL(18,8)"
    read = duckdb.sql(f"SELECT price::DOUBLE FROM '{tmp_path}/a.parquet'").fetchall()
    assert [row[0] for row in read] == prices


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 2.0], 0),
        ([0.1, 0.25], 2),
        ([1e-8], 8),
        ([math.pi], 15),
        ([math.pi * 1e4], parquet.FLOAT),
        ([2.0**53], parquet.FLOAT),
        ([], 0),
    ],
)
def test_the_fewest_decimals_that_are_exact_are_taken(values, scale):
    frame = pl.DataFrame({"x": values}, schema={"x": pl.Float64})
    assert parquet.scales(frame) == {"x": scale}


def test_a_tick_grid_takes_a_third_of_what_floats_take(tmp_path):
    random = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "price": np.round(60_000 + np.cumsum(random.integers(-3, 4, 200_000)) * 0.1, 1),
            "amount": np.round(random.lognormal(-3, 1.5, 200_000), 3),
        }
    )
    written(tmp_path / "ours.parquet", frame)
    frame.write_parquet(tmp_path / "floats.parquet", compression="zstd")
    ours = (tmp_path / "ours.parquet").stat().st_size
    assert ours < 0.7 * (tmp_path / "floats.parquet").stat().st_size
    assert ours < frame.height * 16 / 3


@given(st.lists(st.one_of(st.none(), st.sampled_from("abcdefghijkl")), min_size=1))
def test_words_few_or_many_come_back_as_they_were(tmp_path, words):
    frame = pl.DataFrame({"word": words}, schema={"word": pl.String})
    written(tmp_path / "a.parquet", frame)
    assert parquet.read(tmp_path / "a.parquet")["word"].to_list() == words


def test_rows_are_encoded_in_groups_of_like_size(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP", 100)
    written(tmp_path / "a.parquet", pl.DataFrame({"x": range(260)}))
    file = pq.read_metadata(tmp_path / "a.parquet")
    assert [file.row_group(n).num_rows for n in range(file.num_row_groups)] == [87, 87, 86]


def test_the_span_of_each_group_is_known_without_reading_it(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP", 2)
    times = [datetime(2026, 1, day, tzinfo=UTC) + timedelta(microseconds=day) for day in (1, 2, 4)]
    frame = pl.DataFrame({"time": times}, schema={"time": pl.Datetime("us", "UTC")})
    writer = parquet.TableWriter(tmp_path / "a.parquet", {})
    writer.write(frame.head(2))
    writer.write(frame.tail(1))
    writer.close()
    spans = parquet.spans(tmp_path / "a.parquet")
    assert spans == [(times[0], times[1], 2), (times[2], times[2], 1)]
