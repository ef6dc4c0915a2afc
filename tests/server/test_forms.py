"""Answers as bytes, read back by the description in docs/reference/server.md, not by our code."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.client import read_columns
from plimsoll.server.forms import ARROW, COLUMNS, JSON, Answer, chosen, encode, packed

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
CELLS = np.array([[1.5, np.nan, 0.0], [2.0, 3.0, 4.0]])
FRAME = pl.DataFrame(
    {
        "time": [NOON, None, NOON + timedelta(microseconds=1)],
        "price": [100.25, None, -0.0],
        "count": [1, None, 2**40],
        "side": ["long", None, '<script>"'],
        "ok": [True, None, False],
        "history": [[1.0, None], [], None],
    },
    schema_overrides={"time": pl.Datetime("us", "UTC")},
)


def test_json_has_numbers_as_numbers_and_null_as_null() -> None:
    body = encode(Answer({**FRAME.to_dict(), "cells": CELLS}, {"said": "an estimate"}), JSON)
    assert json.loads(body, parse_constant=pytest.fail) == {
        "facts": {"said": "an estimate"},
        "columns": {
            "time": ["2026-01-15T12:00:00Z", None, "2026-01-15T12:00:00.000001Z"],
            "price": [100.25, None, 0.0],
            "count": [1, None, 2**40],
            "side": ["long", None, '<script>"'],
            "ok": [True, None, False],
            "history": [[1.0, None], [], None],
            "cells": [[1.5, None, 0.0], [2.0, 3.0, 4.0]],
        },
    }


def test_binary_columns_are_as_the_reference_says() -> None:
    answer = Answer({**FRAME.to_dict(), "cells": CELLS, "edges": np.arange(4.0)}, {"rows": 3})
    facts, found = read_columns(encode(answer, COLUMNS))
    assert facts == {"rows": 3}
    noon = 1_768_478_400_000  # date -d 2026-01-15T12:00Z +%s, in milliseconds
    np.testing.assert_array_equal(found["time"], [noon, np.nan, noon + 0.001])
    np.testing.assert_array_equal(found["price"], [100.25, np.nan, 0])
    np.testing.assert_array_equal(found["count"], [1, np.nan, 2**40])
    assert found["side"] == ["long", None, '<script>"']
    assert found["ok"] == [True, None, False]
    assert found["history"] == [[1.0, None], [], None]
    np.testing.assert_array_equal(found["cells"], CELLS)
    assert found["cells"].dtype == np.float32
    np.testing.assert_array_equal(found["edges"], [0, 1, 2, 3])


def test_times_of_a_map_are_milliseconds_too() -> None:
    times = np.array(["2026-01-15T12:00", "NaT"], dtype="datetime64[us]")
    _, found = read_columns(encode(Answer({"time": times}), COLUMNS))
    np.testing.assert_array_equal(found["time"], [1_768_478_400_000, np.nan])
    assert json.loads(encode(Answer({"time": times[:1]}), JSON))["columns"] == {
        "time": ["2026-01-15T12:00:00Z"]
    }


def test_arrow_holds_what_is_as_long_as_the_first_column_and_says_the_rest() -> None:
    answer = Answer({"time": FRAME["time"][:2], "cells": CELLS, "edges": np.arange(4.0)}, {"a": 1})
    with pa.ipc.open_stream(io.BytesIO(encode(answer, ARROW))) as stream:
        table = stream.read_all()
    assert table.column("time").to_pylist() == [NOON, None]
    assert table.column("cells").to_pylist() == [[1.5, None, 0.0], [2.0, 3.0, 4.0]]
    assert json.loads(table.schema.metadata[b"plimsoll"]) == {"a": 1, "edges": [0, 1, 2, 3]}


@given(
    st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=9),
    st.lists(st.none() | st.text(max_size=9), max_size=9),
)
def test_any_numbers_and_words_come_back(numbers: list, words: list) -> None:
    columns = {"n": pl.Series(numbers, dtype=pl.Float64), "w": pl.Series(words, dtype=pl.String)}
    _, found = read_columns(encode(Answer(columns), COLUMNS))
    assert [None if np.isnan(x) else x for x in found["n"]] == numbers
    assert found["w"] == words
    assert json.loads(encode(Answer(columns), JSON))["columns"] == {"n": numbers, "w": words}


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json;q=0.1, application/vnd.plimsoll.columns", COLUMNS),
        ("APPLICATION/VND.APACHE.ARROW.STREAM", ARROW),
        ("text/html, */*;q=0.8", JSON),
        ("application/json;q=0, */*", COLUMNS),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/json;q=much", None),
        (";;,,;q=", None),
    ],
)
def test_the_form_is_the_one_accepted(accept: str, form: str | None) -> None:
    assert chosen(accept) == form


def test_what_is_packed_can_be_unpacked() -> None:
    body = b"0123456789" * 1_000
    assert gzip.decompress(packed(body, "gzip")) == body
    small = packed(body, "br")
    assert len(small) < 200
    assert pa.Codec("brotli").decompress(small, len(body), asbytes=True) == body
