"""What a position that is long one market and short another has earned, net of fees.

Long and short are of one coin, so that its price cancels and what is left are settlements of
funding, the change of the gap between the two prices, and fees. Everything is a fraction of
the dollars the long side cost when it was opened, and with an inverse short of the dollars sold.
Margin of a linear short is extra; of an inverse one the coins are.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["FEES", "NEVER_TOGETHER", "UNPRICED", "Leg", "carry", "exact_sums", "outcome"]

FEES = {"spot": 0.001, "perpetual": 0.0005}
"""What a taker without discount has mostly paid for each trade, fraction of its worth."""

UNPRICED = "no price of it is stored"
NEVER_TOGETHER = "the prices of both are known together at no two instants with funding"
"""Why nothing was earned."""
_DAY = timedelta(days=1)
_OUTCOME = (
    *("since", "until", "days", "settlements", "missing"),
    *("rates", "funding", "basis", "fees", "net"),
)
_COLUMNS = {
    "time": pl.Datetime("us", "UTC"),
    "long_price": pl.Float64(),
    "short_price": pl.Float64(),
    "rate": pl.Float64(),
    "settlements": pl.Int64(),
    "missing": pl.Int64(),
    "rates": pl.Float64(),
    "funding": pl.Float64(),
    "basis": pl.Float64(),
    "fees": pl.Float64(),
    "net": pl.Float64(),
}


class Leg(NamedTuple):
    """One side of a position.

    Attributes
    ----------
    kind : {"spot", "linear", "inverse"}
        A linear leg holds coins, an inverse one contracts worth a constant number of dollars.
    prices : DataFrame
        `time` from which it is known, and `price` (quote per base).
    settled : DataFrame
        `time`, `rate` (fraction per interval) and `interval_hours`; no rows for spot.
    fee : float, fraction of the worth of a trade
    """

    kind: Literal["spot", "linear", "inverse"]
    prices: pl.DataFrame
    settled: pl.DataFrame
    fee: float


def exact_sums(values: Iterable[float]) -> Iterator[float]:
    """Yield the running sum, each time rounded once, as if it had been added without error.

    Examples
    --------
    >>> list(exact_sums([1.0, 1e-16, 1e-16, -1.0]))[-1]
    2e-16
    """
    parts: list[float] = []
    for value in values:
        rest, kept = value, []
        for part in parts:
            large, small = (rest, part) if abs(rest) >= abs(part) else (part, rest)
            rest = large + small
            if error := small - (rest - large):
                kept.append(error)
        parts = [*kept, rest]
        yield math.fsum(parts)


def carry(long: Leg, short: Leg) -> pl.DataFrame:
    r"""Return what a position has earned up to each settlement.

    It is opened at the first and closed at the last instant at which both prices are known,
    between the first and the last settlement stored of either leg. With entry prices
    :math:`L_0, S_0` and as many coins long as short,

    .. math:: \mathrm{basis}_t = \frac{(L_t - S_t) - (L_0 - S_0)}{L_0}, \quad
              \mathrm{funding}_t = \sum_{i \le t} F^S_i \frac{S_i}{L_0}
                                 - \sum_{i \le t} F^L_i \frac{L_i}{L_0}

    An inverse contract keeps its dollars instead of its coins, and pays in coins, which are worth
    :math:`L_t`. Of a dollar sold its settlements are :math:`F_i`, and of one coin held against
    :math:`S_0` dollars :math:`S_0 / S_t` coins are left, so that

    .. math:: \mathrm{basis}_t = \frac{L_t}{S_t} - \frac{L_0}{S_0}

    and :math:`L_t / L_0 - 1 + L_t / S_t - L_t / S_0` where the long one is inverse too.

    Parameters
    ----------
    long, short : Leg
        The long one is a spot market, or both are linear, or both inverse.

    Returns
    -------
    DataFrame
        `time` of the opening, of each settlement after it and of the close; `long_price`,
        `short_price` (quote per base); `rate` (settled then, net, fraction); and up to then
        `settlements` (count), `missing` (count of those not stored, or without a price of the
        day before), `rates` (the plain sum of net rates), `funding`, `basis`, `fees` (if it
        were closed then) and `net` (funding + basis - fees), fractions. No rows if both prices
        are known at fewer than two instants.

    Raises
    ------
    ValueError
        If the two do not keep the same size: a short of spot, or a linear and an inverse one.

    Notes
    -----
    A settlement counts if it comes after the opening, up to the close. A missing one adds
    nothing; `missing` says that the sums are short of it. Sums are exact: as if no addition
    had been rounded, but the last.
    """
    if short.kind == "spot" or long.kind not in {"spot", short.kind}:
        raise ValueError(f"no carry is earned long {long.kind} and short {short.kind}")
    both = _both(long, short)
    if both.height < 2:
        return pl.DataFrame(schema=_COLUMNS)
    opened, closed = both["time"][0], both["time"][-1]
    entry = both["long_price"][0]
    paid = pl.concat(
        [
            _payments(long, -1, both.select("time", price="long_price"), entry),
            _payments(short, 1, both.select("time", price="short_price"), entry),
        ]
    ).filter(pl.col("time").is_between(opened, closed, closed="right"))
    ends = pl.DataFrame({"time": [opened, closed]}, schema={"time": both.schema["time"]})
    grid = ends.join(_summed(paid), on="time", how="full", coalesce=True).sort("time")
    return _valued(grid.join_asof(both, on="time"), long, short)


def outcome(earned: pl.DataFrame) -> dict[str, object]:
    """Return what a position had earned when it was closed.

    Parameters
    ----------
    earned : DataFrame
        What `carry` returns.

    Returns
    -------
    dict
        `since`, `until`, `days`, and of the last row `settlements`, `missing`, `rates`,
        `funding`, `basis`, `fees` and `net`; all but `reason` null where nothing was earned,
        and `reason` says why.
    """
    if not earned.height:
        return dict.fromkeys(_OUTCOME) | {"reason": NEVER_TOGETHER}
    last, since = earned.row(-1, named=True), earned["time"][0]
    days = (last["time"] - since) / _DAY
    kept = {name: last[name] for name in _OUTCOME if name in last}
    return {"since": since, "until": last["time"], "days": days, **kept, "reason": None}


def _both(long: Leg, short: Leg) -> pl.DataFrame:
    """Return the instants at which both prices are known, within the funding stored."""
    both = (
        long.prices.select("time", long_price="price")
        .join(short.prices.select("time", short_price="price"), on="time")
        .drop_nulls()
        .sort("time")
    )
    for leg in (long, short):
        if leg.kind != "spot":
            hours = leg.settled["time"].dt.round("1h")
            both = both.filter(pl.col("time").is_between(hours.min(), hours.max()))
    return both


def _payments(leg: Leg, side: int, prices: pl.DataFrame, entry: float) -> pl.DataFrame:
    """Return what each settlement brought; nothing where no price of the day is known."""
    worth = pl.lit(1.0) if leg.kind == "inverse" else pl.col("price") / entry
    step = pl.col("time").diff().dt.total_hours() / pl.col("interval_hours")
    rate, known = side * pl.col("rate"), pl.col("price").is_not_null()
    skipped = (step.round() - 1).clip(0).fill_null(0).cast(pl.Int64)
    return (
        leg.settled.with_columns(pl.col("time").dt.round("1h"))
        .sort("time")
        .join_asof(prices, on="time", tolerance=_DAY)
        .select(
            "time",
            rate=pl.when(known).then(rate),
            paid=pl.when(known).then(rate * worth),
            missing=skipped + (~known).cast(pl.Int64),
        )
    )


def _summed(paid: pl.DataFrame) -> pl.DataFrame:
    """Return the running sums at each settlement."""
    rows = paid.sort("time", maintain_order=True)
    rows = rows.with_columns(
        rates=pl.Series(exact_sums(rows["rate"].fill_null(0)), dtype=pl.Float64),
        funding=pl.Series(exact_sums(rows["paid"].fill_null(0)), dtype=pl.Float64),
        settlements=pl.col("paid").is_not_null().cum_sum().cast(pl.Int64),
        missing=pl.col("missing").cum_sum(),
    )
    return rows.group_by("time", maintain_order=True).agg(
        pl.col("rate").sum(), pl.col("rates", "funding", "settlements", "missing").last()
    )


def _valued(grid: pl.DataFrame, long: Leg, short: Leg) -> pl.DataFrame:
    """Return the position's worth at each moment, as if it were closed there."""
    lt, st = pl.col("long_price"), pl.col("short_price")
    l0, s0 = lt.first(), st.first()
    match long.kind, short.kind:
        case "inverse", "inverse":
            basis, bought, sold = (lt / l0 - lt / s0) + (lt / st - 1), pl.lit(2.0), pl.lit(2.0)
        case "spot", "inverse":
            basis, bought, sold = lt / st - l0 / s0, l0 / s0 + lt / st, pl.lit(2.0)
        case _:
            basis, bought, sold = ((lt - st) - (l0 - s0)) / l0, 1 + lt / l0, (s0 + st) / l0
    sums = pl.col("rates", "funding", "settlements", "missing")
    return grid.with_columns(
        sums.forward_fill().fill_null(0),
        basis=basis,
        fees=long.fee * bought + short.fee * sold,
    ).select(*list(_COLUMNS)[:-1], net=pl.col("funding") + pl.col("basis") - pl.col("fees"))
