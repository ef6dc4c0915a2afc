"""What stands open in options: puts against calls, how far away, at which pain, with what leverage.

Chains are frames of `analytics.chain`: a row for each option and moment `at`. Every measure is
taken for each moment, and for each group `by` within it. Open interest counts one side of each
contract, so nothing here says who holds which side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "MONEYNESS",
    "RATIOS",
    "TENORS",
    "leverage",
    "max_pain",
    "moneyness",
    "pain",
    "put_call",
    "spread",
    "strikes",
    "tenor",
]

_HELD = pl.col("open_interest")
_WEIGHTS = {
    "open_interest": _HELD,
    "volume": pl.col("volume"),
    "premium": _HELD * pl.col("premium_usd"),
    "delta": _HELD * pl.col("delta").abs(),
}
RATIOS = tuple(f"put_call_{name}" for name in _WEIGHTS)
"""The four ratios of puts to calls."""
TENORS = {"to 7 d": 7.0, "7–30 d": 30.0, "30–90 d": 90.0, "over 90 d": np.inf}
"""Names of spans to expiry, with the days they reach to."""
MONEYNESS = {
    "delta to 0.1": 0.1,
    "0.1–0.25": 0.25,
    "0.25–0.4": 0.4,
    "0.4–0.6": 0.6,
    "over 0.6": np.inf,
}
"""Names of spans of absolute delta, with what they reach to: far out of the money to deep in it."""


def put_call(chain: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return puts over calls, by four weights.

    Parameters
    ----------
    chain : DataFrame
    *by : str
        Columns to group by within each moment, such as `expiry`.

    Returns
    -------
    DataFrame
        `at` and `by`; `calls` and `puts` (base units of open interest) and what each ratio is of:

        - `put_call_open_interest` and `put_call_volume`, of base units;
        - `put_call_premium`, of dollars the open interest costs at the mark;
        - `put_call_delta`, of base units of absolute delta;
        - `coverage` (fraction) of options whose open interest is known, and `priced` (fraction)
          of the open interest whose premium and delta are.

        A ratio is null where no put or no call is known, and where the calls add up to nothing.
    """
    put, call = (pl.col("kind") == kind for kind in ("put", "call"))
    ratios = []
    for name, weight in _WEIGHTS.items():
        puts, calls = weight.filter(put), weight.filter(call)
        known = (puts.count() > 0) & (calls.sum() > 0)
        ratios.append(pl.when(known).then(puts.sum() / calls.sum()).alias(f"put_call_{name}"))
    sides = [
        pl.when(_HELD.filter(side).count() > 0).then(_HELD.filter(side).sum()).alias(name)
        for name, side in (("calls", call), ("puts", put))
    ]
    return (
        chain.group_by("at", *by, maintain_order=True)
        .agg(
            *sides,
            *ratios,
            (_HELD.count() / pl.len()).alias("coverage"),
            _share(pl.all_horizontal(pl.col("premium_usd", "delta").is_not_null())).alias("priced"),
        )
        .sort("at", *by)
    )


def _share(where: pl.Expr) -> pl.Expr:
    """Return the share of open interest for which something holds; null where there is none."""
    return pl.when(_HELD.sum() > 0).then(_HELD.filter(where).sum() / _HELD.sum())


