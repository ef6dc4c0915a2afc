"""What the fitted heat map is worth where the truth is known: intervals, skill, and what data buys.

Markets are simulated on seeds that nothing was chosen on: the tempering of the fit was found on
seed 3. A map is fitted to the first two thirds of the days and held against what really stood at
the midnights after them; its score is prequential, as for real data.
"""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from msgspec.structs import replace

import plimsoll
from plimsoll import maps
from plimsoll.analytics.cells import trial
from plimsoll.analytics.fitting import WARM, fitted
from plimsoll.analytics.leverage import fit
from plimsoll.analytics.matching import banded, overlap, rank_correlation
from plimsoll.simulation.scenarios import SCENARIOS
from plimsoll.simulation.simulation import START
from plimsoll.simulation.truth import Truth
from plimsoll.store.reader import Reader
from plimsoll.validation import coverage, scores
from plimsoll.validation.baselines import BASELINES, HELD, MAP, PRIOR
from plimsoll.validation.heatmap_score import score
from plimsoll.validation.recovery import mixes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from plimsoll.analytics.cells import Trial
    from plimsoll.analytics.fitting import Fitted
    from plimsoll.analytics.inventory import Parameters
    from plimsoll.simulation.parameters import Scenario
    from plimsoll.validation.coverage import Midnights, Parts

    Floats = NDArray[np.float64]

__all__ = ["VARIANTS", "run", "studied", "tables"]

COIN, SYMBOL = "BTC", "BTC/USDT:USDT"
DAYS = 45
LEARNT = 2 / 3
"""Of the days, those a map is fitted to before it is held against the truth."""
SEEDS = {name: tuple(range(11, 21)) for name in ("crash", "bull", "squeeze")} | dict.fromkeys(
    ("calm", "institutional", "outage"), (11,)
)
EXCHANGES = ("sim-a", "sim-c")
"""A feed that is throttled, and one that is complete."""
VARIED = ("crash", "squeeze"), (11, 12), "sim-c"
"""Scenarios, seeds and the exchange of the variants."""
BAR = timedelta(minutes=5)
EVERY = 5
"""Days between fits of a score."""
MEASURED = (0.1, 0.2, 0.5, 1.0)
"""Shares of the accounts whose positions are known each midnight."""

Rows = list[dict[str, Any]]
Tables = dict[str, pl.DataFrame]


def _venue(made: Scenario, **changed: object) -> Scenario:
    """Return a scenario in which the exchange of the variants differs."""
    venues = tuple(
        replace(venue, **changed) if venue.name == VARIED[2] else venue for venue in made.venues
    )
    return replace(made, venues=venues)


def _sampled(bars: pl.DataFrame, every: timedelta) -> pl.DataFrame:
    """Return bars whose open interest is known only so often."""
    end = pl.col("time") + BAR
    return bars.with_columns(pl.when(end == end.dt.truncate(every)).then(pl.col("open_interest")))


def _thinned(bars: pl.DataFrame) -> pl.DataFrame:
    """Return bars of which half, by chance, lack open interest."""
    lost = pl.Series(np.random.default_rng(0).random(len(bars)) < 0.5)
    return bars.with_columns(pl.when(~lost).then(pl.col("open_interest")))


_MARKETS: dict[str, Callable[[Scenario], Scenario]] = {
    "liquidations throttled": partial(_venue, liquidations="throttled"),
    "open interest an hour old": partial(_venue, interest_delay=60),
    "no crossed margin": partial(_venue, cross=0.0),
    "crossed margin only": partial(_venue, cross=1.0),
    "always liquidated in parts": partial(_venue, partial=1e-9),
    "never liquidated in parts": partial(_venue, partial=10.0),
}
_BARS: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "open interest hourly": partial(_sampled, every=timedelta(hours=1)),
    "open interest daily": partial(_sampled, every=timedelta(days=1)),
    "half of open interest missing": _thinned,
}
BASE = "as it is"
VARIANTS = (BASE, *_BARS, *_MARKETS)


