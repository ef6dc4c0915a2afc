"""Whether our mathematics of options agrees with an exchange's own, over all chains stored.

Each moment at which a whole chain was quoted at once is taken: volatility implied by the mark
against the one stated, parity of calls and puts at the stated forward, smiles fitted to the
implied volatility, what futures cost over the index, and the index of `volatility_index`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from plimsoll.analytics import options, surface, volatility_index
from plimsoll.analytics.chain import BOOK, chain
from plimsoll.errors import NoSuchData
from plimsoll.measures.asking import rows_of
from plimsoll.measures.chains import pieces
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.measures.asking import Asked

__all__ = ["CLOSE", "DELTAS", "ChainStudy", "study"]

DELTAS = (0.1, 0.9)
"""Absolute deltas between which implied volatility is held against the stated."""
CLOSE = 0.001
"""A difference of volatility that counts as none (fraction)."""
_WHOLE = 20
"""Options that make a chain, quoted at one moment."""
_SLOT = ("at", *BOOK, "expiry")


@dataclass(frozen=True)
class ChainStudy:
    """What a study of chains found, by span to expiry; the last row is of all.

    Attributes
    ----------
    volatility : DataFrame
        `options` with an absolute delta in `DELTAS`, `median`, `p90` and `p99` of the absolute
        difference between implied and stated volatility (fraction), the share that is `close`.
    parity : DataFrame
        `pairs` of calls and puts, `median` and `p99` of how far their marks miss parity at the
        forward the exchange states (settlement units per base).
    smiles : DataFrame
        `expiries` fitted, by a curve of their own, `few` by the common form; `median` and `p95`
        of a curve's error (fraction); shares without butterflies within the `quoted` strikes and
        `anywhere`, and `crossing` the expiry before; then `refitted`, the share fitted anew, with
        the `mended_median` of the error and the share still with `arbitrage`, after that.
    basis : DataFrame
        `expiries` with a stated forward; `median`, `p5` and `p95` of forward over index, less
        one, for a year (fraction); share that is `positive`.
    index : DataFrame
        `at`, `value`, `why_none` (`volatility_index.index`), and `atm` at 30 days.
    reasons : DataFrame
        `why_none`, and how many `options` had no implied volatility for it.
    facts : dict
        Counts and times; the index in a few figures.
    """

    volatility: pl.DataFrame
    parity: pl.DataFrame
    smiles: pl.DataFrame
    basis: pl.DataFrame
    index: pl.DataFrame
    reasons: pl.DataFrame
    facts: dict[str, Any]

    def describe(self) -> dict[str, Any]:
        """Return everything as plain values, tables as columns."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value.to_dict(as_series=False) if isinstance(value, pl.DataFrame) else value
            for name, value in found.items()
        }


def study(store: Path, market: str, asked: Asked) -> ChainStudy:
    """Hold our mathematics against all chains stored.

    Parameters
    ----------
    store : Path
    market : str
        A coin, or underlying and settlement.
    asked : Asked

    Returns
    -------
    ChainStudy

    Raises
    ------
    NoSuchData
        If no chain is stored that was quoted at once.
    """
    reader = Reader(store)
    parts = []
    for since, until in pieces(reader, market, asked):
        if asked.since is not None and until <= asked.since:
            continue
        span = asked._replace(since=max(since, asked.since or since), until=until)
        rows = rows_of(reader, "option_quote", market, span)
        counts = rows.group_by("time").len().filter(pl.col("len") >= _WHOLE)
        if counts.height:
            parts.append(_part(chain(rows, counts["time"], timedelta(0))))
    if not parts:
        raise NoSuchData(
            f"no chain of options on {market} that was quoted at once is stored in that span"
        )
    whole = {name: pl.concat(part[name] for part in parts) for name in parts[0]}
    slices = whole["slices"]
    return ChainStudy(
        volatility=_spans(whole["rows"].filter(pl.col("missed").is_not_null()), _volatility()),
        parity=_spans(whole["pairs"], _parity()),
        smiles=_spans(slices.filter(pl.col("method").is_not_null()), _smiles()),
        basis=_spans(whole["basis"], _basis()),
        index=whole["index"],
        reasons=whole["rows"]
        .filter(pl.col("why_none").is_not_null())
        .group_by("why_none")
        .agg(options=pl.len())
        .sort("options", descending=True),
        facts={
            "options": whole["rows"].height,
            "moments": slices["at"].n_unique(),
            "expiries": slices.height,
            "forward_by_parity": whole["rows"]["forward_from"].eq("parity").sum(),
            "since": slices["at"].min(),
            "until": slices["at"].max(),
            **_told(whole["index"]),
        },
    )


