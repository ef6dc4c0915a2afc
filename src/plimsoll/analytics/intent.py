"""What option trades were for: hedging, speculation, overwriting, and what cannot be told.

A trade is told by its taker's side, by delta and time to expiry, and by whether open interest rose:

============  ==================================================================
`hedge`       a put bought, delta 0.05 to 0.30, over 30 days, opened
`speculation` a call bought, under 14 days
`overwriting` a call sold
`closing`     open interest of the option fell meanwhile: positions were closed
`ambiguous`   everything else
`combination` a leg of a combination: its legs have one reason, and not each its own
`block`       arranged outside the book, where taker and maker mean little
============  ==================================================================

The last two are told by where a trade was made and come before all others. Where the exchange does
not tell, a trade is taken to be of the book, and how much that is of is told beside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plimsoll.analytics import black
from plimsoll.analytics.chain import named

if TYPE_CHECKING:
    from datetime import timedelta

__all__ = ["INTENTS", "arranged", "intents", "shares"]

INTENTS = (
    *("hedge", "speculation", "overwriting", "closing", "ambiguous"),
    *("combination", "block"),
)
_UNTOLD = INTENTS[4:]
"""Whose trades may be for any reason."""
_MARKET = ["exchange", "symbol"]
_HEDGE_DELTA = (0.05, 0.30)
_HEDGE_DAYS, _SPECULATION_DAYS = 30.0, 14.0


def intents(trades: pl.DataFrame, quotes: pl.DataFrame, max_age: timedelta) -> pl.DataFrame:
    """Return what each trade was for, as far as it can be told.

    Parameters
    ----------
    trades : DataFrame
        Rows of the `trade` table, of options.
    quotes : DataFrame
        Rows of the `option_quote` table that tell delta and open interest around the trades.
    max_age : timedelta
        How far from a trade a quote may be.

    Returns
    -------
    DataFrame
        By time, the trades with `kind`, `days` to expiry, `delta` (of the quote before, else of
        the one after), `opened` (base units that open interest rose from the quote before to the
        one after; null where either is not known) and `intent`, an enumeration of `INTENTS`.
    """
    rows = trades.join(named(trades["symbol"]), on="symbol", maintain_order="left")
    about = quotes.select(
        *_MARKET, "time", "underlying_price", "mark_iv", "delta", "open_interest"
    ).sort("time")
    bounds: dict[str, Any] = {
        "on": "time",
        "by": _MARKET,
        "tolerance": max_age,
        "check_sortedness": False,
    }
    before = rows.sort("time").join_asof(
        about, strategy="backward", allow_exact_matches=False, **bounds
    )
    known = before.join_asof(about, strategy="forward", suffix="_after", **bounds)
    told = known.with_columns(
        days=(pl.col("expiry") - pl.col("time")).dt.total_seconds() / 86_400,
        opened=pl.col("open_interest_after") - pl.col("open_interest"),
        delta=pl.coalesce(_delta(known, ""), "delta", _delta(known, "_after"), "delta_after"),
    )
    return told.with_columns(intent=_intent()).select(
        *trades.columns, "kind", "days", "delta", "opened", "intent"
    )


def _delta(rows: pl.DataFrame, suffix: str) -> pl.Series:
    """Return Black-76 deltas by the quote before a trade, or the one after."""
    years = black.years(rows["time"].to_numpy(), rows["expiry"].to_numpy())
    forward, iv = (rows[f"{name}{suffix}"].to_numpy() for name in ("underlying_price", "mark_iv"))
    call = (rows["kind"] == "call").to_numpy()
    found = black.delta(forward, rows["strike"].to_numpy(), years, iv, call)
    return pl.Series(np.asarray(found, dtype=np.float64), nan_to_null=True)


def _intent() -> pl.Expr:
    call, bought = pl.col("kind") == "call", pl.col("side") == "buy"
    away = pl.col("delta").abs().is_between(*_HEDGE_DELTA)
    hedge = ~call & bought & away & (pl.col("days") > _HEDGE_DAYS) & (pl.col("opened") > 0)
    return (
        pl.when(pl.col("origin") == "block")
        .then(pl.lit("block"))
        .when(pl.col("origin") == "combo")
        .then(pl.lit("combination"))
        .when(pl.col("opened") < 0)
        .then(pl.lit("closing"))
        .when(hedge)
        .then(pl.lit("hedge"))
        .when(call & bought & (pl.col("days") < _SPECULATION_DAYS))
        .then(pl.lit("speculation"))
        .when(call & ~bought)
        .then(pl.lit("overwriting"))
        .otherwise(pl.lit("ambiguous"))
        .cast(pl.Enum(INTENTS))
    )


def shares(told: pl.DataFrame) -> pl.DataFrame:
    """Return how much was traded for what.

    Parameters
    ----------
    told : DataFrame
        What `intents` returns.

    Returns
    -------
    DataFrame
        A row for each of `INTENTS`: `trades` (count), `amount` (base units), `share` (fraction of
        the amount), `most` (what the share would be if all were of it that is ambiguous, of a
        combination or a block; of the three reasons alone), and `coverage`, the fraction of all
        traded amount of which both delta and the change of open interest are known. Null shares
        where nothing was traded.
    """
    amount = pl.col("amount")
    full = pl.col("delta").is_not_null() & pl.col("opened").is_not_null()
    whole = pl.when(amount.sum() > 0).then(amount.filter(full).sum() / amount.sum())
    covered = told.select(whole).item()
    each = told.group_by("intent", maintain_order=True).agg(trades=pl.len(), amount=amount.sum())
    doubtful = pl.col("share").filter(pl.col("intent").is_in(_UNTOLD)).sum()
    names = pl.DataFrame({"intent": pl.Series(INTENTS, dtype=pl.Enum(INTENTS))})
    return (
        names.join(each, on="intent", how="left", maintain_order="left")
        .with_columns(pl.col("trades").fill_null(0), amount.fill_null(0.0))
        .with_columns(
            share=pl.when(amount.sum() > 0).then(amount / amount.sum()),
        )
        .with_columns(
            most=pl.when(pl.col("intent").is_in(INTENTS[:3])).then(pl.col("share") + doubtful),
            coverage=pl.lit(covered, pl.Float64),
        )
    )


def arranged(trades: pl.DataFrame) -> dict[str, float | None]:
    """Return how much was traded in blocks and in combinations.

    Parameters
    ----------
    trades : DataFrame
        Rows of the `trade` table.

    Returns
    -------
    dict of str to float or None
        `block` and `combo`, fractions of the amount whose `origin` is known, None where that is
        nothing; and `told`, the fraction of all amount that it is, None where nothing was traded.
    """
    sums = dict(trades.group_by("origin").agg(pl.col("amount").sum()).iter_rows())
    whole, unknown = sum(sums.values()), sums.get(None, 0.0)
    known = whole - unknown
    shares = {
        name: sums.get(name, 0.0) / known if known > 0 else None for name in ("block", "combo")
    }
    return {**shares, "told": known / whole if whole > 0 else None}
