"""The command about what was closed by force."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import polars as pl

from plimsoll import session
from plimsoll.cli import flags
from plimsoll.cli.output import SAID, answer, between, needs_rows, readable, table
from plimsoll.errors import NoSuchData
from plimsoll.market.interval import duration

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.cli.flags import Output, Span
    from plimsoll.session import Session

__all__ = ["liquidations"]

_APART = ("market", "exchange", "symbol", "all")
_TOLD = (
    *("exchange", "symbol", "long_usd", "short_usd", "completeness", "seen"),
    *("long_most_usd", "short_most_usd", "volume_share", "forced_share"),
)
_BURST = (
    *("start", "minutes", "side", "long_usd", "short_usd", "completeness"),
    *("multiple", "usual_of", "move", "after_5m", "after_1h", "after_1d"),
)


@click.command()
@click.argument("symbol")
@click.option("--every", default="1h", show_default=True, help="The step of the grid of time.")
@click.option(
    "--by",
    type=click.Choice(_APART),
    default="exchange",
    show_default=True,
    help="What is kept apart; the rest is added.",
)
@click.option("--bursts", is_flag=True, help="Only the bursts, all of them.")
@flags.span
@flags.store
@flags.output
def liquidations(
    symbol: str,
    *,
    every: str,
    by: str,
    bursts: bool,
    span: Span,
    store: Path | None,
    output: Output,
) -> None:
    """Show what was closed by force: by side, with what is known of it, and in bursts.

    SYMBOL is a unified symbol, or a coin for all its contracts. Most feeds let
    only a part through: a sum bears the weakest label of its parts, and is at
    least so much; the bounds say at most. A burst is many times the usual.
    """
    opened = session.open(store)
    parameters = {"symbol": symbol, "every": every, "by": by, "bursts": bursts, **span.arguments}
    if bursts:
        frame = opened.bursts(symbol, **span.arguments)
    else:
        frame = opened.liquidations(symbol, every=every, by=by, **span.arguments)
        needs_rows(frame, symbol)

    def picture(path: Path) -> None:
        from plimsoll.picture import liquidations as drawn  # noqa: PLC0415 (matplotlib)
        from plimsoll.picture import style  # noqa: PLC0415 (likewise)

        steps = opened.liquidations(symbol, every=every, by="exchange", **span.arguments)
        told = pl.any_horizontal(pl.col("long_usd", "short_usd").is_not_null())
        steps = steps if span.since else style.lately(steps, told)
        found = _bursts(opened, symbol, span)
        if found is not None:
            found = found.filter(pl.col("start") >= steps["time"].min())
        title = f"Liquidations, {symbol}, {between(steps)}"
        drawn.draw(steps, found, path, title=title, every=duration(every))

    def words() -> None:
        if bursts:
            _show_bursts(frame, symbol)
            return
        first, last = frame["time"].dt.min(), frame["known_at"].dt.max()
        whole = opened.liquidations(symbol, every=every, by=by, whole=True, **span.arguments)
        told = whole.select(name for name in _TOLD if name in whole.columns)
        title = f"Liquidations, {symbol}, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}, at least"
        table(readable(told), title=title, right=SAID)
        found = _bursts(opened, symbol, span)
        if found is not None:
            click.echo()
            _show_bursts(found, symbol, most=5)

    answer(output, frame, parameters, words, picture)


def _bursts(opened: Session, symbol: str, span: Span) -> pl.DataFrame | None:
    """Return the bursts; None where no single liquidations are stored."""
    try:
        return opened.bursts(symbol, **span.arguments)
    except NoSuchData:
        return None


def _show_bursts(found: pl.DataFrame, symbol: str, most: int | None = None) -> None:
    if not found.height:
        click.echo(f"no bursts of liquidations, {symbol}, in that span of time")
        return
    shown, title = found, f"Bursts, {symbol}, all {found.height}"
    if most is not None and found.height > most:
        largest = pl.col("long_usd") + pl.col("short_usd")
        shown = found.sort(largest, descending=True).head(most).sort("start")
        title = f"Bursts, {symbol}, the {most} largest of {found.height}"
    table(readable(shown.select(_BURST)), title=title, right=SAID)
