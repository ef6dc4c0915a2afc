"""What a session returns, as an answer: columns, and facts beside them."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import polars as pl

from plimsoll.server.forms import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plimsoll.analytics.fitting import Fitted
    from plimsoll.analytics.heatmap import HeatMap
    from plimsoll.analytics.measured import Measured
    from plimsoll.measures.consensus import Consensus
    from plimsoll.measures.options import OptionState
    from plimsoll.totals import Market

__all__ = [
    "of_coinglass",
    "of_consensus",
    "of_division",
    "of_fits",
    "of_frame",
    "of_map",
    "of_market",
    "of_measured",
    "of_options",
    "of_parts",
    "of_profile",
    "of_score",
]

_LEVELS = ("p10", "p50", "p90")
_SIDES = ("long", "short")


def of_frame(found: pl.DataFrame) -> Answer:
    """Return a frame: its columns."""
    return Answer(found.to_dict())


def of_market(found: Market) -> Answer:
    """Return each coin; as a fact all of them together."""
    return Answer(found.coins.to_dict(), {"whole": found.whole.row(0, named=True)})


def of_parts(found: Mapping[str, pl.DataFrame | None]) -> Answer:
    """Return several frames, each as a fact; None for what is not stored."""
    return Answer(facts=found)


def of_map(found: HeatMap) -> Answer:
    """Return a map: cells by column and row, edges of the rows, and a number for each column."""
    columns: dict[str, Any] = {
        "time": found.time,
        "edges": found.edges,
        "long_usd": found.long_usd,
        "short_usd": found.short_usd,
        "open": found.open,
        "high": found.high,
        "low": found.low,
        "close": found.close,
        "volume_usd": found.volume_usd,
        "open_interest_usd": found.open_interest_usd,
        "coverage": found.coverage,
        "crossed_long_usd": found.crossed["long_usd"],
        "crossed_short_usd": found.crossed["short_usd"],
    }
    if found.limits is not None:
        for level, cells in zip(_LEVELS, found.limits, strict=True):
            for number, side in enumerate(_SIDES):
                columns[f"{side}_usd_{level}"] = cells[:, number]
    if found.known.any():
        profile = found.profile()
        for side in _SIDES:
            columns[f"{side}_cumulative_usd"] = profile[f"{side}_cumulative_usd"]
    return Answer(columns, {"rows": len(found.edges) - 1, **found.describe()})


def of_profile(found: HeatMap) -> Answer:
    """Return the last known column of a map."""
    return Answer(found.profile().to_dict(), found.describe())


def of_coinglass(found: HeatMap) -> Answer:
    """Return a map in the shape of CoinGlass' API."""
    return Answer(facts={"data": found.to_coinglass(), "said": found.said})


def of_fits(found: Sequence[Fitted]) -> Answer:
    """Return the leverage mix of each market, and what has to be known of it."""
    mixes = pl.concat(
        one.mix().select(
            pl.lit(one.exchange).alias("exchange"), pl.lit(one.symbol).alias("symbol"), pl.all()
        )
        for one in found
    )
    return Answer(mixes.to_dict(), {"fits": [one.describe() for one in found]})


def of_measured(found: Measured) -> Answer:
    """Return measured positions beside the map, and how alike they are."""
    return Answer(found.rows.to_dict(), found.describe())


def of_score(found: Mapping[str, Any]) -> Answer:
    """Return a score."""
    return Answer(facts=found)


def of_consensus(found: Consensus) -> Answer:
    """Return the sum of the markets that can be believed; as facts the grades, and each market."""
    return Answer(found.total.to_dict(), {"grades": found.grades, "markets": found.markets})


def of_division(found: tuple[pl.DataFrame, pl.DataFrame]) -> Answer:
    """Return the parts of a whole, and as a fact how concentrated it is over them."""
    parts, concentration = found
    return Answer(parts.to_dict(), {"concentration": concentration})


def of_options(found: OptionState) -> Answer:
    """Return what options say: several frames, each as a fact."""
    facts: dict[str, Any] = {one.name: getattr(found, one.name) for one in fields(found)}
    for name in ("naive_zero", "taker_zero"):
        facts[name] = facts[name]._asdict()
    return Answer(facts=facts)
