"""One market at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from plimsoll import session
from plimsoll.cli import flags
from plimsoll.cli.interest import TOLD
from plimsoll.cli.output import SAID, give, readable, table
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
            told = frame.select(TOLD) if name == "open_interest" else frame
            table(readable(told), title=_TITLES[name], right=SAID)
            click.echo()


_TITLES = {
    "open_interest": "Open interest, all exchanges stored",
    "funding": "Funding, the last settlement of each market",
    "long_short": "Long/short",
    "liquidations": "Liquidations, the last day stored",
    "options": "Options on the coin: puts against calls, max pain of the largest expiry, gamma",
    "load": "Load: what the map (an estimate, not scored) holds near the price",
}
