"""Quotes out of the money beside the curve that was fitted to them."""

from __future__ import annotations

import numpy as np
import polars as pl

from plimsoll.analytics import surface, svi
from plimsoll.analytics.chain import BOOK

__all__ = ["curves", "largest", "quoted"]

_POINTS = 61
"""Of a curve: two strikes of a sparse expiry are far apart."""


def largest(chain: pl.DataFrame) -> pl.DataFrame:
    """Return the chain of the market with most open interest at each moment.

    Parameters
    ----------
    chain : DataFrame
        Of `analytics.chain`, of any exchanges and settlements.

    Returns
    -------
    DataFrame
    """
    held = chain.group_by("at", *BOOK).agg(pl.col("open_interest").sum())
    first = held.sort("open_interest", *BOOK).unique("at", keep="last").drop("open_interest")
    return chain.join(first, on=["at", *BOOK], maintain_order="left")


def quoted(chain: pl.DataFrame, slices: pl.DataFrame) -> pl.DataFrame:
    """Return the options out of the money that have a volatility, and what is fitted there.

    Parameters
    ----------
    chain : DataFrame
        Of one moment and one market.
    slices : DataFrame
        What `surface.fit` returns of it.

    Returns
    -------
    DataFrame
        `exchange`, `family`, `expiry`, `days`, `strike`, `k` (log moneyness), `iv`, `fitted`
        (fractions; null beyond the strikes that were fitted), `delta`, `open_interest`.
    """
    call, over = pl.col("kind") == "call", pl.col("strike") >= pl.col("forward")
    fits = slices.select("expiry", "k_low", "k_high", *surface.PARAMETERS)
    rows = (
        chain.filter((call == over) & pl.col("iv").is_not_null())
        .with_columns(k=(pl.col("strike") / pl.col("forward")).log())
        .join(fits, on="expiry", how="left", maintain_order="left")
    )
    parameters = rows.select(surface.PARAMETERS).to_numpy().astype(np.float64)
    variance = svi.total_variance(parameters, rows["k"].to_numpy()) / rows["years"].to_numpy()
    fitted = pl.Series(np.sqrt(variance), nan_to_null=True)
    inside = pl.col("k").is_between("k_low", "k_high")
    return rows.with_columns(fitted=pl.when(inside).then(fitted)).select(
        *BOOK, "expiry", "days", "strike", "k", "iv", "fitted", "delta", "open_interest"
    )


def curves(slices: pl.DataFrame) -> pl.DataFrame:
    """Return the curve of each expiry, between the strikes it was fitted to.

    Parameters
    ----------
    slices : DataFrame
        What `surface.fit` returns of one moment and one market.

    Returns
    -------
    DataFrame
        `expiry`, `k` (log moneyness) and `volatility` (fraction), points of each curve.
    """
    known = slices.filter(pl.col("a").is_not_null())
    parameters = known.select(surface.PARAMETERS).to_numpy().astype(np.float64)
    low, high, years = (known[name].to_numpy() for name in ("k_low", "k_high", "years"))
    k = np.linspace(low, high, _POINTS, axis=-1).reshape(-1)
    of = np.repeat(np.arange(known.height), _POINTS)
    volatility = np.sqrt(svi.total_variance(parameters[of], k) / years[of])
    return pl.DataFrame({"expiry": known["expiry"].gather(of), "k": k, "volatility": volatility})
