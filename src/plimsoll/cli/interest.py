"""The command about open interest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import polars as pl

from plimsoll import session
from plimsoll.cli import flags
from plimsoll.cli.output import SAID, answer, needs_rows, readable, table

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.cli.flags import Output, Span

__all__ = ["TOLD", "open_interest"]


@click.command("open-interest")
@click.argument("symbol")
@click.option("--every", default="1h", show_default=True, help="The step of the grid of time.")
@flags.span
@flags.store
@flags.output
def open_interest(symbol: str, every: str, span: Span, store: Path | None, output: Output) -> None:
    """Show open interest over exchanges, in coin and dollars.

    SYMBOL is a unified symbol such as BTC/USDT:USDT, or a coin for all its
    contracts. Coverage is the share of the markets seen so far that are in the
    sum; change is over a day, in coin.
    """
    frame = session.open(store).open_interest(symbol, every=every, **span.arguments)
    needs_rows(frame, symbol)
    parameters = {"symbol": symbol, "every": every, **span.arguments}

    def picture(path: Path) -> None:
        from plimsoll.picture import series  # noqa: PLC0415 (matplotlib only for pictures)

        lines = frame.select("time", pl.col("value_usd").alias("open interest"))
        series.draw(lines, path, title=f"Open interest, {symbol}", unit="US dollars", area=True)

    answer(
        output,
        frame,
        parameters,
        lambda: table(
            readable(frame.select(TOLD)), title=f"Open interest, {symbol}", last=24, right=SAID
        ),
        picture,
    )


TOLD = (
    "time",
    "amount",
    "value_usd",
    "coverage",
    "markets",
    "exchanges",
    "change",
    "relative_change",
    "effective",
)
