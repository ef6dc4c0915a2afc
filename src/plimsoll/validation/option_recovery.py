"""How well option trades tell what they were for, on a market whose clients' reasons are known.

In a simulation hedgers buy puts below the price, speculators buy calls above it on a good mood and
puts on a bad one, and overwriters sell calls above it; all of them close some day. What was
published is read as `analytics.intent` and `analytics.exposure` read it, and held against that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from plimsoll.analytics import exposure, intent
from plimsoll.analytics.chain import chain
from plimsoll.errors import NoSuchData
from plimsoll.measures import chains
from plimsoll.measures.asking import Asked, rows_of
from plimsoll.simulation.truth import Truth
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["OWNERS", "gamma_recovery", "intent_recovery"]

OWNERS = ("hedge", "speculation", "overwriting")
_NOBODY = Asked([])


def intent_recovery(store: Path, coin: str) -> pl.DataFrame:
    """Hold what option trades seem to be for against what they were.

    Parameters
    ----------
    store : Path
        A store that was simulated, with options.
    coin : str

    Returns
    -------
    DataFrame
        A row for each owner: `true_share` (fraction of the amount that was opened), `told_share`
        and `most` (fractions of the amount not told as closing: what is told as the owner's, and
        that with all that is ambiguous), `precision` (fraction of the amount told as the owner's
        opening that is) and `recall` (fraction of what the owner opened that is told so); and a
        row `closing` with precision and recall alone.

    Raises
    ------
    NoSuchData
        If the store was not simulated, or holds no options of the coin.
    """
    truth, reader = Truth(store).read(coin, "option_trades"), Reader(store)
    quotes = rows_of(reader, "option_quote", coin, _NOBODY)
    trades = rows_of(reader, "trade", coin, _NOBODY)
    told = intent.intents(trades, quotes, chains.STALE).join(truth, on=["time", "id"])
    real = pl.when("opens").then(pl.col("owner")).otherwise(pl.lit("closing"))
    both = told.with_columns(real=real, intent=pl.col("intent").cast(pl.String))
    opened, standing = both.filter("opens"), both.filter(pl.col("intent") != "closing")
    doubtful = _amount(standing, intent="ambiguous")
    rows: list[tuple[Any, ...]] = []
    for owner in (*OWNERS, "closing"):
        right = _amount(both, intent=owner, real=owner)
        shares = [
            _amount(opened, real=owner) / _amount(opened),
            _amount(standing, intent=owner) / _amount(standing),
            (_amount(standing, intent=owner) + doubtful) / _amount(standing),
        ]
        rates = [right / _amount(both, intent=owner), right / _amount(both, real=owner)]
        rows.append((owner, *(shares if owner in OWNERS else [None] * 3), *rates))
    names = ("owner", "true_share", "told_share", "most", "precision", "recall")
    return pl.DataFrame(rows, schema=names, orient="row").fill_nan(None)


def _amount(rows: pl.DataFrame, **where: str) -> float:
    """Return how many coins were traded; NaN where none were, so that no share is made of them."""
    total = rows.filter(**where)["amount"].sum() if where else rows["amount"].sum()
    return float(total) if total > 0 or where else float("nan")


def gamma_recovery(store: Path, coin: str) -> pl.DataFrame:
    """Hold gamma exposure as it is told against what option writers really have, each midnight.

    Parameters
    ----------
    store : Path
        A store that was simulated, with options.
    coin : str

    Returns
    -------
    DataFrame
        `time`; `true_usd`, dollars of delta for a move of one percent that the writers have to
        trade; `naive_usd` and `taker_usd`, as told; `taker_true_usd`, the truth of those options
        alone that `taker_usd` is of; and `taker_coverage` (fraction).

    Raises
    ------
    NoSuchData
        If the store was not simulated, or holds no options of the coin.
    """
    truth, reader = Truth(store).read(coin, "options"), Reader(store)
    quotes = rows_of(reader, "option_quote", coin, _NOBODY)
    midnights = quotes["time"].filter(quotes["time"].dt.truncate("1d") == quotes["time"]).unique()
    whole = chain(quotes, midnights, chains.STALE)
    trades = chains.trades(reader, whole, _NOBODY)
    if trades is None:
        raise NoSuchData(f"no option trades of {coin} are stored in {store}")
    first = quotes.sort("time").unique(["exchange", "symbol"], keep="first")
    opening = first.select("exchange", "symbol", opening="open_interest")
    known = exposure.taken(whole, trades, opening)
    net = pl.sum_horizontal(OWNERS)
    share = pl.when(pl.col("open_interest") > 0).then(net / pl.col("open_interest")).otherwise(0.0)
    real = truth.select(
        pl.col("time").alias("at"),
        "expiry",
        "strike",
        pl.when(pl.col("option") == "C")
        .then(pl.lit("call"))
        .otherwise(pl.lit("put"))
        .alias("kind"),
        share.alias("bought"),
    )
    both = known.join(real, on=["at", "expiry", "strike", "kind"])
    usd = -pl.col("bought") * pl.col("open_interest") * pl.col("gamma") * pl.col("forward") ** 2
    seen = pl.col("seen") >= exposure.SEEN
    summed = both.group_by("at").agg(
        true_usd=(usd * 0.01).sum(), taker_true_usd=(usd * 0.01).filter(seen).sum()
    )
    told = exposure.exposure(known).select("at", "naive_usd", "taker_usd", "taker_coverage")
    return told.join(summed, on="at").rename({"at": "time"}).sort("time")