def run(
    seeds: dict[str, tuple[int, ...]] = SEEDS, days: int = DAYS, *, variants: bool = True
) -> dict[str, object]:
    """Simulate each scenario and seed, study its markets, and what changes them.

    Parameters
    ----------
    seeds : dict of str to tuple of int
        Of each scenario.
    days : int
        18 at least.
    variants : bool
        Whether to study `VARIANTS` too.
    """
    cases = [
        studied(name, seed, days, varied=variants and name in VARIED[0] and seed in VARIED[1])
        for name, chosen in seeds.items()
        for seed in chosen
    ]
    return {
        "compared": f"{days} days of {COIN} on {' and '.join(EXCHANGES)}; seeds by scenario: "
        + "; ".join(f"{name} {', '.join(map(str, chosen))}" for name, chosen in seeds.items()),
        "aim": "80 to 97 % of truths inside their intervals; skill is reported whatever it is",
        **{name: frame.to_dicts() for name, frame in tables(cases).items()},
    }


def studied(name: str, seed: int, days: int = DAYS, *, varied: bool = False) -> Tables:
    """Return what one simulated market says, as tables to be put below each other.

    Parameters
    ----------
    name : str
        Of a scenario.
    seed, days : int
    varied : bool
        Whether to study the variants of one exchange as well.

    Returns
    -------
    dict of str to DataFrame
        `mix`, `bands`, `ranks`, `skill`, `measured`, `fate`.
    """
    found: list[Tables] = []
    with TemporaryDirectory() as folder:
        store = _simulated(Path(folder), SCENARIOS[name], seed, days)
        found += [_market(store, exchange) for exchange in EXCHANGES]
        if varied:
            found += [_market(store, VARIED[2], kind, change) for kind, change in _BARS.items()]
    for kind, changed in _MARKETS.items() if varied else ():
        with TemporaryDirectory() as folder:
            store = _simulated(Path(folder), changed(SCENARIOS[name]), seed, days)
            found.append(_market(store, VARIED[2], kind))
    about = [pl.lit(name).alias("scenario"), pl.lit(seed).alias("seed")]
    return {key: frame.select(*about, pl.all()) for key, frame in _below(found).items()}


def _simulated(folder: Path, made: Scenario, seed: int, days: int) -> Path:
    plimsoll.open(folder).simulate(made, coins=(COIN,), days=days, seed=seed)
    return folder


def _below(found: Iterable[Tables]) -> Tables:
    """Return tables of one name below each other."""
    names: dict[str, list[pl.DataFrame]] = {}
    for one in found:
        for name, frame in one.items():
            names.setdefault(name, []).append(frame)
    return {name: pl.concat(frames, how="diagonal_relaxed") for name, frames in names.items()}


def _market(
    store: Path,
    exchange: str,
    variant: str = BASE,
    change: Callable[[pl.DataFrame], pl.DataFrame] = lambda bars: bars,
) -> Tables:
    """Return the study of one market."""
    reader, truth = Reader(store), Truth(store)
    held = maps.history(reader, SYMBOL, exchange, span=(START, None, None), interval=BAR)
    liquidations = reader.read("liquidation", exchanges=[exchange], symbol=SYMBOL)
    here = {"exchange": exchange, "symbol": SYMBOL}
    positions = truth.read(COIN, "positions").filter(**here)
    gone = truth.read(COIN, "liquidations").filter(**here)
    venues = truth.note["parameters"]["scenario"]["venues"]
    venue = next(one for one in venues if one["name"] == exchange)
    bars = change(held.bars)
    learnt = int(len(bars) * LEARNT) // _a_day() * _a_day()
    whole = trial(bars, liquidations, held.parameters)
    made = fitted(trial(bars[:learnt], liquidations, held.parameters))
    real = dict.fromkeys(venue["leverage"], 0.0) | coverage.opened_mix(positions, gone)
    neutral = dict(zip(venue["leverage"], venue["mix"], strict=True))
    stood = coverage.midnights(whole, positions)
    told = [_mix(made, "default", real, neutral)]
    equal = mixes(venue)["equal weights"]
    if variant == BASE:
        told.append(_mix(fitted(trial(bars, liquidations, equal)), "equal", real, neutral))
    alone: dict[str, Parameters] = {"not fitted": held.parameters, **mixes(venue)}
    drawn: dict[str, Parts] = {
        "fitted": made.parts,
        **{name: ((1.0, one),) for name, one in alone.items()},
    }
    frames = {
        "mix": pl.concat(told),
        "bands": _bands(whole, made, stood.since(learnt)),
        "ranks": _ranks(whole, drawn, stood, learnt),
        "skill": _skill(whole),
    }
    if variant == BASE:
        frames["measured"] = _measured(whole, made, positions, learnt)
        frames["fate"] = _fate(whole, stood, gone)
    about = [pl.lit(exchange).alias("exchange"), pl.lit(variant).alias("variant")]
    return {name: frame.select(*about, pl.all()) for name, frame in frames.items()}


