"""What a study of scores says of all its markets, in tables small enough to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from plimsoll.validation.baselines import BASELINES, HELD, MAP, PRIOR

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["BASE", "VARIED", "Tables", "below", "tables"]

BASE = "as it is"
VARIED = ("crash", "squeeze"), (11, 12), "sim-c"
"""Scenarios, seeds and the exchange of the variants."""

Tables = dict[str, pl.DataFrame]


def below(found: Iterable[Tables]) -> Tables:
    """Return tables of one name below each other."""
    names: dict[str, list[pl.DataFrame]] = {}
    for one in found:
        for name, frame in one.items():
            names.setdefault(name, []).append(frame)
    return {name: pl.concat(frames, how="diagonal_relaxed") for name, frames in names.items()}


def tables(cases: list[Tables]) -> Tables:
    """Return the figures of all cases, small enough to read."""
    whole = below(cases)
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
        mix.group_by("variant").agg(pl.col("inside").mean().alias("mix_inside")),
        on="variant",
        maintain_order="left",
    )
    for scope in ("bucket", "range"):
        bands = part["bands"].filter(scope=scope, level="assumed")
        held = _bands_table(bands, ["variant"])
        found = found.join(
            held.select("variant", pl.col("inside").alias(scope)),
            on="variant",
            maintain_order="left",
        )
    ranks = part["ranks"].filter(map="fitted").group_by("variant")
    found = found.join(
        ranks.agg(pl.col("rank_correlation").mean()), on="variant", maintain_order="left"
    )
    return _rounded(found)
