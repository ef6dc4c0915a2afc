from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from matplotlib.image import imread
from tests.fakes.chains import name, quotes

import plimsoll
from plimsoll.picture.options import draw

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.measures.options import OptionState


def state(folder: Path, *rows: dict[str, object]) -> OptionState:
    quoted = quotes(*rows)
    known = [column.name for column in quoted if column.null_count() < len(column)]
    quoted.select(known).write_parquet(folder / "option_quote.parquet")
    opened = plimsoll.open(folder / "store")
    opened.import_files([folder / "option_quote.parquet"])
    return opened.options("BTC")


ONE = {"symbol": name("260331", 60_000, "C"), "open_interest": 5.0}
PRICED = {"underlying_price": 60_000.0, "index_price": 60_000.0, "mark_iv": 0.5, "mark_price": 0.05}


@pytest.mark.parametrize(
    "rows",
    [
        [ONE],
        [ONE | PRICED],
        [ONE, ONE | {"symbol": name("260331", 70_000, "P"), "open_interest": 0.0}],
        [ONE | PRICED, ONE | PRICED | {"symbol": name("260302", 55_000, "P")}],
    ],
    ids=["one of no price", "one", "one strike holds all", "one a side"],
)
def test_what_little_is_known_is_drawn(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    draw(state(tmp_path, *rows), tmp_path / "options.png", title="Options on BTC")
    height, width = imread(tmp_path / "options.png").shape[:2]
    assert (width, height) == (1920, 1200)


def test_calls_are_drawn_above_and_puts_below(tmp_path: Path) -> None:
    """All calls at a low strike, all puts at a high one: each color on its own side."""
    rows = [
        ONE | PRICED | {"symbol": name("260331", 50_000, "C")},
        ONE | PRICED | {"symbol": name("260331", 70_000, "P")},
    ]
    draw(state(tmp_path, *rows), tmp_path / "options.png", title="Options on BTC")
    panel = 255 * imread(tmp_path / "options.png")[190:600, 90:1250, :3]
    green = (panel[..., 1] > 130) & (panel[..., 0] < 90)
    red = (panel[..., 0] > 190) & (panel[..., 1] < 120)
    calls, puts = green.nonzero()[0], red.nonzero()[0]
    assert len(calls) > 1_000
    assert len(puts) > 1_000
    assert np.percentile(calls, 99) < np.percentile(puts, 1)


def test_nothing_open_is_not_drawn(tmp_path: Path) -> None:
    empty = state(tmp_path, ONE | {"open_interest": 0.0})
    assert empty.by_strike["calls"].sum() == 0
    assert isinstance(empty.summary, pl.DataFrame)
    with pytest.raises(ValueError, match="nothing to draw"):
        draw(empty, tmp_path / "options.png", title="Options on BTC")
