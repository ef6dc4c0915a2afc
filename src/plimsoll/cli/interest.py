"""Commands about open interest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import polars as pl

from plimsoll import session
from plimsoll.cli import flags
from plimsoll.cli.output import SAID, answer, dollars, give, needs_rows, percent, readable, table

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from plimsoll.cli.flags import Output, Span
    from plimsoll.session import Session

__all__ = ["TOLD", "consensus", "entries", "open_interest", "quadrant"]

_BY = ("exchange", "margin", "symbol", "expiry", "coin")


@click.command("open-interest")
@click.argument("symbol")
@click.option("--every", default="1h", show_default=True, help="The step of the grid of time.")
@click.option("--by", type=click.Choice(_BY), help="Its parts, and how concentrated it is.")
@click.option("--candles", metavar="SPAN", help="As candles of that length, such as 1d.")
@click.option("--growth", is_flag=True, help="Growth over several spans, and round marks reached.")
@click.option("--turnover", is_flag=True, help="Against volume, spot volume and coins.")
@click.option("--supply", type=float, help="Coins in existence, for --turnover.")
@flags.span
@flags.store
@flags.output
def open_interest(
    symbol: str,
    *,
    every: str,
    by: str | None,
    candles: str | None,
    growth: bool,
    turnover: bool,
    supply: float | None,
    span: Span,
    store: Path | None,
    output: Output,
) -> None:
    """Show open interest over exchanges, in coin and dollars.

    SYMBOL is a unified symbol such as BTC/USDT:USDT, a coin for all its
    contracts, or ALL for all coins, in dollars only. Coverage is the share of the
    markets seen so far that are in the sum; change is over a day, in coin.
    """
    if (by is not None) + (candles is not None) + growth + turnover > 1:
        raise click.UsageError("give one of --by, --candles, --growth and --turnover")
    opened, asked = session.open(store), {"symbol": symbol, "every": every, **span.arguments}
    if by is not None:
        _parts(opened, by, asked, output)
    elif candles is not None:
        _candles(opened, candles, asked, output)
    elif growth:
        _growth(opened, asked, output)
    elif turnover:
        _turnover(opened, supply, asked, output)
    else:
        _sum(opened, asked, output)


def _sum(opened: Session, asked: dict[str, Any], output: Output) -> None:
    frame, title = opened.open_interest(**asked), f"Open interest, {asked['symbol']}"
    needs_rows(frame, asked["symbol"])

    def picture(path: Path) -> None:
        from plimsoll.picture import series  # noqa: PLC0415 (matplotlib only for pictures)

        lines = frame.select("time", pl.col("value_usd").alias("open interest"))
        series.draw(lines, path, title=title, unit="US dollars", area=True)

    def words() -> None:
        table(readable(frame.select(TOLD)), title=title, last=24, right=SAID)

    answer(output, frame, asked, words, picture)


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


def _parts(opened: Session, by: str, asked: dict[str, Any], output: Output) -> None:
    frame, spread = opened.divided_interest(by=by, **asked)  # type: ignore[arg-type]
    needs_rows(frame, asked["symbol"])
    title = f"Open interest of {asked['symbol']} by {by}"

    def picture(path: Path) -> None:
        from plimsoll.picture import interest  # noqa: PLC0415

        interest.parts(frame, path, title=title)

    def words() -> None:
        last = frame.filter(pl.col("time") == pl.col("time").max())
        told = last.sort("value_usd", descending=True, nulls_last=True).with_columns(
            pl.col("share", "coverage_usd").map_elements(percent, return_dtype=pl.String)
        )
        right = (*SAID, "share", "coverage_usd")
        table(readable(told), title=title, right=right)
        now = spread.row(-1, named=True)
        if now["hhi"] is not None:
            click.echo(
                f"HHI {now['hhi']:.4f}, as concentrated as {now['effective']:.4g} equal ones; "
                f"Gini {now['gini']:.3f} over {now['parts']}"
            )

    answer(output, frame, {**asked, "by": by}, words, picture)


def _candles(opened: Session, interval: str, asked: dict[str, Any], output: Output) -> None:
    frame = opened.interest_candles(interval=interval, **asked)
    needs_rows(frame, asked["symbol"])
    title = f"Open interest, {asked['symbol']}, candles of {interval}"

    def picture(path: Path) -> None:
        from plimsoll.picture import interest  # noqa: PLC0415

        interest.candles(frame, path, title=title)

    def words() -> None:
        named = ("open_usd", "high_usd", "low_usd", "close_usd")
        told = frame.with_columns(pl.col(named).map_elements(dollars, return_dtype=pl.String))
        told = told.select("time", "close", *named, "coverage", "instants")
        table(readable(told), title=title, last=24, right=(*SAID, *named))

    answer(output, frame, {**asked, "candles": interval}, words, picture)


def _growth(opened: Session, asked: dict[str, Any], output: Output) -> None:
    if asked["since"] is not None:
        raise click.UsageError("growth is up to --until, from spans of its own: leave out --since")
    question = {name: value for name, value in asked.items() if name != "since"}
    grown, marks = opened.interest_growth(**question), opened.interest_milestones(**question)
    needs_rows(grown, asked["symbol"])
    tables = {"growth": grown, "milestones": marks}
    body = {name: one.to_dict(as_series=False) for name, one in tables.items()}
    if give(output, {"parameters": question, **body}):
        return
    changes = ("relative_change", "relative_change_usd")
    told = grown.with_columns(pl.col(changes).map_elements(percent, return_dtype=pl.String))
    table(told, title=f"Growth of open interest, {asked['symbol']}", right=changes)
    if marks.height:
        said = marks.with_columns(pl.col("mark").map_elements(dollars, return_dtype=pl.String))
        table(readable(said), title="Round marks first reached", right=(*SAID, "mark"))
    click.echo("relative_change is in coin; doubling is in days at that pace")


def _turnover(opened: Session, supply: float | None, asked: dict[str, Any], output: Output) -> None:
    frame = opened.turnover(**asked, supply=supply)
    needs_rows(frame, asked["symbol"])
    title = f"Open interest of {asked['symbol']} against volume"

    def picture(path: Path) -> None:
        from plimsoll.picture import series  # noqa: PLC0415

        lines = frame.select(
            "time",
            pl.col("turnover").alias("volume of a day over open interest"),
            pl.col("to_spot").alias("open interest over spot volume of a day"),
        )
        series.draw(lines, path, title=title, unit="times")

    answer(
        output,
        frame,
        {**asked, "supply": supply},
        lambda: table(frame, title=title, last=24),
        picture,
    )


@click.command()
@click.argument("symbol")
@click.option("--every", default="5m", show_default=True, help="The step of the grid of time.")
@flags.span
@flags.store
@flags.output
def consensus(symbol: str, *, every: str, span: Span, store: Path | None, output: Output) -> None:
    """Show whose reports can be believed, and the open interest of those.

    SYMBOL is a coin for all its contracts, or a unified symbol. A market is graded
    A to D with the reasons: by a week of open interest and prices, and by a month of
    funding and of longs per short, each population by itself. The sum leaves out
    what was graded D when it was told, and names it.
    """
    asked = {"symbol": symbol, "every": every, **span.arguments}
    found = session.open(store).consensus(**asked)
    title = f"Whose reports can be believed, {symbol}"

    if output.out is not None and output.out.suffix == ".png":
        from plimsoll.picture import interest  # noqa: PLC0415

        interest.consensus(found, output.out, title=title)
        click.echo(f"wrote {output.out}", err=True)
        return
    body = {
        "parameters": asked,
        "grades": found.grades.to_dicts(),
        "total": found.total.to_dict(as_series=False),
    }
    if give(output, body):
        return
    if found.total.height:
        _believed(found.grades, found.total, title)
    for metric, words in _BESIDE.items():
        _graded(found.grades.filter(metric=metric), f"{words}, {symbol}")


_BESIDE = {
    "funding": "Funding, a simple rate a year, beside that of the others",
    "long_short": "Longs per short, beside the others of the same population",
}


def _graded(grades: pl.DataFrame, title: str) -> None:
    """Print the grades of a metric, a row for each market and population."""
    if grades.is_empty():
        return
    values = pl.col("value", "others")
    said = values.round(3)
    if grades["metric"][0] == "funding":
        said = values.map_elements(percent, return_dtype=pl.String, skip_nulls=False)
    why = pl.col("reasons").list.join("; ")
    told = grades.select("exchange", "symbol", "population", said, "grade", why)
    whole = told if grades["population"].count() else told.drop("population")
    table(whole, title=title, right=("value", "others"))


def _believed(grades: pl.DataFrame, total: pl.DataFrame, title: str) -> None:
    keys = ["exchange", "symbol"]
    why = pl.col("reasons").list.join("; ")
    prices = grades.filter(metric="price").select(
        *keys, price="grade", _why=pl.when(why != "").then(pl.format("price {}", why))
    )
    told = (
        grades.filter(metric="open_interest")
        .join(prices, on=keys, how="left", maintain_order="left")
        .select(
            *keys,
            "value_usd",
            pl.col("grade").alias("open interest"),
            "price",
            pl.concat_list(why, "_why").list.drop_nulls().list.join("; ").alias("reasons"),
        )
    )
    table(readable(told), title=title, right=SAID)
    now = total.row(-1, named=True)
    click.echo(
        f"{dollars(now['value_usd'])} of {now['markets']} markets on {now['exchanges']} exchanges, "
        f"coverage {percent(now['coverage'])}; change of a day, median of markets: "
        f"{percent(now['consensus'])}"
    )
    if now["left_out"]:
        click.echo(f"left out: {', '.join(now['left_out'])}")


@click.command()
@click.argument("symbol")
@click.option("--every", default="1h", show_default=True, help="The step of the grid of time.")
@click.option("--over", default="1d", show_default=True, help="Over which changes are taken.")
@flags.span
@flags.store
@flags.output
def quadrant(
    symbol: str, *, every: str, over: str, span: Span, store: Path | None, output: Output
) -> None:
    """Show whether open interest confirms the price.

    SYMBOL is a unified symbol, or a coin for all its contracts. Who opened or
    closed is named only where price and open interest both moved more than is usual
    at that hour and takers agree; else it is mixed, with what speaks against it.
    """
    asked = {"symbol": symbol, "every": every, **span.arguments}
    frame = session.open(store).quadrant(**asked, span=over)
    needs_rows(frame, symbol)
    title = f"Price and open interest, {symbol}, changes over {over}"

    def picture(path: Path) -> None:
        from plimsoll.picture import interest  # noqa: PLC0415

        interest.quadrant(frame, path, title=title)

    def words() -> None:
        shares = ("price_change", "interest_change", "taker_imbalance")
        told = frame.select(
            "time",
            pl.col(shares).map_elements(percent, return_dtype=pl.String),
            "state",
            pl.col("evidence").list.first(),
        )
        table(told, title=title, last=24, right=shares)

    answer(output, frame, {**asked, "over": over}, words, picture)


@click.command()
@click.argument("symbol")
@click.option("--exchange", multiple=True, help="Only this exchange (repeatable).")
@click.option("--until", help="As it stood before this time.")
@click.option("--as-of", help="With what was known by then.")
@click.option("--width", default=0.01, show_default=True, help="Of a bucket of prices, log price.")
@flags.store
@flags.output
def entries(
    symbol: str,
    *,
    exchange: tuple[str, ...],
    until: str | None,
    as_of: str | None,
    width: float,
    store: Path | None,
    output: Output,
) -> None:
    """Show at which prices what stands open was entered.

    SYMBOL is a unified symbol, or a coin for all its contracts in dollars. An
    estimate, from the inventory behind the heat map; profit_long is what a long of
    that entry has gained, which a short has lost.
    """
    asked = {"exchange": list(exchange) or None, "until": until, "as_of": as_of, "width": width}
    frame = session.open(store).entries(symbol, **asked)  # type: ignore[arg-type]
    needs_rows(frame, symbol)
    time: datetime = frame.select(pl.col("time").max()).item()
    title = f"Open interest of {symbol} by entry price, {time:%Y-%m-%d %H:%M} UTC"
    whole = _buckets(frame)

    def picture(path: Path) -> None:
        from plimsoll.picture import interest  # noqa: PLC0415

        interest.entries(whole, path, title=title)

    def words() -> None:
        told = whole.with_columns(pl.col("profit_long").map_elements(percent, pl.String))
        table(
            readable(told.sort("price_low", descending=True)),
            title=title,
            right=(*SAID, "profit_long"),
        )
        covered = ", ".join(
            f"{row['exchange']} {row['symbol']} {percent(row['coverage'])}"
            for row in frame.unique(["exchange", "symbol"], maintain_order=True).to_dicts()
        )
        click.echo(f"an estimate; entries are known of: {covered}")

    answer(output, frame, {"symbol": symbol, **asked}, words, picture)


def _buckets(frame: pl.DataFrame) -> pl.DataFrame:
    """Return dollars by bucket over markets; profit by the price of the largest market."""
    largest = frame.group_by("exchange", "symbol").agg(
        pl.sum_horizontal("long_usd", "short_usd").sum().alias("usd")
    )
    first = largest.sort("usd", descending=True).row(0, named=True)
    own = frame.filter(exchange=first["exchange"], symbol=first["symbol"]).row(0, named=True)
    price = (own["profit_long"] + 1) * (own["price_low"] * own["price_high"]) ** 0.5
    middle = (pl.col("price_low") * pl.col("price_high")).sqrt()
    return (
        frame.group_by(pl.col("price_low", "price_high").round_sig_figs(12))
        .agg(pl.col("long_usd", "short_usd").sum())
        .sort("price_low")
        .with_columns(profit_long=price / middle - 1)
    )
