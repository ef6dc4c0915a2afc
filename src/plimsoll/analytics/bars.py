"""Candles and open interest on one grid of time; each bar knows what was known by its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import polars as pl

from plimsoll.market.schema import TABLES

__all__ = ["bars", "in_contracts", "marked", "shortest_interval", "spacing", "within"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def within(every: timedelta) -> pl.Expr:
    """Return whether a candle lies inside one step of a grid, whose steps begin at its multiples.

    An exchange's bar of eight hours may open at 04:00: such a one belongs to two steps of eight
    hours, and to none.

    Parameters
    ----------
    every : timedelta
        The length of a step.

    Returns
    -------
    Expr, bool
        Over the columns `time` and `interval` of a candle.

    Examples
    --------
    >>> opens = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (0, 4, 8)]
    >>> frame = pl.DataFrame({"time": opens, "interval": 8 * 3_600})
    >>> frame.filter(within(timedelta(days=1)))["time"].dt.hour().to_list()
    [0, 8]
    """
    length = pl.col("interval").cast(pl.Int64)
    divides = pl.lit(round(every.total_seconds())) % length == 0
    return divides & (pl.col("time").dt.epoch("us") % (length * 1_000_000) == 0)


def bars(
    candles: pl.DataFrame,
    open_interest: pl.DataFrame,
    interval: timedelta,
    since: datetime,
    until: datetime,
) -> pl.DataFrame:
    """Return candles and open interest of one instrument as gapless bars.

    Parameters
    ----------
    candles : DataFrame
        Rows of the `candle` table, of one length that divides `interval`; those that reach over the
        end of a bar are passed over. Where there are none,
        prices are those of the open interest, its value over its amount; what the price did
        between two stamps is then not seen, and the volume is unknown.
    open_interest : DataFrame
        Rows of the `open_interest` table.
    interval : timedelta
        The length of a bar; bars open at its multiples, in UTC.
    since, until : datetime
        Only bars wholly inside.

    Returns
    -------
    DataFrame
        `time` (the open), `open`, `high`, `low`, `close` (quote per base), `volume`, `taker_buy`,
        `open_interest` (base units) and `open_interest_usd` (US dollars); null where unknown.

    Raises
    ------
    ValueError
        If the rows are of several instruments, candle lengths or price kinds, candles are too
        long, or no bar fits.

    Notes
    -----
    Open interest is that of the last stamp in (t, t + interval]; without one the bar's is null,
    never an older one. A stamp counts from when it was known, as exchanges publish it some minutes
    late, but a correction that came later than a bar counts from its own time. Where some candles
    of a bar are missing, prices are those of the rest, its open is the close before it (a later one
    is not known at the open), and its volume is null.
    """
    step = interval // _MICROSECOND
    if step <= 0:
        raise ValueError(f"a bar needs a positive length; got {interval}")
    first = -(-((since - _EPOCH) // _MICROSECOND) // step)
    last = (until - _EPOCH) // _MICROSECOND // step
    if last <= first:
        raise ValueError(f"no bar of {interval} fits between {since} and {until}")
    candles, open_interest = _one_instrument(candles, open_interest)
    spine = pl.DataFrame({"bar": pl.int_range(first, last, eager=True)})
    # A stamp on the border of two bars belongs to the earlier: it is the end of that one.
    late = pl.col("known_at") - pl.col("time") > interval
    known = pl.when(late).then("time").otherwise("known_at")
    ending = ((known.dt.epoch("us") - 1) // step).alias("bar")
    stamps = open_interest.with_columns(ending).drop_nulls("amount").sort("time")
    prices = _marked(stamps, spine) if candles.is_empty() else _traded(candles, spine, step)
    standing = stamps.group_by("bar").agg(
        open_interest=pl.col("amount").last(), open_interest_usd=pl.col("value_usd").last()
    )
    return prices.join(standing, on="bar", how="left", maintain_order="left").select(
        (pl.col("bar") * step).cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("time"),
        pl.exclude("bar"),
    )


def marked(bars: pl.DataFrame, candles: pl.DataFrame) -> pl.DataFrame:
    """Return bars with the extremes of the mark price, on which exchanges liquidate.

    Parameters
    ----------
    bars : DataFrame
        As `bars` makes them.
    candles : DataFrame
        Rows of the `candle` table, of mark prices of the same instrument.

    Returns
    -------
    DataFrame
        With `mark_low` and `mark_high`, quote per base: of the shortest candles that fill a bar;
        null for a bar of which one is missing, or where none fit.
    """
    step = bars["time"].diff().drop_nulls().min()
    none = pl.lit(None, dtype=pl.Float64)
    for seconds in candles["interval"].unique().sort():
        length = timedelta(seconds=seconds)
        if not isinstance(step, timedelta) or step % length:
            continue
        rows = candles.filter(pl.col("interval") == seconds).unique("time", keep="last")
        extremes = rows.group_by(
            ((pl.col("time").dt.epoch("us") // (step // _MICROSECOND)) * (step // _MICROSECOND))
            .cast(pl.Datetime("us"))
            .dt.replace_time_zone("UTC")
            .alias("time")
        ).agg(mark_low=pl.col("low").min(), mark_high=pl.col("high").max(), many=pl.len())
        whole = extremes.filter(pl.col("many") == step // length).drop("many")
        return bars.join(whole, on="time", how="left", maintain_order="left")
    return bars.with_columns(mark_low=none, mark_high=none)


def _one_instrument(
    candles: pl.DataFrame, open_interest: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    candles = TABLES["candle"].conform(candles)
    open_interest = TABLES["open_interest"].conform(open_interest)
    names = ["exchange", "symbol"]
    found = pl.concat([candles.select(names), open_interest.select(names)]).unique().sort(names)
    if len(found) > 1:
        listed = ", ".join(" ".join(map(str, row)) for row in found.rows())
        raise ValueError(f"bars are of one instrument, but these rows are of {listed}")
    kinds = candles.select("interval", "price_kind").unique().sort("interval", "price_kind")
    if len(kinds) > 1:
        raise ValueError(
            "bars are made of candles of one length in seconds and one kind of price; "
            f"choose among {', '.join(map(str, kinds.rows()))}"
        )
    return candles, open_interest


def _traded(candles: pl.DataFrame, spine: pl.DataFrame, step: int) -> pl.DataFrame:
    seconds = candles["interval"][0]
    if seconds is None or step % (length := seconds * 1_000_000):
        raise ValueError(
            f"candles of {seconds} s do not fill a bar of {step / 1e6:g} s; choose a multiple"
        )
    begun = pl.col("time").dt.epoch("us")
    complete = pl.len() == step // length
    totals = {"volume": pl.col("volume"), "taker_buy": pl.col("taker_buy_volume")}
    joined = (
        candles.filter(within(timedelta(microseconds=step)))
        .unique("time", keep="last")
        .sort("time")
        .group_by(bar=begun // step)
        .agg(
            pl.col("open").first(),
            pl.col("close").last(),
            pl.col("high").max(),
            pl.col("low").min(),
            (begun.first() % step == 0).alias("from_open"),
            *(
                pl.when(complete & (value.null_count() == 0)).then(value.sum()).alias(name)
                for name, value in totals.items()
            ),
        )
    )
    known = pl.col("close").is_not_null()
    opened = pl.when("from_open").then("open").otherwise(pl.col("close").shift())
    return (
        spine.join(joined, on="bar", how="left", maintain_order="left")
        .with_columns(open=pl.when(known).then(opened))
        .select(
            "bar",
            "open",
            pl.when(known).then(pl.max_horizontal("high", "open")).alias("high"),
            pl.when(known).then(pl.min_horizontal("low", "open")).alias("low"),
            "close",
            "volume",
            "taker_buy",
        )
    )


def _marked(stamps: pl.DataFrame, spine: pl.DataFrame) -> pl.DataFrame:
    mark = pl.col("value_usd") / pl.col("amount")
    marks = (
        stamps.filter(pl.col("amount") > 0, pl.col("value_usd") > 0)
        .group_by("bar", maintain_order=True)
        .agg(mark.max().alias("high"), mark.min().alias("low"), mark.last().alias("close"))
    )
    before = marks.select("bar", pl.col("close").alias("open"))
    known = pl.col("close").is_not_null()
    return (
        spine.join_asof(before, on="bar", strategy="backward", allow_exact_matches=False)
        .join(marks, on="bar", how="left", maintain_order="left")
        .select(
            "bar",
            pl.when(known).then("open").alias("open"),
            pl.when(known).then(pl.max_horizontal("high", "open")).alias("high"),
            pl.when(known).then(pl.min_horizontal("low", "open")).alias("low"),
            "close",
            volume=pl.lit(None, pl.Float64),
            taker_buy=pl.lit(None, pl.Float64),
        )
    )


def shortest_interval(candles: pl.DataFrame, open_interest: pl.DataFrame) -> timedelta:
    """Return the shortest bar that both prices and open interest allow.

    Parameters
    ----------
    candles : DataFrame
        Rows of the `candle` table, of one length; none for prices from open interest.
    open_interest : DataFrame
        Rows of the `open_interest` table.

    Returns
    -------
    timedelta
        The longer of a candle and the usual step of open interest.

    Raises
    ------
    ValueError
        If there are fewer than two stamps.
    """
    seconds = open_interest["time"].sort().diff().drop_nulls().dt.total_seconds()
    usual = seconds.filter(seconds > 0).mode().sort()
    if not len(usual):
        raise ValueError("two stamps of open interest are needed to see how far apart they are")
    length = 0 if candles.is_empty() else candles["interval"][0]
    return timedelta(seconds=max(int(usual[0]), length))


def spacing(bars: pl.DataFrame) -> timedelta:
    """Return the length of a bar.

    Raises
    ------
    ValueError
        If there are fewer than two bars, or they are not evenly spaced.
    """
    steps = bars["time"].diff().drop_nulls().unique()
    if len(steps) != 1 or (step := steps.item()) <= timedelta(0):
        raise ValueError(
            "bars must be two or more, evenly spaced, a row of nulls where nothing is known; "
            f"found {len(bars)} with {len(steps)} different spacings"
        )
    return step  # type: ignore[no-any-return]


def in_contracts(bars: pl.DataFrame, settlement: Literal["linear", "inverse"]) -> pl.DataFrame:
    """Return bars whose volume and open interest count contracts: base units, or dollars.

    Parameters
    ----------
    bars : DataFrame
        As `analytics.bars` makes them.
    settlement : {"linear", "inverse"}
        An inverse contract is a number of dollars.
    """
    if settlement == "linear":
        return bars
    close = pl.col("close")
    return bars.with_columns(
        volume=pl.col("volume") * close,
        taker_buy=pl.col("taker_buy") * close,
        open_interest=pl.coalesce("open_interest_usd", pl.col("open_interest") * close),
    )
