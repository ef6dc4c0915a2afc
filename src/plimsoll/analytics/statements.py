"""What is said beside numbers: a code with its figures, so that any face finds its own words.

The English of each stands here; the page has its English and Chinese by the same codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from plimsoll.analytics.distances import Distances
    from plimsoll.analytics.fitting import Fitted

    Statement = Mapping[str, Any]

__all__ = ["FINDING", "GRADED", "LARGEST", "MAPPED", "english", "leverage_mix"]

FINDING = pl.Struct({"code": pl.String, "figure": pl.Float64, "named": pl.String})
"""A reason for a grade: its code, its number, and what it names; null where it has none."""
GRADED = {
    "silent": "silent: nothing recent is reported",
    "reported": "reported {figure:.0%} of the {named}",
    "stale": "stale: unchanged for {figure:.3g} h while others moved",
    "stale_share": "stale {figure:.0%} of the {named}",
    "stood": "stood still for {figure:.3g} h while others moved",
    "lagging": "lagging: {figure:g} minutes late",
    "price_apart": "its price is {figure:.3g} times that of the others",
    "disagrees": "value and amount disagree: their price is {figure:.3f} of trades'",
    "even": "counted double: every amount is an even number of contracts",
    "moved_more": "moved by more than was traded {figure:.1%} of the time",
    "fast": "trades {figure:.2g} times as fast as others",
    "unit_price": "wrong unit: dollars per coin are {figure:.3g} times the price",
    "unit_price_as": "wrong unit: dollars per coin are {figure:.3g} times the price, as {named}",
    "unit_moved": "wrong unit: moved by more than was traded {figure:.0%} of the time",
    "unit_fast": "wrong unit: trades {figure:.2g} times as fast as others",
    "unit_rose": "wrong unit: rose {figure:.3g} times at once at {named}, by more than was traded",
    "unit_fell": "wrong unit: fell to {figure:.3g} at once at {named}, by more than was traded",
    "double_rose": "counted double: rose {figure:.3g} times at once at {named}, by more than was "
    "traded",
    "double_fell": "counted double: fell to {figure:.3g} at once at {named}, by more than was "
    "traded",
    "sign": "the sign is turned",
    "times_large": "wrong interval: {figure:g} times too large",
    "times_small": "wrong interval: {figure:g} times too small",
    "percent": "wrong unit: {figure:g} times too large, as percent for a fraction",
    "hundredth": "wrong unit: {figure:g} times too small, as if divided by 100 twice",
    "enormous": "wrong unit: half of its rates are beyond {figure:.0%} for eight hours",
    "interval": "wrong interval: states an interval of {named} h and settles every {figure:g} h",
    "shifted_late": "shifted: its stamps are {figure:g} h late",
    "shifted_early": "shifted: its stamps are {figure:g} h early",
    "off_clock": "settles {figure:g} h after the hours at which others of {named} h do",
    "contradicts": "contradicts itself: its ratio is {figure:.3g} times what its share says",
    "odd": "wrong unit: its ratio is {figure:.3g}",
    "odd_others": "wrong unit: its ratio is {figure:.3g} times that of the others",
    "turned": "the ratio is turned: it falls when others rise",
}
"""Why a market has its grade."""
MAPPED = {
    "prior": "leverage mix is a prior, not fitted",
    "measured": "leverage mix from the liquidation distances of {positions} positions, "
    "{exchanges}, {sides}, {age}",
    "fitted": "leverage mix fitted to {orders} orders liquidated",
    "fitted_nothing": "leverage mix fitted to {orders} orders liquidated, which tell nothing: it "
    "is the prior",
    "clamped": "they ask for more than all open interest: held to all of it",
    "fitted_markets": "leverage mix of {markets} markets fitted to their liquidations",
    "maintenance_flat": "maintenance {rate:.3g} for all sizes{market}",
    "maintenance_first": "maintenance of the first bracket for all sizes{market}",
    "maintenance_sizes": "maintenance by notional from {positions} measured positions{market}",
    "maintenance_sizes_of": "maintenance by notional from {positions} measured positions of "
    "{exchanges}{market}",
    "maintenance": "maintenance {rate:.3g} from {since} on, of open positions too",
    "not_scored": "not scored",
    "score": "skill over the same map without open interest {skill:+.2f} ({low:+.2f} to "
    "{high:+.2f}) on {days} days",
    "only_tiers": "only leverage {tiers} of it",
    "score_of_whole": "the whole fitted map's skill over the same map without open interest "
    "{skill:+.2f} ({low:+.2f} to {high:+.2f}) on {days} days",
    "score_of_fitted": "the fitted map's skill over the same map without open interest "
    "{skill:+.2f} ({low:+.2f} to {high:+.2f}) on {days} days",
}
"""What has to be known of a map."""
LARGEST = " in the largest market"
"""Whose maintenance is taken, of several markets."""


def english(statements: Iterable[Statement]) -> list[str]:
    """Return each statement as English.

    Examples
    --------
    >>> english([{"code": "lagging", "figure": 15.0}])
    ['lagging: 15 minutes late']
    """
    words = GRADED | MAPPED
    return [words[one["code"]].format(**one) for one in statements]


def leverage_mix(
    fit: Fitted | None,
    distances: Distances | None,
    fits: int = 0,
    shown: Sequence[float] | None = None,
) -> Iterator[dict[str, object]]:
    """Yield where a map's leverage mix is from.

    Parameters
    ----------
    fit : Fitted or None
        What it was fitted to; None of several markets.
    distances : Distances or None
        The measured distances it is from.
    fits : int
        Of several markets, how many are fitted.
    shown : sequence of float, optional
        Which leverages alone are shown.
    """
    if fit is not None:
        tells = fit.identified.any()
        yield {"code": "fitted" if tells else "fitted_nothing", "orders": fit.orders}
        if fit.clamped:
            yield {"code": "clamped"}
    elif fits:
        yield {"code": "fitted_markets", "markets": fits}
    elif distances is not None:
        yield distances.statement
    else:
        yield {"code": "prior"}
    if shown is not None:
        yield {"code": "only_tiers", "tiers": ", ".join(f"{one:.3g}" for one in shown) or "none"}
