from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

import plimsoll
from plimsoll.cli import main
from plimsoll.errors import NoSuchData
from plimsoll.validation.daily import (
    LINES,
    UNITS,
    explained,
    gained,
    left_out,
    panel,
    path_features,
)
from plimsoll.validation.naive import kernel, swept


def made_up(noise: float, weeks: int = 4) -> pl.DataFrame:
    """Two coins, whose log totals are an intercept each, 1.5 times an input, and noise."""
    draw = np.random.default_rng(3)
    rows = []
    for level, coin in enumerate(("AAA", "BBB")):
        for side in ("long", "short"):
            for day in range(7 * weeks):
                moved = draw.normal()
                log = 9 + level + 1.5 * moved + noise * draw.normal()
                rows.append(
                    {
                        "coin": coin,
                        "side": side,
                        "day": date(2026, 1, 5) + timedelta(days=day),
                        "week": day // 7,
                        "usd": np.expm1(log),
                        "yesterday": 1e4,
                        "range": moved,
                        "map": draw.normal(),
                    }
                )
    return pl.DataFrame(rows)


def by_least_squares(rows: pl.DataFrame, inputs: list[str], unit: float) -> float:
    """The same question, asked with a column of ones for each coin and side."""
    target = np.log1p(rows["usd"].to_numpy() / unit)
    names = rows["coin"].to_numpy() + rows["side"].to_numpy()
    ones = np.column_stack([names == name for name in np.unique(names)]).astype(float)
    week, sums = rows["week"].to_numpy(), np.zeros(2)
    for left in np.unique(week):
        seen = week != left
        for number, design in enumerate((np.hstack([ones, rows[inputs].to_numpy()]), ones)):
            line = np.linalg.lstsq(design[seen], target[seen], rcond=None)[0]
            sums[number] += ((target[~seen] - design[~seen] @ line) ** 2).sum()
    return 1 - sums[0] / sums[1]


@pytest.mark.parametrize("inputs", [["range"], ["map"], ["range", "map"]])
@pytest.mark.parametrize("unit", UNITS)
def test_r2_is_that_of_least_squares_with_an_intercept_each(inputs, unit):
    rows = made_up(0.8)
    found = explained(rows, [tuple(inputs)], draws=200).filter(unit=unit)
    assert found["r2"].item() == pytest.approx(by_least_squares(rows, inputs, unit))
    assert found["low"].item() < found["r2"].item() < found["high"].item()


def test_an_exact_line_explains_everything_and_nothing_can_be_gained():
    rows = made_up(0.0)
    found = explained(rows, [("range",)], draws=50).filter(unit=1.0)
    assert found.select("r2", "low", "high").row(0) == pytest.approx((1, 1, 1))
    gain = gained(rows, [("map", ("range",))], draws=50).filter(unit=1.0)
    assert gain["gain"].item() == pytest.approx(0, abs=1e-12)


def test_a_gain_is_the_difference_of_two_scores():
    rows = made_up(0.8)
    scores = explained(rows, [("map",), ("map", "range")], draws=50)["r2"].to_list()
    gain = gained(rows, [("range", ("map",))], draws=50)["gain"].to_list()
    assert gain == pytest.approx([scores[2] - scores[0], scores[3] - scores[1]])


def test_one_week_cannot_be_left_out():
    with pytest.raises(ValueError, match="two weeks or more"):
        left_out(made_up(1.0, weeks=1), ["range"], 1.0)


def test_the_range_counts_from_the_open_and_the_drawdown_from_any_peak():
    path = np.array([100.0, 120.0, 96.0, 108.0])
    long, short = path_features(path, "long"), path_features(path, "short")
    assert long == pytest.approx({"range": np.log(100 / 96), "drawdown": 0.25})
    assert short == pytest.approx({"range": np.log(1.2), "drawdown": 0.2})


