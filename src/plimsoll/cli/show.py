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
    if all(frame is None for name, frame in found.items() if name != "macro"):
        raise NoSuchData(f"nothing is stored for {symbol}; `plimsoll status` lists what is")
    parts = {name: None if f is None else f.to_dict(as_series=False) for name, f in found.items()}
    parameters = {"symbol": symbol, "exchange": exchange, "as_of": as_of}
    if give(output, {"parameters": parameters, **parts}):
        return
    for name, frame in found.items():
        if frame is not None:
            told = [column for column in _TOLD.get(name, frame.columns) if column in frame.columns]
            shown = frame.select(told).with_columns(
                pl.col(column).map_elements(percent, return_dtype=pl.String, skip_nulls=False)
                for column in told
                if column in _FRACTIONS
            )
            table(readable(shown), title=_TITLES[name], right=(*SAID, *_FRACTIONS))
            click.echo()


_FRACTIONS = (
    *("price_change", "interest_change", "taker_imbalance", "simple", "beyond_90"),
    *("accounts_percentile", "top_accounts_percentile", "top_positions_percentile"),
    *("takers_percentile", "funding_percentile", "put_call_open_interest_percentile", "value"),
)
"""What is said in percent here."""
_TOLD = {
    "open_interest": TOLD,
    "quadrant": ("time", "price_change", "interest_change", "taker_imbalance", "state", "evidence"),
    "crowding": (
        *("time", "crowding", "terms", "accounts_percentile", "top_accounts_percentile"),
        *("top_positions_percentile", "takers_percentile", "funding_percentile"),
    ),
    "basis": ("time", "exchange", "contract", "kind", "maturity", "days", "simple", "state"),
    "liquidations": (
        *("known_at", "exchange", "long_usd", "short_usd", "completeness", "seen"),
        *("long_most_usd", "short_most_usd", "volume_share"),
    ),
    "bursts": (
        *("start", "minutes", "side", "long_usd", "short_usd", "completeness", "multiple"),
        *("move", "after_5m", "after_1h", "after_1d"),
    ),
    "options": (
        *("time", "price", "open_interest", "put_call_open_interest"),
        *("put_call_open_interest_percentile", "put_call_volume", "beyond_90", "leverage"),
        *("max_pain", "naive_usd"),
    ),
}
_TITLES = {
    "open_interest": "Open interest, all exchanges stored",
    "funding": "Funding, the last settlement of each market",
    "basis": "Basis of dated futures, a year, simple",
    "long_short": "Long/short",
    "quadrant": "Price and open interest, changes of a day",
    "crowding": "Who is crowded: percentiles of each term's own history",
    "liquidations": "Liquidations, the last day with any, at least",
    "bursts": "The last burst of liquidations",
    "options": "Options of the coin",
    "macro": "Beyond the market",
    "load": "Load near the price, by the map: an estimate, not scored",
}
