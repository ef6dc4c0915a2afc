"""The study of the score runs, and its figures can be what they are; values are for the docs."""

from __future__ import annotations

import polars as pl
from benchmarks.score import BASE, run


def test_a_short_study_has_figures_of_every_kind() -> None:
    found = run({"crash": (11,)}, days=18, variants=False)
    tables = {name: pl.DataFrame(rows) for name, rows in found.items() if isinstance(rows, list)}
    assert tables["mix"].select("truth", "prior").unique().height == 4
    assert tables["mix"]["inside"].is_between(0, 1).all()
    bands = tables["bands"]
    assert set(bands["scope"]) == {"bucket", "range"}
    shares = bands.select(total=pl.sum_horizontal("inside", "below", "above"))["total"]
    assert shares.is_between(0.998, 1.002).all()
    assert bands["empty"].is_between(0, 1).all()
    assert tables["bands_by_distance"]["distance"].unique().sort().to_list() == [0, 0.02, 0.05, 0.1]
    assert tables["skill"]["forecast"].n_unique() == 14
    assert tables["skill"]["skill"].drop_nulls().is_between(-5, 1).all()
    held = tables["horizon"].filter(exchange="sim-c")
    assert held["forecast"].to_list()[0] == "map"
    plain = {
        row["forecast"]: row["deviance"]
        for row in tables["skill"].iter_rows(named=True)
        if row["exchange"] == "sim-c"
    }
    skill = 1 - plain["map"] / plain["constant rate"]
    assert abs(held["over_constant"][0] - skill) < 0.002
    assert tables["ranks"]["rank_correlation"].is_between(-1, 1).all()
    assert tables["measured"]["share"].to_list() == [0.1, 0.2, 0.5, 1.0] * 2
    assert tables["fate"]["young"].is_between(0, 1).all()
    assert tables["variants"]["variant"].to_list() == [BASE]
