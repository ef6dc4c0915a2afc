"""What aggressors bought and sold: cumulative volume delta, of spot and of contracts, and bounds.

Every trade has a taker. What takers bought less what they sold is known exactly where an exchange
tells the taker's side; whether they opened or closed with it is not, and is bounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics.bars import within
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["cvd", "net_positions", "taken"]

_KEYS = ["exchange", "symbol"]


def taken(
    candles: pl.DataFrame, volumes: pl.DataFrame, trades: pl.DataFrame, every: timedelta
) -> pl.DataFrame:
    """Return what takers bought and sold in each bar of each market.

    Parameters
    ----------
    candles, volumes, trades : DataFrame
        Rows of the tables `candle`, `taker_volume` and `trade`, each maybe without rows. Of a
        market's bar the first of the three that knows it is taken.
    every : timedelta
        The length of a bar.

    Returns
    -------
    DataFrame
        `time` (the bar's end), `exchange`, `symbol`, `bought`, `sold`, `volume` (base units) and
        `source`; `bought` and `sold` are null where only the volume is known. A bar with a missing
        piece is left out; of trades nobody knows whether one is missing. Block trades were
        arranged, not taken: of trades, they count in the volume alone. Candles do not tell them.
    """
    step = f"{round(every.total_seconds())}s"
    parts = [
        _summed(
            candles.filter(pl.col("price_kind") == "trade"),
            pl.col("taker_buy_volume"),
            pl.col("volume") - pl.col("taker_buy_volume"),
            every,
            "candles",
        ),
        _summed(volumes, pl.col("buy_amount"), pl.col("sell_amount"), every, "taker volume"),
        _counted(trades, step),
    ]
    best = pl.concat(parts).sort(pl.col("bought").is_null(), maintain_order=True)
    return best.unique(["time", *_KEYS], keep="first", maintain_order=True).sort("time", *_KEYS)


def _summed(
    rows: pl.DataFrame, bought: pl.Expr, sold: pl.Expr, every: timedelta, source: str
) -> pl.DataFrame:
    """Return sums of the shortest pieces that fill a bar, those first that tell the taker."""
    seconds = round(every.total_seconds())
    step = f"{seconds}s"
    volume = pl.col("volume") if "volume" in rows.columns else bought + sold
    whole = pl.len() * pl.col("interval").first() == seconds

    def total(value: pl.Expr) -> pl.Expr:
        return pl.when(value.null_count() == 0).then(value.sum())

    return (
        rows.filter(within(every))
        .group_by(pl.col("time").dt.truncate(step).dt.offset_by(step), *_KEYS, "interval")
        .agg(
            total(bought).alias("bought"),
            total(sold).alias("sold"),
            total(volume).alias("volume"),
            whole.alias("whole"),
        )
        .filter("whole")
        .sort(pl.col("bought").is_null(), "interval")
        .unique(["time", *_KEYS], keep="first")
        .select("time", *_KEYS, "bought", "sold", "volume", source=pl.lit(source))
    )


def _counted(trades: pl.DataFrame, step: str) -> pl.DataFrame:
    amount, side = pl.col("amount"), pl.col("side")
    taker = pl.col("origin").ne_missing("block")
    return (
        trades.group_by(pl.col("time").dt.truncate(step).dt.offset_by(step), *_KEYS)
        .agg(
            amount.filter((side == "buy") & taker).sum().alias("bought"),
            amount.filter((side == "sell") & taker).sum().alias("sold"),
            amount.sum().alias("volume"),
        )
        .select("time", *_KEYS, "bought", "sold", "volume", source=pl.lit("trades"))
    )


def cvd(flows: pl.DataFrame) -> pl.DataFrame:
    """Return cumulative volume delta of spot markets and of contracts, apart.

    Parameters
    ----------
    flows : DataFrame
        As `taken` returns, of one base currency.

    Returns
    -------
    DataFrame
        `time`, and of ``spot`` and ``futures`` each: `spot_delta` (bought less sold since the row
        before, base units), `spot_cvd` (its sum since the first row), and `spot_coverage`, the
        share of the volume of markets seen so far whose taker is known: those that told nothing of
        a bar count with their mean volume until then. Null where no taker is known; the sum goes
        on behind such a hole without what fell into it.
    """
    kinds = {one: Symbol.parse(one).kind for one in flows["symbol"].unique()}
    spot = pl.col("symbol").is_in([one for one, kind in kinds.items() if kind == "spot"])
    found = flows.select("time").unique().sort("time")
    for name, rows in (("spot", flows.filter(spot)), ("futures", flows.filter(~spot))):
        found = found.join(_delta(rows, name), on="time", how="left", maintain_order="left")
    return found.with_columns(
        pl.when(pl.col(f"{name}_delta").is_not_null())
        .then(pl.col(f"{name}_delta").fill_null(0.0).cum_sum())
        .alias(f"{name}_cvd")
        for name in ("spot", "futures")
    ).select("time", *_DELTAS)


_DELTAS = [
    f"{name}_{column}" for name in ("spot", "futures") for column in ("delta", "cvd", "coverage")
]


def _delta(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    known = pl.col("bought").is_not_null() & pl.col("sold").is_not_null()
    markets = rows.group_by(_KEYS).agg(pl.col("time").min().alias("_first"))
    grid = rows.select("time").unique().join(markets, how="cross")
    usual = pl.col("volume").cum_sum() / pl.col("volume").cum_count()
    whole = (
        grid.filter(pl.col("time") >= pl.col("_first"))
        .join(rows, on=["time", *_KEYS], how="left")
        .sort(*_KEYS, "time")
        .with_columns(weight=pl.coalesce("volume", usual.forward_fill().over(_KEYS)))
    )
    weight, some = pl.col("weight"), pl.col("bought").count() > 0
    delta = (pl.col("bought") - pl.col("sold")).sum()
    return (
        whole.group_by("time")
        .agg(
            pl.when(some).then(delta).alias(f"{name}_delta"),
            pl.when(weight.sum() > 0)
            .then(weight.filter(known).sum() / weight.sum())
            .alias(f"{name}_coverage"),
        )
        .sort("time")
    )


def net_positions(bars: pl.DataFrame) -> pl.DataFrame:
    """Return by how much takers' longs and shorts grew, as far as flows can say.

    With takers buying B and selling A, and open interest changing by Δ, the growth N of takers'
    longs lies between ``max(0, Δ) - A`` and ``B + min(0, Δ)``; that of their shorts is N - (B - A).
    So the difference of the two is known exactly, their sum only within B + A - |Δ|. The estimate
    is the middle, ``N = (Δ + B - A) / 2``: that takers and makers grow alike.

    Parameters
    ----------
    bars : DataFrame
        `time`, `exchange`, `symbol`, and of each bar `change` (of open interest), `bought` and
        `sold`, all in base units.

    Returns
    -------
    DataFrame
        By time, summed over the markets of which all three are known: `longs`, `longs_low`,
        `longs_high`, `shorts`, `shorts_low`, `shorts_high` (base units since the bar before),
        `net` (longs less shorts, exact), `markets` (count), and `net_longs` and `net_shorts`, sums
        of the estimates since the first row; null where no market is known.

    Notes
    -----
    The bounds hold as every trade has one taker and one maker. A settlement at an expiry and
    deleveraging are no trades, and a bar in which open interest moved by more than was traded is
    left out. Bounds of a sum are sums of bounds, and so grow with every bar.
    """
    change, bought, sold = pl.col("change"), pl.col("bought"), pl.col("sold")
    low = pl.max_horizontal(change, pl.lit(0.0)) - sold
    high = bought + pl.min_horizontal(change, pl.lit(0.0))
    longs, net = (change + bought - sold) / 2, bought - sold
    columns = {
        "longs": longs,
        "longs_low": low,
        "longs_high": high,
        "shorts": longs - net,
        "shorts_low": low - net,
        "shorts_high": high - net,
        "net": net,
    }
    possible = change.abs() <= (bought + sold) * (1 + 1e-9)
    known = bars.filter(possible).select("time", **columns)
    sums = known.group_by("time").agg(
        *(pl.col(name).sum() for name in columns), pl.len().cast(pl.Int64).alias("markets")
    )
    return (
        bars.select("time")
        .unique()
        .join(sums, on="time", how="left")
        .sort("time")
        .with_columns(
            pl.when(pl.col(name).is_not_null())
            .then(pl.col(name).fill_null(0.0).cum_sum())
            .alias(f"net_{name}")
            for name in ("longs", "shorts")
        )
        .with_columns(pl.col("markets").fill_null(0))
    )
