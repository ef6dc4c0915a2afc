"""Commands about what leverage costs, and what carrying it earns."""

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

__all__ = ["funding"]


@click.command()
@click.argument("symbol")
@flags.span
@flags.store
@flags.output
def funding(symbol: str, span: Span, store: Path | None, output: Output) -> None:
    """Show what leverage costs, and for how long it has.

    SYMBOL is a unified symbol, or a coin for all its contracts. Rates are
    fractions per interval, apr is simple; streak counts settlements of one
    sign, percentile ranks the rate in the market's own history up to then.
    """
    frame = session.open(store).funding(symbol, **span.arguments)
    needs_rows(frame, symbol)
    parameters = {"symbol": symbol, **span.arguments}

    def picture(path: Path) -> None:
        from plimsoll.picture import series  # noqa: PLC0415 (matplotlib only for pictures)

        market = pl.format("{} {}", "exchange", "symbol")
        lines = frame.with_columns(
            pl.col("time").dt.round("1h"), market=market, apr=pl.col("apr") * 100
        ).pivot("market", index="time", values="apr", aggregate_function="last")
        unit = "% a year, simple"
        series.draw(lines.sort("time"), path, title=f"Funding, {symbol}", unit=unit)

    answer(
        output,
        frame,
        parameters,
        lambda: table(
            readable(frame.sort("time", "exchange")),
            title=f"Funding, {symbol}",
            last=24,
            right=SAID,
        ),
        picture,
    )
