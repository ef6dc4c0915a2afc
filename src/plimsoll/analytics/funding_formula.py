"""How exchanges make a funding rate of premium and interest, and what it will be.

Everything in a `Formula` is per eight hours; what is settled every h hours is h / 8 of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "FORMULAS",
    "NEUTRAL",
    "Formula",
    "average_premium",
    "band",
    "neutral",
    "predicted",
    "premium_index",
    "rate",
]

Numbers = TypeVar("Numbers", float, "NDArray[np.float64]", pl.Series, pl.Expr)

_HOURS = 8
_TIMES_A_YEAR = 24 * 365 // _HOURS


@dataclass(frozen=True)
class Formula:
    """What one exchange does to a premium.

    Attributes
    ----------
    interest : float, fraction per 8 hours
        Where the rate rests while the premium is near it.
    band : float, fraction per 8 hours
        A premium that is nearer to the interest than this moves nothing.
    cap : float or None, fraction per 8 hours
        The largest rate, either way; None where it differs by market.
    rising : bool
        Whether the n-th premium of an interval weighs n; else all weigh the same.
    rests : bool
        Whether its markets have this interest, so that a neutral rate can be named.
    """

    interest: float = 0.0001
    band: float = 0.0005
    cap: float | None = None
    rising: bool = False
    rests: bool = True


_CLAMPED, _RISING = Formula(), Formula(rising=True)
FORMULAS: dict[str, Formula] = {
    "binance": _RISING,
    "bybit": _RISING,
    "gate": _CLAMPED,
    "bitget": _CLAMPED,
    "bitmex": _CLAMPED,
    "htx": _CLAMPED,
    "kucoin": _CLAMPED,
    "hyperliquid": Formula(cap=0.32),
    "deribit": Formula(interest=0.0, band=0.00025),
    "dydx": Formula(interest=0.0, band=0.0, rests=False),
    "okx": _RISING,
}
"""By exchange, as documented; on dYdX as its chain is delivered, where markets may differ."""

NEUTRAL: dict[str, float] = {
    name: formula.interest * _TIMES_A_YEAR for name, formula in FORMULAS.items() if formula.rests
}
"""Simple annual rate where the premium is zero: 0.01 % of interest for every 8 hours, or none."""

_OKX = (datetime(2025, 4, 10, tzinfo=UTC), datetime(2025, 4, 24, tzinfo=UTC))
"""From when to when OKX' markets changed, in three batches, from a rate that rests at zero."""


def neutral() -> pl.Expr:
    """Return the simple annual rate at which a market's funding rests, fraction.

    An expression over `exchange`, `symbol` and `time`; null where it is not known: for
    exchanges not in `NEUTRAL`, and for OKX in the two weeks when its formula changed.
    BNB has no interest on Binance.

    Examples
    --------
    >>> pl.DataFrame({
    ...     "time": datetime(2026, 1, 1, tzinfo=UTC),
    ...     "exchange": ["binance", "binance", "kraken"],
    ...     "symbol": ["BTC/USDT:USDT", "BNB/USDT:USDT", "BTC/USD:USD"],
    ... }).select(neutral())["neutral"].to_list()
    [0.1095, 0.0, None]
    """
    exchange, time = pl.col("exchange"), pl.col("time")
    free = (exchange == "binance") & pl.col("symbol").str.starts_with("BNB/")
    old, changing = (time < _OKX[0]), (time < _OKX[1])
    usual = exchange.replace_strict(NEUTRAL, default=None, return_dtype=pl.Float64)
    return (
        pl.when(free | ((exchange == "okx") & old))
        .then(0.0)
        .when((exchange != "okx") | ~changing)
        .then(usual)
        .alias("neutral")
    )


def band() -> pl.Expr:
    """Return how near the interest a premium moves nothing, fraction per 8 hours.

    An expression over `exchange` and `time`; null where `neutral` is, but of no symbol alone.

    Examples
    --------
    >>> pl.DataFrame({
    ...     "time": datetime(2026, 1, 1, tzinfo=UTC), "exchange": ["okx", "deribit", "kraken"]
    ... }).select(band())["band"].to_list()
    [0.0005, 0.00025, None]
    """
    exchange, time = pl.col("exchange"), pl.col("time")
    bands = {name: formula.band for name, formula in FORMULAS.items() if formula.rests}
    usual = exchange.replace_strict(bands, default=None, return_dtype=pl.Float64)
    return (
        pl.when((exchange == "okx") & (time < _OKX[0]))
        .then(0.0)
        .when((exchange != "okx") | (time >= _OKX[1]))
        .then(usual)
        .alias("band")
    )


