"""Commands about where liquidations are predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import polars as pl

from plimsoll import session
from plimsoll.cli import flags
from plimsoll.cli.output import SAID, answer, dollars, percent, readable, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from plimsoll.analytics.heatmap import HeatMap
    from plimsoll.cli.flags import Output

__all__ = ["clusters", "heatmap", "swept"]


@click.command()
@click.argument("symbol")
@click.option("--exchange", multiple=True, help="Only this exchange (repeatable).")
@click.option("--since", help="The first column: 2026-01-15, or 7d (else the last 30 days).")
@click.option("--until", help="The end of the last column.")
@click.option("--as-of", help="With what was known by then.")
@click.option("--interval", help="The length of a bar (else the shortest the data allow).")
@click.option("--rows", type=click.IntRange(2), help="Join price rows to at most this many.")
@flags.fit
@flags.measured
@flags.leverage
@flags.store
@flags.output
def heatmap(
    symbol: str,
    *,
    exchange: tuple[str, ...],
    since: str | None,
    until: str | None,
    as_of: str | None,
    interval: str | None,
    rows: int | None,
    fit: bool,
    measured: bool,
    leverage: str | None,
    store: Path | None,
    output: Output,
) -> None:
    """Draw where leveraged positions would be liquidated.

    SYMBOL is a unified symbol, or a coin for all its contracts in dollars;
    several markets are added up. Longs below the price, shorts above. An estimate,
    whose leverage mix is a prior unless it is fitted or measured; the newest score of
    the map goes with it (plimsoll score heatmap). Each column is what stood before its
    bar, from what was known then. With --leverage it shows some tiers of the same map.
    """
    drawn = session.open(store).heatmap(
        symbol,
        exchange=list(exchange) or None,
        since=since,
        until=until,
        as_of=as_of,
        interval=interval,
        rows=rows,
        fitted=fit,
        measured=measured,
        leverage=leverage,
    )
    parameters = {"since": since, "until": until, "as_of": as_of, **drawn.describe()}
    title = f"Predicted liquidations, {symbol} on {drawn.exchange}"

    def picture(path: Path) -> None:
        from plimsoll.picture import heatmap as pictures  # noqa: PLC0415 (matplotlib)

        source = f"Open interest of {drawn.exchange} as imported; prices from {drawn.prices}."
        pictures.draw(drawn, path, title=title, source=source)

    def words() -> None:
        table(readable(drawn.within((0.02, 0.05, 0.10))), title=title, right=SAID)
        if drawn.markets is not None:
            last = drawn.markets.filter(pl.col("time") == pl.col("time").max()).drop("time")
            table(readable(last), title="The markets in the last column", right=SAID)
        click.echo("\n".join(_told(drawn)))

    answer(output, drawn.to_frame(), parameters, words, picture)


@click.command()
@click.argument("symbol")
@click.option("--exchange", multiple=True, help="Only this exchange (repeatable).")
@click.option("--until", help="As it stood before this time.")
@click.option("--as-of", help="With what was known by then.")
@click.option(
    "--reach", default=0.10, show_default=True, help="How far off, as a fraction of the price."
)
@click.option(
    "--width", default=0.005, show_default=True, help="Over which the map is smoothed, log price."
)
@flags.fit
@flags.measured
@flags.leverage
@flags.store
@flags.output
def clusters(
    symbol: str,
    *,
    exchange: tuple[str, ...],
    until: str | None,
    as_of: str | None,
    reach: float,
    width: float,
    fit: bool,
    measured: bool,
    leverage: str | None,
    store: Path | None,
    output: Output,
) -> None:
    """Show where predicted liquidations stand close together.

    SYMBOL is a unified symbol, or a coin for all its contracts in dollars. By
    falling dollars, each with its distance in percent and in daily volatilities, and
    what it is made of: exchanges, leverages, ages, and the prices at which the
    leverage that holds most was entered. An estimate, whose leverage mix is a prior
    unless it is fitted or measured. Of a fitted map each says what it holds at least
    and at most.
    """
    asked = {
        "exchange": list(exchange) or None,
        "until": until,
        "as_of": as_of,
        "reach": reach,
        "width": width,
        "fitted": fit,
        "measured": measured,
        "leverage": leverage,
    }
    found = session.open(store).clusters(symbol, **asked)  # type: ignore[arg-type]

    def words() -> None:
        if found.is_empty():
            click.echo(f"nothing stands within {percent(reach)} of the price of {symbol}")
            return
        facts = pl.col("time", "coverage", "absent", "said").first()
        time, covered, absent, said = found.select(facts).row(0)
        title = f"Clusters of predicted liquidations, {symbol}, {time:%Y-%m-%d %H:%M} UTC"
        table(_cluster_words(found), title=title, right=("distance", "in σ", "dollars"))
        click.echo("σ: a day's volatility; entered: most of the largest market in it")
        click.echo(f"entries are known of {percent(covered)} of what can be liquidated")
        if absent:
            click.echo(f"without a map now: {', '.join(absent)}")
        click.echo(said)

    answer(output, found, {"symbol": symbol, **asked}, words)


def _told(drawn: HeatMap) -> Iterator[str]:
    """Yield what is to be known of a map."""
    if drawn.absent:
        yield f"without a map: {', '.join(drawn.absent)}"
    yield "dollars that would be liquidated within that distance of the last price"
    yield swept(drawn.swept())
    if drawn.inconsistent > len(drawn) / 2:
        yield (
            f"in {drawn.inconsistent} bars open interest changed by more than was traded: are both "
            "in one unit? Check the contract's size"
        )
    yield f"{drawn.said}; --out map.png"


def swept(said: dict[str, Any]) -> str:
    """Return in words what is predicted as liquidated, on the mark price and on trades."""

    def both(usd: dict[str, float | None]) -> str:
        return f"{dollars(usd['long'])} of longs and {dollars(usd['short'])} of shorts"

    traded = both(said["crossed_on_trades_usd"])
    if said["crossed_on"] == "trades":
        return f"predicted as liquidated: {traded}, on trades, wicks included: no mark price stored"
    marked = both(said["crossed_usd"])
    return f"predicted as liquidated: {marked}, on the mark price; wicks of trades make it {traded}"


def _cluster_words(found: pl.DataFrame) -> pl.DataFrame:
    """Return clusters as people say them."""
    rows = [
        {
            "side": row["side"],
            "price": f"{_price(row['price_low'])} – {_price(row['price_high'])}",
            "distance": f"{row['distance'] * 100:.1f}%",
            "in σ": "–" if row["volatilities"] is None else f"{row['volatilities']:.1f}",
            "dollars": dollars(row["value_usd"]),
            "from": dollars(row["value_usd_p10"]),
            "to": dollars(row["value_usd_p90"]),
            "leverage": _shares((f"{s['leverage']:.3g}x", s["share"]) for s in row["leverages"]),
            "age": _shares(((_age(s), s["share"]) for s in row["ages"]), 2),
            "exchanges": _shares((s["exchange"], s["share"]) for s in row["exchanges"]),
            "entered": f"{_price(row['entry_low'])} – {_price(row['entry_high'])}",
        }
        for row in found.iter_rows(named=True)
    ]
    return pl.DataFrame(rows)


def _price(price: float) -> str:
    return f"{price:,.0f}" if price >= 1_000 else f"{price:.5g}"


def _age(age: dict[str, float | None]) -> str:
    if age["age_until"] is None:
        return f">{age['age_from']:g}h"
    return f"<{age['age_until']:g}h"


def _shares(parts: Iterable[tuple[str, float]], most: int = 3) -> str:
    """Return the largest parts, those of one name added: ``10x 72%, 20x 14%``."""
    total: dict[str, float] = {}
    for name, share in parts:
        total[name] = total.get(name, 0.0) + share
    largest = sorted(total.items(), key=lambda part: -part[1])[:most]
    return ", ".join(f"{name} {share:.0%}" for name, share in largest if share >= _WORTH_WORDS)


_WORTH_WORDS = 0.01
