r"""Gamma exposure: how many dollars of delta must be traded where the price moves by one percent.

.. math:: \mathrm{GEX} = \sum_i q_i \, \Gamma_i \, F_i^2 \cdot 0.01

with gamma of Black-76 on the forward, and :math:`q` the amount that those hold who hedge their
delta. Who that is no exchange says, so there are three sums: of all open interest without a sign;
with the sign that is usual for shares, as if dealers were long every call and short every put; and
with dealers on the other side of what takers have bought and sold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from plimsoll.analytics import black

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = ["SEEN", "SIGNS", "Level", "dollars", "exposure", "profile", "taken", "zero_gamma"]

SEEN = 0.7
"""Share of an option's open interest that must have been opened in trades seen."""
SIGNS = ("unsigned", "naive", "taker")
_ENOUGH = 0.5
"""Share of all open interest that must stand in such options before a sum of takers is told."""
_REACH = np.log(1.6)
_STEPS = 241
_MARKET = ("exchange", "symbol")


def dollars(gamma: ArrayLike, amount: ArrayLike, forward: ArrayLike) -> Floats:
    """Return dollars of delta to be traded for a move of one percent.

    Parameters
    ----------
    gamma : array_like, delta per quote unit of the forward
    amount : array_like, base units
    forward : array_like, quote per base

    Returns
    -------
    ndarray, quote units per percent

    Examples
    --------
    >>> float(dollars(9.596789e-5, 1_000, 60_000).round())
    3454844.0
    """
    price = np.asarray(forward, dtype=np.float64)
    found: Floats = np.asarray(gamma) * np.asarray(amount) * price**2 * 0.01
    return found


def taken(chain: pl.DataFrame, trades: pl.DataFrame, opening: pl.DataFrame) -> pl.DataFrame:
    """Add what takers have bought of each option, and how much of its open interest that explains.

    Parameters
    ----------
    chain : DataFrame
    trades : DataFrame
        Rows of the `trade` table, of options.
    opening : DataFrame
        `exchange`, `symbol`, `opening`: base units that stood open when trades began to be seen.

    Returns
    -------
    DataFrame
        The chain with `taken`, base units bought less sold by takers in trades known by `at`;
        and `seen`, the least share of the open interest that was opened in them: what has come
        since `opening`, and no more than was traded, less all that was traded in blocks. Null
        where no trade of the option is known. A block was arranged, so that nobody took it and
        either side may be the one who hedges; a trade whose `origin` is unknown counts as taken.
    """
    block = pl.col("origin").eq_missing("block")
    amount = pl.when(block).then(0.0).otherwise(pl.col("amount"))
    signed = pl.when(pl.col("side") == "buy").then(amount).otherwise(-amount)
    flows = (
        trades.with_columns(at=pl.coalesce("known_at", "time"))
        .sort("at")
        .select(
            *_MARKET,
            "at",
            signed.cum_sum().over(_MARKET).alias("taken"),
            pl.col("amount").cum_sum().over(_MARKET).alias("_traded"),
            (pl.col("amount") - amount).cum_sum().over(_MARKET).alias("_blocks"),
        )
    )
    known = (
        chain.sort("at")
        .join_asof(flows, on="at", by=list(_MARKET), check_sortedness=False)
        .join(opening, on=_MARKET, how="left", maintain_order="left")
    )
    since = pl.min_horizontal(pl.col("open_interest") - pl.col("opening"), "_traded")
    return known.with_columns(
        seen=pl.when((pl.col("open_interest") > 0) & pl.col("_traded").is_not_null()).then(
            ((since - pl.col("_blocks")) / pl.col("open_interest")).clip(0, 1)
        )
    ).drop("_traded", "_blocks", "opening")


def _signed(chain: pl.DataFrame) -> dict[str, pl.Expr]:
    """Return the amount of each option that those hold who hedge, by kind of sign."""
    held = pl.col("open_interest")
    signs = {
        "unsigned": held,
        "naive": pl.when(pl.col("kind") == "call").then(held).otherwise(-held),
    }
    seen = "taken" in chain.columns
    told = pl.when(pl.col("seen") >= SEEN).then(-pl.col("taken")) if seen else pl.lit(None)
    return {**signs, "taker": told.cast(pl.Float64)}


