"""What bears on a market from beyond it: stablecoins, exchanges on chains, regulated futures.

Frames have the columns of the store's tables. Answers are on a grid of days, and each day tells
what was known when it began, so that cutting off the future changes nothing before it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics.open_interest import snapshots

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ON_CHAIN", "chain_share", "commitments", "protocols", "supply"]

ON_CHAIN = ("dydx", "hyperliquid")
"""Exchanges that are programs on a chain."""
_DAY = timedelta(days=1)
_TOTAL = "TOTAL"
_SPANS = {"growth_7d": 7 * _DAY, "growth_30d": 30 * _DAY}
_STALE = 3 * _DAY
_MARKET = ("exchange", "symbol")


def _grown(frame: pl.DataFrame, value: str, *by: str) -> pl.DataFrame:
    """Add growth over a week and 30 days, fractions; null where either end is not known."""
    keys = ("time", *by)
    for name, span in _SPANS.items():
        then = frame.select(pl.col("time") + span, *by, pl.col(value).alias("_then"))
        frame = (
            frame.join(then, on=keys, how="left", maintain_order="left")
            .with_columns(
                pl.when(pl.col("_then") > 0).then(pl.col(value) / pl.col("_then") - 1).alias(name)
            )
            .drop("_then")
        )
    return frame


def supply(stablecoins: pl.DataFrame) -> pl.DataFrame:
    """Return the dollars of stablecoins in circulation, their growth and their shares.

    Parameters
    ----------
    stablecoins : DataFrame
        Rows of the `stablecoin_supply` table.

    Returns
    -------
    DataFrame
        By day, source (`exchange`) and coin: `time`, `exchange`, `symbol`, `supply_usd` (US
        dollars), `growth_7d` and `growth_30d` (fractions), and `dominance` (fraction of
        ``TOTAL``, as the same source tells it). Null where the last report is older than
        three days.
    """
    rows = stablecoins.select("time", *_MARKET, "known_at", "supply_usd")
    total = pl.col("supply_usd").filter(pl.col("symbol") == _TOTAL).first()
    return _grown(snapshots(rows, _DAY, _STALE), "supply_usd", *_MARKET).with_columns(
        dominance=pl.col("supply_usd") / total.over("time", "exchange")
    )


def chain_share(
    open_interest: pl.DataFrame, max_age: timedelta, on_chain: Iterable[str] = ON_CHAIN
) -> pl.DataFrame:
    """Return what share of open interest stands on chains.

    Volume is no measure of them: it is traded for rewards.

    Parameters
    ----------
    open_interest : DataFrame
        Rows of the `open_interest` table of one coin, or of several.
    max_age : timedelta
        How old a report may be to stand for the present.
    on_chain : iterable of str
        Exchanges that are programs on a chain.

    Returns
    -------
    DataFrame
        By day: `time`, `chain_usd` and `other_usd` (US dollars), `share` (fraction on chains;
        null where of one side nothing is known), `coverage` (fraction of the markets seen so far
        that are in it) and `exchanges` (count).
    """
    rows = open_interest.select("time", *_MARKET, "known_at", "value_usd")
    known, chained = pl.col("value_usd").is_not_null(), pl.col("exchange").is_in(list(on_chain))
    sums = [
        pl.when((known & side).any()).then(pl.col("value_usd").filter(side).sum()).alias(name)
        for name, side in (("chain_usd", chained), ("other_usd", ~chained))
    ]
    chain, other = pl.col("chain_usd"), pl.col("other_usd")
    return (
        snapshots(rows, _DAY, max_age)
        .group_by("time", maintain_order=True)
        .agg(
            *sums,
            known.mean().alias("coverage"),
            pl.col("exchange").filter(known).n_unique().alias("exchanges"),
        )
        .with_columns(share=pl.when(chain + other > 0).then(chain / (chain + other)))
        .select("time", "chain_usd", "other_usd", "share", "coverage", "exchanges")
    )


def protocols(totals: pl.DataFrame) -> pl.DataFrame:
    """Return what stands open on chains, of all coins together.

    Parameters
    ----------
    totals : DataFrame
        Rows of the `open_interest_total` table.

    Returns
    -------
    DataFrame
        By day: `time`, `open_interest_usd` (US dollars), `growth_7d`, `growth_30d` (fractions),
        `protocols` (count), and the `largest` with its `largest_share` (fraction). Null where no
        report is younger than three days.
    """
    value = pl.col("open_interest_usd")
    rows = totals.select("time", *_MARKET, "known_at", "open_interest_usd")
    summed = (
        snapshots(rows, _DAY, _STALE)
        .group_by("time", maintain_order=True)
        .agg(
            pl.when(value.count() > 0).then(value.sum()).alias("open_interest_usd"),
            value.count().cast(pl.Int64).alias("protocols"),
            pl.col("symbol").sort_by(value, nulls_last=False).last().alias("largest"),
            (value.max() / value.sum()).alias("largest_share"),
        )
        .with_columns(largest=pl.when(value.is_not_null()).then("largest"))
    )
    return _grown(summed, "open_interest_usd").select(
        "time", "open_interest_usd", *_SPANS, "protocols", "largest", "largest_share"
    )


def commitments(reports: pl.DataFrame) -> pl.DataFrame:
    """Return what each category of traders holds of regulated futures, in coin.

    Parameters
    ----------
    reports : DataFrame
        Rows of the `commitment` table of one coin.

    Returns
    -------
    DataFrame
        By report and category, over all contracts whose size is known: `time`, the Tuesday
        reported, and `known_at`, the Friday of publication; `long`, `short`, `net` and
        `open_interest` (base units); `long_share`, `short_share` and `net_share` (fractions of
        open interest); `markets` (count) and `coverage` (fraction of the contracts reported).

    Notes
    -----
    Net short leveraged funds with a high basis are cash and carry, not a view; net long asset
    managers hold for those who want the coin.
    """
    size, whole = pl.col("contract_size"), pl.col("open_interest")
    rows = reports.with_columns(
        (pl.col(name) * size).alias(name) for name in ("long", "short", "open_interest")
    )
    return (
        rows.group_by("time", "category")
        .agg(
            pl.col("known_at").max(),
            *(pl.col(name).sum() for name in ("long", "short", "open_interest")),
            size.count().cast(pl.Int64).alias("markets"),
            (size.count() / pl.len()).alias("coverage"),
        )
        .filter(pl.col("markets") > 0)
        .with_columns(net=pl.col("long") - pl.col("short"))
        .with_columns(
            pl.when(whole > 0).then(pl.col(name) / whole).alias(f"{name}_share")
            for name in ("long", "short", "net")
        )
        .select(
            *("time", "known_at", "category", "long", "short", "net", "open_interest"),
            *("long_share", "short_share", "net_share", "markets", "coverage"),
        )
        .sort("time", "category")
    )
