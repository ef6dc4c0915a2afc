r"""What a perpetual future would be worth if its funding paid for what holding the coin costs.

With :math:`p = F / S - 1` the premium, :math:`\kappa` the settlements of eight hours in a year and
:math:`g` what a year of holding the coin costs (interest on dollars less what the coin earns), a
buyer of the perpetual pays :math:`\kappa f(p)` a year on the index price, and gains
:math:`g (1 + p)` over who buys the coin with borrowed dollars. Neither is the better where both
are equal. If all of the premium passes into funding, beside an interest of :math:`\iota` a year,

.. math:: \frac{F}{S} = \frac{\kappa - \iota}{\kappa - g}

Exchanges pass nothing on while the premium lies within a band :math:`b` of the interest of eight
hours, and beyond it what is more than the band. The fair premium then lies beyond the band, at

.. math:: p = \frac{g \pm \kappa b}{\kappa - g}

above it where holding costs more than the interest, below it where it costs less.

This is an estimate: of an endless contract without fees, margin, caps or doubt that it pays.

References
----------
D. Ackerer, J. Hugonnier and U. Jermann, "Perpetual futures pricing", Mathematical Finance (2025).
S. He, A. Manela, O. Ross and V. von Wachter, "Fundamentals of perpetual futures" (2022).
"""

from __future__ import annotations

from typing import TypeVar

import polars as pl

from plimsoll.analytics.funding_formula import band, neutral

__all__ = ["KAPPA", "REASONS", "fair_premium", "fair_values", "frictionless"]

Numbers = TypeVar("Numbers", float, pl.Expr)

KAPPA = 3 * 365
"""How much of a premium funding would pay in a year: once in eight hours, all of it."""

REASONS = {
    "premium": "no index or spot price was known then",
    "interest": "how the exchange makes its funding is not known",
    "cost": "no dated future tells what holding costs then; give a rate",
}
"""Why nothing is fair, by what is not known."""


def frictionless(cost: Numbers, interest: Numbers) -> Numbers:
    """Return the fair premium if all of it passed into funding, beside the interest.

    Parameters
    ----------
    cost : float or Expr, fraction per year
        Of holding the coin: interest on dollars less what the coin earns; far below `KAPPA`.
    interest : float or Expr, fraction per year
        Funding where the premium is zero.

    Returns
    -------
    The same, fraction of the index

    Examples
    --------
    Dollars at 5 %, funding that rests at 10.95 % or at nothing; basis points.

    >>> [round(1e4 * frictionless(0.05, interest), 3) for interest in (0.1095, 0.0)]
    [-0.543, 0.457]
    """
    return (cost - interest) / (KAPPA - cost)


def fair_premium(cost: pl.Expr, interest: pl.Expr, width: pl.Expr) -> pl.Expr:
    """Return the fair premium as an exchange makes its funding, with its band.

    Parameters
    ----------
    cost, interest : Expr, fraction per year
        As of `frictionless`.
    width : Expr, fraction per 8 hours
        A premium that is nearer to the interest than this moves nothing.

    Returns
    -------
    Expr, fraction of the index
        Where holding costs what the interest pays, all of the band is fair: about its middle.
    """
    return frictionless(cost, -KAPPA * width * (cost - interest).sign())


def fair_values(quotes: pl.DataFrame) -> pl.DataFrame:
    """Return how far perpetuals lie from what they would be worth; an estimate.

    Parameters
    ----------
    quotes : DataFrame
        `time`, `exchange`, `symbol` (of perpetuals), `price` and `spot` (quote per base), `quoted`
        (when they were), `cost` (fraction per year; of holding the coin) and `source`.

    Returns
    -------
    DataFrame
        By time and market, those columns and `premium` (F / S - 1, fraction), `interest` (fraction
        per year), `frictionless` and `fair` (fractions: the premium that would be fair if all of
        it passed into funding, and as the exchange makes its funding), `fair_price` (quote per
        base), `deviation` (premium - fair, fraction), `annual` (`KAPPA` times that: what a year of
        it would bring were all passed on), and the `reason` why what is fair is null.
    """
    cost, interest, spot = pl.col("cost"), pl.col("interest"), pl.col("spot")
    known = quotes.with_columns(
        neutral().alias("interest"), premium=pl.col("price") / spot - 1
    ).with_columns(
        frictionless=frictionless(cost, interest), fair=fair_premium(cost, interest, band())
    )
    deviation = pl.col("premium") - pl.col("fair")
    absent = [
        pl.when(pl.col(name).is_null()).then(pl.lit(words)) for name, words in REASONS.items()
    ]
    return known.select(
        *("time", "exchange", "symbol", "price", "spot", "premium", "cost", "interest"),
        *("frictionless", "fair"),
        fair_price=spot * (1 + pl.col("fair")),
        deviation=deviation,
        annual=KAPPA * deviation,
        quoted="quoted",
        source="source",
        reason=pl.coalesce(absent),
    ).sort("time", "exchange", "symbol")
