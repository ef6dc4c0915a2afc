"""Dated futures against spot: what each expiry pays a year, and what a fixed maturity would.

Days are of 24 hours, years of 365 days. Nothing here looks ahead.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from plimsoll.analytics.open_interest import snapshots

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BAND",
    "MATURITIES",
    "SHORTEST",
    "STATES",
    "Annual",
    "annualised",
    "at_maturity",
    "latest",
    "on_grid",
    "structure",
]

MATURITIES = (7, 30, 90, 180)
"""Days ahead for which a basis is interpolated."""
SHORTEST = 7
"""Days below which an expiry is not annualised: a hundredth of a percent would be 0.5 % a year."""
STATES = ("contango", "backwardation", "flat")
"""What a curve can be."""
BAND = 0.003
"""A basis nearer to zero than this is flat: both legs traded twice by a taker, fraction."""

_YEAR = 365.0
_EXPIRY_HOUR = 8
_CURVE = ("time", "exchange", "contract")
_COLUMNS = {
    "time": pl.Datetime("us", "UTC"),
    "exchange": pl.String(),
    "contract": pl.String(),
    "kind": pl.String(),
    "maturity": pl.String(),
    "days": pl.Float64(),
    "price": pl.Float64(),
    "spot": pl.Float64(),
    "basis": pl.Float64(),
    "simple": pl.Float64(),
    "log": pl.Float64(),
    "compounded": pl.Float64(),
    "roll_yield": pl.Float64(),
    "state": pl.String(),
    "source": pl.String(),
    "reason": pl.String(),
}


class Annual(NamedTuple):
    """One basis, three ways to say it for a year; fractions.

    Attributes
    ----------
    simple, log, compounded : float
    """

    simple: float
    log: float
    compounded: float


def annualised(price: float, spot: float, days: float) -> Annual:
    r"""Return what a future's distance from spot comes to in a year.

    .. math:: \left(\tfrac{F}{S} - 1\right) \tfrac{365}{d}, \quad
              \ln\tfrac{F}{S} \cdot \tfrac{365}{d}, \quad
              \left(\tfrac{F}{S}\right)^{365 / d} - 1

    Parameters
    ----------
    price, spot : float, quote per base
    days : float
        Until expiry; positive.

    Returns
    -------
    Annual

    Raises
    ------
    ValueError
        If a price or the time left is not positive.

    Examples
    --------
    >>> [round(100 * value, 4) for value in annualised(61_500, 60_000, 90)]
    [10.1389, 10.0142, 10.5328]
    """
    if not min(price, spot, days) > 0:
        raise ValueError(f"prices and days left must be positive, not {price}, {spot}, {days}")
    years = days / _YEAR
    log = math.log(price / spot) / years
    return Annual((price / spot - 1) / years, log, math.expm1(log))


def at_maturity(days: Sequence[float], basis: Sequence[float], maturity: float) -> float:
    """Return the log basis of a fixed maturity, between the expiries of one curve.

    Linear in time. Before the first expiry it is read towards zero at zero days, which is what
    settlement makes of it, but only if that expiry is at most twice as far as the maturity.

    Parameters
    ----------
    days : sequence of float
        Until each expiry, rising.
    basis : sequence of float
        ln(F / S) of each, not annualised.
    maturity : float, days

    Returns
    -------
    float
        ln(F / S); NaN where no expiry lies on one of its sides.

    Examples
    --------
    A quarter of the way from 1 % at 30 days to 2 % at 70 days.

    >>> round(at_maturity([30, 70], [0.01, 0.02], 40), 6)
    0.0125
    >>> at_maturity([30, 70], [0.01, 0.02], 90)
    nan
    """
    if not len(days) or maturity > days[-1] or days[0] > 2 * maturity:
        return math.nan
    return float(np.interp(maturity, [0.0, *days], [0.0, *basis]))


def latest(quotes: pl.DataFrame, max_age: timedelta) -> pl.DataFrame:
    """Return the newest quote of each future, at the time of its exchange's newest.

    Parameters
    ----------
    quotes : DataFrame
        `time`, `exchange`, `symbol` (of the future), `price` and `spot` (quote per base), and
        `source`; with `known_at` where a row became known later.
    max_age : timedelta
        How much older than the exchange's newest a quote may be.

    Returns
    -------
    DataFrame
        `time`, one for each exchange, and `quoted`, when each price was.
    """
    newest = quotes.sort("time").unique(["exchange", "symbol"], keep="last", maintain_order=True)
    now = pl.col("time").max().over("exchange")
    fresh = pl.col("quoted") >= pl.col("time") - max_age
    return newest.with_columns(quoted="time", time=now).filter(fresh)


def on_grid(quotes: pl.DataFrame, every: timedelta, max_age: timedelta) -> pl.DataFrame:
    """Return what was known of each future at each instant of a grid.

    Parameters
    ----------
    quotes : DataFrame
        As of `latest`.
    every, max_age : timedelta
        As of `open_interest.snapshots`.
    """
    known = snapshots(quotes.with_columns(quoted="time"), every, max_age)
    return known.filter(pl.col("quoted").is_not_null())


def structure(quotes: pl.DataFrame, band: float = BAND) -> pl.DataFrame:
    """Return each curve: its expiries, its constant maturities, its slope.

    A curve is that of one contract (its currencies) on one exchange at one time.

    Parameters
    ----------
    quotes : DataFrame
        What `latest` or `on_grid` returns.
    band : float
        A basis nearer to zero than this is flat, fraction.

    Returns
    -------
    DataFrame
        By curve and `days` to run: `time`, `exchange`, `contract`, `kind` (``expiry``,
        ``constant`` or ``slope``), `maturity` (a date, ``30d``, or ``90d-30d``), `days`,
        `price` and `spot` (quote per base; of expiries), `basis` (F / S - 1, fraction),
        `simple`, `log` and `compounded` (fractions per year), `roll_yield` (fraction per year:
        what a long earns from this expiry to the one before it, or to spot, if the curve stays;
        negative where the curve rises), `state` (``contango``, ``backwardation`` or ``flat``),
        `source`, and the `reason` why a figure is null. The slope is the difference between
        the annual log bases of 90 and 30 days, in `log`.
    """
    expiries = _expiries(quotes, band)
    parts = [expiries]
    for _, one in expiries.group_by(_CURVE, maintain_order=True):
        parts.append(pl.DataFrame(_constants(one, band), schema=_COLUMNS))
    order = pl.col("kind").replace_strict({"expiry": 0, "constant": 1, "slope": 2})
    return pl.concat(parts).sort(*_CURVE, order, "days", nulls_last=True)


def _expiries(quotes: pl.DataFrame, band: float) -> pl.DataFrame:
    day = pl.col("symbol").str.extract(r"-(\d{6})$").str.to_datetime("%y%m%d", time_zone="UTC")
    expiry = day + pl.duration(hours=_EXPIRY_HOUR)
    rows = (
        quotes.filter(expiry > pl.col("time"))
        .with_columns(
            contract=pl.col("symbol").str.replace(r"-\d{6}$", ""),
            kind=pl.lit("expiry"),
            maturity=day.dt.strftime("%Y-%m-%d"),
            days=(expiry - pl.col("quoted")) / timedelta(days=1),
            basis=pl.col("price") / pl.col("spot") - 1,
        )
        .sort(*_CURVE, "days")
    )
    near, known = pl.col("days") < SHORTEST, pl.col("basis").is_not_null()
    total, years = pl.col("basis").log1p(), pl.col("days") / _YEAR
    annual = rows.with_columns(
        simple=pl.when(~near).then(pl.col("basis") / years),
        log=pl.when(~near).then(total / years),
        compounded=pl.when(~near).then((total / years).exp() - 1),
        state=_state(band),
        reason=pl.when(~known)
        .then(pl.lit("no index or spot price was known then"))
        .when(near)
        .then(pl.lit(f"less than {SHORTEST} days are left")),
    )
    usable = annual.filter(pl.col("log").is_not_null())
    before = {name: pl.col(name).shift(1, fill_value=0.0).over(_CURVE) for name in ("days", "log")}
    earned = pl.col("log") * pl.col("days") - before["log"] * before["days"]
    rolled = usable.select(
        *_CURVE, "maturity", roll_yield=-earned / (pl.col("days") - before["days"])
    )
    joined = annual.join(rolled, on=[*_CURVE, "maturity"], how="left", maintain_order="left")
    return joined.select(pl.col(name).cast(dtype) for name, dtype in _COLUMNS.items())


def _state(band: float) -> pl.Expr:
    basis = pl.col("basis")
    return (
        pl.when(basis > band)
        .then(pl.lit(STATES[0]))
        .when(basis < -band)
        .then(pl.lit(STATES[1]))
        .when(basis.is_not_null())
        .then(pl.lit(STATES[2]))
    )


def _constants(one: pl.DataFrame, band: float) -> list[dict[str, Any]]:
    """Return the constant maturities of one curve, and its slope."""
    usable = one.filter(pl.col("log").is_not_null())
    days = usable["days"].to_list()
    total = (usable["log"] * usable["days"] / _YEAR).to_list()
    curve = one.select(_CURVE).row(0, named=True)
    found = []
    for maturity in MATURITIES:
        value = at_maturity(days, total, maturity)
        row = {**curve, "kind": "constant", "maturity": f"{maturity}d", "days": float(maturity)}
        if math.isnan(value):
            found.append(row | {"reason": _gap(days, maturity)})
            continue
        made = annualised(math.exp(value), 1.0, maturity)
        basis = math.expm1(value)
        flat = "flat" if abs(basis) <= band else None
        state = flat or ("contango" if basis > 0 else "backwardation")
        found.append(row | made._asdict() | {"basis": basis, "state": state})
    return [*found, curve | _slope(found)]


def _slope(constants: list[dict[str, Any]]) -> dict[str, Any]:
    log = {row["maturity"]: row.get("log") for row in constants}
    near, far = log["30d"], log["90d"]
    slope = None if near is None or far is None else far - near
    reason = "30 or 90 days are not on the curve" if slope is None else None
    return {"kind": "slope", "maturity": "90d-30d", "log": slope, "reason": reason}


def _gap(days: list[float], maturity: float) -> str:
    if not days:
        return f"no expiry with {SHORTEST} days or more and a spot price"
    if maturity > days[-1]:
        return f"the last expiry is {days[-1]:.0f} days away"
    return f"the first expiry is {days[0]:.0f} days away"
