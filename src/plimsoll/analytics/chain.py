"""An option chain: what was known of each living option at a moment, with its forward and greeks.

Quotes have the columns of the `option_quote` table. A chain has a row for each option and each
moment asked about, `at`, so that one moment and a whole history are the same frame.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from plimsoll.analytics import black
from plimsoll.market.symbols import Symbol, family

__all__ = ["BOOK", "FORGOTTEN", "chain", "dropped", "looked_at", "named"]

BOOK = ("exchange", "family")
"""What tells one market of options from another: exchange, underlying and settlement."""
FORGOTTEN = 4
"""How many times the age at which a quote is stale, until its option is not missed any more."""

_EXPIRES = time(8, tzinfo=UTC)
_INSTANT = timedelta(microseconds=1)
_NEAREST = 3
"""Strikes that a forward is read off where the exchange states none."""
_PARTS: dict[str, Any] = {
    "symbol": pl.String,
    "family": pl.String,
    "expiry": pl.Datetime("us", "UTC"),
    "strike": pl.Float64,
    "kind": pl.String,
    "inverse": pl.Boolean,
}
_KEPT = {
    "underlying_price": "forward",
    "index_price": "index",
    "mark_price": "mark",
    "mark_iv": "iv",
    "bid_price": "bid",
    "ask_price": "ask",
    "open_interest": "open_interest",
    "volume": "volume",
    "delta": "stated_delta",
}


def named(symbols: pl.Series) -> pl.DataFrame:
    """Return what the symbols of options say, a row for each.

    Parameters
    ----------
    symbols : Series of str
        Unified symbols; those that name no option are passed over.

    Returns
    -------
    DataFrame
        `symbol`, `family` (underlying and settlement), `expiry` (08:00 UTC of its day),
        `strike` (quote currency), `kind` (call or put), `inverse` (whether settled in the coin).
    """
    found = [parts for text in symbols.unique().sort() if (parts := _parts(text)) is not None]
    return pl.DataFrame(found, schema=_PARTS, orient="row")


@lru_cache(maxsize=1 << 16)
def _parts(text: str) -> tuple[Any, ...] | None:
    """Return what one symbol says, read once; None if it names no option."""
    parts = Symbol.parse(text)
    if parts.expiry is None or parts.strike is None:
        return None
    expiry = datetime.combine(parts.expiry, _EXPIRES)
    kind = "call" if parts.option == "C" else "put"
    inverse = parts.settlement == "inverse"
    return text, family(text), expiry, float(parts.strike), kind, inverse


def chain(quotes: pl.DataFrame, instants: pl.Series, max_age: timedelta) -> pl.DataFrame:
    """Return the chain at each of some moments.

    Parameters
    ----------
    quotes : DataFrame
        Rows of the `option_quote` table.
    instants : Series of datetime
    max_age : timedelta
        How old a quote may be to stand for the present.

    Returns
    -------
    DataFrame
        By `at`, exchange, family, expiry and strike, the newest quote known by then of each
        option that has not expired and whose quote is not older than `max_age`:

        - `at`, `time` (of the quote), `exchange`, `family`, `symbol`, `expiry`, `strike`
          (quote currency), `kind`, `inverse`, `years` and `days` from the quote to expiry;
        - `forward` (quote per base) and `forward_from`: ``stated`` by the exchange, or ``parity``
          of calls and puts where it states none; null where neither is known;
        - `index`, `mark`, `bid`, `ask` (settlement units), `iv`, `open_interest` and `volume`
          (base units; of 24 hours);
        - `premium_usd`, dollars of the mark for one unit of base;
        - `delta`, `gamma` (1/forward) and `elasticity` (absolute) of Black-76 on the forward; the
          exchange's own delta where the forward or the volatility is unknown, and with it the
          elasticity that it has over the mark.

    Notes
    -----
    A quote that arrives after a newer one is passed over. A moment sees only what was known by
    then, so cutting off the future changes nothing before it.
    """
    return _chain(_standing(quotes, max_age), instants.unique().sort())


def looked_at(
    quotes: pl.DataFrame, instants: pl.Series, max_age: timedelta
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what `chain` and `dropped` do, the quotes being put in order once for both."""
    moments, spans = instants.unique().sort(), _standing(quotes, max_age)
    return _chain(spans, moments), _dropped(spans, moments, max_age)


def _chain(spans: pl.DataFrame, moments: pl.Series) -> pl.DataFrame:
    ends = [moments.search_sorted(spans[name], "left") for name in ("known_at", "until")]
    rows = (
        spans.with_columns(pl.Series("_at", ends[0]), pl.Series("_until", ends[1]))
        .filter(pl.col("_at") < pl.col("_until"))
        .with_columns(pl.int_ranges("_at", "_until").alias("_at"))
        .explode("_at")
        .with_columns(at=pl.lit(moments).gather(pl.col("_at")))
    )
    years = black.years(rows["time"].to_numpy(), rows["expiry"].to_numpy())
    known = rows.with_columns(years=pl.Series(years), days=pl.Series(years * 365))
    words = pl.col("exchange", "symbol").cast(pl.String)
    return _greeks(_forwards(known).with_columns(words)).select(
        *("at", "time", *BOOK, "symbol", "expiry", "strike", "kind", "inverse", "years", "days"),
        *("forward", "forward_from", "index", "mark", "bid", "ask", "iv"),
        *("open_interest", "volume", "premium_usd", "delta", "gamma", "elasticity"),
    )


