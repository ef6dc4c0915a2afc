r"""The surface of implied volatility: a smile for each expiry, and what traders read off it.

Chains are frames of `analytics.chain`. A smile is fitted to options out of the money that have
both a bid and an ask, each by its vega, as a curve of `svi`; it is fitted anew where it has a
butterfly or crosses the expiry before. Expiries of fewer than six such options take the form that
all expiries share (`ssvi`), at a level of their own.

At the money is at the forward. The 25Δ call and put are where the forward delta of the fitted
smile, not adjusted for the premium, is a quarter; the risk reversal is the call's volatility less
the put's, the butterfly their mean less that at the money. Each is null where the quoted strikes
do not reach it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.special import ndtri

from plimsoll.analytics import black, ssvi, svi, svi_fit
from plimsoll.analytics.chain import BOOK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["MATURITIES", "PARAMETERS", "fit", "implied", "quotes", "term_structure"]

PARAMETERS = ("a", "b", "rho", "m", "s")
"""Of a curve; see `svi`."""
MATURITIES = (7, 30, 90, 180)
"""Days to expiry that are read off the term structure."""
_MOMENT = ("at", *BOOK)
_SLOT = (*_MOMENT, "expiry")
_WIDEST = 0.5
"""Of a spread, over the mid price."""
_QUARTER = 0.25
_HALVINGS = 50


def implied(chain: pl.DataFrame) -> pl.DataFrame:
    """Add the volatility that each mark implies, and why there is none.

    Parameters
    ----------
    chain : DataFrame
        Of `analytics.chain`.

    Returns
    -------
    DataFrame
        The chain with `implied` (fraction) and `why_none` (words, null where there is one).
    """
    forward = chain["forward"].to_numpy()
    dollars = np.where(chain["inverse"].to_numpy(), forward, 1.0)
    option = (
        chain["mark"].to_numpy() * dollars,
        forward,
        chain["strike"].to_numpy(),
        chain["years"].to_numpy(),
        (chain["kind"] == "call").to_numpy(),
    )
    found = black.implied_volatility(*option)
    reasons = np.full(len(found), "", dtype="U64")
    none = np.isnan(found)
    reasons[none] = black.why_none(*(one[none] for one in option))
    return chain.with_columns(
        implied=pl.Series(found, nan_to_null=True),
        why_none=pl.Series(reasons).replace("", None),
    )


def quotes(chain: pl.DataFrame, volatility: str = "iv") -> pl.DataFrame:
    """Return the quotes that smiles are fitted to.

    Parameters
    ----------
    chain : DataFrame
        Of `analytics.chain`.
    volatility : str
        The column of volatilities (fraction).

    Returns
    -------
    DataFrame
        `at`, exchange, family, `expiry`, `years` and `forward` (medians of the expiry), `strike`,
        `k` (log of strike over forward), `volatility`, `vega` (see `black.vega`), by expiry and
        strike: puts below the forward and calls from it on, with a bid above zero, an ask above the
        bid, and no more than half the mid price between them.
    """
    middle = (pl.col("ask") + pl.col("bid")) / 2
    level = [pl.col(name).median().over(_SLOT).alias(name) for name in ("forward", "years")]
    rows = (
        chain.with_columns(level)
        .with_columns(k=(pl.col("strike") / pl.col("forward")).log())
        .filter(
            (pl.col("kind") == "call") == (pl.col("k") >= 0),
            (pl.col("bid") > 0) & (pl.col("ask") > pl.col("bid")),
            pl.col("ask") - pl.col("bid") <= _WIDEST * middle,
            pl.col(volatility) > 0,
        )
        .select(*_SLOT, "years", "forward", "strike", "k", pl.col(volatility).alias("volatility"))
        .sort(*_SLOT, "k")
    )
    vega = black.vega(*(rows[name] for name in ("forward", "strike", "years", "volatility")))
    return rows.with_columns(vega=pl.Series(vega, dtype=pl.Float64))


def fit(chain: pl.DataFrame, volatility: str = "iv") -> pl.DataFrame:
    """Return the smile of each expiry at each moment, and what it says.

    Parameters
    ----------
    chain : DataFrame
        Of `analytics.chain`.
    volatility : str
        The column of volatilities (fraction).

    Returns
    -------
    DataFrame
        A row for each `at`, exchange, family and `expiry` of the chain:

        - `years`, `forward`, `quotes` (count), `k_low` and `k_high` (of the quoted strikes);
        - `method`: ``svi``, ``penalized`` where it was fitted anew, ``ssvi`` where quotes are few;
          null with a reason in `why_none`;
        - `a`, `b`, `rho`, `m`, `s`, the curve's parameters;
        - `error`, root of the mean squared error in volatility, weighted by vega (fraction);
        - `butterfly`, the least g of the curve, and `crossing`, how far it falls below the expiry
          before within strikes that both quote (fraction of that one's variance; null where none
          is before): there is arbitrage where the first is negative or the second positive;
        - `plain_error`, `plain_butterfly`, `plain_quoted` (the least g within the quoted strikes)
          and `plain_crossing` of the curve before it was fitted anew;
        - `atm`, `call_25`, `put_25`, `risk_reversal`, `strangle` (fraction), of the curve; the
          last is the 25Δ butterfly.
    """
    told = _weighted(quotes(chain, volatility))
    slots = _slots(told)
    start = np.append(0, slots["quotes"].cum_sum().to_numpy()).astype(np.int64)
    k, w, weight = (told[name].to_numpy() for name in ("k", "w", "weight"))
    scale = slots["scale"].to_numpy()
    shared = slots.select("shared_low", "shared_high").to_numpy(order="c").astype(np.float64)
    curves = np.full((slots.height, 5), np.nan)
    svi_fit.fit(k, w, weight, start, scale, curves)
    _share(slots, told, curves)
    plain = curves.copy()
    svi_fit.refit(k, w, weight, start, scale, shared, curves)
    method = (
        pl.when(pl.col("quotes") < svi_fit.FEWEST)
        .then(pl.lit("ssvi"))
        .when(pl.Series((plain != curves).any(axis=1)))
        .then(pl.lit("penalized"))
        .otherwise(pl.lit("svi"))
    )
    found = slots.with_columns(
        method.alias("method"),
        *(_nulls(curves[:, i]).alias(name) for i, name in enumerate(PARAMETERS)),
        **_checks(slots, told, shared, curves, ""),
        **_checks(slots, told, shared, plain, "plain_"),
        **_read(slots, curves),
    )
    return _placed(chain, found.drop("scale", "shared_low", "shared_high"))


def _slots(told: pl.DataFrame) -> pl.DataFrame:
    """Return the expiries that are quoted, and the strikes that each shares with the one before."""
    slots = told.group_by(_SLOT, maintain_order=True).agg(
        pl.first("years", "forward"),
        quotes=pl.len(),
        k_low=pl.col("k").min(),
        k_high=pl.col("k").max(),
        scale=pl.col("w").median().sqrt(),
    )
    low, high = (pl.col(name).shift().over(_MOMENT) for name in ("k_low", "k_high"))
    return slots.with_columns(
        shared_low=pl.when(low.is_not_null()).then(pl.max_horizontal("k_low", low)),
        shared_high=pl.when(high.is_not_null()).then(pl.min_horizontal("k_high", high)),
    )


def _weighted(told: pl.DataFrame) -> pl.DataFrame:
    """Add total variance, and weights that make of its squared error that of volatility."""
    share = pl.col("vega") / pl.col("vega").sum().over(_SLOT)
    return told.with_columns(w=pl.col("volatility") ** 2 * pl.col("years")).with_columns(
        weight=share / (4 * pl.col("w") * pl.col("years"))
    )


def _share(slots: pl.DataFrame, told: pl.DataFrame, curves: Floats) -> None:
    """Write the curves of expiries with few quotes, in the form that all of their moment share."""
    places = slots.with_row_index("slot").with_columns(
        few=pl.col("quotes") < svi_fit.FEWEST, moment=pl.struct(_MOMENT).rank("dense")
    )
    wanting = places.filter(pl.col("few").any().over("moment"))
    rows = told.join(wanting.select(*_SLOT, "slot", "moment"), on=_SLOT)
    for (_,), part in rows.group_by("moment"):
        here, of = np.unique(part["slot"].to_numpy(), return_inverse=True)
        if part.height < svi_fit.FEWEST:
            continue
        theta = svi.total_variance(curves[here], 0.0)
        k, w, weight = (part[name].to_numpy() for name in ("k", "w", "weight"))
        found = ssvi.fit(k, w, weight, of, theta)
        few = np.isnan(theta)
        curves[here[few]] = found[few]


def _checks(
    slots: pl.DataFrame, told: pl.DataFrame, shared: Floats, curves: Floats, prefix: str
) -> dict[str, pl.Series]:
    """Return the errors of curves, and what arbitrage they have."""
    of = np.repeat(np.arange(slots.height), slots["quotes"])
    deviation = np.sqrt(
        svi.total_variance(curves[of], told["k"].to_numpy()) / told["years"].to_numpy()
    )
    vega = told["vega"].to_numpy()
    missed = vega * (deviation - told["volatility"].to_numpy()) ** 2
    error = np.sqrt(np.bincount(of, missed) / np.bincount(of, vega))
    found = np.empty((slots.height, 3))
    svi_fit.check(curves, slots.select("k_low", "k_high").to_numpy(order="c"), shared, found)
    columns = {"error": error, "butterfly": found[:, 0], "crossing": found[:, 2]}
    if prefix:
        columns["quoted"] = found[:, 1]
    known = np.isfinite(curves).all(axis=1)
    return {
        f"{prefix}{name}": _nulls(np.where(known, values, np.nan))
        for name, values in columns.items()
    }


def _read(slots: pl.DataFrame, curves: Floats) -> dict[str, pl.Series]:
    """Return what traders read off curves."""
    low, high, years = (slots[name].to_numpy() for name in ("k_low", "k_high", "years"))
    strikes = {
        "atm": np.where((low <= 0) & (high >= 0), 0.0, np.nan),
        "call_25": _strike(curves, low, high, ndtri(_QUARTER)),
        "put_25": _strike(curves, low, high, ndtri(1 - _QUARTER)),
    }
    read = {
        name: np.sqrt(svi.total_variance(curves, strike) / years)
        for name, strike in strikes.items()
    }
    read["risk_reversal"] = read["call_25"] - read["put_25"]
    read["strangle"] = (read["call_25"] + read["put_25"]) / 2 - read["atm"]
    return {name: _nulls(values) for name, values in read.items()}


def _strike(curves: Floats, low: Floats, high: Floats, wanted: float) -> Floats:
    """Return the log moneyness at which d1 is as wanted, NaN where it is outside the strikes."""

    def d1(k: Floats) -> Floats:
        root = np.sqrt(svi.total_variance(curves, k))
        return -k / root + root / 2

    inside = (d1(low) >= wanted) & (d1(high) <= wanted)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        beyond = d1(middle) >= wanted
        low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    return np.where(inside, low, np.nan)


def _placed(chain: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each expiry of a chain, with a reason where it has no curve."""
    slots = chain.group_by(_SLOT).agg(_forward=pl.col("forward").median())
    why = (
        pl.when(pl.col("_forward").is_null())
        .then(pl.lit("the forward is missing"))
        .when(pl.col("quotes").is_null())
        .then(pl.lit("no option out of the money has both a bid and an ask"))
        .when(pl.col("a").is_null())
        .then(pl.lit(f"fewer than {svi_fit.FEWEST} quotes, of all expiries together"))
    )
    return (
        slots.join(found, on=_SLOT, how="left")
        .with_columns(
            pl.col("quotes").fill_null(0),
            pl.when(pl.col("a").is_not_null()).then("method").alias("method"),
            why_none=why,
        )
        .drop("_forward")
        .sort(_SLOT)
    )


