"""One market at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import polars as pl

from plimsoll import session
from plimsoll.cli import flags
from plimsoll.cli.interest import TOLD
from plimsoll.cli.output import SAID, give, percent, readable, table
from plimsoll.errors import NoSuchData

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.cli.flags import Output

__all__ = ["show"]


@click.command()
@click.argument("symbol")
@click.option("--exchange", multiple=True, help="Only this exchange (repeatable).")
@click.option("--as-of", help="With what was known by then.")
@flags.store
@flags.output
def show(
    symbol: str,
    *,
    exchange: tuple[str, ...],
    as_of: str | None,
    store: Path | None,
    output: Output,
) -> None:
    """Show the load on one market at a glance.

    SYMBOL is a unified symbol such as BTC/USDT:USDT. Each part says when it is
    from; a part that is not stored is left out.
    """
    found = session.open(store).show(symbol, exchange=list(exchange) or None, as_of=as_of)
    if all(frame is None for frame in found.values()):
        raise NoSuchData(f"nothing is stored for {symbol}")
    parts = {name: None if f is None else f.to_dict(as_series=False) for name, f in found.items()}
    parameters = {"symbol": symbol, "exchange": exchange, "as_of": as_of}
    if give(output, {"parameters": parameters, **parts}):
        return
    for name, frame in found.items():
        if frame is not None:
            told = frame.select(_TOLD[name]) if name in _TOLD else frame
            shares = [name for name in told.columns if name in _SHARES]
            told = told.with_columns(pl.col(shares).map_elements(percent, return_dtype=pl.String))
            table(readable(told), title=_TITLES[name], right=(*SAID, *shares))
            click.echo()


_TOLD: dict[str, tuple[str, ...]] = {
    "open_interest": TOLD,
    "quadrant": ("time", "price_change", "interest_change", "taker_imbalance", "state", "evidence"),
    "crowding": (
        "time",
        "crowding",
        "terms",
        "accounts_percentile",
        "top_accounts_percentile",
        "top_positions_percentile",
        "takers_percentile",
        "funding_percentile",
    ),
}
_SHARES = {
    "price_change",
    "interest_change",
    "taker_imbalance",
    *(name for name in _TOLD["crowding"] if name.endswith("_percentile")),
}
_TITLES = {
    "open_interest": "Open interest, all exchanges stored",
    "funding": "Funding, the last settlement of each market",
    "long_short": "Long/short",
    "quadrant": "Price and open interest, changes of a day",
    "crowding": "Who is crowded: percentiles of each term's own history",
    "liquidations": "Liquidations, the last day stored",
    "load": "Load: what the map (an estimate, not scored) holds near the price",
}