def premium_index(bid: Numbers, ask: Numbers, index: Numbers) -> Numbers:
    r"""Return how far the market stands from the index, where it can be traded in size.

    .. math:: \frac{\max(0, B - S) - \max(0, S - A)}{S}

    Parameters
    ----------
    bid, ask : float, ndarray, Series or Expr, quote per base
        The mean price at which the exchange's impact notional is sold and bought.
    index : the same, quote per base

    Returns
    -------
    The same, fraction of the index; zero while the index lies between bid and ask.

    Examples
    --------
    >>> premium_index(101.0, 102.0, 100.0), premium_index(99.0, 101.0, 100.0)
    (0.01, 0.0)
    """
    return (_clamped(bid - index, 0.0, None) - _clamped(index - ask, 0.0, None)) / index


def average_premium(premiums: ArrayLike, *, rising: bool = False) -> float:
    r"""Return the mean premium of the part of an interval that has passed.

    .. math:: \frac{\sum_n w_n P_n}{\sum_n w_n}, \quad w_n = n \text{ or } 1

    Parameters
    ----------
    premiums : array_like, shape (n,), fraction of the index
        Sampled at equal steps since the interval began; NaN where one is missing.
    rising : bool
        Whether a later premium weighs more, as on Binance and Bybit.

    Returns
    -------
    float
        Over the known ones, each with the weight of its place; NaN if there is none.

    Examples
    --------
    >>> round(average_premium([0.0, 0.0, 0.0006], rising=True), 7), average_premium([0.0, 0.0006])
    (0.0003, 0.0003)
    """
    values = np.asarray(premiums, dtype=np.float64)
    weights = np.arange(1.0, values.size + 1) if rising else np.ones(values.size)
    known = ~np.isnan(values)
    total = weights[known].sum()
    return float((weights[known] * values[known]).sum() / total) if total else float("nan")


def rate(premium: Numbers, formula: Formula, interval_hours: float = 8.0) -> Numbers:
    r"""Return the rate that a mean premium makes.

    .. math:: F = \tfrac{h}{8} \, \mathrm{clamp}\bigl(P + \mathrm{clamp}(I - P, -b, b), -c, c\bigr)

    Deribit's :math:`\max(b, P) + \min(-b, P)` is the same with no interest.

    Parameters
    ----------
    premium : float, ndarray, Series or Expr, fraction of the index
    formula : Formula
    interval_hours : float, hours
        How often is settled.

    Returns
    -------
    The same as `premium`, fraction per interval

    References
    ----------
    Documentation of Bybit, Gate and Hyperliquid on funding; Deribit, "Perpetual"; dYdX, "Default
    funding rates on dYdX Chain"; OKX, "OKX to change the funding rate formula" (2025).

    Examples
    --------
    Hyperliquid's example: a premium of 1 % comes to 0.95 % for 8 hours, an eighth of it an hour.

    >>> round(rate(0.01, FORMULAS["hyperliquid"], 1.0), 8)
    0.0011875
    """
    band, interest = formula.band, formula.interest
    moved = premium + _clamped(interest - premium, -band, band)
    if formula.cap is not None:
        moved = _clamped(moved, -formula.cap, formula.cap)
    return moved * (interval_hours / _HOURS)


def predicted(
    average: Numbers,
    now: Numbers,
    elapsed: Numbers,
    formula: Formula,
    interval_hours: float = 8.0,
) -> Numbers:
    r"""Return the rate that comes if the premium stays where it is.

    .. math:: P = e \bar P + (1 - e) P_{now}

    Parameters
    ----------
    average : float, ndarray, Series or Expr, fraction of the index
        The mean premium since the interval began.
    now : the same, fraction of the index
        The premium now.
    elapsed : the same, fraction
        How much of the interval has passed, from 0 to 1.
    formula : Formula
    interval_hours : float, hours

    Returns
    -------
    The same, fraction per interval

    Notes
    -----
    Where later premiums weigh more (`Formula.rising`), the part that has passed has only
    :math:`e^2` of the weight, and that is used instead of :math:`e`.

    Examples
    --------
    Half an interval at 0.02 %, and now 0.14 %: a mean of 0.08 %, less the band of 0.05 %.

    >>> round(predicted(0.0002, 0.0014, 0.5, FORMULAS["gate"]), 6)
    0.0003
    """
    weight = elapsed * elapsed if formula.rising else elapsed
    return rate(weight * average + (1 - weight) * now, formula, interval_hours)


def _clamped(value: Numbers, low: float, high: float | None) -> Numbers:
    if isinstance(value, pl.Expr | pl.Series):
        return value.clip(low, high)
    bounded = np.clip(value, low, high)
    return float(bounded) if np.ndim(bounded) == 0 else bounded  # type: ignore[return-value]
