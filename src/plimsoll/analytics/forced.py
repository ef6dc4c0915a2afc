"""How much can have been closed by force at least and at most, and what share of trading it was.

A throttled feed lets through a part of the liquidations, and says neither which nor how many. What
was traded, and how open interest changed, bound what it left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics.bars import within

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["bounds", "held", "shares", "taken", "traded"]

_MARKET = ("exchange", "symbol")
_INVERSE = r"^(\w+)/\w+:(\w+)"


def traded(candles: pl.DataFrame, every: timedelta) -> pl.DataFrame:
    """Return what was traded in each step of time, by aggressor.

    Parameters
    ----------
    candles : DataFrame
        Rows of the `candle` table, of prices in dollars; of each market the shortest candles that
        lie inside one step count, and of those all others than of trades are passed over.
    every : timedelta
        The length of a step.

    Returns
    -------
    DataFrame
        `time`, `exchange`, `symbol`, `low` and `close` (quote per base), `volume_usd`, and at most
        so much sold and bought by aggressors: `sold_usd`, `bought_usd` (US dollars). All of the
        volume where the aggressors are not told; at the highest price where only an amount is
        told. Only whole steps.
    """
    step = every.total_seconds()
    rows = candles.filter((pl.col("price_kind") == "trade") & within(every))
    finest = pl.col("interval") == pl.col("interval").min().over(_MARKET)
    at_most, high = pl.col("quote_volume"), pl.col("high")
    buy, taken = pl.col("taker_buy_volume"), pl.col("taker_buy_quote_volume")
    volume = pl.coalesce(at_most, pl.col("volume") * high)
    return (
        rows.filter(finest)
        .with_columns(
            step=pl.col("time").dt.truncate(every),
            volume_usd=volume,
            sold_usd=pl.coalesce(at_most - taken, (pl.col("volume") - buy) * high, volume),
            bought_usd=pl.coalesce(taken, buy * high, volume),
        )
        .sort("time")
        .group_by("step", *_MARKET, maintain_order=True)
        .agg(
            pl.col("low").min(),
            pl.col("close").last(),
            *(_whole_sum(name) for name in ("volume_usd", "sold_usd", "bought_usd")),
            whole=pl.col("interval").sum() == step,
        )
        .filter("whole")
        .drop("whole")
        .rename({"step": "time"})
    )


def _whole_sum(name: str) -> pl.Expr:
    return pl.when(pl.col(name).is_not_null().all()).then(pl.col(name).sum()).alias(name)


def held(open_interest: pl.DataFrame, every: timedelta, max_age: timedelta) -> pl.DataFrame:
    """Return how open interest changed in each step of time.

    Parameters
    ----------
    open_interest : DataFrame
        Rows of the `open_interest` table.
    every : timedelta
        The length of a step.
    max_age : timedelta
        How old a report may be to stand for a step's opening or its end.

    Returns
    -------
    DataFrame
        `time`, `exchange`, `symbol`, and the change in `contracts`: base units, of inverse
        contracts dollars, so that a price alone changes nothing. Null where it is not known.
    """
    parts = pl.col("symbol").str.extract_groups(_INVERSE).struct
    inverse = parts[0] == parts[1]
    rows = open_interest.with_columns(
        contracts=pl.when(inverse).then("value_usd").otherwise("amount")
    ).drop_nulls("contracts")
    if not rows.height:
        return rows.select("time", *_MARKET, "contracts")
    last = rows["time"].max()
    marks = pl.datetime_ranges(pl.col("time").dt.truncate(every), pl.lit(last), every)
    grid = rows.group_by(_MARKET).agg(pl.col("time").min()).with_columns(time=marks)
    reports = rows.select("time", *_MARKET, "contracts").sort("time")
    return (
        grid.explode("time")
        .sort("time")
        .join_asof(reports, on="time", by=list(_MARKET), tolerance=max_age, check_sortedness=False)
        .with_columns(contracts=pl.col("contracts").shift(-1).over(_MARKET) - pl.col("contracts"))
        .select("time", *_MARKET, "contracts")
    )


def taken(told: pl.DataFrame, candles: pl.DataFrame, every: timedelta) -> pl.DataFrame:
    """Return at most how much can have been taken from the book by force.

    A forced sale is an order that takes from the book, so aggressors sold no less. And a throttled
    feed lets through one of each second, so where it tells of none, none was: only steps in which
    it tells of any can hide more. The shorter the steps, the less can hide.

    Parameters
    ----------
    told : DataFrame
        As of `liquidations.totals`, in these steps.
    candles : DataFrame
        Rows of the `candle` table.
    every : timedelta
        The length of a step.

    Returns
    -------
    DataFrame
        `time`, `exchange`, `symbol`, `long_most_usd`, `short_most_usd` (US dollars), for each
        step with candles.
    """
    count = pl.col("long_count") + pl.col("short_count")
    nothing = (pl.col("completeness") == "throttled") & (pl.col("seen") == 1) & (count == 0)
    return (
        traded(candles, every)
        .join(told, on=("time", *_MARKET), how="left")
        .select(
            "time",
            *_MARKET,
            *(
                pl.when(nothing.fill_null(value=False)).then(0.0).otherwise(side).alias(most)
                for side, most in (("sold_usd", "long_most_usd"), ("bought_usd", "short_most_usd"))
            ),
        )
    )


def bounds(
    frame: pl.DataFrame,
    most: pl.DataFrame,
    candles: pl.DataFrame,
    open_interest: pl.DataFrame,
    every: timedelta,
) -> pl.DataFrame:
    r"""Add at most how many dollars can have been closed by force; at least is what was told.

    Of what was traded, what opened positions closed none:

    .. math:: F_{long} \le \min(V_{sold}, \; V - \max(\Delta OI, 0))

    and so with what was bought for shorts. A complete feed tells exactly.

    Parameters
    ----------
    frame : DataFrame
        As of `liquidations.totals`.
    most : DataFrame
        As of `taken`, in the same steps or in shorter ones.
    candles : DataFrame
        Rows of the `candle` table.
    open_interest : DataFrame
        Rows of the `open_interest` table; a report stands for no more than one step.
    every : timedelta
        The length of a step.

    Returns
    -------
    DataFrame
        With `long_most_usd`, `short_most_usd`, `volume_usd` and `open_interest_change_usd`
        (US dollars, positions alone: the price's part is left out). A bound is null where volume
        is not known, or more was told than can have been: then the two do not fit, for their
        units or their clocks.

    Notes
    -----
    It is assumed that forced orders go through the book of the same market, at the time that is
    told. Where an exchange closes against winners instead (auto-deleveraging) without counting
    that as volume, more can have been closed than this says.
    """
    on, sides = ("time", *_MARKET), ("long", "short")
    shorter = most.with_columns(pl.col("time").dt.truncate(every))
    summed = shorter.group_by(on).agg(_whole_sum(f"{side}_most_usd") for side in sides)
    volume = traded(candles, every).drop("sold_usd", "bought_usd")
    parts = pl.col("symbol").str.extract_groups(_INVERSE).struct
    price = pl.when(parts[0] == parts[1]).then(1.0)
    joined = (
        frame.join(volume, on=on, how="left", maintain_order="left")
        .join(held(open_interest, every, every), on=on, how="left", maintain_order="left")
        .join(summed, on=on, how="left", maintain_order="left")
        .with_columns(
            open_interest_change_usd=pl.col("contracts") * price.otherwise(pl.col("close")),
            closed_usd=pl.col("volume_usd")
            - pl.col("contracts").clip(0).fill_null(0) * price.otherwise(pl.col("low")),
        )
    )
    return joined.with_columns(_bound(side) for side in sides).drop(
        "low", "close", "contracts", "closed_usd"
    )


def _bound(side: str) -> pl.Expr:
    """Return what is at most, from what `bounds` has gathered."""
    told, taken_usd, closed = (
        pl.col(f"{side}_usd"),
        pl.col(f"{side}_most_usd"),
        pl.col("closed_usd"),
    )
    bound = pl.when(taken_usd <= closed).then(taken_usd).when(closed.is_not_null()).then(closed)
    known = taken_usd.is_not_null() & (told.fill_null(0) <= bound)
    return (
        pl.when(pl.col("completeness") == "complete")
        .then(told)
        .when(known)
        .then(bound)
        .alias(f"{side}_most_usd")
    )


def shares(frame: pl.DataFrame) -> pl.DataFrame:
    """Add what share of trading, and of a fall of open interest, was forced.

    Parameters
    ----------
    frame : DataFrame
        As of `bounds`, or sums of that.

    Returns
    -------
    DataFrame
        With `volume_share` (fraction of the volume) and `forced_share` (fraction of the fall,
        null where open interest did not fall): of what was told, so at least; and
        `forced_share_most`. A share of a fall may exceed one: what is closed by force may be
        opened by others at once.

    Examples
    --------
    On a day, 122.96 million of 3.76 billion dollars traded were liquidations.

    >>> frame = pl.DataFrame({
    ...     "long_usd": [100e6], "short_usd": [22.96e6], "volume_usd": [3.76e9],
    ...     "long_most_usd": [None], "short_most_usd": [None], "open_interest_change_usd": [0.0],
    ... }, schema_overrides={"long_most_usd": pl.Float64, "short_most_usd": pl.Float64})
    >>> round(shares(frame)["volume_share"].item(), 4)
    0.0327
    """
    told = pl.col("long_usd") + pl.col("short_usd")
    most = pl.col("long_most_usd") + pl.col("short_most_usd")
    fall, volume = -pl.col("open_interest_change_usd"), pl.col("volume_usd")
    return frame.with_columns(
        volume_share=pl.when(volume > 0).then(told / volume),
        forced_share=pl.when(fall > 0).then(told / fall),
        forced_share_most=pl.when(fall > 0).then(most / fall),
    )