def term_structure(slices: pl.DataFrame, maturities: Sequence[float] = MATURITIES) -> pl.DataFrame:
    """Return volatility at constant maturities, linear in total variance between expiries.

    Parameters
    ----------
    slices : DataFrame
        Of `fit`.
    maturities : sequence of float, days

    Returns
    -------
    DataFrame
        `at`, exchange, family, `days`, and `atm`, `risk_reversal`, `strangle` (fraction): null
        where no two expiries have the days between them.
    """
    found = []
    for key, part in slices.group_by(_MOMENT, maintain_order=True):
        read = {
            name: _between(part.drop_nulls(name), name, np.asarray(maturities) / 365)
            for name in ("atm", "call_25", "put_25")
        }
        found.append(
            pl.DataFrame(
                {
                    **dict(zip(_MOMENT, key, strict=True)),
                    "days": np.asarray(maturities, dtype=np.float64),
                    "atm": read["atm"],
                    "risk_reversal": read["call_25"] - read["put_25"],
                    "strangle": (read["call_25"] + read["put_25"]) / 2 - read["atm"],
                }
            )
        )
    return pl.concat(found).with_columns(pl.col("atm", "risk_reversal", "strangle").fill_nan(None))


def _between(part: pl.DataFrame, name: str, years: Floats) -> Floats:
    if not part.height:
        return np.full(len(years), np.nan)
    known, level = part["years"].to_numpy(), part[name].to_numpy()
    total = np.interp(years, known, level**2 * known, left=np.nan, right=np.nan)
    found: Floats = np.sqrt(total / years)
    return found


def _nulls(values: Floats) -> pl.Series:
    return pl.Series(values, nan_to_null=True)