def dropped(quotes: pl.DataFrame, instants: pl.Series, max_age: timedelta) -> pl.DataFrame:
    """Return how many options stand in the chain at some moments, and how many were left out.

    Parameters
    ----------
    quotes : DataFrame
        Rows of the `option_quote` table.
    instants : Series of datetime
    max_age : timedelta
        How old a quote may be to stand for the present.

    Returns
    -------
    DataFrame
        `at`, and counts of options that have not expired: `live`, in the chain, and `stale`, whose
        newest quote is older than `max_age`, but not `FORGOTTEN` times as old.
    """
    return _dropped(_standing(quotes, max_age), instants.unique().sort(), max_age)


def _dropped(spans: pl.DataFrame, moments: pl.Series, max_age: timedelta) -> pl.DataFrame:
    ends = pl.min_horizontal("superseded", "expiry", pl.col("time") + FORGOTTEN * max_age)
    gone = spans.select(since="until", until=pl.max_horizontal("until", ends))
    counts = {
        "live": _standing_at(moments, spans["known_at"], spans["until"]),
        "stale": _standing_at(moments, gone["since"], gone["until"]),
    }
    return pl.DataFrame({"at": moments, **counts})


def _standing_at(moments: pl.Series, since: pl.Series, until: pl.Series) -> pl.Series:
    """Return how many half-open spans hold each moment."""
    begun = since.sort().search_sorted(moments, "right").cast(pl.Int64)
    return begun - until.sort().search_sorted(moments, "right").cast(pl.Int64)


def _standing(quotes: pl.DataFrame, max_age: timedelta) -> pl.DataFrame:
    """Return quotes of options with the span in which each is the newest known: until, superseded.

    The span ends where a newer one is known, where it is too old, and at expiry.
    """
    market = ("exchange", "symbol")
    rows = (
        quotes.select(*market, "time", pl.coalesce("known_at", "time").alias("known_at"), *_KEPT)
        .rename(_KEPT)
        .with_columns(pl.col(name).cast(_words(quotes[name])) for name in market)
        .sort(*market, "known_at", "time", maintain_order=True)
        .filter(pl.col("time") >= pl.col("time").cum_max().over(market))
    )
    rows = rows.join(_places(rows), on=market, maintain_order="left")
    following = pl.col("known_at").shift(-1).over(market)
    superseded = pl.coalesce(following, pl.max_horizontal("known_at", "expiry"))
    oldest = pl.col("time") + max_age + _INSTANT
    return rows.with_columns(superseded=superseded).with_columns(
        until=pl.max_horizontal(
            "known_at", pl.min_horizontal("superseded", oldest, pl.col("expiry"))
        )
    )


def _words(names: pl.Series) -> pl.Enum:
    """Return names as numbers in the same order, which are sorted and compared much faster."""
    return pl.Enum(names.unique().sort())


def _places(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the options that rows name, with what their symbols say and their order in a chain."""
    markets = rows.select("exchange", "symbol").unique()
    told = named(markets["symbol"].cast(pl.String))
    return (
        markets.join(told.with_columns(pl.col("symbol").cast(rows.schema["symbol"])), on="symbol")
        .sort(*BOOK, "expiry", "strike", "kind")
        .with_row_index("_place")
    )


def _forwards(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the forward that calls and puts agree on, where the exchange states none."""
    slot = ("at", *BOOK, "expiry")
    wanting = rows.filter(pl.col("forward").is_null() & pl.col("mark").is_not_null())
    sides = [
        wanting.filter(kind=kind).select(*slot, "strike", "inverse", pl.col("mark").alias(kind))
        for kind in ("call", "put")
    ]
    pairs = sides[0].join(sides[1], on=[*slot, "strike", "inverse"])
    agreed = pairs.with_columns(
        forward=pl.Series(
            np.where(
                pairs["inverse"].to_numpy(),
                *(
                    black.parity_forward(pairs["call"], pairs["put"], pairs["strike"], inverse=way)
                    for way in (True, False)
                ),
            )
        )
    ).filter(pl.col("forward").is_not_nan())
    nearest = (pl.col("call") - pl.col("put")).abs().rank("ordinal").over(slot) <= _NEAREST
    found = agreed.filter(nearest).group_by(slot).agg(pl.col("forward").median().alias("_parity"))
    source = (
        pl.when(pl.col("forward").is_not_null())
        .then(pl.lit("stated"))
        .when(pl.col("_parity").is_not_null())
        .then(pl.lit("parity"))
    )
    return rows.join(found, on=slot, how="left").with_columns(
        forward=pl.coalesce("forward", "_parity"), forward_from=source
    )


def _greeks(rows: pl.DataFrame) -> pl.DataFrame:
    """Add dollars of premium, delta and gamma, in order of place and strike."""
    call = (rows["kind"] == "call").to_numpy()
    forward, strike, years, iv = (
        rows[name].to_numpy() for name in ("forward", "strike", "years", "iv")
    )
    delta = pl.Series(black.delta(forward, strike, years, iv, call), nan_to_null=True)
    omega = pl.Series(black.elasticity(forward, strike, years, iv, call), nan_to_null=True)
    price = pl.coalesce("index", "forward")
    premium = pl.col("mark") * pl.when("inverse").then(price).otherwise(1.0)
    return (
        rows.with_columns(
            delta=pl.coalesce(delta, pl.col("stated_delta")),
            gamma=pl.Series(black.gamma(forward, strike, years, iv), nan_to_null=True),
            premium_usd=premium,
        )
        .with_columns(
            elasticity=pl.coalesce(
                omega,
                pl.when(pl.col("premium_usd") > 0).then(
                    pl.col("delta") * price / pl.col("premium_usd")
                ),
            ).abs()
        )
        .sort("at", "_place")
    )