def _a_day() -> int:
    return timedelta(days=1) // BAR


def _mix(
    made: Fitted, prior: str, real: dict[float, float], neutral: dict[float, float]
) -> pl.DataFrame:
    """Return tiers beside the mix that was opened, and the one of a neutral mood."""
    mix = made.mix()
    frames = [
        coverage.mix_coverage(mix, truth).with_columns(
            truth=pl.lit(name), prior=pl.lit(prior), level=made.parameters.liquidatable
        )
        for name, truth in (("opened", real), ("neutral", neutral))
    ]
    return pl.concat(frames)


def _bands(whole: Trial, made: Fitted, truth: Midnights) -> pl.DataFrame:
    """Return coverage, and of a complete feed also that of a map whose level is assumed."""
    levels = {"found" if made.complete else "assumed": made}
    if made.complete:
        assumed = made.prior.liquidatable
        parts = tuple((share, replace(one, liquidatable=assumed)) for share, one in made.parts)
        levels["assumed"] = dataclasses.replace(made, parts=parts, complete=False)
    return pl.concat(
        coverage.band_coverage(whole, one, truth).with_columns(level=pl.lit(name))
        for name, one in levels.items()
    )


def _ranks(whole: Trial, drawn: dict[str, Parts], stood: Midnights, learnt: int) -> pl.DataFrame:
    """Return how maps rank the bands of 0.5 % at each midnight after those learnt from."""
    price = np.exp((np.arange(whole.grid.rows) + 0.5 + whole.grid.first) * whole.grid.step)

    def bands(cells: Floats, mark: float) -> Floats:
        found: Floats = banded(price, cells.sum(axis=0), mark)
        return found

    real = [bands(cells, mark) for cells, mark in zip(stood.real, stood.mark, strict=True)]
    shown = {name: coverage.columns(whole, one, stood.bar) for name, one in drawn.items()}
    rows: Rows = []
    for at in np.flatnonzero(stood.bar >= learnt):
        past = [one / one.sum() for one in real[WARM:at]]
        guesses = {name: bands(cells[at], stood.mark[at]) for name, cells in shown.items()}
        guesses["distance only"] = np.mean(past, axis=0)
        rows += [
            {
                "map": name,
                "rank_correlation": rank_correlation(guess, real[at]),
                "overlap": overlap(guess, real[at]),
            }
            for name, guess in guesses.items()
            if not np.isnan(guess).any()
        ]
    return pl.DataFrame(rows)


def _skill(whole: Trial) -> pl.DataFrame:
    """Return the score's table, with what it says of the whole."""
    made = score(whole, every=EVERY)
    said = [pl.lit(made.summary[name]).alias(f"map_{name}") for name in ("orders", "auc", "slope")]
    better = pl.lit(made.summary["twin"]).alias("twin")
    return made.table.select("forecast", "deviance", "auc", "skill", "low", "high", better, *said)


def _measured(whole: Trial, made: Fitted, positions: pl.DataFrame, learnt: int) -> pl.DataFrame:
    """Return what the positions of some accounts, read each midnight, add to the map."""
    even = whole.background()[:, None]
    stands = sum(share * whole.stood(parameters=one).sum(axis=1) for share, one in made.parts)
    map_ = np.hstack([np.asarray(stands)[:, None], even])
    without = _deviance(whole, map_, learnt)
    owners = positions["wallet"].unique().sort()
    lot = np.random.default_rng(0).random(len(owners))
    rows: Rows = []
    for share in MEASURED:
        read = owners.filter(pl.Series(lot < share))
        stood = coverage.midnights(whole, positions.filter(pl.col("wallet").is_in(read.to_list())))
        known = np.hstack([_first_touch(whole, stood), map_])
        gain = 1 - _deviance(whole, known, learnt) / without
        rows.append({"share": share, "gain": gain})
    return pl.DataFrame(rows)


