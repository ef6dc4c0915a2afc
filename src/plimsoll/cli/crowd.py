"""Commands about who stands long and short, and what takers do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import polars as pl

from plimsoll import session
from plimsoll.cli import flags
from plimsoll.cli.output import answer, between, needs_rows, percent, table

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.cli.flags import Output, Span

__all__ = ["flow", "positioning"]


@click.command()
@click.argument("symbol")
@click.option("--every", default="1h", show_default=True, help="The step of the grid of time.")
@click.option("--by-exchange", is_flag=True, help="Every exchange's own ratios instead.")
@flags.span
@flags.store
@flags.output
def positioning(
    symbol: str,
    *,
    every: str,
    by_exchange: bool,
    span: Span,
    store: Path | None,
    output: Output,
) -> None:
    """Show which side is crowded, and by what.

    SYMBOL is a unified symbol, or a coin for all its contracts. Crowding is from
    -100, all terms at their lowest (shorts), to 100, all at their highest (longs);
    each is a percentile of its own history. Ratios count accounts, not dollars.
    """
    opened = session.open(store)
    if by_exchange:
        _ratios(opened.long_short(symbol, **span.arguments), symbol, span, output)
        return
    asked = {"symbol": symbol, "every": every, **span.arguments}
    frame = opened.positioning(**asked)
    needs_rows(frame, symbol)
    title = f"Who is crowded, {symbol}"

    def picture(path: Path) -> None:
        from plimsoll.picture import crowd, style  # noqa: PLC0415 (matplotlib only for pictures)

        told = (
            pl.col("crowding").is_not_null() if frame["crowding"].count() else pl.col("terms") > 0
        )
        shown = frame if span.since else style.lately(frame, told)
        crowd.positioning(shown, path, title=f"{title}, {between(shown)}")

    answer(output, frame, asked, lambda: _terms(frame, title), picture)


def _terms(frame: pl.DataFrame, title: str) -> None:
    """Print the last row, a line for each term."""
    from plimsoll.analytics.positioning import TERMS  # noqa: PLC0415 (not needed for JSON)

    now = frame.row(-1, named=True)
    rows = [
        {
            "term": name.replace("_", " "),
            "value": percent(now[name]),
            "percentile": percent(now[f"{name}_percentile"]),
            "what it is": _MEANING[name],
        }
        for name in TERMS
    ]
    table(pl.DataFrame(rows), title=f"{title}, {now['time']:%Y-%m-%d %H:%M} UTC", right=_RIGHT)
    score = "–" if now["crowding"] is None else f"{now['crowding']:+.0f} of ±100"
    click.echo(f"crowding {score}, of {now['terms']} of {len(TERMS)} terms")
    if now.get("gap") is not None:
        click.echo(
            f"top positions stand {now['gap'] * 100:+.1f} points more long than all accounts"
        )
    if now.get("exchanges"):
        click.echo(
            f"accounts crowded long on {now['agree_long']} of {now['exchanges']} exchanges, "
            f"short on {now['agree_short']}"
        )


_RIGHT = ("value", "percentile")
_MEANING = {
    "accounts": "share of accounts that are long, median over markets",
    "top_accounts": "the same of the largest accounts",
    "top_positions": "share of the largest accounts' positions that is long",
    "takers": "bought less sold by takers of contracts, of both, over a day",
    "funding": "what longs pay in a year, median over markets",
}


def _ratios(frame: pl.DataFrame, symbol: str, span: Span, output: Output) -> None:
    needs_rows(frame, symbol)
    title = f"Long and short, {symbol}, the last of each exchange"

    def picture(path: Path) -> None:
        from plimsoll.picture import series  # noqa: PLC0415

        name = pl.format("{} {}", "exchange", pl.col("population").str.replace("_", " "))
        lines = frame.with_columns(
            pl.col("time").dt.round("1h"), name=name, share=pl.col("long_share") * 100 - 50
        ).pivot("name", index="time", values="share", aggregate_function="last")
        unit = "% long, beyond half"
        series.draw(lines.sort("time"), path, title=f"Who is long, {symbol}", unit=unit)

    def words() -> None:
        keys = ["exchange", "symbol", "population"]
        last = frame.unique(keys, keep="last", maintain_order=True)
        shares = ("long_share", "percentile", "gap")
        told = last.with_columns(pl.col(shares).map_elements(percent, return_dtype=pl.String))
        table(told, title=title, right=shares)

    answer(output, frame, {"symbol": symbol, **span.arguments}, words, picture)


@click.command()
@click.argument("symbol")
@click.option("--every", default="1h", show_default=True, help="The step of the grid of time.")
@flags.span
@flags.store
@flags.output
def flow(symbol: str, *, every: str, span: Span, store: Path | None, output: Output) -> None:
    """Show what takers bought and sold, and what they may have opened with it.

    SYMBOL is a unified symbol, or a coin for all its contracts. Cumulative volume
    delta is exact where takers are known. Whether they opened or closed is not told:
    net longs and shorts are the middle of bounds, which JSON and files hold.
    """
    asked = {"symbol": symbol, "every": every, **span.arguments}
    frame = session.open(store).flow(**asked)
    needs_rows(frame, symbol)
    title = f"What takers did, {symbol}"

    def picture(path: Path) -> None:
        from plimsoll.picture import crowd  # noqa: PLC0415

        crowd.flow(frame, path, title=title)

    def words() -> None:
        shares = ("spot_coverage", "futures_coverage")
        told = frame.select(pl.col(name) for name in _FLOW if name in frame.columns).with_columns(
            pl.col(shares).map_elements(percent, return_dtype=pl.String)
        )
        table(told, title=title, last=24, right=shares)

    answer(output, frame, asked, words, picture)


_FLOW = (
    "time",
    "spot_cvd",
    "spot_coverage",
    "futures_cvd",
    "futures_coverage",
    "longs_low",
    "longs",
    "longs_high",
    "net_longs",
    "net_shorts",
)