def _part(now: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return what a stretch of chains says, option by option, pair by pair, expiry by expiry."""
    now = surface.implied(now)
    between = pl.col("delta").abs().is_between(*DELTAS)
    missed = (pl.col("implied") - pl.col("iv")).abs()
    rows = now.select(
        "days", "forward_from", "why_none", missed=pl.when(between).then(missed)
    ).with_columns(options.tenor())
    slices = surface.fit(now, "implied")
    month = surface.term_structure(slices, [volatility_index.DAYS])
    index = volatility_index.index(now).join(
        month.select("at", *BOOK, "atm"), on=["at", *BOOK], maintain_order="left"
    )
    return {
        "rows": rows,
        "pairs": _pairs(now),
        "slices": slices.with_columns(days=pl.col("years") * 365).with_columns(options.tenor()),
        "basis": _futures(now),
        "index": index.select("at", "value", "why_none", "atm"),
    }


def _futures(now: pl.DataFrame) -> pl.DataFrame:
    """Return what the stated forward of each expiry costs over the index, for a year."""
    over = pl.col("forward") / pl.col("index") - 1
    return (
        now.filter(forward_from="stated")
        .group_by(_SLOT)
        .agg(pl.median("years", "days"), over=over.median())
        .select(options.tenor(), basis=pl.col("over") / pl.col("years"))
        .drop_nulls("basis")
    )


def _pairs(now: pl.DataFrame) -> pl.DataFrame:
    """Return by how much calls and puts of one strike miss parity."""
    stated = now.filter(forward_from="stated")
    keys = [*_SLOT, "strike"]
    both = stated.filter(kind="call").join(stated.filter(kind="put"), on=keys, suffix="_put")
    ratio = pl.col("strike") / (pl.col("forward") + pl.col("forward_put")) * 2
    due = pl.when("inverse").then(1 - ratio).otherwise(pl.col("strike") * (1 / ratio - 1))
    return both.select(
        options.tenor(), missed=(pl.col("mark") - pl.col("mark_put") - due).abs()
    ).drop_nulls("missed")


def _told(index: pl.DataFrame) -> dict[str, Any]:
    """Return the index in a few figures; fractions."""
    value = pl.col("value")
    return index.select(
        index_median=value.median(),
        index_low=value.min(),
        index_high=value.max(),
        index_over_atm=(value - pl.col("atm")).median(),
        index_none=value.null_count(),
    ).row(0, named=True)


def _spans(rows: pl.DataFrame, figures: dict[str, pl.Expr]) -> pl.DataFrame:
    """Return figures of each span to expiry, and of all."""
    by = rows.group_by("tenor").agg(**figures).sort("tenor")
    whole = rows.select(tenor=pl.lit("all"), **figures)
    return pl.concat([by.with_columns(pl.col("tenor").cast(pl.String)), whole])


def _volatility() -> dict[str, pl.Expr]:
    missed = pl.col("missed")
    return {
        "options": pl.len(),
        "median": missed.median(),
        "p90": missed.quantile(0.9),
        "p99": missed.quantile(0.99),
        "close": (missed <= CLOSE).mean(),
    }


def _parity() -> dict[str, pl.Expr]:
    missed = pl.col("missed")
    return {"pairs": pl.len(), "median": missed.median(), "p99": missed.quantile(0.99)}


def _smiles() -> dict[str, pl.Expr]:
    own = pl.col("method") != "ssvi"
    plain = {name: pl.col(f"plain_{name}").filter(own) for name in ("error", "butterfly", "quoted")}
    mended = (pl.col("butterfly") < 0) | (pl.col("crossing") > 0).fill_null(value=False)
    return {
        "expiries": own.sum(),
        "few": (~own).sum(),
        "median": plain["error"].median(),
        "p95": plain["error"].quantile(0.95),
        "quoted": (plain["quoted"] >= 0).mean(),
        "anywhere": (plain["butterfly"] >= 0).mean(),
        "crossing": (pl.col("plain_crossing") > 0).filter(own).mean(),
        "refitted": (pl.col("method") == "penalized").filter(own).mean(),
        "mended_median": pl.col("error").filter(own).median(),
        "arbitrage": mended.mean(),
    }


def _basis() -> dict[str, pl.Expr]:
    basis = pl.col("basis")
    return {
        "expiries": pl.len(),
        "median": basis.median(),
        "p5": basis.quantile(0.05),
        "p95": basis.quantile(0.95),
        "positive": (basis > 0).mean(),
    }