def _first_touch(whole: Trial, stood: Midnights) -> Floats:
    """Return what stood at midnight in each cell that is the first of its day in its bucket."""
    bar, side, bucket = whole.cells.T
    column = np.searchsorted(stood.bar, bar, side="right") - 1
    _, first = np.unique(np.stack([column, side, bucket]), axis=1, return_index=True)
    found = np.zeros((len(bar), 1))
    first = first[column[first] >= 0]
    found[first, 0] = stood.real[column[first], side[first], bucket[first] - whole.grid.first]
    return whole.dollars(found)


def _fate(whole: Trial, stood: Midnights, gone: pl.DataFrame) -> pl.DataFrame:
    """Return what became of what stood at midnight where the price went on that day."""
    ahead = _first_touch(whole, stood)[:, 0]
    young = gone["opened"] >= gone["time"].dt.truncate("1d")
    return pl.DataFrame(
        {
            "stood": [float(ahead.sum())],
            "liquidated": [int(whole.orders[ahead > 0].sum())],
            "young": [int(gone["lots"].filter(young).sum()) / max(1, int(gone["lots"].sum()))],
        }
    )


def _deviance(whole: Trial, exposure: Floats, learnt: int) -> float:
    """Return the deviance after the days learnt from, of exposures fitted to these."""
    day = whole.day[whole.rows]
    border = whole.time[learnt] // (86_400 * 1_000_000)
    past = (day >= day.min() + WARM) & (day < border)
    orders = whole.per_row(whole.orders).astype(np.int64)
    found = fit(whole.per_row(exposure)[past], orders[past], day[past], draws=0)
    after = whole.day >= border
    mean = np.maximum(exposure[after] @ found.multiplier, 1e-9)
    return float(scores.unit_deviance(whole.orders[after].astype(np.float64), mean).sum())


def tables(cases: list[Tables]) -> Tables:
    """Return the figures of all cases, small enough to read."""
    whole = _below(cases)
    base = {name: frame.filter(variant=BASE) for name, frame in whole.items()}
    return {
        "mix": _mix_table(base["mix"], ["truth", "prior"]),
        "mix_by_tier": _mix_table(base["mix"], ["truth", "prior", "leverage"]),
        "bands": _bands_table(base["bands"], ["level", "exchange", "scope", "scenario"]),
        "bands_by_distance": _bands_table(
            base["bands"], ["level", "exchange", "scope", "distance"]
        ),
        "skill": _skill_table(base["skill"]),
        "horizon": _horizon_table(base["skill"]),
        "ranks": _ranks_table(base["ranks"], ["scenario", "map"]),
        "measured": _rounded(
            base["measured"]
            .group_by("exchange", "share", maintain_order=True)
            .agg(*_spread("gain"), pl.len().alias("cases"))
        ),
        "fate": _rounded(
            base["fate"]
            .group_by("exchange", maintain_order=True)
            .agg(
                (pl.col("liquidated").sum() / pl.col("stood").sum()).alias("liquidated"),
                pl.col("young").mean(),
            )
        ),
        "variants": _variants_table(whole),
    }


def _spread(name: str) -> list[pl.Expr]:
    one = pl.col(name)
    return [one.mean().alias(name), one.min().alias("least"), one.max().alias("most")]


def _rounded(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.selectors.float().round(3))


