r"""What age makes of a mix of leverage: which positions are left, beside what the price took.

Positions of high leverage are closed sooner, some are given more margin, some have stops. But the
price takes those of high leverage too, and the inventory knows that: it must not be counted twice.
So measured positions are only held against what the inventory would still have of their kind.
Position :math:`i` of a side stands at its entry in tier :math:`k_i`, among the tiers :math:`A_i`
whose liquidation prices, of that entry, the price has not touched since it was first seen. New
positions have the mix :math:`w`, and after a while

.. math:: P(k_i = k) = \frac{w_k r_k}{\sum_{j \in A_i} w_j r_j},

with ratios :math:`r` of a side and age class, one where a tier lasts as long as the others. Their
likelihood counts each position by its dollars :math:`u_i`, scaled to sum to the number :math:`n`
that would be as sure if all were of one size, and has the prior
:math:`\mathrm{Gamma}(1 + c w_k, c w_k / b_k)`, whose mode :math:`b` is the ratio of the class
before, one in the youngest. Its mode is found by

.. math:: r_k \leftarrow \Big(c w_k + \sum_{i: k_i = k} u_i\Big) \Big/ \Big(\frac{c w_k}{b_k} +
          w_k \sum_{i: k \in A_i} \frac{u_i}{\sum_{j \in A_i} w_j r_j}\Big)

again and again, which raises it each time [1]_. How strong the prior is, chance decides: where
:math:`G^2`, twice the gain in log likelihood of the counts over those that :math:`b` expects, has d
degrees of freedom, the share :math:`\kappa = 1 - d / G^2` of it is no chance [2]_, and
:math:`c = n (1 - \kappa) / \kappa`; below d nothing is, and :math:`r = b`. As long as the price
took no tier, the youngest class has :math:`r_k = \kappa \cdot \mathrm{share}_k / w_k + 1 - \kappa`.

References
----------
.. [1] D. Hunter, "MM algorithms for generalized Bradley-Terry models", *Annals of Statistics*
   32(1), 2004: choices among what is left.
.. [2] W. James and C. Stein, "Estimation with quadratic loss", *Proceedings of the Fourth Berkeley
   Symposium* 1, 1961.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from plimsoll.analytics.bars import spacing
from plimsoll.analytics.margins import log_factors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plimsoll.analytics.inventory import Parameters

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Ints = NDArray[np.int64]

__all__ = ["aged", "apart", "effective"]

_SIDES: tuple[Literal["long"], Literal["short"]] = ("long", "short")
_CLOSE = 1e-12
_ROUNDS = 1_000
_TOLD: dict[str, Any] = {
    "side": pl.String,
    "age_from": pl.Float64,
    "age_until": pl.Float64,
    "positions": pl.Int64,
    "effective": pl.Float64,
    "own": pl.Float64,
}


def effective(usd: Floats) -> float:
    """Return how many positions of one size would be as sure as these."""
    return float(usd.sum() ** 2 / (usd**2).sum()) if usd.any() else 0.0


def apart(seen: Floats, expected: Floats, freedom: int) -> float:
    """Return how much of the difference between counts and what is expected is no chance.

    Parameters
    ----------
    seen, expected : ndarray, positions of one size
        Of one sum.
    freedom : int
        By how many numbers chance may make them differ.

    Returns
    -------
    float, fraction

    Examples
    --------
    >>> import numpy as np
    >>> apart(np.array([60.0, 40.0]), np.array([50.0, 50.0]), 1).__round__(3)  # G² = 4.027
    0.752
    """
    told = seen > 0
    gain = 2 * float((seen[told] * np.log(seen[told] / expected[told])).sum())
    return max(0.0, 1 - freedom / gain) if gain > 0 else 0.0


def aged(
    rows: pl.DataFrame, bars: pl.DataFrame, parameters: Parameters
) -> tuple[Floats, pl.DataFrame]:
    """Return how the tiers of each side and age class last, and how much tells so.

    Parameters
    ----------
    rows : DataFrame
        What `positions.followed` returns, with `usd` and `at`, the tier's number.
    bars : DataFrame
        Of the market that is mapped, evenly spaced: `time`, `low`, `high`, and those of the mark
        price where known. Positions first seen before are left out.
    parameters : Parameters
        Tiers, mixes and age classes.

    Returns
    -------
    ratios : ndarray, shape (2, tiers, age classes), dimensionless
    told : DataFrame
        `side`, `age_from` and `age_until` (hours since first seen), how many `positions` were seen
        at that age, how many of one size would be as sure (`effective`), and what share of their
        difference from the class before is no chance (`own`).
    """
    known = rows.filter(pl.col("opened") >= bars["time"][0]).sort("spell", "seen")
    hours = (known["seen"] - known["opened"]).dt.total_seconds().to_numpy() / 3_600
    classes = np.searchsorted(parameters.ages, hours, side="right")
    known = known.with_columns(pl.Series("age", classes), *_path(known, bars))
    ends = (0.0, *parameters.ages, None)
    ratios = np.ones((2, len(parameters.leverage), len(parameters.closing)))
    told: list[tuple[Any, ...]] = []
    for side, name in enumerate(_SIDES):
        mix = np.asarray(parameters.shorts if side and parameters.shorts else parameters.weights)
        before = ratios[side, :, 0]
        for age in range(len(parameters.closing)):
            own = known.filter(side=name, age=age)
            left = _left(own, log_factors(parameters)[side], name) & (mix > 0)
            known_to_model = left[np.arange(len(own)), own["at"].to_numpy()]
            own, left = own.filter(pl.Series(known_to_model)), left[known_to_model]
            usd, *sure = _counted(own)
            before, share = _likeliest(usd, own["at"].to_numpy(), left * mix, mix, before)
            ratios[side, :, age] = before
            told.append((name, *ends[age : age + 2], *sure, share))
    return ratios, pl.DataFrame(told, schema=_TOLD, orient="row")


def _path(rows: pl.DataFrame, bars: pl.DataFrame) -> list[pl.Series]:
    """Return how low and high the price was in the bars from the first look to each."""
    opens, length = bars["time"].to_numpy(), np.timedelta64(spacing(bars))
    start = np.searchsorted(opens, rows["opened"].to_numpy())
    stop = np.searchsorted(opens, rows["seen"].to_numpy() - length, side="right")
    pairs = np.ravel(np.column_stack([start, np.maximum(start, stop)]))
    found = []
    for name, extreme, none in (("low", np.minimum, np.inf), ("high", np.maximum, -np.inf)):
        columns = [one for one in (f"mark_{name}", name) if one in bars.columns]
        prices = bars.select(pl.coalesce(columns).fill_null(none)).to_series().to_numpy()
        reached = extreme.reduceat(np.append(prices, none), pairs)[::2]
        found.append(pl.Series(name, np.where(start < stop, reached, none)))
    return found


def _left(rows: pl.DataFrame, shift: Floats, side: str) -> Flags:
    """Return which tiers the price has left at each position's entry; shape (rows, tiers)."""
    liquidated = rows["entry_price"].to_numpy()[:, None] * np.exp(shift)
    low, high = (rows[name].to_numpy()[:, None] for name in ("low", "high"))
    left: Flags = liquidated < low if side == "long" else liquidated > high
    return left


