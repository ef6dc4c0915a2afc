"""Commands about what the numbers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import polars as pl

from plimsoll import session
from plimsoll.cli import options
from plimsoll.cli.output import answer, dollars, give, percent, table
from plimsoll.errors import NoSuchData

if TYPE_CHECKING:
    from pathlib import Path

    from plimsoll.cli.options import Output, Span

__all__ = ["funding", "heatmap", "open_interest", "show"]


@click.command("open-interest")
@click.argument("symbol")
@click.option("--every", default="1h", show_default=True, help="The step of the grid of time.")
@options.span
@options.store
@options.output
def open_interest(symbol: str, every: str, span: Span, store: Path | None, output: Output) -> None:
    """Show open interest over exchanges, in coin and dollars.

    SYMBOL is a unified symbol such as BTC/USDT:USDT, or a coin for all its
    contracts. Coverage is the share of the markets seen so far that are in the
    sum; change is over a day, in coin.
    """
    frame = session.open(store).open_interest(symbol, every=every, **span.arguments)
    _needs_rows(frame, symbol)
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
            _readable(frame.select(_TOLD)), title=f"Open interest, {symbol}", last=24, right=_SAID
        ),
        picture,
    )


_TOLD = (
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


@click.command()
@click.argument("symbol")
@options.span
@options.store
@options.output
def funding(symbol: str, span: Span, store: Path | None, output: Output) -> None:
    """Show what leverage costs, and for how long it has.

    SYMBOL is a unified symbol, or a coin for all its contracts. Rates are
    fractions per interval, apr is simple; streak counts settlements of one
    sign, percentile ranks the rate in the market's own history up to then.
    """
    frame = session.open(store).funding(symbol, **span.arguments)
    _needs_rows(frame, symbol)
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
            _readable(frame.sort("time", "exchange")),
            title=f"Funding, {symbol}",
            last=24,
            right=_SAID,
        ),
        picture,
    )


@click.command()
@click.argument("symbol")
@click.option("--exchange", multiple=True, help="The exchange mapped (else the only one stored).")
@click.option("--since", help="The first column: 2026-01-15, or 7d (else the last 30 days).")
@click.option("--until", help="The end of the last column.")
@click.option("--as-of", help="With what was known by then.")
@click.option("--interval", help="The length of a bar (else the shortest the data allow).")
@click.option("--rows", type=click.IntRange(2), help="Join price rows to at most this many.")
@options.store
@options.output
def heatmap(
    symbol: str,
    *,
    exchange: tuple[str, ...],
    since: str | None,
    until: str | None,
    as_of: str | None,
    interval: str | None,
    rows: int | None,
    store: Path | None,
    output: Output,
) -> None:
    """Draw where leveraged positions would be liquidated.

    Longs below the price, shorts above. An estimate: the leverage mix is a
    prior, not fitted, and the map is not scored. Each column is what stood
    before its bar, from what was known then.
    """
    if len(exchange) > 1:
        raise click.UsageError("a map is of one exchange: draw one for each")
    drawn = session.open(store).heatmap(
        symbol,
        exchange=exchange[0] if exchange else None,
        since=since,
        until=until,
        as_of=as_of,
        interval=interval,
        rows=rows,
    )
    parameters = {"since": since, "until": until, "as_of": as_of, **drawn.describe()}
    title = f"Predicted liquidations, {symbol} on {drawn.exchange}"

    def picture(path: Path) -> None:
        from plimsoll.picture import heatmap as pictures  # noqa: PLC0415 (matplotlib)

        source = f"Open interest of {drawn.exchange} as imported; prices from {drawn.prices}."
        pictures.draw(drawn, path, title=title, source=source)

    def words() -> None:
        table(_readable(drawn.within((0.02, 0.05, 0.10))), title=title, right=_SAID)
        click.echo("dollars that would be liquidated within that distance of the last price")
        click.echo("an estimate: leverage mix is a prior, not fitted, not scored; --out map.png")

    answer(output, drawn.to_frame(), parameters, words, picture)


@click.command()
@click.argument("symbol")
@click.option("--exchange", multiple=True, help="Only this exchange (repeatable).")
@click.option("--as-of", help="With what was known by then.")
@options.store
@options.output
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
            told = frame.select(_TOLD) if name == "open_interest" else frame
            table(_readable(told), title=_TITLES[name], right=_SAID)
            click.echo()


_TITLES = {
    "open_interest": "Open interest, all exchanges stored",
    "funding": "Funding, the last settlement of each market",
    "long_short": "Long/short",
    "liquidations": "Liquidations, the last day stored",
    "load": "Load: what the map (an estimate, not scored) holds near the price",
}


_MONEY = ("value_usd", "long_usd", "short_usd")
_PERCENT = ("relative_change", "rate", "apr", "excess", "cumulative", "percentile", "coverage")
_SAID = _MONEY + _PERCENT


def _readable(frame: pl.DataFrame) -> pl.DataFrame:
    """Return dollars and fractions as people say them."""
    said = dict.fromkeys(_MONEY, dollars) | dict.fromkeys(_PERCENT, percent)
    return frame.with_columns(
        pl.col(name).map_elements(say, return_dtype=pl.String, skip_nulls=False)
        for name, say in said.items()
        if name in frame.columns
    )


def _needs_rows(frame: pl.DataFrame, symbol: str) -> None:
    if not frame.height:
        raise NoSuchData(f"nothing is stored for {symbol} in that span of time")