def exposure(chain: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return gamma exposure three ways.

    Parameters
    ----------
    chain : DataFrame
        With `taken` and `seen` where trades are known.
    *by : str
        Columns to group by within each moment.

    Returns
    -------
    DataFrame
        `at` and `by`; `unsigned_usd`, `naive_usd` and `taker_usd`, dollars of delta for a move of
        one percent, positive where hedgers sell into a rise; `coverage` (fraction) of the open
        interest whose gamma is known, and `taker_coverage`, of that which stands in options of
        which `SEEN` or more was opened in trades seen. `taker_usd` is of those options alone.
        Null where nothing is known.
    """
    held, unit = pl.col("open_interest"), pl.col("gamma") * pl.col("forward") ** 2 * 0.01
    signed = _signed(chain)
    sums = []
    for name, amount in signed.items():
        each = amount * unit
        sums.append(pl.when(each.count() > 0).then(each.sum()).alias(f"{name}_usd"))
    some = pl.when(held.sum() > 0)
    covered = some.then(held.filter(unit.is_not_null()).sum() / held.sum())
    seen = some.then(held.filter((signed["taker"] * unit).is_not_null()).sum() / held.sum())
    return (
        chain.group_by("at", *by)
        .agg(*sums, covered.alias("coverage"), seen.alias("taker_coverage"))
        .sort("at", *by)
    )


def profile(chain: pl.DataFrame) -> pl.DataFrame:
    """Return what gamma exposure would be at other prices, at one moment.

    Every option's gamma is computed anew with its forward moved in proportion, its time left as it
    is, and the volatility that an option as far from the money has now (sticky delta).

    Parameters
    ----------
    chain : DataFrame
        Of one moment; with `taken` and `seen` where trades are known.

    Returns
    -------
    DataFrame
        `price` (quote per base; the index over and times up to 1.6), rising; `unsigned_usd`,
        `naive_usd`, `taker_usd` as in `exposure`. Without rows where nothing has a gamma.

    Raises
    ------
    ValueError
        If the chain is of several moments.
    """
    if chain["at"].n_unique() > 1:
        raise ValueError("a profile is of one moment; this chain is of several")
    rows = chain.filter(pl.col("gamma").is_not_null() & (pl.col("open_interest") > 0))
    schema = dict.fromkeys(("price", *(f"{name}_usd" for name in SIGNS)), pl.Float64)
    if not rows.height:
        return pl.DataFrame(schema=schema)
    amounts = rows.select(**_signed(rows)).to_numpy().T
    shifts = np.linspace(-_REACH, _REACH, _STEPS)
    total = np.zeros((len(SIGNS), _STEPS))
    for smile, at in _smiles(chain, rows):
        total += np.nan_to_num(amounts[:, at]) @ _moved(rows[at], smile, shifts)
    known = ~np.all(np.isnan(amounts), axis=1)
    price = rows.select(pl.coalesce("index", "forward").median()).item() * np.exp(shifts)
    columns = {
        f"{name}_usd": total[k] if known[k] else np.full(_STEPS, np.nan)
        for k, name in enumerate(SIGNS)
    }
    return pl.DataFrame({"price": price, **columns}, schema=schema, nan_to_null=True)


def _smiles(
    chain: pl.DataFrame, rows: pl.DataFrame
) -> list[tuple[tuple[Floats, Floats], NDArray[np.intp]]]:
    """Return each expiry's volatility by log moneyness, and which rows are of it."""
    slot = ("exchange", "family", "expiry")
    call = pl.col("kind") == "call"
    out = pl.when(call).then(pl.col("strike") >= pl.col("forward"))
    whole = chain.filter(
        pl.col("gamma").is_not_null() & out.otherwise(pl.col("strike") < pl.col("forward"))
    ).with_columns(k=(pl.col("strike") / pl.col("forward")).log())
    found = []
    for name, one in rows.with_row_index("_row").group_by(slot, maintain_order=True):
        quoted = whole.filter(
            pl.all_horizontal(pl.col(key) == value for key, value in zip(slot, name, strict=True))
        )
        curve = (quoted if quoted.height else one.with_columns(k=pl.lit(0.0))).sort("k")
        found.append(((curve["k"].to_numpy(), curve["iv"].to_numpy()), one["_row"].to_numpy()))
    return found


def _moved(rows: pl.DataFrame, smile: tuple[Floats, Floats], shifts: Floats) -> Floats:
    """Return dollars for a percent of one base unit of each option, at each shifted forward."""
    strike, forward, years = (
        rows[name].to_numpy()[:, None] for name in ("strike", "forward", "years")
    )
    moved = forward * np.exp(shifts)[None, :]
    volatility = np.interp(np.log(strike / moved), *smile)
    return dollars(black.gamma(moved, strike, years, volatility), 1.0, moved)


class Level(NamedTuple):
    """The price at which gamma exposure changes its sign, or why none is told.

    Attributes
    ----------
    price : float or None, quote per base
    reason : str or None
        In words, where there is no price.
    """

    price: float | None
    reason: str | None = None


def zero_gamma(profile: pl.DataFrame, sign: str, price: float, coverage: float | None) -> Level:
    """Return the price nearest to the present one at which gamma exposure is zero.

    Parameters
    ----------
    profile : DataFrame
        As `profile` returns it.
    sign : {"naive", "taker"}
    price : float, quote per base
        The index now.
    coverage : float or None, fraction
        Of open interest that the sum is of.

    Returns
    -------
    Level
        Without a price where less than half of the open interest is covered, and where the sum
        keeps its sign at every price looked at.

    Raises
    ------
    ValueError
        If the sum has no sign.
    """
    if sign not in SIGNS[1:]:
        raise ValueError(f"{sign} is no sum with a sign; known: {', '.join(SIGNS[1:])}")
    if coverage is None or coverage < _ENOUGH:
        told = "no" if not coverage else f"{100 * coverage:.0f} % of"
        what = "a gamma" if sign == "naive" else "trades that explain it"
        return Level(None, f"{told} open interest has {what}; {100 * _ENOUGH:.0f} % is needed")
    values, at = profile[f"{sign}_usd"].to_numpy(), np.log(profile["price"].to_numpy())
    turns = np.flatnonzero(values[:-1] * values[1:] < 0)
    if not len(turns):
        low, high = profile["price"][0], profile["price"][-1]
        return Level(None, f"it keeps its sign from {low:,.0f} to {high:,.0f}")
    share = values[turns] / (values[turns] - values[turns + 1])
    roots = np.exp(at[turns] + share * (at[turns + 1] - at[turns]))
    return Level(float(roots[np.argmin(np.abs(np.log(roots / price)))]))