def _counted(rows: pl.DataFrame) -> tuple[Floats, int, float]:
    """Return what each row counts, of how many positions, and as many of one size as are as sure.

    A position seen several times counts once.
    """
    each = rows.group_by("spell").agg(pl.mean("usd"))["usd"].to_numpy()
    sure = effective(each)
    usd = rows.select(pl.col("usd") / pl.len().over("spell")).to_series().to_numpy()
    return usd * (sure / each.sum() if sure else 0.0), len(each), sure


def _likeliest(
    usd: Floats, at: Ints, chosen: Floats, mix: Floats, before: Floats
) -> tuple[Floats, float]:
    """Return the ratios of one side and age class, and how much of them is no chance.

    `chosen` is the mix among what the price has left at each row's entry.
    """
    seen: Floats = np.bincount(at, usd, minlength=len(mix)).astype(np.float64)

    def expected(ratio: Floats) -> Floats:
        """Return what is expected of each tier, over its own ratio."""
        found: Floats = chosen.T @ (usd / (chosen @ ratio))
        return found

    likely = expected(before) * before
    share = apart(seen, likely, int(np.count_nonzero(likely)) - 1)
    if not share:
        return before, share
    prior, ratio = mix * usd.sum() * (1 - share) / share, before
    for _ in range(_ROUNDS):
        known = expected(ratio) + prior / before
        better = np.divide(seen + prior, known, out=before.copy(), where=known > 0)
        done = np.abs(better - ratio).max() < _CLOSE
        ratio = better
        if done:
            break
    return ratio, share
