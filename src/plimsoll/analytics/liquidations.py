"""Realised liquidations: their dollars through time, what a sum of them covers, and its bounds.

Frames have the columns of the `liquidation`, `liquidation_total` and `gap` tables; a market is one
symbol on one exchange. No sum is without its label: the weakest of all that is in it.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from plimsoll.analytics.bars import within

__all__ = ["LABELS", "added", "dollars", "published", "strongest", "totals", "weakest"]

LABELS = ("unknown", "sampled", "throttled", "aggregated", "complete")
"""What a feed lets through, the weakest first; a sum of which a part is lost is ``sampled`` too."""

_LABEL = pl.Enum(LABELS)
_MARKET = ("exchange", "symbol")
_SIDES = ("long", "short")
_QUIET = timedelta(days=1)
_DOLLARS = r"/\w*USD\w*(:|$)"


def weakest(label: str = "completeness") -> pl.Expr:
    """Return the weakest label of a group.

    Parameters
    ----------
    label : str
        The column of labels.

    Returns
    -------
    Expr, a word
        Null where the group has none.
    """
    return pl.col(label).cast(_LABEL).min().cast(pl.String)


def _lowered(where: pl.Expr) -> pl.Expr:
    """Return the label of a sum, ``sampled`` at best where a part of it is lost."""
    label = pl.col("completeness").cast(_LABEL)
    lost = pl.lit("sampled", dtype=_LABEL)
    return pl.when(where).then(pl.min_horizontal(label, lost)).otherwise(label).cast(pl.String)


def dollars() -> pl.Expr:
    """Return what a liquidation was worth in dollars.

    Returns
    -------
    Expr, US dollars
        As published, else price times amount where the quote is a dollar or a stablecoin
        of one; else null.
    """
    quoted = pl.col("symbol").str.contains(_DOLLARS)
    return pl.coalesce("value_usd", pl.when(quoted).then(pl.col("price") * pl.col("amount")))


def totals(
    liquidations: pl.DataFrame, gaps: pl.DataFrame, every: timedelta, quiet: timedelta = _QUIET
) -> pl.DataFrame:
    """Return what each market's feed told, in steps of time.

    Parameters
    ----------
    liquidations : DataFrame
        Rows of the `liquidation` table.
    gaps : DataFrame
        Rows of the `gap` table, of the same markets; those of other streams are passed over.
    every : timedelta
        The length of a step.
    quiet : timedelta
        For how long silence of an exchange counts as nothing liquidated. A feed that is silent
        for longer cannot be told from one that has stopped; silence of a ``sampled`` one says
        nothing at all.

    Returns
    -------
    DataFrame
        By time and market, from a market's first liquidation to the last of all:

        - `time`, the step's opening, `exchange`, `symbol`, and `known_at`, the moment from
          which all of it was known;
        - `long_usd`, `short_usd` (US dollars), `long_count`, `short_count` by side closed;
          null where the feed was not seen;
        - `completeness`: the feed's label; ``sampled`` at best where a part of the step was
          not seen or a value is not known, ``unknown`` where nothing was seen;
        - `seen` (fraction of the step): how long the feed was not known to be interrupted;
          null after a silence too long to tell.
    """
    told = _told(liquidations, every)
    if not told.height:
        return told.drop("lost").with_columns(seen=pl.lit(None, pl.Float64))
    end, quietly = pl.col("time") + every, pl.col("told").is_null()
    heard = pl.col("told").max().over("exchange", "time")
    frame = (
        _grid(told, every)
        .join(told.with_columns(told="time"), on=("time", *_MARKET), how="left")
        .join(_missing(gaps, every), on=("time", *_MARKET), how="left")
        .with_columns(heard=heard)
        .sort(*_MARKET, "time")
        .with_columns(pl.col("completeness", "heard").forward_fill().over(_MARKET))
        .with_columns(
            seen=pl.when(
                pl.col("time") - pl.col("heard") <= quiet,
                (pl.col("completeness") != "sampled") | pl.col("told").is_not_null(),
            ).then(1 - pl.col("missing").fill_null(0))
        )
    )
    unseen = quietly & ~(pl.col("seen") > 0).fill_null(value=False)
    cut = (pl.col("seen") < 1) | pl.col("lost").fill_null(value=False)
    return (
        frame.with_columns(
            pl.when(unseen).then(None).when(quietly).then(0).otherwise(pl.col(name)).alias(name)
            for name in _counted()
        )
        .with_columns(
            known_at=pl.max_horizontal(end, "known_at", "noticed"),
            completeness=pl.when(unseen).then(pl.lit("unknown")).otherwise(_lowered(cut)),
        )
        .select("time", *_MARKET, "known_at", *_counted(), "completeness", "seen")
        .sort("time", *_MARKET)
    )


def _counted() -> list[str]:
    return [f"{side}_{what}" for what in ("usd", "count") for side in _SIDES]


def _told(liquidations: pl.DataFrame, every: timedelta) -> pl.DataFrame:
    """Sum what was told by step and market; `lost` where a value is not known in dollars."""
    rows = liquidations.with_columns(time=pl.col("time").dt.truncate(every), usd=dollars())
    of = {side: pl.col("side") == side for side in _SIDES}
    # A side of which nothing is told is zero; one of which no value is known is not.
    sums = [
        pl.when((pl.col("usd").is_not_null() & is_side).any() | ~is_side.any())
        .then(pl.col("usd").filter(is_side).sum())
        .alias(f"{side}_usd")
        for side, is_side in of.items()
    ]
    counts = [is_side.sum().cast(pl.Int64).alias(f"{side}_count") for side, is_side in of.items()]
    return (
        rows.group_by("time", *_MARKET)
        .agg(
            pl.col("known_at").max(),
            *sums,
            *counts,
            weakest(),
            pl.col("usd").is_null().any().alias("lost"),
        )
        .sort("time", *_MARKET)
    )


def _grid(told: pl.DataFrame, every: timedelta) -> pl.DataFrame:
    """Return every step of every market from its first on."""
    last = told["time"].max()
    span = pl.datetime_ranges("time", pl.lit(last), every)
    return told.group_by(_MARKET).agg(pl.col("time").min()).with_columns(time=span).explode("time")


def _missing(gaps: pl.DataFrame, every: timedelta) -> pl.DataFrame:
    """Return which share of a step each market's feed was interrupted, and when that was noticed.

    A gap is noticed when it ends, or later.
    """
    first, until = pl.col("time").dt.truncate(every), pl.col("until")
    end = pl.col("step") + every
    return (
        gaps.filter(pl.col("stream") == "liquidation")
        .with_columns(step=pl.datetime_ranges(first, until, every, closed="left"))
        .explode("step")
        .with_columns(lost=pl.min_horizontal(until, end) - pl.max_horizontal("time", "step"))
        .group_by(*_MARKET, time="step")
        .agg(
            missing=(pl.col("lost").sum() / every).clip(0, 1),
            noticed=pl.max_horizontal("until", "known_at").max(),
        )
    )


def published(sums: pl.DataFrame, every: timedelta) -> pl.DataFrame:
    """Return sums that exchanges publish, in steps of time.

    Parameters
    ----------
    sums : DataFrame
        Rows of the `liquidation_total` table. Buckets that do not lie inside one step are passed
        over: when in them something was closed is not known.
    every : timedelta
        The length of a step.

    Returns
    -------
    DataFrame
        As of `totals`, without steps of which nothing is told; counts are null, as the sides
        are counted together.
    """
    step, nothing = every.total_seconds(), pl.lit(None, pl.Int64)
    rows = sums.filter(within(every)).unique(("time", *_MARKET, "interval"))
    finest = pl.col("interval") == pl.col("interval").min().over("step", *_MARKET)
    known = [
        pl.when(pl.col(f"{side}_usd").count() > 0)
        .then(pl.col(f"{side}_usd").sum())
        .alias(f"{side}_usd")
        for side in _SIDES
    ]
    lost = pl.any_horizontal(pl.col(f"{side}_usd").is_null().any() for side in _SIDES)
    return (
        rows.with_columns(step=pl.col("time").dt.truncate(every))
        .filter(finest)
        .group_by("step", *_MARKET)
        .agg(
            pl.max_horizontal("known_at", pl.col("step") + every).max().alias("known_at"),
            *known,
            *(nothing.alias(f"{side}_count") for side in _SIDES),
            weakest(),
            (pl.col("interval").sum() / step).clip(0, 1).alias("seen"),
            lost.alias("lost"),
        )
        .with_columns(completeness=_lowered((pl.col("seen") < 1) | pl.col("lost")))
        .rename({"step": "time"})
        .select("time", *_MARKET, "known_at", *_counted(), "completeness", "seen")
        .sort("time", *_MARKET)
    )


def strongest(*frames: pl.DataFrame) -> pl.DataFrame:
    """Return of each step and market the row with the strongest label: none counts twice.

    Parameters
    ----------
    *frames : DataFrame
        As of `totals`; of equals the row of the earlier frame.

    Returns
    -------
    DataFrame
        By time and market.
    """
    return (
        pl.concat(frames)
        .sort(pl.col("completeness").cast(_LABEL), descending=True, maintain_order=True)
        .unique(("time", *_MARKET), keep="first", maintain_order=True)
        .sort("time", *_MARKET)
    )


def added(frame: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return sums over markets, or over time, with the label of each.

    Parameters
    ----------
    frame : DataFrame
        As of `totals`, with or without what `forced.bounds` adds.
    *by : str
        The columns that stay apart; all rows are one sum if there is none.

    Returns
    -------
    DataFrame
        `by`, `known_at`, and

        - sums of what is known, null where nothing is; of bounds (`…_most_usd`), of volume and
          of the change of open interest, null where that of any part is not known;
        - `completeness`, the weakest of the parts; ``sampled`` at best where a part is not in
          the sum, ``unknown`` where none is;
        - `seen`, the mean of the parts, one that is not known counted as nothing seen;
        - `coverage` (fraction of the parts in the sum) and `markets` (how many are).
    """
    whole = [c for c in frame.columns if c.endswith("_most_usd") or c in _WHOLE]
    parts = [c for c in _counted() if c in frame.columns]
    told = pl.any_horizontal(pl.col(f"{side}_usd").is_not_null() for side in _SIDES)
    lacking = pl.any_horizontal(pl.col(f"{side}_usd").is_null() for side in _SIDES)
    sums = [pl.when(pl.col(c).count() > 0).then(pl.col(c).sum()).alias(c) for c in parts]
    sums += [pl.when(pl.col(c).is_not_null().all()).then(pl.col(c).sum()).alias(c) for c in whole]
    keys = by or ("_all",)
    return (
        frame.with_columns(_all=0)
        .group_by(keys, maintain_order=True)
        .agg(
            pl.col("known_at").max(),
            *sums,
            pl.col("completeness").filter(told).cast(_LABEL).min().cast(pl.String),
            pl.col("seen").fill_null(0).mean(),
            told.mean().alias("coverage"),
            pl.struct(_MARKET).filter(told).n_unique().cast(pl.Int64).alias("markets"),
            lacking.any().alias("lacking"),
        )
        .with_columns(completeness=_lowered(pl.col("lacking")).fill_null("unknown"))
        .drop("lacking", *(() if by else ("_all",)))
        .sort(by or "known_at")
    )


_WHOLE = ("volume_usd", "open_interest_change_usd")
"""What is null in a sum where a part is not known: part of a volume would be a wrong one."""