def test_the_plain_map_is_emptied_where_the_price_goes_and_only_there():
    """100 is opened on both sides at 1,000: 20 a tier, at 990 to 800 and 1,010 to 1,200."""
    marks = np.array([1_000.0, 1_000.0, 991.0, 985.0, 985.0, 955.0, 1_011.0])
    seeds = np.array([100.0, 0, 0, 0, 0, 0])
    gone, old = swept(marks, seeds, np.array([0, 0, 0, 1, 1, 1]))
    assert gone[:, 0].tolist() == [0, 0, 20, 0, 40, 0]
    assert gone[:, 1].tolist() == [0, 0, 0, 0, 0, 20]
    assert old.sum(axis=0).tolist() == [40, 20]


def test_the_kernel_knows_only_where_the_path_begins():
    assert kernel(np.array([100.0, 105.0, 95.5])).tolist() == [0.6, 0.6]


def test_a_store_without_totals_says_so(tmp_path):
    plimsoll.open(tmp_path / "store").simulate("calm", coins=("SOL",), days=3)
    with pytest.raises(NoSuchData):
        panel(tmp_path / "store", exchange="nowhere")


@pytest.fixture(scope="module")
def winter(real, tmp_path_factory):
    root = tmp_path_factory.mktemp("daily") / "store"
    names = ("open_interest_5m_binance.parquet", "liquidations_daily_market.parquet")
    plimsoll.open(root).import_files([real / name for name in names])
    return root


@pytest.fixture(scope="module")
def days(winter):
    return panel(winter)


PUBLISHED = {
    ("range",): (0.396, 0.403, 0.0005),
    ("drawdown",): (0.562, 0.649, 0.0005),
    ("yesterday",): (0.007, 0.036, 0.0005),
    ("range by open interest",): (0.396, 0.408, 0.0006),
    ("range", "drawdown"): (0.574, 0.653, 0.0005),
    ("map",): (0.596, 0.637, 0.007),
    ("map at midnight",): (0.405, 0.443, 0.007),
    ("map of constant seeds",): (0.571, 0.599, 0.007),
    ("map of returns",): (0.601, 0.646, 0.007),
    ("range", "map"): (0.600, 0.636, 0.007),
    ("range", "drawdown", "map"): (0.617, 0.683, 0.007),
}
"""R² of an independent study of the same tables, and how near ours must come."""


@pytest.mark.real
def test_the_figures_of_an_independent_study_come_out(days):
    assert (days.height, days["day"].n_unique(), days["week"].n_unique()) == (286, 51, 7)
    assert set(PUBLISHED) < {*LINES}
    found = explained(days, list(PUBLISHED), draws=100)
    for inputs, (dollars, scaled, near) in PUBLISHED.items():
        ours = found.filter(predictor=" + ".join(inputs)).sort("unit")["r2"].to_list()
        assert ours == pytest.approx([dollars, scaled], abs=near), inputs


@pytest.mark.real
def test_the_truth_itself_explains_nearly_all_but_the_days_of_almost_nothing(winter, days):
    told = days.select("coin", "side", "day", "usd")
    rows = panel(winter, predicted={"told": told})
    best = explained(rows, [("told",)], draws=50).sort("unit")["r2"].to_list()
    assert best[0] < 0.7
    assert best[1] > 0.9
    with pytest.raises(ValueError, match="told predicts nothing for 1 of 286 days"):
        panel(winter, predicted={"told": told[1:]})
    with pytest.raises(ValueError, match="another name than map"):
        panel(winter, predicted={"map": told})


@pytest.mark.real
def test_the_command_prints_what_the_functions_say(winter, days, capsysbinary):
    main(["score", "daily", "--store", str(winter), "--json"])
    told = json.loads(capsysbinary.readouterr().out)
    assert told["parameters"]["rows"] == 286
    assert told["lines"]["r2"] == explained(days, draws=10)["r2"].to_list()
    assert told["gains"]["gain"] == gained(days, draws=10)["gain"].to_list()