def _mix_table(frame: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    known = pl.col("identified")
    return _rounded(
        frame.group_by(by, maintain_order=True).agg(
            pl.len().alias("cases"),
            pl.col("inside").mean(),
            known.mean(),
            pl.col("inside").filter(known).mean().alias("inside_identified"),
            pl.col("real").mean(),
            pl.col("share").mean(),
            (pl.col("high") - pl.col("low")).mean().alias("width"),
        )
    ).sort(by)


def _bands_table(frame: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    def share(of: str, among: str = "cells") -> pl.Expr:
        return (pl.col(of).sum() / pl.col(among).sum()).alias(of)

    mass = pl.col("mass").sum() / pl.col("real").sum()
    return _rounded(
        frame.group_by(by, maintain_order=True)
        .agg(
            share("inside"),
            share("below"),
            share("above"),
            share("empty"),
            share("claimed_inside", "claimed"),
            share("claimed"),
            mass.alias("mass_over_real"),
            pl.col("cells").sum(),
        )
        .sort(by)
    )


def _skill_table(frame: pl.DataFrame) -> pl.DataFrame:
    best = frame.filter(pl.col("forecast") == pl.col("twin"))
    best = best.with_columns(forecast=pl.lit("better twin"))
    order = pl.DataFrame({"forecast": [MAP, PRIOR, *BASELINES, "better twin"]})
    found = (
        pl.concat([frame, best])
        .group_by("scenario", "exchange", "forecast", maintain_order=True)
        .agg(
            pl.col("deviance", "auc").mean(),
            *_spread("skill"),
            (pl.col("low") > 0).sum().alias("wins"),
            (pl.col("high") < 0).sum().alias("losses"),
            pl.len().alias("seeds"),
        )
    )
    return _rounded(order.join(found, on="forecast", maintain_order="left"))


def _horizon_table(frame: pl.DataFrame) -> pl.DataFrame:
    """Return what a map that is held for hours is worth, over two forecasts without positions."""
    market = ("scenario", "seed", "exchange")
    over = {"over_constant": "constant rate", "over_distance": "distance only"}
    for column, name in over.items():
        plain = frame.filter(forecast=name).select(*market, plain="deviance")
        frame = (
            frame.join(plain, on=market)
            .with_columns((1 - pl.col("deviance") / pl.col("plain")).alias(column))
            .drop("plain")
        )
    found = frame.group_by("exchange", "forecast", maintain_order=True).agg(
        pl.col(*over, "auc").mean(),
        pl.col(*over).min().name.suffix("_least"),
        pl.col(*over).max().name.suffix("_most"),
        pl.len().alias("markets"),
    )
    order = pl.DataFrame({"forecast": [MAP, *HELD]})
    return _rounded(order.join(found, on="forecast", maintain_order="left"))


def _ranks_table(frame: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    seeds = frame.group_by(*by, "exchange", "seed", maintain_order=True).agg(
        pl.col("rank_correlation", "overlap").mean()
    )
    return _rounded(
        seeds.group_by(by, maintain_order=True).agg(
            *_spread("rank_correlation"), pl.col("overlap").mean()
        )
    )


def _variants_table(whole: Tables) -> pl.DataFrame:
    """Return each variant beside the same markets as they are."""
    scenarios, seeds, exchange = VARIED
    part = {
        name: frame.filter(
            pl.col("scenario").is_in(scenarios),
            pl.col("seed").is_in(seeds),
            exchange=exchange,
        )
        for name, frame in whole.items()
        if name not in {"measured", "fate"}
    }
    skill = part["skill"].group_by("variant", maintain_order=True)
    of = pl.col("forecast")
    found = skill.agg(
        pl.col("skill").filter(of == pl.col("twin")).mean().alias("over_twin"),
        pl.col("skill").filter(of == "distance only").mean().alias("over_distance"),
        pl.col("skill").filter(of == PRIOR).mean().alias("over_not_fitted"),
        pl.col("auc").filter(of == MAP).mean(),
        pl.col("deviance").filter(of == MAP).mean(),
        pl.col("map_orders").filter(of == MAP).sum().alias("orders"),
    )
    mix = part["mix"].filter(truth="opened", prior="default")
    found = found.join(
        mix.group_by("variant").agg(pl.col("inside").mean().alias("mix_inside")), on="variant"
    )
    for scope in ("bucket", "range"):
        bands = part["bands"].filter(scope=scope, level="assumed")
        held = _bands_table(bands, ["variant"])
        found = found.join(held.select("variant", pl.col("inside").alias(scope)), on="variant")
    ranks = part["ranks"].filter(map="fitted").group_by("variant")
    found = found.join(ranks.agg(pl.col("rank_correlation").mean()), on="variant")
    order = pl.DataFrame({"variant": VARIANTS})
    return _rounded(order.join(found, on="variant", maintain_order="left"))