def strikes(chain: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return open interest by strike.

    Parameters
    ----------
    chain : DataFrame
    *by : str
        Columns to group by beside the strike, such as `expiry`.

    Returns
    -------
    DataFrame
        `at`, `by`, `strike` (quote currency), `calls` and `puts` (base units; zero where that
        side is not listed).
    """
    sides = [
        _HELD.filter(pl.col("kind") == kind).sum().alias(f"{kind}s") for kind in ("call", "put")
    ]
    return chain.group_by("at", *by, "strike").agg(sides).sort("at", *by, "strike")


def spread(chain: pl.DataFrame) -> pl.DataFrame:
    """Return how open interest is spread over expiries.

    Parameters
    ----------
    chain : DataFrame

    Returns
    -------
    DataFrame
        `at`; `beyond_30` and `beyond_90` (fractions of open interest that expire more days
        away), `expiries` (count), `hhi` and `effective` (how many expiries of equal size would
        be as concentrated). Null where nothing is open.
    """
    held = chain.group_by("at", "expiry").agg(_HELD.sum()).sort("at", "expiry")
    hhi = ((_HELD / _HELD.sum()) ** 2).sum()
    some = _HELD.sum() > 0
    days = (pl.col("expiry") - pl.col("at")).dt.total_seconds() / 86_400
    return held.group_by("at", maintain_order=True).agg(
        _share(days > 30).alias("beyond_30"),
        _share(days > 90).alias("beyond_90"),
        (_HELD > 0).sum().alias("expiries"),
        pl.when(some).then(hhi).alias("hhi"),
        pl.when(some).then(1 / hhi).alias("effective"),
    )


def max_pain(strike: ArrayLike, calls: ArrayLike, puts: ArrayLike) -> float:
    r"""Return the strike at which options would pay their holders least.

    .. math:: \arg\min_S \sum_K C_K \max(S - K, 0) + P_K \max(K - S, 0)

    Parameters
    ----------
    strike : array_like, shape (n,), quote per base
    calls, puts : array_like, shape (n,), base units
        Open interest at each strike.

    Returns
    -------
    float, quote per base
        The lowest of equals; NaN where nothing is open.

    Raises
    ------
    ValueError
        If open interest is negative or unknown.

    Examples
    --------
    >>> max_pain([50, 60, 70], [10, 20, 30], [30, 20, 5])
    60.0
    """
    at, held, sold = (np.asarray(one, dtype=np.float64) for one in (strike, calls, puts))
    if not (np.all(held >= 0) and np.all(sold >= 0)):
        raise ValueError("max pain needs open interest that is known and not negative")
    if held.sum() + sold.sum() == 0:
        return float("nan")
    above = np.maximum(at[:, None] - at[None, :], 0)
    paid = above @ held + above.T @ sold
    return float(at[paid == paid.min()].min())


def pain(chain: pl.DataFrame) -> pl.DataFrame:
    """Return the strike of least pay-out, for each expiry.

    Parameters
    ----------
    chain : DataFrame

    Returns
    -------
    DataFrame
        `at`, `expiry`, `max_pain` (quote per base); null where nothing is open.
    """
    found = [
        (at, expiry, max_pain(one["strike"], one["calls"], one["puts"]))
        for (at, expiry), one in strikes(chain, "expiry").group_by(
            "at", "expiry", maintain_order=True
        )
    ]
    schema: dict[str, Any] = {
        "at": chain.schema["at"],
        "expiry": chain.schema["expiry"],
        "max_pain": pl.Float64,
    }
    return pl.DataFrame(found, schema=schema, orient="row").fill_nan(None)


def leverage(chain: pl.DataFrame, *by: str) -> pl.DataFrame:
    r"""Return the leverage that options hide: what they move like, over what they cost.

    .. math:: L = \frac{\sum_i |\Delta_i| \, OI_i \, S}{\sum_i c_i \, OI_i}, \qquad
              \Omega = \frac{\sum_i OI_i \, \Omega_i}{\sum_i OI_i}

    with premium :math:`c` in dollars and the elasticity :math:`\Omega_i = |\Delta_i| F / C_i` of
    each option, of Black-76.

    Parameters
    ----------
    chain : DataFrame
    *by : str
        Columns to group by within each moment.

    Returns
    -------
    DataFrame
        `at` and `by`; `open_interest` (base units), `notional_usd`, `delta_usd` (dollars of the
        underlying that the options move like) and `premium_usd`; `leverage` and `elasticity`
        (dimensionless), the latter over options that have one; `priced` (fraction) of the open
        interest that has a premium and a delta. Null where nothing with a premium is open.

    Notes
    -----
    The two agree for one option. Of many, `leverage` is of the portfolio, weighted by premium;
    `elasticity` is of the average contract, and is ruled by far strikes that cost almost nothing.
    """
    price = pl.coalesce("index", "forward")
    known = (_HELD > 0) & (pl.col("premium_usd") > 0) & pl.col("delta").is_not_null()
    moves, costs = _WEIGHTS["delta"] * price, _WEIGHTS["premium"]
    rated = (_HELD > 0) & pl.col("elasticity").is_not_null()
    some = _HELD.filter(known).sum() > 0
    ratios = {
        "delta_usd": moves.filter(known).sum(),
        "premium_usd": costs.filter(known).sum(),
        "leverage": moves.filter(known).sum() / costs.filter(known).sum(),
    }
    average = (_HELD * pl.col("elasticity")).filter(rated).sum() / _HELD.filter(rated).sum()
    return (
        chain.group_by("at", *by)
        .agg(
            _HELD.sum(),
            (_HELD * price).sum().alias("notional_usd"),
            *(pl.when(some).then(value).alias(name) for name, value in ratios.items()),
            pl.when(_HELD.filter(rated).sum() > 0).then(average).alias("elasticity"),
            _share(known).alias("priced"),
        )
        .sort("at", *by)
    )


def tenor(days: str = "days") -> pl.Expr:
    """Return the span to expiry that a row falls into, in order: an enumeration of `TENORS`."""
    return _bucket(pl.col(days), TENORS).alias("tenor")


def moneyness(delta: str = "delta") -> pl.Expr:
    """Return the span of absolute delta that a row falls into: an enumeration of `MONEYNESS`."""
    return _bucket(pl.col(delta).abs(), MONEYNESS).alias("moneyness")


def _bucket(value: pl.Expr, names: dict[str, float]) -> pl.Expr:
    """Return the first name that reaches to a value; null where it is unknown."""
    chosen = pl.lit(None, pl.String)
    for name, end in reversed(names.items()):
        chosen = pl.when(value <= end).then(pl.lit(name)).otherwise(chosen)
    return chosen.cast(pl.Enum(list(names)))
