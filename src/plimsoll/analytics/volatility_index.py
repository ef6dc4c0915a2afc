r"""One number for implied volatility: an index that needs no model, by the method of the VIX.

The variance to an expiry is what a strip of options out of the money costs. With the forward
:math:`F`, the first strike at or below it :math:`K_0`, the mid price :math:`Q` of put below and
call above it (their mean at it) and :math:`\Delta K` half the way between the neighboring strikes,

.. math:: \sigma^2 = \frac{2}{T} \sum_i \frac{\Delta K_i}{K_i^2} Q(K_i)
          - \frac{1}{T} \left(\frac{F}{K_0} - 1\right)^2

without discount [1]_. From two strikes without a bid on, going outward, nothing counts. The index
stands between the expiries around its days, linear in total variance. Strikes end somewhere, so it
is a little too low; at few strikes the sum is a little too high.

References
----------
.. [1] Cboe, "Volatility Index Methodology: Cboe Volatility Index".
"""

from __future__ import annotations

import polars as pl

from plimsoll.analytics.chain import BOOK

__all__ = ["DAYS", "index", "variances"]

DAYS = 30.0
_MOMENT = ("at", *BOOK)
_SLOT = (*_MOMENT, "expiry")
_NUMBER = "_slot"
"""A slot as a number, by which rows are told apart much faster than by its names."""
_STRIKE, _FORWARD = pl.col("strike"), pl.col("forward")


def variances(chain: pl.DataFrame) -> pl.DataFrame:
    """Return the variance to each expiry.

    Parameters
    ----------
    chain : DataFrame
        Of `analytics.chain`.

    Returns
    -------
    DataFrame
        `at`, exchange, family, `expiry`, `years` and `forward` (medians of the expiry), `strikes`
        that counted, the lowest and the highest of them, `variance` (for a year), and
        `why_none` where it is null.
    """
    slots = chain.group_by(_SLOT).agg(pl.median("years", "forward")).sort(_SLOT)
    slots = slots.with_row_index(_NUMBER)
    rows = chain.select(*_SLOT, "strike", "kind", "inverse", "bid", "ask").join(slots, on=_SLOT)
    summed = (
        _strip(rows.drop(_SLOT))
        .group_by(_NUMBER, "base")
        .agg(
            strikes=pl.len(),
            lowest=_STRIKE.min(),
            highest=_STRIKE.max(),
            below=(pl.col("base") > _STRIKE).any(),
            above=(pl.col("base") < _STRIKE).any(),
            at_base=(pl.col("base") == _STRIKE).any(),
            cost=(pl.col("width") / _STRIKE**2 * pl.col("price")).sum(),
        )
    )
    whole = slots.join(summed, on=_NUMBER, how="left", maintain_order="left").with_columns(
        pl.col("strikes").fill_null(0), pl.col("below", "above", "at_base").fill_null(value=False)
    )
    why = (
        pl.when(_FORWARD.is_null())
        .then(pl.lit("the forward is missing"))
        .when(~(pl.col("below") & pl.col("above")))
        .then(pl.lit("strikes are one-sided"))
        .when(~pl.col("at_base"))
        .then(pl.lit("no quote at the strike below the forward"))
    )
    variance = (2 * pl.col("cost") - (_FORWARD / pl.col("base") - 1) ** 2) / pl.col("years")
    return (
        whole.with_columns(why_none=why)
        .with_columns(variance=pl.when(pl.col("why_none").is_null()).then(variance))
        .select(*_SLOT, "years", "forward", "strikes", "lowest", "highest", "variance", "why_none")
    )


def _strip(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the strikes of each expiry that count, with price and width."""
    dollars = pl.when("inverse").then(_FORWARD).otherwise(1.0)
    middle = (pl.col("bid") + pl.col("ask")) / 2 * dollars
    bid = (pl.col("bid") > 0).fill_null(value=False)
    base = pl.when(_STRIKE <= _FORWARD).then(_STRIKE).max().over(_NUMBER)
    put, away = pl.col("kind") == "put", (_STRIKE - pl.col("base")).abs()
    side = (_NUMBER, "kind")
    barren = ~pl.col("bidden") & ~pl.col("bidden").shift(1, fill_value=True).over(side)
    return (
        rows.with_columns(price=middle, bidden=bid, base=base)
        .filter(pl.when(put).then(pl.col("base") >= _STRIKE).otherwise(pl.col("base") <= _STRIKE))
        .sort(*side, away)
        .filter(~barren.cum_max().over(side))
        .filter("bidden", pl.col("ask") >= pl.col("bid"))
        .group_by(_NUMBER, "strike")
        .agg(pl.mean("price"), pl.first("base"))
        .sort(_NUMBER, "strike")
        .with_columns(width=_width())
    )


def _width() -> pl.Expr:
    """Return half the way between the neighbors of a strike; the way to the only one at an end."""
    below = (_STRIKE - _STRIKE.shift(1)).over(_NUMBER)
    above = (_STRIKE.shift(-1) - _STRIKE).over(_NUMBER)
    return (pl.coalesce(below, above) + pl.coalesce(above, below)) / 2


def index(chain: pl.DataFrame, days: float = DAYS) -> pl.DataFrame:
    """Return the index of implied volatility at each moment.

    Parameters
    ----------
    chain : DataFrame
        Of `analytics.chain`.
    days : float
        That the index looks ahead.

    Returns
    -------
    DataFrame
        `at`, exchange, family, `value` (fraction per square root of a year), the expiries `near`
        and `next` that it stands between, and `why_none` where it is null.

    Notes
    -----
    An expiry of just those days is both.
    """
    ahead = days / 365
    slots = variances(chain)
    near = slots.filter(pl.col("years") <= ahead).group_by(_MOMENT).agg(_last(descending=True))
    far = slots.filter(pl.col("years") >= ahead).group_by(_MOMENT).agg(_last(descending=False))
    both = (
        slots.select(_MOMENT)
        .unique()
        .join(near, on=_MOMENT, how="left")
        .join(far, on=_MOMENT, how="left", suffix="_next")
    )
    total, after = (pl.col(f"variance{end}") * pl.col(f"years{end}") for end in ("", "_next"))
    span = pl.col("years_next") - pl.col("years")
    part = pl.when(span > 0).then((ahead - pl.col("years")) / span).otherwise(0.0)
    variance = (total + part * (after - total)) / ahead
    why = (
        pl.when(pl.col("years").is_null() | pl.col("years_next").is_null())
        .then(pl.lit(f"no two expiries have {days:g} days between them"))
        .otherwise(pl.coalesce("why_none", "why_none_next"))
    )
    return both.select(
        *_MOMENT,
        value=pl.when(variance > 0).then(variance.sqrt()),
        near="expiry",
        next="expiry_next",
        why_none=why,
    ).sort(_MOMENT)


def _last(*, descending: bool) -> list[pl.Expr]:
    names = ("expiry", "years", "variance", "why_none")
    return [pl.col(name).sort_by("years", descending=descending).first() for name in names]
